"""Which numbers a run compares: all of them, each once, in ranges of bounded size."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.log.reconciliation import planning
from orion.log.reconciliation.calls import book_call, plan_call, range_call, run_call
from orion.log.reconciliation.errors import MalformedCall, TooManyRanges
from orion.log.reconciliation.model import Book
from orion.log.reconciliation.planning import Head, MySqlHead, Range, Scope, ShardPlan, Span

NOBODY: dict[Book, dict[int, Head]] = {Book.SEGMENTS: {}, Book.EXTERNAL: {}}

BEGUN = datetime(2026, 11, 23, 1, tzinfo=UTC)


def heads(highest: int, lowest: int = 1) -> dict[Book, dict[int, Head]]:
    return {book: {0: Head(lowest, highest)} for book in (Book.SEGMENTS, Book.EXTERNAL)}


def mysql(highest: int, next_posted: int | None = None) -> dict[int, MySqlHead]:
    rows = Head(1, highest) if highest else None
    return {0: MySqlHead(rows, highest + 1 if next_posted is None else next_posted)}


def test_a_ledger_of_nothing_is_compared_without_a_range() -> None:
    plans, differences = planning.plan_shards(mysql(0), NOBODY)
    assert (plans, differences) == ((ShardPlan(0, 0, ()),), ())
    assert not planning.behind(plans, NOBODY)
    assert list(planning.chosen(Scope.ALL, 0, 1, {}, BEGUN)) == []


def test_a_book_that_has_less_is_behind_and_one_that_has_more_has_strays() -> None:
    plans, differences = planning.plan_shards(mysql(10), heads(9))
    assert (plans[0].strays, differences) == ((), ())
    assert planning.behind(plans, heads(9))
    assert planning.behind(plans, NOBODY)
    assert not planning.behind(plans, heads(10))
    plans, _ = planning.plan_shards(mysql(10), heads(12, lowest=-3))
    assert plans == (ShardPlan(0, 10, (Span(-3, 0), Span(11, 12))),)
    plans, _ = planning.plan_shards(mysql(10), heads(11, lowest=0))
    assert plans == (ShardPlan(0, 10, (Span(0, 0), Span(11, 11))),)


def test_a_shard_that_only_another_book_knows_is_all_strays() -> None:
    plans, differences = planning.plan_shards({}, heads(3))
    assert plans == (ShardPlan(0, 0, (Span(1, 3),)),)
    assert [each.found for each in differences] == ["no row of the shard"]


def test_a_shard_row_that_does_not_follow_its_newest_entry_is_a_difference() -> None:
    plans, [found] = planning.plan_shards(mysql(10, next_posted=8), heads(10))
    assert (found.found, found.expected) == ("next number 8", "next number 11")
    assert plans == (ShardPlan(0, 7, (Span(8, 10),)),)
    plans, [found] = planning.plan_shards(mysql(10, next_posted=15), heads(10))
    assert (plans[0].through, found.found) == (10, "next number 15")


def test_one_planted_number_plans_no_billion_of_ranges() -> None:
    plans, _ = planning.plan_shards(mysql(10**15), heads(10))
    assert plans == (ShardPlan(0, 10, (Span(11, 10**15),)),)


SIZE = planning.PIECE_RECORDS
DAY = timedelta(days=1)


def read_of(spans: list[Span]) -> list[tuple[int, int]]:
    return list(
        planning.pieces_of(Range(at, 0, span, strays=False) for at, span in enumerate(spans))
    )


@settings(max_examples=30)
@given(
    through=st.integers(1, 60 * SIZE),
    recent=st.integers(-5, 70 * SIZE),
    failed=st.integers(0, planning.CYCLE_RUNS - 1),
)
def test_the_runs_of_a_cycle_read_every_number_also_what_a_failed_one_has_left(
    through: int, recent: int, failed: int
) -> None:
    read_at: dict[int, datetime] = {}
    seen: set[int] = set()
    for run in range(planning.CYCLE_RUNS + 1):
        now = BEGUN + run * DAY
        spans = list(planning.chosen(Scope.RECENT, through, recent, read_at, now))
        assert all(1 <= span.first <= span.last <= through for span in spans)
        if recent <= through:
            assert spans[-1] == Span(max(1, recent), through)
        older = [span for span in spans if span.last < recent]
        if run != failed:
            seen |= {span.first for span in older}
            read_at |= {(span.first - 1) // SIZE: now for span in older}
    assert seen == set(range(1, min(recent, through + 1), SIZE))


def test_a_run_reads_what_was_unread_longest_and_what_is_overdue_beside() -> None:
    now = BEGUN + 100 * DAY
    read_at = {piece: now - piece * DAY for piece in range(56)}
    assert planning.due(56, read_at, now) == [52, 53, 54, 55]
    fresh = {piece: now - (piece / 10) * DAY for piece in range(56)}
    assert planning.due(56, fresh, now) == [54, 55]
    assert planning.due(56, {}, now) == [0, 1, 2, 3]
    assert planning.due(0, {}, now) == []


def test_a_piece_is_read_when_ranges_without_a_gap_cover_it() -> None:
    assert read_of([Span(1, SIZE)]) == [(0, 0)]
    assert read_of([Span(1, SIZE - 1)]) == []
    assert read_of([Span(2, 3 * SIZE)]) == [(0, 1), (0, 2)]
    assert read_of([Span(SIZE + 1, SIZE + 5), Span(SIZE + 6, 2 * SIZE)]) == [(0, 1)]
    assert read_of([Span(SIZE + 1, SIZE + 5), Span(SIZE + 7, 2 * SIZE)]) == []
    assert read_of([Span(SIZE + 6, 2 * SIZE + 3), Span(SIZE + 1, SIZE + 5)]) == [(0, 1)]
    assert read_of([Span(1, SIZE // 2), Span(SIZE // 2 + 1, 2 * SIZE)]) == [(0, 0), (0, 1)]


@settings(max_examples=30)
@given(
    first=st.integers(1, 10**6),
    length=st.integers(1, 5_000),
    per_block=st.lists(st.integers(0, 35_000), min_size=1, max_size=100),
)
def test_ranges_cover_their_span_and_stay_below_both_limits(
    first: int, length: int, per_block: list[int]
) -> None:
    span = Span(first, first + length - 1)
    entries = {block: per_block[block % len(per_block)] for block in range(length // 50 + 1)}
    parts = list(planning.packed(span, entries))
    awaited = span.first
    for part in parts:
        assert part.first == awaited
        awaited = part.last + 1
        assert part.last - part.first < planning.MAX_RANGE_RECORDS
        blocks = range((part.first - first) // 50, (part.last - first) // 50 + 1)
        assert sum(entries[block] for block in blocks) <= planning.MAX_RANGE_ENTRIES
    assert awaited == span.last + 1


def test_a_block_without_rows_still_belongs_to_a_range() -> None:
    assert list(planning.packed(Span(1, 120), {0: 100_000, 2: 1})) == [Span(1, 100), Span(101, 120)]


def test_the_numbers_of_all_ranges_fit_into_a_state() -> None:
    """AWS Step Functions, "Quotas": 262,144 bytes of input or output of a state."""
    answer = {"outcome": "planned", "ranges": list(range(planning.MAX_RANGES))}
    state = {"plan": {"outcome": "planned", "all": answer}, "scope": "recent"}
    assert len(json.dumps(state, separators=(",", ":"))) < 262_144


def test_a_run_of_too_many_ranges_is_refused() -> None:
    pieces = [(0, Span(1, 1), False)] * (planning.MAX_RANGES + 1)
    with pytest.raises(TooManyRanges):
        planning.numbered(pieces)
    assert planning.numbered(pieces[:1])[0].number == 0


def test_calls_are_read_strictly() -> None:
    assert plan_call({"run": "a-1", "input": {}}).scope is Scope.RECENT
    assert plan_call({"run": "a-1", "input": {"scope": "all"}}).scope is Scope.ALL
    assert book_call({"run": "r", "range": 3, "book": "external"}).book is Book.EXTERNAL
    for event, field in (
        ({"run": "a b"}, "run"),
        ({"run": 7}, "run"),
        ({"run": "r", "range": True}, "range"),
        ({"run": "r", "range": planning.MAX_RANGES}, "range"),
        ({"run": "r", "range": 1, "book": "chain"}, "book"),
    ):
        read = {"run": run_call, "range": range_call, "book": book_call}[field]
        with pytest.raises(MalformedCall) as refused:
            read(event)
        assert refused.value.fields["field"] == field
    unusable: tuple[object, ...] = (None, {"scope": "some"}, [])
    for scope in unusable:
        with pytest.raises(MalformedCall):
            plan_call({"run": "r", "input": scope})
