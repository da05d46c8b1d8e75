"""Strict reading of a JSON body: known names only, each of its type and within its limit."""

from collections.abc import Collection, Mapping
from typing import cast

from orion.errors import OrionError
from orion.records import parse_object

MAX_BODY_BYTES = 64 * 1024


class PayloadTooLarge(OrionError):
    """The body has more bytes than any request of this API needs."""

    code = "payload_too_large"


class UnknownField(OrionError):
    """A name that this request does not have: more often a typing error than an intention."""

    code = "unknown_field"


class MissingField(OrionError):
    """A name that this request must have."""

    code = "missing_field"


class MalformedField(OrionError):
    """A value of the wrong type or beyond its limit."""

    code = "malformed_field"


class UnknownParameter(OrionError):
    """A name in the query that this request does not have."""

    code = "unknown_parameter"


class MalformedParameter(OrionError):
    """A value in the query that is not of the wanted form."""

    code = "malformed_parameter"


def readable(text: str) -> bool:
    """Whether nothing in `text` is a control character, a lone surrogate, or one of U+FFFE and
    U+FFFF, which XML and with it SQS do not know (Amazon SQS API Reference, `SendMessage`).
    """
    return not any(
        ord(c) < 32 or ord(c) in (127, 0xFFFE, 0xFFFF) or 0xD800 <= ord(c) <= 0xDFFF for c in text
    )


class Body:
    """One JSON object; each reader raises MissingField or MalformedField with the field's name."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    @classmethod
    def parse(cls, text: bytes, allowed: Collection[str]) -> "Body":
        """Raises PayloadTooLarge, MalformedJson, UnknownField."""
        if len(text) > MAX_BODY_BYTES:
            raise PayloadTooLarge(f"the body may have {MAX_BODY_BYTES} bytes", limit=MAX_BODY_BYTES)
        values = parse_object(text)
        for name in values:
            if name not in allowed:
                raise UnknownField("this request has no such field", field=name[:80])
        return cls(values)

    def text(self, name: str, *, max_length: int, min_length: int = 1) -> str:
        """A `readable` text of `min_length` to `max_length` characters."""
        value = self._required(name)
        if not isinstance(value, str) or not min_length <= len(value) <= max_length:
            raise MalformedField(
                f"a text of {min_length} to {max_length} characters is wanted", field=name
            )
        if not readable(value):
            raise MalformedField("the text has characters that nobody can read", field=name)
        return value

    def optional_text(self, name: str, *, max_length: int) -> str | None:
        """As `text`, or None where the field is absent or null."""
        if self._values.get(name) is None:
            return None
        return self.text(name, max_length=max_length)

    def texts(self, name: str, *, max_items: int, max_length: int) -> tuple[str, ...]:
        """A list of 1 to `max_items` texts without repeats."""
        value = self._required(name)
        if not isinstance(value, list) or not 1 <= len(value) <= max_items:
            raise MalformedField(f"a list of 1 to {max_items} texts is wanted", field=name)
        items = tuple(
            Body({name: item}).text(name, max_length=max_length)
            for item in cast(list[object], value)
        )
        if len(set(items)) != len(items):
            raise MalformedField("the list names something twice", field=name)
        return items

    def optional_integer(self, name: str, *, minimum: int, maximum: int) -> int | None:
        """A whole number within its bounds, or None where the field is absent or null."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
            raise MalformedField(
                f"a whole number from {minimum} to {maximum} is wanted", field=name
            )
        return value

    def _required(self, name: str) -> object:
        value = self._values.get(name)
        if value is None:
            raise MissingField("this field is needed", field=name)
        return value
