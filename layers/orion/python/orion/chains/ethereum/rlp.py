"""Recursive length prefix, as transactions are written (yellow paper, appendix B).

One value has one form: lengths and single bytes are as short as they can be, and anything longer is
refused, because two forms of a transaction would be two hashes for one meaning.
"""

from collections.abc import Sequence
from typing import TypeAlias

from orion.errors import OrionError

Item: TypeAlias = "bytes | Sequence[Item]"

# A transaction is a list; the only list in it is the access list, whose entries hold lists of keys.
DEPTH_MAX = 4
_SHORT_BYTES_MAX = 55


class MalformedRlp(OrionError):
    """Bytes that are not one value in its one form."""

    code = "malformed_rlp"


def encode(item: Item) -> bytes:
    """The form of bytes or of a list of items."""
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _prefix(len(item), 0x80) + item
    payload = b"".join(encode(each) for each in item)
    return _prefix(len(payload), 0xC0) + payload


def encode_integer(number: int) -> bytes:
    """A number not below zero as big-endian bytes without leading zeros: what stands in an item."""
    if number < 0:
        raise MalformedRlp("no form exists for a negative number")
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def decode(data: bytes) -> Item:
    """The one value that `data` holds: bytes, or a tuple of values. Raises MalformedRlp."""
    item, rest = _read(data, DEPTH_MAX)
    if rest:
        raise MalformedRlp("bytes follow the value")
    return item


def decode_integer(item: Item, bits: int) -> int:
    """The number in an item, below 2^`bits`. Raises MalformedRlp."""
    if not isinstance(item, bytes) or item[:1] == b"\x00":
        raise MalformedRlp("not a number without leading zeros")
    if len(item) * 8 > bits:
        raise MalformedRlp("a number too large", bits=bits)
    return int.from_bytes(item, "big")


def _prefix(length: int, base: int) -> bytes:
    if length <= _SHORT_BYTES_MAX:
        return bytes([base + length])
    size = encode_integer(length)
    return bytes([base + _SHORT_BYTES_MAX + len(size)]) + size


def _read(data: bytes, depth: int) -> tuple[Item, bytes]:
    if not data:
        raise MalformedRlp("a value is missing")
    first = data[0]
    if first < 0x80:
        return data[:1], data[1:]
    base = 0x80 if first < 0xC0 else 0xC0
    payload, rest = _split(data, base)
    if base == 0x80:
        if len(payload) == 1 and payload[0] < 0x80:
            raise MalformedRlp("a single byte below 0x80 stands for itself")
        return payload, rest
    if depth == 0:
        raise MalformedRlp("lists are nested too deep", depth_max=DEPTH_MAX)
    items: list[Item] = []
    while payload:
        item, payload = _read(payload, depth - 1)
        items.append(item)
    return tuple(items), rest


def _split(data: bytes, base: int) -> tuple[bytes, bytes]:
    """Payload of the value that begins `data`, and what follows it."""
    length = data[0] - base
    begin = 1
    if length > _SHORT_BYTES_MAX:
        begin = 1 + length - _SHORT_BYTES_MAX
        size = data[1:begin]
        if len(size) != begin - 1 or size[0] == 0:
            raise MalformedRlp("a length is cut short or has leading zeros")
        length = int.from_bytes(size, "big")
        if length <= _SHORT_BYTES_MAX:
            raise MalformedRlp("a short length in the long form")
    if len(data) < begin + length:
        raise MalformedRlp("a value is cut short")
    return data[begin : begin + length], data[begin + length :]
