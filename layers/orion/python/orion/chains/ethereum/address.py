"""Addresses: 20 bytes in hex, where the case of the letters is a checksum (EIP-55)."""

import re

from orion.chains.errors import MalformedAddress, UnknownNetwork
from orion.chains.ethereum.keccak import keccak256

_HEX = re.compile(r"0x[0-9a-fA-F]{40}\Z", re.ASCII)
_CHAIN_ID = re.compile(r"[1-9][0-9]{0,18}\Z", re.ASCII)


def checksum_address(address: bytes) -> str:
    """The mixed-case form of 20 bytes (EIP-55)."""
    if len(address) != 20:
        raise MalformedAddress("an address has 20 bytes", reason="length")
    plain = address.hex()
    digest = keccak256(plain.encode("ascii")).hex()
    return "0x" + "".join(
        letter.upper() if weight >= "8" else letter
        for letter, weight in zip(plain, digest, strict=False)
    )


def parse_address(text: str) -> bytes:
    """The 20 bytes of an address. Raises MalformedAddress.

    Text in one case carries no checksum and is read; text in mixed case must carry the right one
    (EIP-55). The zero address is refused: whatever is paid to it is gone.
    """
    if not _HEX.match(text):
        raise MalformedAddress("not 0x and 40 hex digits", reason="form")
    address = bytes.fromhex(text[2:])
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()) and checksum_address(address) != text:
        raise MalformedAddress("the case of the letters is not their checksum", reason="checksum")
    if not any(address):
        raise MalformedAddress("the zero address belongs to nobody", reason="zero")
    return address


def check_network(network: str) -> str:
    """A chain id (EIP-155) in decimal. Raises UnknownNetwork."""
    if not _CHAIN_ID.match(network):
        raise UnknownNetwork("an ethereum network is a decimal chain id", network=network[:32])
    return network


def canonical_address(text: str, network: str) -> str:
    """The form in records: `0x` and lower case.

    Ethereum's addresses are the same on every network.
    """
    check_network(network)
    return "0x" + parse_address(text).hex()


def display_address(address: str) -> str:
    """The mixed-case form of an address. Raises MalformedAddress."""
    return checksum_address(parse_address(address))
