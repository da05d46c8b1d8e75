"""Blocks: header, id, Merkle root, and their record in the state.

A block's id is SHA-256 over its header's raw data with the height in the first eight bytes; a
transaction refers to a block by two bytes of its height and eight of its id (TAPOS). Source:
java-tron's BlockCapsule and MerkleTree; developers.tron.network "Transactions".
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from coincurve import PrivateKey

from infra.local.tron import addresses
from infra.local.tron.json_form import to_json
from infra.local.tron.schema import BLOCK_HEADER_RAW
from infra.local.tron.state import Session, View, dump, load
from infra.local.tron.transactions import Transaction, read_bytes
from infra.local.tron.wire import Message, decode, encode

HEAD_KEY = "head"
_VERSION = 31


@dataclass(frozen=True, slots=True)
class Block:
    """A block as it is stored; `results` holds one word of contractResult a transaction."""

    height: int
    block_id: bytes
    header: bytes
    signature: bytes
    time_ms: int
    transactions: tuple[bytes, ...]
    results: tuple[str, ...]

    def shown(self, *, visible: bool, detail: bool = True) -> dict[str, object]:
        """As java-tron shows it."""
        raw = to_json(BLOCK_HEADER_RAW, decode(BLOCK_HEADER_RAW, self.header), visible=visible)
        out: dict[str, object] = {
            "blockID": self.block_id.hex(),
            "block_header": {"raw_data": raw, "witness_signature": self.signature.hex()},
        }
        if detail and self.transactions:
            out["transactions"] = [
                {**shown_in_block(read_bytes(data), result, visible=visible)}
                for data, result in zip(self.transactions, self.results, strict=True)
            ]
        return out


def shown_in_block(transaction: Transaction, result: str, *, visible: bool) -> dict[str, object]:
    """A transaction with how it ended."""
    shown = transaction.shown(visible=visible)
    del shown["visible"]
    return {"ret": [{"contractRet": result}], **shown}


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """The root over the hashes of transactions; an odd one goes up unchanged. Empty: zeros."""
    if not leaves:
        return bytes(32)
    level = list(leaves)
    while len(level) > 1:
        level = [
            hashlib.sha256(b"".join(level[at : at + 2])).digest()
            if len(level[at : at + 2]) == 2
            else level[at]
            for at in range(0, len(level), 2)
        ]
    return level[0]


def make_block(
    parent: bytes,
    height: int,
    time_ms: int,
    witness: PrivateKey,
    included: Sequence[tuple[bytes, str]],
) -> Block:
    """The signed block over `parent`."""
    leaves = [hashlib.sha256(data).digest() for data, _ in included]
    raw: Message = {
        "timestamp": time_ms,
        "txTrieRoot": merkle_root(leaves),
        "parentHash": parent,
        "number": height,
        "witness_address": addresses.of_public_key(witness.public_key.format(compressed=False)),
        "version": _VERSION,
    }
    header = encode(BLOCK_HEADER_RAW, raw)
    digest = hashlib.sha256(header).digest()
    return Block(
        height=height,
        block_id=height.to_bytes(8, "big") + digest[8:],
        header=header,
        signature=witness.sign_recoverable(digest, hasher=None),
        time_ms=time_ms,
        transactions=tuple(data for data, _ in included),
        results=tuple(result for _, result in included),
    )


def _block_key(height: int) -> str:
    return f"block/{height:016d}"


def write_block(session: Session, block: Block) -> None:
    """Make `block` the head."""
    record: dict[str, object] = {
        "id": block.block_id.hex(),
        "header": block.header.hex(),
        "signature": block.signature.hex(),
        "time": block.time_ms,
        "transactions": [data.hex() for data in block.transactions],
        "results": list(block.results),
    }
    session.put(_block_key(block.height), dump(record))
    session.put(f"height/{block.block_id.hex()}", str(block.height))
    session.put(HEAD_KEY, str(block.height))


def read_block(view: View, height: int) -> Block | None:
    """The block at `height`."""
    record = cast(dict[str, Any] | None, load(view, _block_key(height)))
    if record is None:
        return None
    return Block(
        height=height,
        block_id=bytes.fromhex(record["id"]),
        header=bytes.fromhex(record["header"]),
        signature=bytes.fromhex(record["signature"]),
        time_ms=record["time"],
        transactions=tuple(bytes.fromhex(one) for one in record["transactions"]),
        results=tuple(record["results"]),
    )


def height_of(view: View, block_id: str) -> int | None:
    """The height of the block with that id."""
    found = view.get(f"height/{block_id}")
    return None if found is None else int(found)
