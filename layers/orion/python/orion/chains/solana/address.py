"""Addresses: 32 bytes in base 58, an Ed25519 public key or a program's derived address.

Source: Solana documentation, "Account addresses". There is no checksum and no network in it: a
mistyped address of the right length is another address.
"""

from orion.chains import base58
from orion.chains.errors import MalformedAddress, UnknownNetwork

NETWORKS = ("mainnet-beta", "testnet", "devnet", "localnet")
ADDRESS_BYTES = 32


def address_of(key: bytes) -> str:
    """The address of 32 bytes. Raises MalformedAddress."""
    if len(key) != ADDRESS_BYTES:
        raise MalformedAddress("an address has 32 bytes", reason="length")
    return base58.encode(key)


def parse_address(text: str) -> bytes:
    """The 32 bytes of an address. Raises MalformedAddress (field `reason`).

    Addresses off the curve are read: vaults of multisigs are such and may be paid. Zero is refused:
    it is the system program.
    """
    key = base58.decode(text)
    if len(key) != ADDRESS_BYTES:
        raise MalformedAddress("an address has 32 bytes", reason="length")
    if not any(key):
        raise MalformedAddress("the system program is nobody's account", reason="zero")
    return key


def check_network(network: str) -> str:
    """The name of a cluster. Raises UnknownNetwork."""
    if network not in NETWORKS:
        raise UnknownNetwork("solana has no such network", network=network[:32])
    return network


def canonical_address(text: str, network: str) -> str:
    """The form in records: base 58, as written. Addresses are the same on every network.

    Raises MalformedAddress, UnknownNetwork.
    """
    check_network(network)
    parse_address(text)
    return text


def display_address(address: str) -> str:
    """The same text: Solana's canonical form is the one for people."""
    return address
