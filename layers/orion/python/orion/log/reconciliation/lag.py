"""A book that has not come so far yet: its newest records lack and the two others agree on them.

No tampering follows from that, so it freezes nothing; but only within a day: a book that somebody
emptied has not come far either.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from orion.log.reconciliation.comparison import Suspects
from orion.log.reconciliation.model import (
    Book,
    Difference,
    DifferenceKind,
    RecordLeaves,
    Wrong,
)
from orion.log.reconciliation.planning import Range

MAX_LAG = timedelta(days=1)
# MySQL posts; only these two follow.
FOLLOWERS = (Book.SEGMENTS, Book.EXTERNAL)


def without_lag(
    suspects: Suspects,
    leaves: Mapping[Book, Sequence[RecordLeaves]],
    wanted: Range,
    followed: Mapping[Book, int],
    now: datetime,
) -> tuple[Suspects, list[Difference]]:
    """`suspects` less the tail that one follower has not entered, and that as one difference.

    `followed` are the highest numbers of the shard that the followers say they have entered, read
    before `leaves`.
    """
    if wanted.strays or len(leaves) != len(Book):
        return suspects, []
    for book in FOLLOWERS:
        held = leaves[book]
        first = max([wanted.span.first, followed[book] + 1, *(each.number + 1 for each in held)])
        if first <= wanted.span.last and _agree(leaves, book, first, wanted.span.last, now):
            numbers = tuple(number for number in suspects.numbers if number < first)
            return Suspects(numbers, suspects.holes), [_behind(book, wanted, first)]
    return suspects, []


def _agree(
    leaves: Mapping[Book, Sequence[RecordLeaves]],
    behind: Book,
    first: int,
    last: int,
    now: datetime,
) -> bool:
    """Whether both other books hold each of these records, the same and whole and not old."""
    one, other = (
        [each for each in leaves[book] if each.number >= first] for book in Book if book != behind
    )
    return (
        [each.number for each in one] == list(range(first, last + 1))
        and one == other
        and all(each.whole and now - each.posted_at <= MAX_LAG for each in one)
    )


def _behind(book: Book, wanted: Range, first: int) -> Difference:
    return Difference(
        DifferenceKind.BOOK_BEHIND,
        Wrong(book),
        shard=wanted.shard,
        number=first,
        found=f"nothing from number {first} on",
        expected=f"numbers to {wanted.span.last}, on which the other two books agree",
    )
