"""Tron's addresses: 0x41 and the last 20 bytes of the key's Keccak-256, in hex or Base58Check.

Source: developers.tron.network, "Account".
"""

from orion.chains.base58 import decode_check, encode_check
from orion.chains.errors import MalformedAddress
from orion.chains.ethereum.keccak import keccak256

PREFIX = 0x41
SIZE_BYTES = 21


def is_address(data: bytes) -> bool:
    """Whether `data` has an address's length and first byte."""
    return len(data) == SIZE_BYTES and data[0] == PREFIX


def of_public_key(uncompressed: bytes) -> bytes:
    """The address of a public key of 65 bytes."""
    return bytes([PREFIX]) + keccak256(uncompressed[1:])[12:]


def of_contract(txid: bytes, owner: bytes) -> bytes:
    """The address of the contract that transaction `txid` of `owner` creates."""
    return bytes([PREFIX]) + keccak256(txid + owner)[12:]


def shown(address: bytes, *, visible: bool) -> str:
    """Base58Check when visible, else hex."""
    return encode_check(address) if visible else address.hex()


def read(words: str, *, visible: bool) -> bytes:
    """The bytes that `words` stands for. Raises ValueError."""
    if not visible:
        return bytes.fromhex(words)
    try:
        return decode_check(words)
    except MalformedAddress as exc:
        raise ValueError(f"{words} is no Base58Check address") from exc


def evm(address: bytes) -> str:
    """The 20 bytes that the EVM knows, as 0x-hex."""
    return "0x" + address[-20:].hex()


def from_evm(words: str) -> bytes:
    """The address of an account of the EVM."""
    return bytes([PREFIX]) + bytes.fromhex(words.removeprefix("0x")).rjust(20, b"\0")[-20:]
