"""Solana: addresses and payment links. Pure: bytes and text in, values out."""

from orion.chains.solana.address import (
    NETWORKS,
    address_of,
    canonical_address,
    display_address,
    parse_address,
)
from orion.chains.solana.link import payment_link

__all__ = [
    "NETWORKS",
    "address_of",
    "canonical_address",
    "display_address",
    "parse_address",
    "payment_link",
]
