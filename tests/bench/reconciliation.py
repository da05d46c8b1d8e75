"""How long a reconciliation of a million transfers takes, and in how much memory.

The three books stand in MariaDB, PostgreSQL and the local S3, with the servers on the same two
cores. As in the state machine, each book is read by processes of its own, the three beside each
other: here one process a book, which keeps the roots of all ranges, one after the other; then the
ranges are compared. Once with equal books, once with one planted difference, which must be found
and named. Memory is the sum of the greatest resident sizes of all processes that work.

The reference reads the same rows of one book plainly, as a client would to compare them itself.

Run: `make bench BENCH=reconciliation`.
"""

import multiprocessing
import os
import resource
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import pymysql.cursors

from infra.local.failure import StackFailure
from infra.local.migrations import migrate
from infra.local.stack import Stack
from orion.adapters.aws.reconciled_segments import S3SegmentBook
from orion.adapters.mysql.reconciled_ledger import MySqlLedgerReader
from orion.adapters.mysql.reconciled_sums import MySqlLedgerSums
from orion.adapters.mysql.reconciliation_runs import MySqlRunStore
from orion.adapters.mysql.session import Database
from orion.adapters.postgres.reconciled_book import PostgresBookReader
from orion.adapters.postgres.session import Database as ExternalDatabase
from orion.log.ledger_book.reading import LedgerBookReader
from orion.log.reconciliation import service
from orion.log.reconciliation.model import Book, Difference
from orion.log.reconciliation.planning import Scope
from tests.bench.figures import Figure, progress
from tests.bench.reconciliation_books import NAME, STAGE, Place, fill, place

TRANSFERS = 1_000_000
PLANTED = "UPDATE orion_ledger.transfer SET units = units + {} WHERE shard_no = 0 AND number = 700"
_REFERENCE_S = "reading the same rows of MariaDB into one process, same run"
Peak = tuple[int, int]  # A process, and its greatest resident size so far, in bytes.
_COLUMNS = (
    "shard_no, number, position, id, digest, kind, code, linked, pending_id, debit_account,"
    " credit_account, counterpart, units, cause, trace_id, posted_at"
)


def books(where: Place) -> service.Books:
    """Readers of all three, each with a connection of its own."""
    return service.Books(
        MySqlLedgerReader(Database(where.mysql)),
        S3SegmentBook(
            where.client("s3"), where.bucket,
            LedgerBookReader(STAGE, where.archive(), where.signer()),
        ),
        PostgresBookReader(ExternalDatabase(where.postgres)),
    )  # fmt: skip


