"""The steps of a run. Each may be repeated: what it stores replaces what an earlier attempt stored.

Equal roots skip the detail: entries are read and named only where the books differ.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from orion.errors import OrionError
from orion.log.errors import SegmentUnreadable
from orion.log.reconciliation import comparison, planning, rules, sums
from orion.log.reconciliation.errors import BookUnreadable, RootsMissing
from orion.log.reconciliation.lag import without_lag
from orion.log.reconciliation.lines import parts
from orion.log.reconciliation.model import (
    MAX_DIFFERENCES,
    AccountName,
    Book,
    Difference,
    DifferenceKind,
    Incident,
    PlacedLine,
    RecordLeaves,
    Run,
    Step,
    Wrong,
    clipped,
    run_id,
)
from orion.log.reconciliation.planning import Range, Scope, ShardPlan, Span
from orion.log.reconciliation.ports import (
    BookReader,
    CauseReader,
    CounterSnapshot,
    EntrySums,
    FollowingBookReader,
    LedgerReader,
    LedgerSums,
    ReportStore,
    RunStore,
    SegmentReader,
    StatementRows,
)
from orion.log.reconciliation.report import (
    Outcome,
    csv_report,
    incidents,
    outcome,
    read_whole,
    report_key,
    roots_item,
    total,
)
from orion.log.reconciliation.report_page import html_report
from orion.log.reconciliation.statement_rows import ending_differences

# How long the other books may take to follow to where MySQL was at the start.
MAX_WAIT = timedelta(minutes=10)
# When no further range is begun. The machine has 12 h: the rest is for what is under way (each step
# five times its time-out), for sums, balances and the report.
MAX_RANGES_TIME = timedelta(hours=8)
# Records whose lines are read at once from all three books: at most 70,000 lines.
DETAIL_RECORDS = 33
_FEWEST_BOOKS = 2


@dataclass(frozen=True, slots=True)
class Planned:
    """`ranges` is None while the other books are still behind."""

    run: Run
    ranges: Sequence[Range] | None


@dataclass(frozen=True, slots=True)
class Books:
    """The three books, each read with rights of its own."""

    ledger: LedgerReader
    segments: SegmentReader
    external: FollowingBookReader

    def of(self, book: Book) -> BookReader:
        match book:
            case Book.MYSQL:
                return self.ledger
            case Book.SEGMENTS:
                return self.segments
            case Book.EXTERNAL:
                return self.external


def plan(
    store: RunStore, books: Books, name: str, scope: Scope, trace_id: bytes, now: datetime
) -> Planned:
    """Fix what the run of this name compares, or wait for the books that follow.

    After MAX_WAIT they are compared as they are, and what lacks is a difference.
    """
    run = store.begin(name, scope, trace_id, now)
    if run.planned_at is not None:
        return Planned(run, store.ranges(run.id))
    plans = store.shards(run.id) or _fix(store, books, run)
    followers = {book: books.of(book).heads() for book in (Book.SEGMENTS, Book.EXTERNAL)}
    if planning.behind(plans, followers) and now - run.started_at < MAX_WAIT:
        return Planned(run, None)
    pieces: list[tuple[int, Span, bool]] = []
    for shard in plans:
        pieces += _pieces(store, books, shard, Scope(run.scope), run.started_at)
    ranges = planning.numbered(pieces)
    store.keep_ranges(run.id, ranges, now)
    return Planned(run, ranges)


def is_late(run: Run, now: datetime) -> bool:
    """Whether a run may begin no further range: what it has left must be reported as not checked,
    by the run itself, before its machine ends it.
    """
    return now - run.started_at > MAX_RANGES_TIME


def _fix(store: RunStore, books: Books, run: Run) -> Sequence[ShardPlan]:
    # The followers first: MySQL is ahead of them always, so what they have beyond it is a stray.
    segments, odd = books.segments.survey()
    others = {Book.SEGMENTS: segments, Book.EXTERNAL: books.external.heads()}
    plans, differences = planning.plan_shards(books.ledger.shard_heads(), others)
    store.record(run.id, Step.PLAN, "", [*differences, *odd])
    return store.keep_shards(run.id, plans)


def _pieces(
    store: RunStore, books: Books, plan: ShardPlan, scope: Scope, now: datetime
) -> list[tuple[int, Span, bool]]:
    since = now - timedelta(days=planning.RECENT_DAYS)
    recent_from, read_at = 1, {}
    if scope is Scope.RECENT and plan.through > 0:
        # By the lowest of three words: times that one book has changed hide nothing recent.
        recent_from = min(
            books.of(book).recent_from(plan.shard, plan.through, since) for book in Book
        )
        read_at = dict(store.pieces_read(plan.shard))
    pieces = [(plan.shard, span, True) for span in plan.strays]
    for chosen in planning.chosen(scope, plan.through, recent_from, read_at, now):
        entries = books.ledger.blocks(plan.shard, chosen)
        pieces += [(plan.shard, span, False) for span in planning.packed(chosen, entries)]
    return pieces


def read_book(store: RunStore, reader: BookReader, book: Book, name: str, number: int) -> int:
    """Keep the roots of one book over one range; how many entries it holds there."""
    run = run_id(name)
    part = store.range(run, number)
    try:
        return _keep(store, run, part, book, reader.records(part.shard, part.span), ())
    except BookUnreadable as exc:
        store.record(run, Step.ROOTS, roots_item(number, book), [_unreadable(book, part, exc)])
        return 0


def read_segments(store: RunStore, reader: SegmentReader, name: str, number: int) -> int:
    """As `read_book`, for the log book: also what is wrong with its segments."""
    run = run_id(name)
    part = store.range(run, number)
    try:
        records, found = reader.checked(part.shard, part.span)
    except SegmentUnreadable as exc:
        item = roots_item(number, Book.SEGMENTS)
        store.record(run, Step.ROOTS, item, [_unreadable(Book.SEGMENTS, part, exc)])
        return 0
    return _keep(store, run, part, Book.SEGMENTS, records, _begun_here(store, run, part, found))


def _unreadable(book: Book, part: Range, why: OrionError) -> Difference:
    """Unlike an outage this does not pass by: who put it there may want nothing to be compared."""
    is_log = book is Book.SEGMENTS
    return Difference(
        DifferenceKind.SEGMENT_UNREADABLE if is_log else DifferenceKind.BOOK_UNREADABLE,
        Wrong(book),
        shard=part.shard,
        number=part.span.first,
        found=clipped(f"records {part.span.first} to {part.span.last}: {why.detail}"),
    )


def _keep(
    store: RunStore,
    run: bytes,
    part: Range,
    book: Book,
    records: Iterable[RecordLeaves],
    found: Sequence[Difference],
) -> int:
    held = comparison.book_range(records)
    store.keep_book(run, part.number, book, held)
    store.record(run, Step.ROOTS, roots_item(part.number, book), found)
    return sum(hour.entries for hour in held.hours)


def _begun_here(
    store: RunStore, run: bytes, part: Range, found: Sequence[Difference]
) -> Sequence[Difference]:
    """A segment may reach into a range from the one before, where it is told already."""
    told = any(
        other.shard == part.shard and other.span.last == part.span.first - 1
        for other in store.ranges(run)
    )
    if not told:
        return found
    return [each for each in found if each.number is None or each.number >= part.span.first]


def compare(store: RunStore, books: Books, name: str, number: int) -> Sequence[Difference]:
    """Name the entries of a range on which the books differ. Where one could not be read, the two
    others are still compared. Raises RootsMissing where fewer are left.
    """
    run = run_id(name)
    part = store.range(run, number)
    held = store.books(run, number)
    if len(held) < _FEWEST_BOOKS:
        raise RootsMissing("two books of this range were not read", range=number, books=len(held))
    found: Sequence[Difference] = ()
    if not comparison.agree(held, part):
        started = store.run(name).started_at
        found = _detail(books, part, [book for book in Book if book in held], started)
    store.record(run, Step.COMPARE, str(number), found)
    return found


def _detail(
    books: Books, part: Range, among: Sequence[Book], started: datetime
) -> list[Difference]:
    # Before the records: what a book enters meanwhile it does not owe.
    followed = _followed(books, part.shard) if len(among) == len(Book) else {}
    leaves = {book: list(books.of(book).records(part.shard, part.span)) for book in among}
    suspects = comparison.suspects(leaves, part)
    suspects, behind = without_lag(suspects, leaves, part, followed, started)
    found = [*behind, *comparison.missing_numbers(part.shard, suspects.holes)]
    numbers = list(suspects.numbers)
    while numbers and len(found) < MAX_DIFFERENCES:
        chunk, numbers = numbers[:DETAIL_RECORDS], numbers[DETAIL_RECORDS:]
        lines = {book: books.of(book).lines(part.shard, chunk) for book in among}
        found += comparison.line_differences(part.shard, lines, _names(books, lines))
    return found + comparison.records_beyond(part.shard, numbers)


def _followed(books: Books, shard: int) -> Mapping[Book, int]:
    """How far the books that follow say that they have come: the log book by its newest segment."""
    segments = books.segments.heads().get(shard)
    return {
        Book.SEGMENTS: segments.highest if segments else 0,
        Book.EXTERNAL: books.external.followed().get(shard, 0),
    }


def _names(books: Books, lines: Mapping[Book, Sequence[PlacedLine]]) -> Mapping[bytes, AccountName]:
    """The accounts of lines on which the books differ, from whichever directory has them."""
    by_place: dict[tuple[int, int], list[bytes]] = {}
    for held in lines.values():
        for placed in held:
            by_place.setdefault((placed.number, placed.position), []).append(placed.line)
    ids: set[bytes] = set()
    for told in by_place.values():
        if len(told) == len(lines) and len(set(told)) == 1:
            continue
        for line in told:
            ids |= _account_ids(line)
    wanted = sorted(ids)
    return {**books.external.names(wanted), **books.ledger.names(wanted)} if wanted else {}


def _account_ids(line: bytes) -> set[bytes]:
    held = parts(line)
    found = set()
    for side in ("debit", "credit", "counterpart"):
        try:
            found.add(bytes.fromhex(held.get(side, "")))
        except ValueError:
            continue
    return {identity for identity in found if len(identity) == 16}


def check_causes(
    store: RunStore,
    reader: CauseReader,
    statements: StatementRows,
    name: str,
    number: int,
    now: datetime,
) -> Sequence[Difference]:
    """Every entry of a range against the rule of its cause, and statements against the entries."""
    run = run_id(name)
    part = store.range(run, number)
    found: list[Difference] = []
    for entries in reader.entries(part.shard, part.span):
        found += rules.untrue(entries, reader.facts(rules.wanted(entries), now))
    if not part.strays:
        found += statements.untrue(part.shard, part.span)
    store.record(run, Step.CAUSES, str(number), found)
    return found


def check_sums(
    store: RunStore, ledger: LedgerSums, external: EntrySums, name: str
) -> Sequence[Difference]:
    """Counters against sums, per asset and shard debits against credits, clearing against what is
    in flight, and the statements' follower.
    """
    run = run_id(name)
    # What the external book has not entered yet it cannot sum: `compare` tells what it lacks.
    followed = external.followed()
    through = {
        plan.shard: min(plan.through, followed.get(plan.shard, 0)) for plan in store.shards(run)
    }
    with ledger.snapshot() as snapshot:
        moved: dict[tuple[int, str], tuple[int, int]] = {}
        reading = sums.read(
            snapshot.counters(), snapshot.later(through), external.sums(through, moved)
        )
        found = list(reading.differences)
        found += sums.balance_differences(reading)
        found += sums.flight_differences(reading, snapshot.flight())
        found += sums.freeze_differences(snapshot.unfrozen())
        found += _statements(snapshot, reading.suspects)
    found += sums.unbalanced_shards(moved, Wrong.EXTERNAL)
    suspects = sums.counter_differences(reading, None)
    store.keep_totals(run, reading.totals)
    # First what is known: to tell the wrong book all entries are read, which may fail.
    store.record(run, Step.SUMS, "", found + suspects)
    if not reading.suspects:
        return found + suspects
    # Another moment, the same sums: entries up to the numbers of the start do not change.
    with ledger.snapshot() as snapshot:
        suspects = sums.counter_differences(reading, snapshot.summed(reading.suspects, through))
    store.record(run, Step.SUMS, "", found + suspects)
    return found + suspects


def _statements(snapshot: CounterSnapshot, wrong: Container[bytes]) -> list[Difference]:
    """The follower may be behind: what it has not entered is taken from the counters first.
    Counters that are wrong themselves say nothing of a statement.
    """
    later = snapshot.later(snapshot.followed())
    followed = sums.followed(snapshot.counters(), later, snapshot.statements())
    found = sums.statement_differences(pair for pair in followed if pair[0].id not in wrong)
    return found + list(islice(ending_differences(snapshot.endings()), sums.MAX_NAMED))


@dataclass(frozen=True, slots=True)
class Report:
    """How the run ended, with all incidents that its steps opened."""

    run: Run
    outcome: Outcome
    differences: int
    key: str
    incidents: Sequence[Incident]


def report(store: RunStore, reports: ReportStore, name: str, trace: bytes, now: datetime) -> Report:
    """Write the report and end the run. Incidents are open already, each since the step that found
    its difference. Also of a run whose plan was never made: the report says so.
    """
    run = store.begin(name, Scope.RECENT, trace, now)
    findings = store.findings(run.id)
    ended = outcome(run, findings)
    store.keep_pieces(planning.pieces_of(read_whole(findings)), run.started_at)
    # Frozen first: a report that cannot be written must not leave payouts open.
    key = report_key(run, "html")
    all_opened = store.finish(run, ended, incidents(run, findings), key, now)
    reports.put(key, html_report(run, findings), "text/html; charset=utf-8")
    reports.put(report_key(run, "csv"), csv_report(run, findings), "text/csv; charset=utf-8")
    return Report(run, ended, total(findings.counted), key, all_opened)
