"""Runs of the reconciliation in `orion_log`, with the incidents that freeze assets."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import pymysql

from orion.adapters.mysql import reconciliation_findings as found
from orion.adapters.mysql import reconciliation_incidents as opening
from orion.adapters.mysql.session import Cursor, Database
from orion.log.reconciliation.errors import UnknownRun
from orion.log.reconciliation.model import (
    MAX_DIFFERENCES,
    Book,
    BookRange,
    Difference,
    HourRoot,
    Incident,
    Run,
    Step,
    run_id,
)
from orion.log.reconciliation.planning import Range, Scope, ShardPlan
from orion.log.reconciliation.report import Counted, Findings, Outcome, concerned, incidents_of
from orion.log.reconciliation.sums import Sums

MAX_SHARDS = 1_024
# Runs older than this are forgotten, some at each new run; their reports stay in S3.
KEPT_DAYS = 90
_FORGOTTEN_AT_ONCE = 3
_INSERT_ROWS = 500
# What BIGINT and INT hold; what a book says may be above it, and is told at its end.
_MAX_NUMBER, _MAX_POSITION = 2**63 - 1, 2**31 - 1
_TABLES = ("run_shard", "run_range", "range_book", "hour_root", "checked", "difference",
           "difference_count", "purpose_total")  # fmt: skip


class MySqlRunStore:
    """The port RunStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, name: str, scope: Scope, trace_id: bytes, now: datetime) -> Run:
        return self._database.run(lambda cursor: _begin(cursor, name, scope, trace_id, now))

    def run(self, name: str) -> Run:
        return self._database.run(lambda cursor: _run(cursor, run_id(name)))

    def keep_shards(self, run: bytes, plans: Sequence[ShardPlan]) -> Sequence[ShardPlan]:
        def keep(cursor: Cursor) -> Sequence[ShardPlan]:
            _lock(cursor, run)
            fixed = found.shards(cursor, run)
            if fixed or not plans:
                return fixed
            cursor.executemany(
                "INSERT INTO run_shard (run_id, shard_no, through_number, strays)"
                " VALUES (%s, %s, %s, %s)",
                [(run, plan.shard, plan.through, _strays_text(plan)) for plan in plans],
            )
            return plans

        return self._database.run(keep)

    def shards(self, run: bytes) -> Sequence[ShardPlan]:
        return self._database.run(lambda cursor: found.shards(cursor, run))

    def keep_ranges(self, run: bytes, ranges: Sequence[Range], now: datetime) -> None:
        def keep(cursor: Cursor) -> None:
            _lock(cursor, run)
            cursor.execute("DELETE FROM run_range WHERE run_id = %s", (run,))
            _insert(
                cursor,
                "INSERT INTO run_range (run_id, range_no, shard_no, first_number, last_number,"
                " strays) VALUES (%s, %s, %s, %s, %s, %s)",
                [
                    (run, part.number, part.shard, part.span.first, part.span.last, part.strays)
                    for part in ranges
                ],
            )
            cursor.execute("UPDATE run SET planned_at = %s WHERE run_id = %s", (_naive(now), run))

        self._database.run(keep)

    def ranges(self, run: bytes) -> Sequence[Range]:
        return self._database.run(lambda cursor: found.ranges(cursor, run, None))

    def range(self, run: bytes, number: int) -> Range:
        parts = self._database.run(lambda cursor: found.ranges(cursor, run, number))
        if not parts:
            raise UnknownRun("the run has no range of this number", range=number)
        return parts[0]

    def keep_book(self, run: bytes, number: int, book: Book, held: BookRange) -> None:
        def keep(cursor: Cursor) -> None:
            place = (run, number, str(book))
            cursor.execute(
                "INSERT INTO range_book (run_id, range_no, book, records, whole)"
                " VALUES (%s, %s, %s, %s, %s)"
                " ON DUPLICATE KEY UPDATE records = VALUES(records), whole = VALUES(whole)",
                (*place, held.records, held.whole),
            )
            cursor.execute(
                "DELETE FROM hour_root WHERE run_id = %s AND range_no = %s AND book = %s", place
            )
            _insert(
                cursor,
                "INSERT INTO hour_root (run_id, range_no, book, hour, entries, root)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                [(*place, _naive(hour.hour), hour.entries, hour.root) for hour in held.hours],
            )

        self._database.run(keep)

    def books(self, run: bytes, number: int) -> Mapping[Book, BookRange]:
        return self._database.run(lambda cursor: _books(cursor, run, number))

    def keep_totals(self, run: bytes, totals: Mapping[tuple[str, str], tuple[int, Sums]]) -> None:
        def keep(cursor: Cursor) -> None:
            cursor.execute("DELETE FROM purpose_total WHERE run_id = %s", (run,))
            _insert(
                cursor,
                "INSERT INTO purpose_total (run_id, asset, purpose, accounts, debits, credits)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                [
                    (run, asset, purpose, accounts, sums.debits_posted, sums.credits_posted)
                    for (asset, purpose), (accounts, sums) in totals.items()
                ],
            )

        self._database.run(keep)

    def record(self, run: bytes, step: Step, item: str, differences: Sequence[Difference]) -> None:
        now = datetime.now(UTC)
        try:
            self._database.run(lambda cursor: _record(cursor, run, step, item, differences, now))
        except (pymysql.err.DataError, pymysql.err.IntegrityError, UnicodeError):
            # What somebody wrote into a book to be unstorable must not keep payouts open.
            self._database.run(lambda cursor: _open(cursor, run, differences, now))
            raise

    def pieces_read(self, shard: int) -> Mapping[int, datetime]:
        return self._database.run(lambda cursor: found.pieces_read(cursor, shard))

    def keep_pieces(self, pieces: Iterable[tuple[int, int]], read_at: datetime) -> None:
        rows = [(shard, piece, _naive(read_at)) for shard, piece in pieces]
        self._database.run(
            lambda cursor: _insert(
                cursor,
                "INSERT INTO piece_read (shard_no, piece_no, read_at) VALUES (%s, %s, %s)"
                " ON DUPLICATE KEY UPDATE read_at = GREATEST(read_at, VALUES(read_at))",
                rows,
            )
        )

    def findings(self, run: bytes) -> Findings:
        return self._database.run(lambda cursor: found.findings(cursor, run))

    def finish(
        self,
        run: Run,
        outcome: Outcome,
        incidents: Sequence[Incident],
        report: str | None,
        now: datetime,
    ) -> Sequence[Incident]:
        return self._database.run(
            lambda cursor: _finish(cursor, run, outcome, incidents, report, now)
        )


