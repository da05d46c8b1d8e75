"""Tron: addresses and payment links. Pure: bytes and text in, values out."""

from orion.chains.tron.address import (
    NETWORKS,
    address_of,
    canonical_address,
    display_address,
    parse_address,
)
from orion.chains.tron.link import payment_link

__all__ = [
    "NETWORKS",
    "address_of",
    "canonical_address",
    "display_address",
    "parse_address",
    "payment_link",
]
