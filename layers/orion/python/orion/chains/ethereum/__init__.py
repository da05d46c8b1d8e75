"""Ethereum: blocks, addresses and payment links. Pure: a node's JSON and text in, values out."""

from orion.chains.ethereum.address import (
    canonical_address,
    checksum_address,
    display_address,
    parse_address,
)
from orion.chains.ethereum.block import decode_block
from orion.chains.ethereum.keccak import keccak256
from orion.chains.ethereum.link import payment_link

__all__ = [
    "canonical_address",
    "checksum_address",
    "decode_block",
    "display_address",
    "keccak256",
    "parse_address",
    "payment_link",
]
