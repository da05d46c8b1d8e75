"""The description language: what a value is, and its limits.

Vocabulary of what is emitted: JSON Schema 2020-12, as OpenAPI 3.1 uses it. A description says no
more than both sides need: `reading` refuses what does not fit, `openapi` writes it down.
"""

from dataclasses import dataclass

from orion.errors import OrionError

_ID_LETTERS = "0-9A-HJKMNP-TV-Z"


@dataclass(frozen=True, slots=True)
class Text:
    """A text of `min_length` to `max_length` characters, none of them a control character.

    What does not fit `pattern` is refused here (`malformed_field`). `form` is only written down:
    the domain judges it, and refuses by an error of its own, such as `malformed_amount`. Both are
    anchored at both ends. `format` is one of JSON Schema's.
    """

    max_length: int | None = None
    min_length: int = 1
    pattern: str | None = None
    form: str | None = None
    format: str | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some texts; of a request, any other is `malformed_field`."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `minimum` to `maximum`."""

    minimum: int = 0
    maximum: int = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""


@dataclass(frozen=True, slots=True)
class Labels:
    """An object of the caller's own names and texts, at most `max_items` of them."""

    max_items: int
    max_name: int
    max_value: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of `min_items` to `max_items`. What a request lists is never named twice."""

    item: "Kind"
    max_items: int | None = None
    min_items: int = 0


@dataclass(frozen=True, slots=True)
class AnyObject:
    """An object whose members depend on something else; `note` says on what. Of answers only."""

    note: str


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an object.

    In a request, an `optional` one may be absent or null, which is the same. In an answer it may be
    absent, and a `nullable` one may be null.
    """

    name: str
    kind: "Kind"
    optional: bool = False
    nullable: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Object:
    """An object; `name` is its name in the OpenAPI document. A request's takes no other members."""

    name: str
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Media:
    """An answer that is not JSON."""

    content_type: str


Kind = Text | Choice | Whole | Flag | Labels | Listing | AnyObject | Object


@dataclass(frozen=True, slots=True)
class Parameter:
    """One optional query parameter. A `Listing` of texts is written `a,b`.

    What does not fit is refused with `refused`, or where that is None with `malformed_parameter`.
    """

    name: str
    kind: Text | Choice | Whole | Listing
    note: str
    refused: type[OrionError] | None = None


def public_id(prefix: str) -> Text:
    """An identity outside: `prefix_` and 26 letters of Crockford's base 32 (128 bits)."""
    return Text(
        max_length=len(prefix) + 27, pattern=f"{prefix}_[0-7][{_ID_LETTERS}]{{25}}", min_length=1
    )


def decimal(*, max_length: int = 200) -> Text:
    """Money or a rate: a plain decimal as text. Of a request, the domain judges it."""
    return Text(max_length=max_length, form=r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")


MOMENT = Text(max_length=40, format="date-time")  # RFC 3339 in UTC.
