"""Protocol Buffers' wire format for the few messages a Tron transaction is made of.

A message is a dict of named fields; a `Schema` names them. Source: the encoding guide of Protocol
Buffers. Fields are written in order of their number and defaults are left out, as every canonical
writer does; a transaction's id is a hash over exactly these bytes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

Message = dict[str, object]

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MASK_64 = (1 << 64) - 1
_DEPTH_MAX = 8
_VARINT_BYTES_MAX = 10


class MalformedMessage(Exception):
    """Bytes that are no message of the schema, or values that cannot be written."""


class Kind(Enum):
    """What a field holds, which also says how it is shown in JSON."""

    NUMBER = auto()
    TRUTH = auto()
    OCTETS = auto()
    ADDRESS = auto()
    TEXT = auto()
    CHOICE = auto()
    MESSAGE = auto()


@dataclass(frozen=True, slots=True)
class Field:
    """One field; `names` gives the words of a CHOICE, `schema` the type of a MESSAGE."""

    number: int
    name: str
    kind: Kind
    repeated: bool = False
    schema: "Schema | None" = None
    names: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Schema:
    """A message type of the package `protocol`, its fields in order of their number."""

    name: str
    fields: tuple[Field, ...]

    def numbered(self, number: int) -> Field:
        """The field of that number. Raises MalformedMessage."""
        for candidate in self.fields:
            if candidate.number == number:
                return candidate
        raise MalformedMessage(f"{self.name} has no field {number} here")


def number(message: Message, name: str) -> int:
    """A whole number, 0 when absent."""
    value = message.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int):
        raise MalformedMessage(f"{name} is no whole number")
    return value


def truth(message: Message, name: str) -> bool:
    """A yes or no, no when absent."""
    return message.get(name, False) is True


def octets(message: Message, name: str) -> bytes:
    """Bytes, empty when absent."""
    value = message.get(name, b"")
    if not isinstance(value, bytes):
        raise MalformedMessage(f"{name} is not bytes")
    return value


def text(message: Message, name: str) -> str:
    """A text, empty when absent."""
    value = message.get(name, "")
    if not isinstance(value, str):
        raise MalformedMessage(f"{name} is no text")
    return value


def part(message: Message, name: str) -> Message | None:
    """A message within, None when absent."""
    value = message.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise MalformedMessage(f"{name} is no message")
    return value


def several(message: Message, name: str) -> Sequence[object]:
    """The values of a repeated field."""
    value = message.get(name, ())
    if not isinstance(value, list | tuple):
        raise MalformedMessage(f"{name} is no list")
    return value


def parts(message: Message, name: str) -> list[Message]:
    """The messages of a repeated field."""
    found: list[Message] = []
    for value in several(message, name):
        if not isinstance(value, dict):
            raise MalformedMessage(f"{name} holds something else than messages")
        found.append(value)
    return found


def _varint(value: int) -> bytes:
    value &= _MASK_64
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _scalar(entry: Field, value: object) -> tuple[int, bytes]:
    """Wire type and content of one value."""
    match entry.kind:
        case Kind.NUMBER | Kind.CHOICE if isinstance(value, int) and not isinstance(value, bool):
            if not -(1 << 63) <= value < 1 << 63:
                raise MalformedMessage(f"{entry.name} does not fit into 64 bits")
            return _VARINT, _varint(value)
        case Kind.TRUTH if isinstance(value, bool):
            return _VARINT, _varint(int(value))
        case Kind.OCTETS | Kind.ADDRESS if isinstance(value, bytes):
            return _LENGTH, value
        case Kind.TEXT if isinstance(value, str):
            try:
                return _LENGTH, value.encode()
            except UnicodeEncodeError as exc:
                raise MalformedMessage(f"{entry.name} is no text of whole characters") from exc
        case Kind.MESSAGE if isinstance(value, dict) and entry.schema is not None:
            return _LENGTH, encode(entry.schema, value)
        case _:
            raise MalformedMessage(f"{entry.name} is of the wrong type")


def encode(schema: Schema, message: Message) -> bytes:
    """The bytes of `message`. Raises MalformedMessage."""
    out = bytearray()
    for entry in schema.fields:
        value = message.get(entry.name)
        if value is None:
            continue
        values = several(message, entry.name) if entry.repeated else (value,)
        for one in values:
            wire_type, content = _scalar(entry, one)
            empty = content == (b"\0" if wire_type == _VARINT else b"")
            if empty and not entry.repeated and entry.kind is not Kind.MESSAGE:
                continue
            out += _varint(entry.number << 3 | wire_type)
            if wire_type == _LENGTH:
                out += _varint(len(content))
            out += content
    return bytes(out)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def done(self) -> bool:
        return self._at >= len(self._data)

    def varint(self) -> int:
        value = 0
        for step in range(_VARINT_BYTES_MAX):
            if self.done:
                raise MalformedMessage("it ends within a number")
            octet = self._data[self._at]
            self._at += 1
            value |= (octet & 0x7F) << (7 * step)
            if octet < 0x80:
                return value & _MASK_64
        raise MalformedMessage("a number of more than ten bytes")

    def content(self) -> bytes:
        length = self.varint()
        if length > len(self._data) - self._at:
            raise MalformedMessage("it ends within a field")
        self._at += length
        return self._data[self._at - length : self._at]


def _value(entry: Field, reader: _Reader, wire_type: int, depth: int) -> object:
    if entry.kind in {Kind.NUMBER, Kind.CHOICE, Kind.TRUTH}:
        if wire_type != _VARINT:
            raise MalformedMessage(f"{entry.name} is of the wrong wire type")
        found = reader.varint()
        if entry.kind is Kind.TRUTH:
            return found != 0
        return found - (1 << 64) if found >> 63 else found
    if wire_type != _LENGTH:
        raise MalformedMessage(f"{entry.name} is of the wrong wire type")
    content = reader.content()
    if entry.kind is Kind.TEXT:
        try:
            return content.decode()
        except UnicodeDecodeError as exc:
            raise MalformedMessage(f"{entry.name} is not UTF-8") from exc
    if entry.kind is Kind.MESSAGE and entry.schema is not None:
        return decode(entry.schema, content, depth + 1)
    return content


def decode(schema: Schema, data: bytes, depth: int = 0) -> Message:
    """The message that `data` holds. Unknown fields are refused: they would change the id unseen.

    Raises MalformedMessage.
    """
    if depth > _DEPTH_MAX:
        raise MalformedMessage("messages nested too deeply")
    reader = _Reader(data)
    message: Message = {}
    while not reader.done:
        tag = reader.varint()
        entry = schema.numbered(tag >> 3)
        value = _value(entry, reader, tag & 7, depth)
        if entry.repeated:
            message[entry.name] = [*several(message, entry.name), value]
        else:
            message[entry.name] = value
    return message
