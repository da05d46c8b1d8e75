"""Statement rows beside movements: content, chain of counters, rows that nobody moved."""

from dataclasses import replace

from orion.log.reconciliation.model import AccountName
from orion.log.reconciliation.statement_rows import (
    Ending,
    Movement,
    RowPlace,
    StatementRow,
    Statements,
    Told,
    ending_differences,
    untrue,
)
from orion.log.reconciliation.sums import Sums

NAME = AccountName(f"merchant:{1:032x}", "settling", "BTC.bitcoin")
TOLD = Told("credit", "direct", "deposit_credit", 5, bytes(16))


def place(number: int, shard: int = 0) -> RowPlace:
    return RowPlace(f"2026-11-23 10:00:0{number}.000000", shard, number, 0)


def movement(number: int) -> Movement:
    return Movement(NAME.id, place(number), TOLD, Sums(0, 0, 5, 0), bytes([number]) * 16)


def row(number: int, credited: int, shard: int = 0) -> StatementRow:
    return StatementRow(NAME.id, place(number, shard), TOLD, Sums(0, 0, credited, 0))


def found(
    rows: list[StatementRow], before: StatementRow | None = None, *real: RowPlace
) -> list[int | None]:
    """The numbers that are told, of an account that 2 and 3 moved."""
    statements = Statements(
        {NAME.id: rows},
        {NAME.id: before} if before else {},
        {(NAME.id, each) for each in real},
    )
    return [each.number for each in untrue([movement(2), movement(3)], statements)]


def test_rows_that_follow_from_their_movements_are_no_difference() -> None:
    assert found([row(2, 5), row(3, 10)]) == []
    assert found([row(2, 12), row(3, 17)], row(1, 7), place(1)) == []


def test_a_broken_chain_a_missing_row_and_other_content_are_told_where_they_are() -> None:
    assert found([row(2, 6), row(3, 11)]) == [2]
    assert found([row(2, 5), row(3, 11)]) == [3]
    assert found([row(2, 5)]) == [3]
    assert found([row(2, 5), replace(row(3, 10), told=replace(TOLD, units=6))]) == [3]


def test_a_row_that_no_transfer_bears_is_told_also_before_the_first_and_between() -> None:
    assert found([row(2, 12), row(3, 17)], row(1, 7)) == [1]
    between = replace(row(2, 5), place=replace(place(2), position=1))
    assert found([row(2, 5), between, row(3, 10)]) == [2]
    assert found([row(2, 5), between, row(3, 10)], None, between.place) == []


def test_an_account_that_moved_between_shards_is_chained_within_each_only() -> None:
    """Two shards may have posted at one moment, and their order there is not known."""
    assert found([row(2, 9), row(3, 14)], row(1, 7, shard=4), place(1, 4)) == []
    assert found([row(2, 9), row(3, 15)], row(1, 7, shard=4), place(1, 4)) == [3]


def test_a_statement_ends_where_the_follower_is() -> None:
    good = Ending(NAME.id, NAME, row(3, 10), True, False, Sums(0, 0, 10, 0))
    assert list(ending_differences([good])) == []
    for wrong, told in (
        (replace(good, borne=False), 3),
        (replace(good, reached=Sums(0, 0, 11, 0)), 3),
        (replace(good, last=None, borne=False), None),
    ):
        [difference] = ending_differences([wrong])
        assert (difference.account, difference.asset) == (NAME.text, NAME.asset)
        assert (str(difference.kind), difference.number) == ("statement_differs", told)
    shared = replace(good, reached=Sums(0, 0, 11, 0), moment_shared=True)
    assert list(ending_differences([shared])) == []
