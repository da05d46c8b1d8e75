"""What the steps of a run left in `orion_log`, for its report."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from orion.adapters.mysql import reconciliation_incidents as opening
from orion.adapters.mysql.session import Cursor
from orion.log.reconciliation.model import (
    MAX_DIFFERENCES,
    Book,
    Difference,
    DifferenceKind,
    Step,
    Wrong,
)
from orion.log.reconciliation.planning import MAX_RANGES, Range, ShardPlan, Span
from orion.log.reconciliation.report import Counted, Findings
from orion.log.reconciliation.sums import Sums

MAX_SHARDS = 1_024
MAX_PIECES = 1_000_000  # Of a shard: ten thousand million records.


def shards(cursor: Cursor, run: bytes) -> Sequence[ShardPlan]:
    cursor.execute(
        "SELECT shard_no, through_number, strays FROM run_shard WHERE run_id = %s"
        " ORDER BY shard_no LIMIT %s",
        (run, MAX_SHARDS),
    )
    return [
        ShardPlan(shard, through, tuple(_span(text) for text in strays.split()))
        for shard, through, strays in cursor.fetchall()
    ]


def _span(text: str) -> Span:
    first, _, last = text.partition("..")
    return Span(int(first), int(last))


def ranges(cursor: Cursor, run: bytes, number: int | None) -> Sequence[Range]:
    condition, values = ("", ()) if number is None else (" AND range_no = %s", (number,))
    cursor.execute(
        "SELECT range_no, shard_no, first_number, last_number, strays FROM run_range"  # noqa: S608
        f" WHERE run_id = %s{condition} ORDER BY range_no LIMIT %s",
        (run, *values, MAX_RANGES),
    )
    return [
        Range(number, shard, Span(first, last), bool(strays))
        for number, shard, first, last, strays in cursor.fetchall()
    ]


def pieces_read(cursor: Cursor, shard: int) -> Mapping[int, datetime]:
    cursor.execute(
        "SELECT piece_no, read_at FROM piece_read WHERE shard_no = %s ORDER BY piece_no LIMIT %s",
        (shard, MAX_PIECES),
    )
    return {piece: read_at.replace(tzinfo=UTC) for piece, read_at in cursor.fetchall()}


def findings(cursor: Cursor, run: bytes) -> Findings:
    return Findings(
        shards=tuple(shards(cursor, run)),
        ranges=tuple(ranges(cursor, run, None)),
        entries=_entries(cursor, run),
        hours=_count(cursor, "SELECT COUNT(DISTINCT range_no, hour) FROM hour_root", run),
        checked=_checked(cursor, run),
        counted=_counted(cursor, run),
        differences=_differences(cursor, run),
        totals=_totals(cursor, run),
        opened=opening.of_run(cursor, run),
    )


def _count(cursor: Cursor, select: str, run: bytes) -> int:
    cursor.execute(f"{select} WHERE run_id = %s", (run,))
    [count] = cursor.fetchone() or (0,)
    return int(count)


def _entries(cursor: Cursor, run: bytes) -> Mapping[tuple[int, Book], int]:
    cursor.execute(
        "SELECT p.shard_no, h.book, SUM(h.entries) FROM hour_root h JOIN run_range p"
        " ON p.run_id = h.run_id AND p.range_no = h.range_no"
        " WHERE h.run_id = %s GROUP BY p.shard_no, h.book",
        (run,),
    )
    return {(shard, Book(book)): int(entries) for shard, book, entries in cursor.fetchall()}


def _checked(cursor: Cursor, run: bytes) -> frozenset[tuple[Step, str]]:
    cursor.execute("SELECT step, item FROM checked WHERE run_id = %s", (run,))
    return frozenset((Step(step), item) for step, item in cursor.fetchall())


def _counted(cursor: Cursor, run: bytes) -> tuple[Counted, ...]:
    cursor.execute(
        "SELECT kind, asset, SUM(differences) FROM difference_count WHERE run_id = %s"
        " GROUP BY kind, asset ORDER BY kind, asset",
        (run,),
    )
    return tuple(
        Counted(DifferenceKind(kind), asset, int(count)) for kind, asset, count in cursor.fetchall()
    )


def _differences(cursor: Cursor, run: bytes) -> tuple[Difference, ...]:
    cursor.execute(
        "SELECT kind, wrong, shard_no, number, position, transfer_id, account, asset, found,"
        " expected FROM difference WHERE run_id = %s"
        " ORDER BY step, shard_no, number, position, item, seq LIMIT %s",
        (run, MAX_DIFFERENCES),
    )
    return tuple(
        Difference(
            DifferenceKind(kind),
            Wrong(wrong),
            shard,
            number,
            position,
            transfer,
            account,
            asset or None,
            found,
            expected,
        )
        for (
            kind,
            wrong,
            shard,
            number,
            position,
            transfer,
            account,
            asset,
            found,
            expected,
        ) in cursor.fetchall()
    )


def _totals(cursor: Cursor, run: bytes) -> Mapping[tuple[str, str], tuple[int, Sums]]:
    cursor.execute(
        "SELECT asset, purpose, accounts, debits, credits FROM purpose_total WHERE run_id = %s",
        (run,),
    )
    return {
        (asset.decode(), purpose.decode()): (accounts, Sums(int(debits), 0, int(credited), 0))
        for asset, purpose, accounts, debits, credited in cursor.fetchall()
    }
