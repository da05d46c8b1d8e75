"""A block's payments: every output that has an address and carries value."""

from orion.chains.bitcoin.address import address_of
from orion.chains.bitcoin.hashing import display_hash, merkle_root
from orion.chains.bitcoin.network import network_of
from orion.chains.bitcoin.wire import parse_block
from orion.chains.blocks import Block, Transfer
from orion.chains.errors import MalformedBlock


def decode_block(raw: bytes, height: int, network: str) -> Block:
    """Decode a block in wire format. Raises MalformedBlock, UnknownNetwork.

    The transactions are checked against the header's Merkle root, so what is credited is what was
    mined. A repeated transaction id is refused: a block altered by repeating transactions has the
    same root (CVE-2012-2459). Outputs of the coinbase count like any other: a pool may pay an
    invoice from it.
    """
    known = network_of(network)
    header, transactions = parse_block(raw)
    ids = [transaction.txid for transaction in transactions]
    if len(set(ids)) != len(ids):
        raise MalformedBlock("a transaction stands twice in the block", height=height)
    if merkle_root(ids) != header.merkle_root:
        raise MalformedBlock("the transactions are not those of the header", height=height)
    transfers = []
    for transaction in transactions:
        txid = transaction.display_id
        for index, output in enumerate(transaction.outputs):
            if output.value_sat == 0:
                continue
            recipient = address_of(output.script, known)
            if recipient is not None:
                transfers.append(
                    Transfer(txid, f"out:{index}", None, None, recipient, output.value_sat)
                )
    return Block(
        hash=display_hash(header.hash),
        parent=display_hash(header.parent),
        height=height,
        time=header.time,
        transfers=tuple(transfers),
    )
