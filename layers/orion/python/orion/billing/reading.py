"""Strict reading of the fields of records and queue messages that billing consumes."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar, cast

from orion.money import MAX_UNITS
from orion.records import MalformedRecord

E = TypeVar("E", bound=StrEnum)
_ID = re.compile(r"[0-9a-f]{32}\Z", re.ASCII)
_UNITS = re.compile(r"[1-9][0-9]{0,38}\Z", re.ASCII)


class Fields:
    """One JSON object; each reader raises MalformedRecord with the field's name."""

    def __init__(self, body: Mapping[str, object]) -> None:
        self._body = body

    def id(self, name: str) -> bytes:
        """16 bytes written as 32 hex digits."""
        return bytes.fromhex(self._matching(name, _ID))

    def trace_id(self, *, default: str | None = None) -> str:
        """The trace of this object, or of what it came in where it has none of its own."""
        if default is not None and self._body.get("trace_id") is None:
            return default
        return self._matching("trace_id", _ID)

    def units(self, name: str) -> int:
        """A positive amount of smallest units that the ledger can hold."""
        units = int(self._matching(name, _UNITS))
        if units > MAX_UNITS:
            raise _wrong(name)
        return units

    def text(self, name: str, *, max_length: int) -> str:
        value = self._body.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= max_length:
            raise _wrong(name)
        return value

    def optional_text(self, name: str, *, max_length: int) -> str | None:
        return None if self._body.get(name) is None else self.text(name, max_length=max_length)

    def integer(self, name: str, *, maximum: int = 2**63 - 1) -> int:
        value = self._body.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= maximum:
            raise _wrong(name)
        return value

    def optional_integer(self, name: str, *, maximum: int) -> int | None:
        return None if self._body.get(name) is None else self.integer(name, maximum=maximum)

    def choice(self, name: str, kind: type[E]) -> E:
        try:
            return kind(self.text(name, max_length=64))
        except ValueError as exc:
            raise _wrong(name) from exc

    def object(self, name: str) -> "Fields":
        value = self._body.get(name)
        if not isinstance(value, dict):
            raise _wrong(name)
        return Fields(cast(Mapping[str, object], value))

    def texts(self, name: str, *, max_items: int, max_length: int) -> tuple[str, ...]:
        """A list of 1 to `max_items` texts."""
        value = self._body.get(name)
        if not isinstance(value, list) or not 1 <= len(value) <= max_items:
            raise _wrong(name)
        return tuple(Fields({name: item}).text(name, max_length=max_length) for item in value)

    def objects(self, name: str, *, max_items: int) -> "list[Fields]":
        value = self._body.get(name)
        if not isinstance(value, list) or len(value) > max_items:
            raise _wrong(name)
        if not all(isinstance(item, dict) for item in value):
            raise _wrong(name)
        return [Fields(item) for item in value]

    def _matching(self, name: str, pattern: re.Pattern[str]) -> str:
        value = self._body.get(name)
        if not isinstance(value, str) or not pattern.match(value):
            raise _wrong(name)
        return value


def _wrong(name: str) -> MalformedRecord:
    return MalformedRecord("a field is missing or not of the agreed form", field=name)
