"""What the external book takes as new, as repeated and as a reason to stop."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.arch.model import MalformedMigration, read_layout
from orion.ledger.model import AccountKey, Code, Entry, Kind, Purpose, Transfer
from orion.ledger.transfer_record import PostedRecord
from orion.log.errors import GapInBook
from orion.log.external_book.errors import BookDiffers, OffsetsWentBack
from orion.log.external_book.model import Place, Told, compared, lines, plan

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TRANSFER = Transfer(
    b"i" * 16, Kind.DIRECT, Code.DEPOSIT_CREDIT, 5,
    AccountKey("system:bitcoin", Purpose.CUSTODY, "BTC.bitcoin"),
    AccountKey("merchant:" + "0" * 32, Purpose.SETTLING, "BTC.bitcoin"), b"{}", b"t" * 16,
)  # fmt: skip


def told(offset: int, number: int, units: int = 5) -> Told:
    transfer = TRANSFER._replace(units=units)
    entries = (Entry(transfer, transfer.digest),)
    return Told(offset, PostedRecord(0, number, b"t" * 16, NOON, entries))


def numbers(batch: Sequence[Told]) -> list[int]:
    return [each.record.number for each in batch]


def test_numbers_that_follow_are_new_and_earlier_ones_repeat() -> None:
    batch = [told(10, 3), told(11, 5), told(14, 5), told(15, 6), told(16, 4)]
    planned = plan(Place(10, 5), batch)
    assert numbers(planned.fresh) == [5, 6]
    assert numbers(planned.repeated) == [3, 5, 4]
    assert (planned.place, planned.fault) == (Place(17, 7), None)


def test_what_was_delivered_before_never_moves_the_place_back() -> None:
    planned = plan(Place(10, 5), [told(2, 3), told(3, 4)])
    assert (planned.place, planned.fresh) == (Place(10, 5), ())


@pytest.mark.parametrize(
    "late, error",
    [(told(9, 5), OffsetsWentBack), (told(9, 6), OffsetsWentBack), (told(12, 7), GapInBook)],
)
def test_a_contradiction_stops_behind_what_precedes_it(late: Told, error: type) -> None:
    before = [] if late.offset < 10 else [told(10, 5)]
    planned = plan(Place(10, 5), [*before, late, told(20, 8)])
    assert isinstance(planned.fault, error)
    assert numbers(planned.fresh) == numbers(before)
    assert planned.place == (Place(11, 6) if before else Place(10, 5))


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 8)), max_size=12), st.integers(1, 4))
def test_new_numbers_have_no_gap_and_no_repetition(
    steps: list[tuple[int, int]], first: int
) -> None:
    offset, batch = 0, []
    for distance, number in steps:
        offset += distance
        batch.append(told(offset, number))
    planned = plan(Place(0, first), batch)
    fresh = numbers(planned.fresh)
    assert fresh == list(range(first, first + len(fresh)))
    assert planned.place.next_number == first + len(fresh)
    assert planned.fault is not None or len(fresh) + len(planned.repeated) == len(batch)


def test_a_repetition_is_compared_with_the_book_or_with_its_own_batch() -> None:
    place, batch = Place(0, 2), [told(0, 2), told(1, 1), told(2, 3), told(3, 2)]
    planned = plan(place, batch)
    stored = {1: lines(batch[1].record)}
    assert compared(place, batch, planned, stored) is planned
    for lie, at in ((told(1, 1, units=6), 1), (told(3, 2, units=6), 3)):
        lying = [*batch[:at], lie, *batch[at + 1 :]]
        found = compared(place, lying, plan(place, lying), stored)
        assert isinstance(found.fault, BookDiffers)
        assert numbers(found.fresh) == numbers(batch[:at:2])
        assert found.place == plan(place, batch[:at]).place


def test_a_repetition_of_a_number_that_the_book_lost_differs() -> None:
    place, batch = Place(5, 2), [told(0, 1)]
    found = compared(place, batch, plan(place, batch), {})
    assert isinstance(found.fault, BookDiffers)
    assert (found.fresh, found.place) == ((), place)


POSTGRES = (
    b'[[postgres]]\nprincipal = "external-book"\ntable = "external_book.entry"\n'
    b'rights = ["SELECT"]\nwhy = "reads"\n'
)


def test_rights_in_the_external_database_name_their_principals() -> None:
    layout = read_layout(POSTGRES + POSTGRES.replace(b"external-book", b"book-auditor"))
    assert layout.postgres_principals == ("book-auditor", "external-book")
    assert [(g.schema, g.table, g.rights) for g in layout.postgres] == [
        ("external_book", "entry", ("SELECT",))
    ] * 2
    assert layout.grants == ()


@pytest.mark.parametrize(
    "old, new",
    [(b"external_book.", b"public."), (b"SELECT", b"TRUNCATE"), (b"reads", b" "),
     (b"external_book.entry", b"external_book"), (b'"external-book"', b'"a b"')],
)  # fmt: skip
def test_another_right_in_the_external_database_is_refused(old: bytes, new: bytes) -> None:
    with pytest.raises(MalformedMigration, match=r"grants.toml"):
        read_layout(POSTGRES.replace(old, new))
