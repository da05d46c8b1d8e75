"""A book that is behind is told apart from one that lost entries."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orion.log.reconciliation.comparison import suspects
from orion.log.reconciliation.lag import without_lag
from orion.log.reconciliation.model import Book, Difference, RecordLeaves
from orion.log.reconciliation.planning import Range, Span

NOW = datetime(2026, 11, 24, 1, tzinfo=UTC)
RANGE = Range(0, 3, Span(11, 20), strays=False)


def records(first: int, last: int) -> list[RecordLeaves]:
    return [
        RecordLeaves(number, NOW - timedelta(hours=1), bytes([number]) * 32, whole=True)
        for number in range(first, last + 1)
    ]


def told(
    books: dict[Book, list[RecordLeaves]],
    followed: dict[Book, int],
    wanted: Range = RANGE,
) -> tuple[list[int], list[Difference]]:
    left, found = without_lag(suspects(books, wanted), books, wanted, followed, NOW)
    return list(left.numbers), found


FULL = {book: records(11, 20) for book in Book}
UP_TO = {Book.SEGMENTS: 20, Book.EXTERNAL: 20}


@pytest.mark.parametrize("book", [Book.SEGMENTS, Book.EXTERNAL])
def test_the_tail_that_a_follower_has_not_entered_is_one_difference_that_freezes_nothing(
    book: Book,
) -> None:
    for last, said in ((17, 17), (10, 4), (18, 16)):
        numbers, [found] = told({**FULL, book: records(11, last)}, {**UP_TO, book: said})
        assert numbers == []
        assert (str(found.kind), str(found.wrong)) == ("book_behind", book)
        assert (found.shard, found.number) == (3, last + 1)
        assert not found.kind.freezes


def test_what_a_book_says_to_have_entered_and_lacks_is_no_lag() -> None:
    lost = {**FULL, Book.EXTERNAL: records(11, 17)}
    assert told(lost, UP_TO) == ([18, 19, 20], [])
    numbers, [found] = told(lost, {**UP_TO, Book.EXTERNAL: 18})
    assert (numbers, found.number) == ([18], 19)


def test_a_difference_before_the_tail_stays_one() -> None:
    short = {**FULL, Book.SEGMENTS: records(12, 17)}
    numbers, [found] = told(short, {**UP_TO, Book.SEGMENTS: 17})
    assert (numbers, found.number) == ([11], 18)


def test_a_tail_is_lag_only_where_both_other_books_hold_all_of_it_and_the_same() -> None:
    tail = records(11, 17)
    behind = {**UP_TO, Book.SEGMENTS: 17}
    whole = records(11, 20)
    other = [*whole[:-1], replace(whole[-1], leaves=bytes(32))]
    torn = [*whole[:-1], replace(whole[-1], whole=False)]
    old = [*whole[:-1], replace(whole[-1], posted_at=NOW - timedelta(hours=25))]
    for mysql, external in (
        (other, whole), (whole, other), (torn, torn), (old, old), (whole[:-1], whole[:-1]),
        (whole, tail),
    ):  # fmt: skip
        books = {Book.MYSQL: mysql, Book.SEGMENTS: tail, Book.EXTERNAL: external}
        assert told(books, {**behind, Book.EXTERNAL: 20})[1] == []


def test_mysql_follows_nobody_and_strays_are_awaited_of_nobody() -> None:
    assert told({**FULL, Book.MYSQL: records(11, 17)}, UP_TO) == ([18, 19, 20], [])
    behind = {**UP_TO, Book.SEGMENTS: 17}
    books = {**FULL, Book.SEGMENTS: records(11, 17)}
    assert told(books, behind, replace(RANGE, strays=True))[1] == []
    two: dict[Book, list[RecordLeaves]] = dict(books)
    del two[Book.EXTERNAL]
    assert told(two, behind)[1] == []
