"""Addresses: 0x41 and the last 20 bytes of the key's Keccak-256, in Base58Check ("T...").

Source: TRON Developer Hub, "Accounts and keys", section "Address format". Shasta and Nile use 0x41
as well, so that an address does not tell its network.
"""

from orion.chains import base58
from orion.chains.errors import MalformedAddress, UnknownNetwork

NETWORKS = ("mainnet", "shasta", "nile", "private")
VERSION = b"\x41"
ACCOUNT_BYTES = 20


def address_of(account: bytes) -> str:
    """The address of an account's 20 bytes, which an EVM contract sees. Raises MalformedAddress."""
    if len(account) != ACCOUNT_BYTES:
        raise MalformedAddress("an account has 20 bytes", reason="length")
    return base58.encode_check(VERSION + account)


def parse_address(text: str) -> bytes:
    """The 20 bytes of an address. Raises MalformedAddress (field `reason`).

    The zero account is refused: whatever is paid to it is gone. The hexadecimal form of nodes
    ("41...") carries no checksum and is not for people: it is refused as well.
    """
    payload = base58.decode_check(text)
    if len(payload) != ACCOUNT_BYTES + 1:
        raise MalformedAddress("no address has this length", reason="length")
    if payload[:1] != VERSION:
        raise MalformedAddress("an unknown version", reason="version")
    if not any(payload[1:]):
        raise MalformedAddress("the zero account belongs to nobody", reason="zero")
    return payload[1:]


def check_network(network: str) -> str:
    """The name of a network. Raises UnknownNetwork."""
    if network not in NETWORKS:
        raise UnknownNetwork("tron has no such network", network=network[:32])
    return network


def canonical_address(text: str, network: str) -> str:
    """The form in records: Base58Check, as written. Addresses are the same on every network.

    Raises MalformedAddress, UnknownNetwork.
    """
    check_network(network)
    parse_address(text)
    return text


def display_address(address: str) -> str:
    """The same text: Tron's canonical form is the one for people."""
    return address
