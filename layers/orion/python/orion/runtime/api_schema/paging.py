"""What all lists share: keyset pages, newest first unless the route says otherwise."""

from orion.billing.errors import CursorMalformed, LimitOutOfRange
from orion.runtime.api_schema.kinds import Listing, Member, Object, Parameter, Text, Whole

PAGE_MAX = 100
PAGE_DEFAULT = 20
_CURSOR = Text(max_length=200, pattern="[A-Za-z0-9_-]+")

LIMIT = Parameter(
    "limit",
    Whole(1, PAGE_MAX),
    f"How many a page has at most; {PAGE_DEFAULT} where nothing is said.",
    LimitOutOfRange,
)
CURSOR = Parameter("cursor", _CURSOR, "`next_cursor` of the page before.", CursorMalformed)
PAGING = (LIMIT, CURSOR)


def page_of(item: Object) -> Object:
    """The answer of a list in pages."""
    return Object(
        f"{item.name}Page",
        (
            Member("data", Listing(item, max_items=PAGE_MAX)),
            Member(
                "next_cursor",
                Text(max_length=200),
                nullable=True,
                note="Pass it as `cursor` for the next page; null on the last.",
            ),
        ),
    )


def list_of(item: Object, *, max_items: int) -> Object:
    """The answer of a list that is always whole."""
    return Object(f"{item.name}List", (Member("data", Listing(item, max_items=max_items)),))
