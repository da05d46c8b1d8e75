"""Calls of contracts in Solidity's ABI, for the few types that custody needs.

Reading is strict: arguments are read and written again, and only the same bytes are accepted. So no
address has dirty upper bytes, no offset points elsewhere, and nothing follows the last argument.
Source: Solidity's "Contract ABI Specification".
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from orion.chains.ethereum.keccak import keccak256
from orion.errors import OrionError

Value = int | bytes | tuple[bytes, ...]

ADDRESS_BYTES = 20
UINT256_MAX = 2**256 - 1
ZERO_ADDRESS = "0x" + 40 * "0"
_WORD_BYTES = 32
_UINT8_MAX = 255
_ARRAY_MAX = 256
_ADDRESS = re.compile(r"0x[0-9a-f]{40}\Z", re.ASCII)


class MalformedCall(OrionError):
    """Call data that is not the one form of such a call."""

    code = "malformed_call"


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a contract. Types known here: address, uint8, uint256, bytes, address[]; their
    values are 20 bytes, numbers, bytes, and a tuple of addresses.
    """

    name: str
    types: tuple[str, ...]
    selector: bytes = field(init=False)

    def __post_init__(self) -> None:
        signature = f"{self.name}({','.join(self.types)})"
        object.__setattr__(self, "selector", keccak256(signature.encode("ascii"))[:4])

    def call(self, *values: Value) -> bytes:
        """Call data. Raises MalformedCall for a value that its type does not hold."""
        return self.selector + encode(self.types, values)

    def is_called_by(self, data: bytes) -> bool:
        """Whether call data names this function."""
        return data[:4] == self.selector

    def read(self, data: bytes) -> tuple[Value, ...]:
        """The arguments of call data. Raises MalformedCall."""
        if not self.is_called_by(data):
            raise MalformedCall("another function is called", function=self.name)
        return decode(self.types, data[4:])


def encode(types: Sequence[str], values: Sequence[Value]) -> bytes:
    """Arguments or results. Raises MalformedCall."""
    if len(types) != len(values):
        raise MalformedCall("as many values as types were expected")
    heads: list[bytes] = []
    tails = b""
    for kind, value in zip(types, values, strict=True):
        if kind in ("bytes", "address[]"):
            heads.append(_word(_WORD_BYTES * len(types) + len(tails)))
            tails += _dynamic(kind, value)
        else:
            heads.append(_static(kind, value))
    return b"".join(heads) + tails


def decode(types: Sequence[str], data: bytes) -> tuple[Value, ...]:
    """What `encode` wrote, read back. Raises MalformedCall for any other form."""
    values = tuple(_argument(kind, data, index) for index, kind in enumerate(types))
    if encode(types, values) != data:
        raise MalformedCall("not the one form of these arguments")
    return values


def address_bytes(address: str) -> bytes:
    """The 20 bytes of an address in the form of records, zero included. Raises MalformedCall."""
    if not _ADDRESS.match(address):
        raise MalformedCall("not 0x and 40 lower-case hex digits")
    return bytes.fromhex(address[2:])


def address_text(address: bytes) -> str:
    """The form in records of 20 bytes."""
    return "0x" + address.hex()


def address_word(address: bytes) -> bytes:
    """An address as 32 bytes. Raises MalformedCall."""
    return _static("address", address)


def uint_word(number: int) -> bytes:
    """A number as 32 bytes. Raises MalformedCall."""
    return _static("uint256", number)


def _word(number: int) -> bytes:
    return number.to_bytes(_WORD_BYTES, "big")


def _static(kind: str, value: Value) -> bytes:
    if kind == "address" and isinstance(value, bytes) and len(value) == ADDRESS_BYTES:
        return bytes(_WORD_BYTES - ADDRESS_BYTES) + value
    number_max = {"uint8": _UINT8_MAX, "uint256": UINT256_MAX}.get(kind)
    if number_max is not None and isinstance(value, int) and 0 <= value <= number_max:
        return _word(value)
    raise MalformedCall("a value that its type does not hold", type=kind)


def _dynamic(kind: str, value: Value) -> bytes:
    if kind == "bytes" and isinstance(value, bytes):
        return _word(len(value)) + value + bytes(-len(value) % _WORD_BYTES)
    if kind == "address[]" and isinstance(value, tuple) and len(value) <= _ARRAY_MAX:
        return _word(len(value)) + b"".join(_static("address", each) for each in value)
    raise MalformedCall("a value that its type does not hold", type=kind)


def _read_word(data: bytes, begin: int) -> int:
    if begin < 0 or begin + _WORD_BYTES > len(data):
        raise MalformedCall("arguments are cut short")
    return int.from_bytes(data[begin : begin + _WORD_BYTES], "big")


def _argument(kind: str, data: bytes, index: int) -> Value:
    """One argument, loosely: `decode` compares the whole with its one form."""
    word = _read_word(data, _WORD_BYTES * index)
    if kind in ("uint8", "uint256"):
        return word
    if kind == "address":
        return _word(word)[-ADDRESS_BYTES:]
    length = _read_word(data, word)
    begin = word + _WORD_BYTES
    if kind == "bytes":
        return data[begin : begin + length]
    if length > _ARRAY_MAX:
        raise MalformedCall("an array too long", length_max=_ARRAY_MAX)
    return tuple(
        _word(_read_word(data, begin + _WORD_BYTES * each))[-ADDRESS_BYTES:]
        for each in range(length)
    )
