"""Three books beside each other: who stands alone is wrong, and every difference is named."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from orion.ledger import merkle
from orion.log.reconciliation import comparison
from orion.log.reconciliation.lines import moment, parts, subject
from orion.log.reconciliation.model import (
    AccountName,
    Book,
    BookRange,
    Difference,
    HourRoot,
    PlacedLine,
    RecordLeaves,
)
from orion.log.reconciliation.planning import Range, Span

TEN = datetime(2026, 11, 23, 10, 59, 59, tzinfo=UTC)
MERCHANT = AccountName("merchant:" + "1" * 32, "settling", "BTC.bitcoin")
CUSTODY = AccountName("system:bitcoin", "custody", "BTC.bitcoin")
NAMES = {MERCHANT.id: MERCHANT, CUSTODY.id: CUSTODY}
PART = Range(0, 0, Span(1, 2), strays=False)


def line(
    units: int = 5, *, number: int = 1, position: int = 0, cause: str = '{"type":"x"}'
) -> bytes:
    return (
        f'{{"cause":{cause},"code":"deposit_credit","counterpart":null,'
        f'"credit":"{MERCHANT.id.hex()}","debit":"{CUSTODY.id.hex()}","digest":"{"a" * 32}",'
        f'"id":"{"b" * 32}","kind":"direct","linked":false,"number":{number},"pending_id":null,'
        f'"position":{position},"posted_at":"2026-11-23T10:00:00.000000Z","shard":0,'
        f'"trace_id":"{"c" * 32}","units":"{units}","v":1}}'
    ).encode()


def leaves(number: int, *lines: bytes, at: datetime = TEN) -> RecordLeaves:
    return RecordLeaves(number, at, b"".join(map(merkle.leaf, lines)), whole=True)


def three(held: Mapping[Book, Sequence[bytes]]) -> list[Difference]:
    placed = {
        book: [
            PlacedLine(int(parts(each)["number"]), int(parts(each)["position"]), each)
            for each in held[book]
        ]
        for book in Book
    }
    return comparison.line_differences(0, placed, NAMES)


def all_have(*lines: bytes) -> dict[Book, list[bytes]]:
    return {book: list(lines) for book in Book}


def test_each_hour_has_its_own_tree() -> None:
    one, two = line(), line(6, number=2)
    held = comparison.book_range([leaves(1, one), leaves(2, two, at=TEN + timedelta(seconds=1))])
    hours = [hour.hour.hour for hour in held.hours]
    assert (held.records, hours) == (2, [10, 11])
    assert held.hours[0].root == merkle.root([merkle.leaf(one)])
    assert [hour.entries for hour in held.hours] == [1, 1]


def test_books_agree_only_with_equal_roots_and_every_number() -> None:
    whole = comparison.book_range([leaves(1, line()), leaves(2, line(number=2))])
    books = dict.fromkeys(Book, whole)
    assert comparison.agree(books, PART)
    less = comparison.book_range([leaves(1, line())])
    for book in Book:
        assert not comparison.agree(books | {book: less}, PART)
    other = BookRange(2, True, (HourRoot(TEN, 2, bytes(32)),))
    assert not comparison.agree(books | {Book.EXTERNAL: other}, PART)
    # A number that all three lack, a position that all three lack, an entry that none may have.
    assert not comparison.agree(dict.fromkeys(Book, less), PART)
    assert not comparison.agree(dict.fromkeys(Book, BookRange(2, False, whole.hours)), PART)
    assert not comparison.agree(books, Range(0, 0, Span(1, 2), strays=True))
    nothing = BookRange(0, True, ())
    assert comparison.agree(dict.fromkeys(Book, nothing), Range(0, 0, Span(9, 99), strays=True))


def test_suspects_are_the_records_that_differ_and_holes_what_nobody_has() -> None:
    good = [leaves(1, line()), leaves(4, line(number=4))]
    part = Range(0, 0, Span(1, 6), strays=False)
    bad = [leaves(1, line(6)), good[1]]
    found = comparison.suspects({Book.MYSQL: good, Book.SEGMENTS: good, Book.EXTERNAL: bad}, part)
    assert found.numbers == (1,)
    assert found.holes == (Span(2, 3), Span(5, 6))
    told = comparison.missing_numbers(0, found.holes)
    assert [(each.number, each.expected) for each in told] == [
        (2, "numbers 2 to 3"),
        (5, "numbers 5 to 6"),
    ]
    torn = [RecordLeaves(1, TEN, good[0].leaves, whole=False), good[1]]
    assert comparison.suspects(dict.fromkeys(Book, tuple(torn)), part).numbers == (1,)
    twice = [*good, good[1]]
    found = comparison.suspects({Book.MYSQL: good, Book.SEGMENTS: twice, Book.EXTERNAL: good}, part)
    assert found.numbers == (4,)


def test_the_book_that_stands_alone_is_wrong() -> None:
    for wrong in Book:
        [found] = three({book: [line(6 if book is wrong else 5)] for book in Book})
        assert (str(found.kind), str(found.wrong)) == ("entry_differs", str(wrong))
        assert (found.found, found.expected) == ("units 6", "units 5")
        assert (found.account, found.asset) == (MERCHANT.text, "BTC.bitcoin")
        assert found.transfer_id == bytes.fromhex("b" * 32)
        [found] = three({book: [] if book is wrong else [line()] for book in Book})
        assert (str(found.kind), str(found.wrong)) == ("entry_missing", str(wrong))
        assert found.account == MERCHANT.text
        [found] = three({book: [line()] if book is wrong else [] for book in Book})
        assert (str(found.kind), str(found.wrong)) == ("entry_added", str(wrong))
        assert found.account == MERCHANT.text


def test_an_account_that_was_changed_is_the_one_to_name() -> None:
    moved = line().replace(CUSTODY.id.hex().encode(), b"e" * 32)
    [found] = three(all_have(line()) | {Book.MYSQL: [moved]})
    assert (found.account, found.found) == (CUSTODY.text, f"debit {'e' * 32}")


def test_where_no_two_agree_the_wrong_book_is_unknown() -> None:
    [found] = three({Book.MYSQL: [line(5)], Book.SEGMENTS: [line(6)], Book.EXTERNAL: [line(7)]})
    assert str(found.wrong) == "unknown"
    assert found.found == "mysql: units 5; segments: units 6; external: units 7"
    [found] = three({Book.MYSQL: [line(5)], Book.SEGMENTS: [], Book.EXTERNAL: [line(7)]})
    assert found.found == "mysql: units 5; segments: nothing; external: units 7"


def test_equal_books_have_no_difference() -> None:
    assert three(all_have(line(), line(position=1))) == []


def test_one_place_twice_in_a_book_is_an_entry_added() -> None:
    held = all_have(line())
    [found] = three(held | {Book.SEGMENTS: [line(), line(9)]})
    assert (str(found.kind), str(found.wrong)) == ("entry_added", "segments")


def test_a_position_that_no_book_has_is_missing_and_one_book_alone_proves_none() -> None:
    gap = [line(), line(position=2)]
    [found] = three(all_have(*gap))
    assert (str(found.kind), found.position, str(found.wrong)) == ("entry_missing", 1, "unknown")
    [found] = three(all_have(line()) | {Book.MYSQL: [line(), line(position=9)]})
    assert (str(found.kind), found.position) == ("entry_added", 9)


def test_a_line_of_any_bytes_can_be_told() -> None:
    assert parts(b"\xff\x00")["line"] == "\\xff\x00"
    assert parts(b'{"cause":{,"code":')["line"].startswith("{")
    nested = '{"a":{"b":1,"code":"x"}}'
    told = parts(line(cause=nested))
    assert (told["code"], told["cause"]) == ("deposit_credit", nested)
    nobody = subject(b"nothing", NAMES)
    assert (nobody.transfer_id, nobody.account, nobody.asset) == (None, None, None)
    # Without names: the credited account's id.
    assert subject(line(), {}).account == MERCHANT.id.hex()
    assert moment(b"nothing").year == 1970
    assert moment(line()) == datetime(2026, 11, 23, 10, tzinfo=UTC)
    [found] = three({Book.MYSQL: [line()], Book.SEGMENTS: [line()],
                     Book.EXTERNAL: [line().replace(b'"v":1', b'"v": 1')]})  # fmt: skip
    assert found.found is not None
    assert found.found.startswith("line ")


def test_a_record_beyond_what_can_be_read_is_told_by_its_number() -> None:
    found = comparison.records_beyond(3, [7, 9])
    assert [(each.shard, each.number, each.asset) for each in found] == [(3, 7, None), (3, 9, None)]
