"""Reading a request by its description: known names only, each of its kind and within its limit."""

import re
from collections.abc import Mapping, Sequence
from typing import TypeVar, cast

from orion.records import parse_object
from orion.runtime.api_schema.kinds import (
    AnyObject,
    Choice,
    Flag,
    Kind,
    Labels,
    Listing,
    Object,
    Parameter,
    Text,
    Whole,
)
from orion.runtime.body import (
    MAX_BODY_BYTES,
    MalformedField,
    MalformedParameter,
    MissingField,
    PayloadTooLarge,
    UnknownField,
    UnknownParameter,
    readable,
)

T = TypeVar("T")
_DIGITS_MAX = 16
_SHOWN = 80


class Fields:
    """What was read, by name; what is absent or null is None.

    A reader of another kind than the name was described as is a programmer's error: TypeError.
    """

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        return self._get(name, str)

    def optional_text(self, name: str) -> str | None:
        return self._optional(name, str)

    def texts(self, name: str) -> tuple[str, ...]:
        """Items of a Listing of texts."""
        return cast(tuple[str, ...], self._get(name, tuple))

    def optional_texts(self, name: str) -> tuple[str, ...] | None:
        return cast("tuple[str, ...] | None", self._optional(name, tuple))

    def whole(self, name: str) -> int:
        return self._get(name, int)

    def optional_whole(self, name: str) -> int | None:
        return self._optional(name, int)

    def flag(self, name: str) -> bool:
        return self._get(name, bool)

    def optional_flag(self, name: str) -> bool | None:
        return self._optional(name, bool)

    def optional_labels(self, name: str) -> Mapping[str, str] | None:
        return cast("Mapping[str, str] | None", self._optional(name, dict))

    def object(self, name: str) -> "Fields":
        return self._get(name, Fields)

    def optional_object(self, name: str) -> "Fields | None":
        return self._optional(name, Fields)

    def objects(self, name: str) -> "tuple[Fields, ...]":
        """Items of a Listing of objects."""
        return cast("tuple[Fields, ...]", self._get(name, tuple))

    def given(self, name: str) -> bool:
        """Whether the request had this name at all, also with null: what a PATCH must know."""
        return name in self._values

    def _get(self, name: str, kind: type[T]) -> T:
        found = self._optional(name, kind)
        if found is None:
            raise TypeError(f"{name} is optional in its description")
        return found

    def _optional(self, name: str, kind: type[T]) -> T | None:
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise TypeError(f"{name} was not described as {kind.__name__}")
        return value


def read_body(text: bytes, described: Object) -> Fields:
    """The fields of one JSON object.

    Raises PayloadTooLarge, MalformedJson, UnknownField, MissingField, MalformedField.
    """
    if len(text) > MAX_BODY_BYTES:
        raise PayloadTooLarge(f"the body may have {MAX_BODY_BYTES} bytes", limit=MAX_BODY_BYTES)
    return _object(parse_object(text), described, "")


def read_query(query: Mapping[str, str], described: Sequence[Parameter]) -> Fields:
    """The query's parameters. Raises UnknownParameter, and what each description refuses with."""
    known = {parameter.name: parameter for parameter in described}
    for name in query:
        if name not in known:
            raise UnknownParameter("this request has no such parameter", parameter=name[:_SHOWN])
    values: dict[str, object] = {}
    for name, text in query.items():
        parameter = known[name]
        try:
            values[name] = _value(_from_query(text, parameter.kind), parameter.kind, name)
        except MalformedField as exc:
            refused = parameter.refused or MalformedParameter
            raise refused(exc.detail, parameter=name) from exc
    return Fields(values)


def _from_query(text: str, kind: Kind) -> object:
    if isinstance(kind, Listing):
        return text.split(",")
    if isinstance(kind, Whole) and text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX:
        return int(text)
    return text


def _object(values: Mapping[str, object], described: Object, path: str) -> Fields:
    known = {member.name for member in described.members}
    for name in values:
        if name not in known:
            raise UnknownField("this request has no such field", field=(path + name)[:_SHOWN])
    found: dict[str, object] = {}
    for member in described.members:
        value = values.get(member.name)
        if value is not None:
            found[member.name] = _value(value, member.kind, path + member.name)
        elif not member.optional:
            raise MissingField("this field is needed", field=path + member.name)
        elif member.name in values:
            found[member.name] = None
    return Fields(found)


def _value(value: object, kind: Kind, field: str) -> object:
    match kind:
        case Text():
            return _text(value, kind, field)
        case Choice():
            if not isinstance(value, str) or value not in kind.values:
                raise MalformedField(f"one of {', '.join(kind.values)} is wanted", field=field)
            return value
        case Whole():
            return _whole(value, kind, field)
        case Flag():
            if not isinstance(value, bool):
                raise MalformedField("true or false is wanted", field=field)
            return value
        case Labels():
            return _labels(value, kind, field)
        case Listing():
            return _listing(value, kind, field)
        case Object():
            if not isinstance(value, dict):
                raise MalformedField("an object is wanted", field=field)
            return _object(cast(Mapping[str, object], value), kind, field + ".")
        case AnyObject():
            raise TypeError(f"{field}: what nobody described cannot be read")


def _text(value: object, kind: Text, field: str) -> str:
    most = MAX_BODY_BYTES if kind.max_length is None else kind.max_length
    if not isinstance(value, str) or not kind.min_length <= len(value) <= most:
        raise MalformedField(
            f"a text of {kind.min_length} to {most} characters is wanted", field=field
        )
    if not readable(value):
        raise MalformedField("the text has characters that nobody can read", field=field)
    if kind.pattern is not None and not re.fullmatch(kind.pattern, value, re.ASCII):
        raise MalformedField("the text is not of the wanted form", field=field)
    return value


def _whole(value: object, kind: Whole, field: str) -> int:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not kind.minimum <= cast(int, value) <= kind.maximum:
        raise MalformedField(
            f"a whole number from {kind.minimum} to {kind.maximum} is wanted", field=field
        )
    return cast(int, value)


def _labels(value: object, kind: Labels, field: str) -> Mapping[str, str]:
    if not isinstance(value, dict) or len(value) > kind.max_items:
        raise MalformedField(f"an object of at most {kind.max_items} texts is wanted", field=field)
    name_kind, value_kind = Text(kind.max_name), Text(kind.max_value, min_length=0)
    return {
        _text(name, name_kind, field): _text(text, value_kind, f"{field}.{name}"[:_SHOWN])
        for name, text in cast(Mapping[str, object], value).items()
    }


def _listing(value: object, kind: Listing, field: str) -> tuple[object, ...]:
    most = MAX_BODY_BYTES if kind.max_items is None else kind.max_items
    if not isinstance(value, list) or not kind.min_items <= len(value) <= most:
        what = "texts" if isinstance(kind.item, Text | Choice) else "items"
        raise MalformedField(f"a list of {kind.min_items} to {most} {what} is wanted", field=field)
    items = tuple(_value(item, kind.item, field) for item in cast(list[object], value))
    if not isinstance(kind.item, Object | Labels | Listing) and len(set(items)) != len(items):
        raise MalformedField("the list names something twice", field=field)
    return items