def _begin(cursor: Cursor, name: str, scope: Scope, trace_id: bytes, now: datetime) -> Run:
    identity = run_id(name)
    made = cursor.execute(
        "INSERT INTO run (run_id, name, scope, trace_id, started_at) VALUES (%s, %s, %s, %s, %s)"
        " ON DUPLICATE KEY UPDATE name = name",
        (identity, name, str(scope), trace_id, _naive(now)),
    )
    if made == 1:
        _forget(cursor, now)
    return _run(cursor, identity)


def _forget(cursor: Cursor, now: datetime) -> None:
    """Some of what is older than KEPT_DAYS; the run's row and its incidents stay."""
    cursor.execute(
        "SELECT run_id FROM run r WHERE started_at < DATE_SUB(%s, INTERVAL %s DAY)"
        " AND EXISTS (SELECT 1 FROM checked c WHERE c.run_id = r.run_id)"
        " ORDER BY started_at LIMIT %s",
        (_naive(now), KEPT_DAYS, _FORGOTTEN_AT_ONCE),
    )
    for (old,) in cursor.fetchall():
        for table in _TABLES:
            cursor.execute(f"DELETE FROM {table} WHERE run_id = %s", (old,))  # noqa: S608 - constant


def _run(cursor: Cursor, identity: bytes, lock: str = "") -> Run:
    cursor.execute(
        "SELECT run_id, name, scope, trace_id, started_at, planned_at, finished_at FROM run"  # noqa: S608
        f" WHERE run_id = %s {lock}",
        (identity,),
    )
    row = cursor.fetchone()
    if row is None:
        raise UnknownRun("no reconciliation has this name", run=identity.hex())
    _, name, scope, trace_id, started_at, planned_at, finished_at = row
    return Run(
        identity, name, scope, trace_id, _aware(started_at),
        _aware(planned_at) if planned_at else None, _aware(finished_at) if finished_at else None,
    )  # fmt: skip


