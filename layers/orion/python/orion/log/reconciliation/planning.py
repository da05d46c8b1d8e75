"""Which numbers of which shard a run compares, in ranges that one function can hold."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from orion.ledger.book import FIRST_NUMBER
from orion.log.reconciliation.errors import TooManyRanges
from orion.log.reconciliation.model import Book, Difference, DifferenceKind, Wrong

MAX_RANGE_RECORDS = 10_000
MAX_RANGE_ENTRIES = 100_000
# Entries are counted by blocks of so many numbers: with at most 700 transfers a record, a block
# is far below a range.
BLOCK_RECORDS = 50
# What is older than the recent days is read again in so many runs, by pieces of so many numbers.
# By number, not by time: a changed time must not hide an entry.
CYCLE_RUNS = 28
PIECE_RECORDS = 10_000
RECENT_DAYS = 3
_NEVER = datetime.min.replace(tzinfo=UTC)
# A range's number is all that a state carries of it, and a state holds 262,144 bytes: so many
# numbers with their commas are 228,889.
MAX_RANGES = 40_000
MAX_NUMBER = 2**63 - 1  # What the other two books can hold.
# So far may MySQL be ahead of both other books before the numbers beyond are looked at as one
# piece: one planted number must not plan a billion ranges.
MAX_AHEAD = 1_000_000


class Scope(StrEnum):
    """How much a run compares."""

    RECENT = "recent"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Span:
    """The numbers `first` to `last`, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Head:
    """The lowest and highest number under which a book holds entries of a shard."""

    lowest: int
    highest: int


@dataclass(frozen=True, slots=True)
class MySqlHead:
    """As `Head`; `next_posted` is what the shard's row says, None where it has none."""

    rows: Head | None
    next_posted: int | None


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """Numbers 1 to `through` are compared in full; `strays` are numbers that nobody gave."""

    shard: int
    through: int
    strays: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """A piece of work. Of strays no number is expected."""

    number: int
    shard: int
    span: Span
    strays: bool


def plan_shards(
    mysql: Mapping[int, MySqlHead], others: Mapping[Book, Mapping[int, Head]]
) -> tuple[tuple[ShardPlan, ...], tuple[Difference, ...]]:
    """What to compare of each shard that any book knows, and shard rows that do not fit.

    `others` were read before `mysql`, which is ahead of them always: what they hold beyond it is a
    stray.
    """
    shards = set(mysql).union(*others.values())
    plans: list[ShardPlan] = []
    differences: list[Difference] = []
    for shard in sorted(shards):
        head = mysql.get(shard, MySqlHead(None, None))
        heads = [known[shard] for known in others.values() if shard in known]
        plan = _plan_shard(shard, head, heads)
        plans.append(plan)
        if any(each.highest > MAX_NUMBER for each in [*heads, *([head.rows] if head.rows else [])]):
            differences.append(_beyond_all(shard))
        highest = head.rows.highest if head.rows else 0
        if head.next_posted != highest + 1:
            differences.append(_shard_row(shard, head.next_posted, highest + 1))
    return tuple(plans), tuple(differences)


def _plan_shard(shard: int, mysql: MySqlHead, others: Sequence[Head]) -> ShardPlan:
    heads = [*others, *([mysql.rows] if mysql.rows else [])]
    highest = min(max((head.highest for head in heads), default=0), MAX_NUMBER)
    lowest = min((head.lowest for head in heads), default=1)
    through = min(
        mysql.rows.highest if mysql.rows else 0,
        (mysql.next_posted or 1) - 1,
        MAX_NUMBER,
    )
    followed = max((head.highest for head in others), default=0)
    if through - followed > MAX_AHEAD:
        through = followed
    through = max(through, 0)
    strays = []
    if lowest < 1:
        strays.append(Span(lowest, 0))
    if highest > through:
        strays.append(Span(through + 1, highest))
    return ShardPlan(shard, through, tuple(strays))


def _beyond_all(shard: int) -> Difference:
    return Difference(
        DifferenceKind.ENTRY_ADDED,
        Wrong.MYSQL,
        shard=shard,
        number=MAX_NUMBER,
        found="entries under higher numbers than a ledger has",
    )


