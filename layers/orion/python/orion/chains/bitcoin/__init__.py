"""Bitcoin: blocks, addresses and payment links. Pure: bytes and text in, values out."""

from orion.chains.bitcoin.address import (
    Address,
    address_of,
    canonical_address,
    display_address,
    parse_address,
)
from orion.chains.bitcoin.block import decode_block
from orion.chains.bitcoin.link import payment_link
from orion.chains.bitcoin.network import NETWORKS, Network
from orion.chains.bitcoin.wire import BlockHeader, Transaction, TxInput, TxOutput, parse_transaction

__all__ = [
    "NETWORKS",
    "Address",
    "BlockHeader",
    "Network",
    "Transaction",
    "TxInput",
    "TxOutput",
    "address_of",
    "canonical_address",
    "decode_block",
    "display_address",
    "parse_address",
    "parse_transaction",
    "payment_link",
]