def _lock(cursor: Cursor, run: bytes) -> Run:
    return _run(cursor, run, "FOR UPDATE")


def _books(cursor: Cursor, run: bytes, number: int) -> Mapping[Book, BookRange]:
    cursor.execute(
        "SELECT book, hour, entries, root FROM hour_root WHERE run_id = %s AND range_no = %s"
        " ORDER BY book, hour",
        (run, number),
    )
    hours: dict[str, list[HourRoot]] = {}
    for book, hour, entries, root in cursor.fetchall():
        hours.setdefault(book, []).append(HourRoot(_aware(hour), entries, root))
    cursor.execute(
        "SELECT book, records, whole FROM range_book WHERE run_id = %s AND range_no = %s",
        (run, number),
    )
    return {
        Book(book): BookRange(records, bool(whole), tuple(hours.get(book, ())))
        for book, records, whole in cursor.fetchall()
    }


def _record(
    cursor: Cursor,
    run: bytes,
    step: Step,
    item: str,
    differences: Sequence[Difference],
    now: datetime,
) -> None:
    # The run's row orders items that end at once: together they store a thousand, not each.
    locked = _lock(cursor, run)
    place = (run, str(step), item)
    for table in ("difference", "difference_count"):
        cursor.execute(
            f"DELETE FROM {table} WHERE run_id = %s AND step = %s AND item = %s",  # noqa: S608
            place,
        )
    cursor.execute("SELECT COUNT(*) FROM difference WHERE run_id = %s", (run,))
    [stored] = cursor.fetchone() or (0,)
    _insert(
        cursor,
        "INSERT INTO difference (run_id, step, item, seq, kind, wrong, shard_no, number, position,"
        " transfer_id, account, asset, found, expected)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            (*place, seq, str(d.kind), str(d.wrong), d.shard, _stored(d.number, _MAX_NUMBER),
             _stored(d.position, _MAX_POSITION), d.transfer_id,
             d.account, concerned(d.asset) or "", d.found, d.expected)
            for seq, d in enumerate(differences[: max(0, MAX_DIFFERENCES - stored)])
        ],
    )  # fmt: skip
    counts = Counter((str(d.kind), concerned(d.asset) or "") for d in differences)
    # In this commit: no time-out, and nobody who breaks the run off, keeps payouts open.
    opening.open_all(cursor, locked, _to_open(run, differences), now)
    _insert(
        cursor,
        "INSERT INTO difference_count (run_id, step, item, kind, asset, differences)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [(*place, kind, asset, count) for (kind, asset), count in sorted(counts.items())],
    )
    cursor.execute(
        "INSERT INTO checked (run_id, step, item, differences, checked_at)"
        " VALUES (%s, %s, %s, %s, %s)"
        " ON DUPLICATE KEY UPDATE differences = VALUES(differences),"
        " checked_at = VALUES(checked_at)",
        (*place, len(differences), _naive(now)),
    )


def _open(cursor: Cursor, run: bytes, differences: Sequence[Difference], now: datetime) -> None:
    opening.open_all(cursor, _lock(cursor, run), _to_open(run, differences), now)


def _to_open(run: bytes, differences: Sequence[Difference]) -> Sequence[Incident]:
    counts = Counter((d.kind, concerned(d.asset) or "") for d in differences)
    return incidents_of(run, [Counted(*what, count) for what, count in counts.items()])


def _stored(value: int | None, most: int) -> int | None:
    return None if value is None else max(-most, min(value, most))


def _strays_text(plan: ShardPlan) -> str:
    return " ".join(f"{span.first}..{span.last}" for span in plan.strays)


def _finish(
    cursor: Cursor,
    run: Run,
    outcome: Outcome,
    incidents: Sequence[Incident],
    report: str | None,
    now: datetime,
) -> Sequence[Incident]:
    _lock(cursor, run.id)
    opening.open_all(cursor, run, incidents, now)
    opening.recount(cursor, incidents)
    cursor.execute(
        "UPDATE run SET finished_at = %s, outcome = %s, report = %s WHERE run_id = %s",
        (_naive(now), str(outcome), report, run.id),
    )
    return opening.of_run(cursor, run.id)


def _insert(cursor: Cursor, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
    for start in range(0, len(rows), _INSERT_ROWS):
        cursor.executemany(statement, rows[start : start + _INSERT_ROWS])


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