def _shard_row(shard: int, found: int | None, expected: int) -> Difference:
    return Difference(
        DifferenceKind.COUNTER_DIFFERS,
        Wrong.MYSQL,
        shard=shard,
        found="no row of the shard" if found is None else f"next number {found}",
        expected=f"next number {expected}",
    )


def behind(plans: Sequence[ShardPlan], others: Mapping[Book, Mapping[int, Head]]) -> bool:
    """Whether a book has not followed yet to where MySQL was at the start."""
    return any(
        plan.through > 0 and (plan.shard not in known or known[plan.shard].highest < plan.through)
        for plan in plans
        for known in others.values()
    )


def first_where(last: int, holds: Callable[[int], bool]) -> int:
    """The first number from 1 for which `holds`, by halving; `last` + 1 where it does for none."""
    low, high = FIRST_NUMBER, last + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def chosen(
    scope: Scope, through: int, recent_from: int, read_at: Mapping[int, datetime], now: datetime
) -> Iterator[Span]:
    """The spans of a shard that a run of `scope` reads. `recent_from` is the first number of the
    recent days, `read_at` when each older piece was last read without a failure.
    """
    if through < 1:
        return
    if scope is Scope.ALL:
        yield Span(1, through)
        return
    recent_from = max(1, min(recent_from, through + 1))
    for piece in due(-(-(recent_from - 1) // PIECE_RECORDS), read_at, now):
        first = piece * PIECE_RECORDS + 1
        yield Span(first, min(first + PIECE_RECORDS - 1, recent_from - 1))
    if recent_from <= through:
        yield Span(recent_from, through)


def due(pieces: int, read_at: Mapping[int, datetime], now: datetime) -> Sequence[int]:
    """The pieces of `pieces` that a run reads: a twenty-eighth, those first that were not read for
    the longest time; and once as many of those that are overdue, so that what a failed run has
    left is caught up.
    """
    share = -(-pieces // CYCLE_RUNS)
    order = sorted(range(pieces), key=lambda piece: (read_at.get(piece, _NEVER), piece))
    overdue = now - timedelta(days=CYCLE_RUNS)
    late = [each for each in order[share : 2 * share] if read_at.get(each, _NEVER) <= overdue]
    return sorted([*order[:share], *late])


def pieces_of(parts: Iterable[Range]) -> Iterator[tuple[int, int]]:
    """(shard, piece) of each piece that these ranges cover whole."""
    covered: dict[int, Span] = {}
    spans = sorted((part.shard, part.span.first, part.span.last) for part in parts)
    for shard, first, last in spans:
        run = covered.get(shard)
        joined = run.first if run is not None and run.last + 1 == first else first
        begun = first if joined == first else run.last + 1 if run is not None else first
        covered[shard] = Span(joined, last)
        # Pieces that end inside this range and began inside the joined ones.
        lowest = -(-(joined - 1) // PIECE_RECORDS)
        for piece in range(max(lowest, (begun - 1) // PIECE_RECORDS), last // PIECE_RECORDS):
            yield shard, piece


def packed(span: Span, entries: Mapping[int, int]) -> Iterator[Span]:
    """`span` cut into spans of a range's size. `entries` counts MySQL's by block: block 0 has the
    numbers from `span.first` on; one that is absent has none.
    """
    first, held = span.first, 0
    blocks = -(-(span.last - span.first + 1) // BLOCK_RECORDS)
    for block in range(blocks):
        begins = span.first + block * BLOCK_RECORDS
        more = entries.get(block, 0)
        full = begins - first >= MAX_RANGE_RECORDS or held + more > MAX_RANGE_ENTRIES
        if begins > first and full:
            yield Span(first, begins - 1)
            first, held = begins, 0
        held += more
    yield Span(first, span.last)


def numbered(pieces: Sequence[tuple[int, Span, bool]]) -> tuple[Range, ...]:
    """Ranges of (shard, span, strays) under their numbers. Raises TooManyRanges."""
    if len(pieces) > MAX_RANGES:
        raise TooManyRanges(f"one run compares at most {MAX_RANGES} ranges", ranges=len(pieces))
    return tuple(
        Range(number, shard, span, strays) for number, (shard, span, strays) in enumerate(pieces)
    )
