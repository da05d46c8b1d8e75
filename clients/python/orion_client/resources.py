"""What the groups of routes share: paths with ids in them, members left out, and keyset pages."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from orion_client.errors import NotSent, UnreadableAnswer
from orion_client.shapes import Page
from orion_client.transport import Transport

T = TypeVar("T")


class Unset:
    """The type of UNSET."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset()  # In a change: leave as it is. None clears.


class Resource:
    """One group of routes."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _json(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        query: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
    ) -> Any:
        return self._transport.send(
            method, path, body=body, query=query, idempotency_key=idempotency_key
        ).json()


def at(template: str, **ids: str) -> str:
    """The path of `template` with each id quoted, so that none can leave its place. Raises NotSent
    for an id that is no segment of a path.
    """
    return template.format(**{name: _segment(value) for name, value in ids.items()})


def _segment(text: str) -> str:
    # Empty ones shorten the path to that of the list; dot segments are removed from it before it is
    # sent (RFC 3986, 5.2.4), quoted or not.
    if text in ("", ".", ".."):
        raise NotSent("an id is neither empty nor made of one or two dots")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as exc:
        raise NotSent("an id is text that UTF-8 can write") from exc


def given(**members: object) -> dict[str, object]:
    """The members that were said; UNSET ones are left out, None ones of a creation too."""
    return {name: value for name, value in members.items() if value is not None}


def changed(**members: object) -> dict[str, object]:
    """The members of a change: UNSET ones are left out, None clears."""
    return {name: value for name, value in members.items() if not isinstance(value, Unset)}


def each(read: Callable[[str | None], Page[T]]) -> Iterator[T]:
    """All items of all pages, read as they are needed. Raises UnreadableAnswer when a list names a
    cursor twice in a row, which would never end.
    """
    cursor: str | None = None
    while True:
        page = read(cursor)
        yield from page["data"]
        following = page.get("next_cursor")
        if following is None:
            return
        if following == cursor:
            raise UnreadableAnswer("the list does not get on")
        cursor = following