def _warm(_place: int) -> None:
    """Long enough for every process to get one, and with it this module's imports."""
    time.sleep(1)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak() -> Peak:
    return os.getpid(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def read(where: Place, book: Book, name: str, ranges: int) -> Peak:
    """One book over all ranges, in this process."""
    begun, worked = time.perf_counter(), _cpu_s()
    runs, reader = MySqlRunStore(Database(where.mysql)), books(where)
    for number in range(ranges):
        if book is Book.SEGMENTS:
            service.read_segments(runs, reader.segments, name, number)
        else:
            service.read_book(runs, reader.of(book), book, name, number)
    taken, worked = time.perf_counter() - begun, _cpu_s() - worked
    progress(NAME, f"{book} read in {taken:.1f} s, {worked:.1f} s of them this process's work")
    return _peak()


def compare(where: Place, name: str, ranges: int) -> tuple[list[Difference], Peak]:
    """Every range compared; what differs."""
    runs, reader = MySqlRunStore(Database(where.mysql)), books(where)
    found: list[Difference] = []
    for number in range(ranges):
        found += service.compare(runs, reader, name, number)
    return found, _peak()


def sums(where: Place, name: str) -> tuple[int, Peak]:
    """Counters against sums; how many differences."""
    runs = MySqlRunStore(Database(where.mysql))
    external = PostgresBookReader(ExternalDatabase(where.postgres))
    found = service.check_sums(runs, MySqlLedgerSums(Database(where.mysql)), external, name)
    return len(found), _peak()


def plan(where: Place, name: str) -> int:
    """The run's ranges."""
    runs = MySqlRunStore(Database(where.mysql))
    made = service.plan(runs, books(where), name, Scope.ALL, bytes(16), datetime.now(UTC))
    if made.ranges is None:
        raise StackFailure("a book has not followed")
    return len(made.ranges)


def reconcile(where: Place, name: str) -> tuple[float, int, list[Difference]]:
    """Seconds, bytes, differences of one run: plan, roots of three books, comparison."""
    spawning = multiprocessing.get_context("spawn")
    # A process a book, as there is a function's environment a book: started before the clock. One
    # of them compares.
    with spawning.Pool(len(Book)) as pool:
        pool.map(_warm, range(len(Book)), chunksize=1)
        begun = time.perf_counter()
        ranges = pool.apply(plan, (where, name))
        planned_s = time.perf_counter() - begun
        reading = [pool.apply_async(read, (where, book, name, ranges)) for book in Book]
        peaks = dict(each.get() for each in reading)
        read_s = time.perf_counter() - begun
        found, peak = pool.apply(compare, (where, name, ranges))
        taken = time.perf_counter() - begun
    progress(
        NAME,
        f"{name}: {ranges} ranges, planned after {planned_s:.1f} s, read after {read_s:.1f} s,"
        f" {len(found)} differences",
    )
    peaks |= dict([peak])
    return taken, sum(peaks.values()), found


def plain(stack: Stack) -> float:
    """Seconds to read every row of one book, streaming."""
    connection = stack.mariadb.connect()
    begun = time.perf_counter()
    rows = 0
    with connection.cursor(pymysql.cursors.SSCursor) as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM orion_ledger.transfer")
        while cursor.fetchone() is not None:
            rows += 1
    taken = time.perf_counter() - begun
    connection.close()
    if rows != TRANSFERS:
        raise StackFailure(f"the book has {rows} rows, not {TRANSFERS}")
    return taken


def measure(stack: Stack) -> None:
    """Fill, run, plant, run again."""
    migrate(stack.mariadb, stack.postgres)
    where = place(stack)
    begun = time.perf_counter()
    fill(stack, where, TRANSFERS)
    progress(NAME, f"filled in {time.perf_counter() - begun:.0f} s")
    reference_s = plain(stack)
    taken, peak, found = reconcile(where, "equal")
    if found:
        raise StackFailure(f"equal books differ: {found[:3]}")
    show("equal books", taken, peak, reference_s)
    begun = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        differences, summed_peak = pool.apply(sums, (where, "equal"))
    if differences:
        raise StackFailure("equal books have other sums")
    show("counters against sums", time.perf_counter() - begun, summed_peak[1], reference_s)
    change(stack, 1)
    taken, peak, found = reconcile(where, "planted")
    change(stack, -1)
    named = [(str(each.kind), str(each.wrong), each.number, each.position) for each in found]
    if named != [("entry_differs", "mysql", 700, 350)]:
        raise StackFailure(f"the planted difference was not named: {named}")
    show("one planted difference", taken, peak, reference_s)


def change(stack: Stack, units: int) -> None:
    """One entry's units."""
    connection = stack.mariadb.connect()
    with connection.cursor() as cursor:
        cursor.execute(PLANTED.format(units) + " AND position = 350")
    connection.commit()
    connection.close()


def show(case: str, taken_s: float, peak_bytes: int, reference_s: float) -> None:
    told = f"{TRANSFERS:,} transfers, {case}"
    Figure(NAME, told, "reconciliation_s", taken_s, "s", reference_s, _REFERENCE_S).show()
    Figure(
        NAME, told, "peak_resident_bytes", peak_bytes, "B", 500e6, "the goal of 500 MB, a constant"
    ).show()


def main() -> None:
    """Measure on engines of its own."""
    with tempfile.TemporaryDirectory(prefix="orion-bench-") as folder:
        Path(folder).chmod(0o711)
        stack = Stack(Path(folder) / "stack", report=lambda line: progress(NAME, line))
        try:
            for engine in ("mariadb", "postgres", "ministack"):
                stack.start(engine)
            measure(stack)
        finally:
            stack.down()
