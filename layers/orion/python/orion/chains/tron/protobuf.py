"""Protocol Buffers' wire format in the one form that its canonical writers produce.

A transaction's id is a hash over bytes, a person approves a meaning: so each meaning here has
exactly one encoding. Fields come in ascending order and once, unless they are repeated; numbers
take the fewest bytes; a default value (0, empty) is left out; nothing unknown is skipped. Only
varints and length-delimited fields exist in Tron's transactions, and no number in ours is negative.

Source: protobuf.dev, "Encoding"; java-tron hashes what Java's canonical writer writes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import assert_never

from orion.errors import OrionError

NUMBER_MAX = 2**63 - 1
_VARINT, _LENGTH = 0, 2
_VARINT_BYTES_MAX = 10
_FIELD_NUMBER_MAX = 2**29 - 1


class MalformedMessage(OrionError):
    """Bytes or values that are no message of ours in canonical form. The field `reason` is a stable
    word (docs/chains/tron-custody.md lists them).
    """

    code = "malformed_message"

    @property
    def reason(self) -> str:
        """The stable word."""
        return str(self.fields.get("reason", "malformed"))


class Kind(Enum):
    """What a field holds: a whole number (int64 and enums), bytes or text, a message, messages."""

    NUMBER = auto()
    OCTETS = auto()
    PART = auto()
    PARTS = auto()


Layout = Mapping[int, Kind | str]
"""Fields by number; a text instead of a kind is the reason for which that field is refused."""


@dataclass(frozen=True, slots=True)
class Fields:
    """A message as read: what is absent reads as protobuf's default."""

    _numbers: Mapping[int, int]
    _contents: Mapping[int, tuple[bytes, ...]]

    def number(self, field: int) -> int:
        """A number, 0 when absent."""
        return self._numbers.get(field, 0)

    def octets(self, field: int) -> bytes:
        """Bytes, empty when absent."""
        return self._contents.get(field, (b"",))[0]

    def part(self, field: int) -> bytes | None:
        """An embedded message's bytes, None when absent."""
        found = self._contents.get(field)
        return None if found is None else found[0]

    def parts(self, field: int) -> tuple[bytes, ...]:
        """The embedded messages of a repeated field."""
        return self._contents.get(field, ())


def number(field: int, value: int) -> bytes:
    """A whole number's field, nothing for 0. Raises MalformedMessage below 0 or from 2^63 on."""
    if not 0 <= value <= NUMBER_MAX:
        raise MalformedMessage("a number that int64 does not hold", reason="number_range")
    return _varint(field << 3 | _VARINT) + _varint(value) if value else b""


def octets(field: int, content: bytes) -> bytes:
    """A field of bytes, nothing when they are empty."""
    return part(field, content) if content else b""


def part(field: int, content: bytes) -> bytes:
    """An embedded message's field; an empty message is still present."""
    return _varint(field << 3 | _LENGTH) + _varint(len(content)) + content


def read(data: bytes, layout: Layout) -> Fields:
    """The fields of `data`. Raises MalformedMessage for every other form than the canonical one."""
    numbers: dict[int, int] = {}
    contents: dict[int, tuple[bytes, ...]] = {}
    at, last = 0, 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        field, wire_type = tag >> 3, tag & 7
        kind = _kind(layout, field, last)
        last = field
        if wire_type != (_VARINT if kind is Kind.NUMBER else _LENGTH):
            raise MalformedMessage("a field of another wire type", reason="wire_type", field=field)
        value, at = _read_varint(data, at)
        if kind is Kind.NUMBER:
            numbers[field] = _plain_number(value, field)
            continue
        if value > len(data) - at:
            raise MalformedMessage("it ends within a field", reason="truncated", field=field)
        content, at = data[at : at + value], at + value
        if kind is Kind.OCTETS and not content:
            raise MalformedMessage("a written default", reason="default_written", field=field)
        contents[field] = (*contents.get(field, ()), content)
    return Fields(numbers, contents)


def _kind(layout: Layout, field: int, last: int) -> Kind:
    """The kind of a field that follows field `last`."""
    kind = layout.get(field)
    if kind is None:
        number_told = min(field, _FIELD_NUMBER_MAX)
        raise MalformedMessage("an unknown field", reason="field_unknown", field=number_told)
    if isinstance(kind, str):
        raise MalformedMessage("a field that we never use", reason=kind, field=field)
    if field < last:
        raise MalformedMessage("fields out of order", reason="field_order", field=field)
    match kind:
        case Kind.PARTS:
            return kind
        case Kind.NUMBER | Kind.OCTETS | Kind.PART:
            if field == last:
                raise MalformedMessage("a field twice", reason="field_repeated", field=field)
            return kind
        case _:
            assert_never(kind)


def _plain_number(value: int, field: int) -> int:
    if value == 0:
        raise MalformedMessage("a written default", reason="default_written", field=field)
    if value > NUMBER_MAX:
        raise MalformedMessage("a negative number", reason="number_range", field=field)
    return value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, in its fewest bytes, and where it ends."""
    value = 0
    for step, octet in enumerate(data[at : at + _VARINT_BYTES_MAX]):
        value |= (octet & 0x7F) << (7 * step)
        if octet < 0x80:
            if octet == 0 and step:
                raise MalformedMessage("a number with needless bytes", reason="varint")
            return value, at + step + 1
    if len(data) - at >= _VARINT_BYTES_MAX:
        raise MalformedMessage("a number of more than ten bytes", reason="varint")
    raise MalformedMessage("it ends within a number", reason="truncated")
