"""How many transfers a second the ledger posts durably, and how long a batch takes.

From the bytes of Kafka records to the commit: reading, deciding, the log, refusals, counters, legs
and the outbox, by the store that the writer's function uses, over TLS, with binlog and redo log
flushed at every commit. The reference is the raw insert of the same rows (`tests.bench.ledger_raw`),
in turn with the batches measured. Latency is that of a batch; beside a batch of one stands the
shortest durable transaction. Processor time of this process and of the server is told on stderr.

Run: `make bench BENCH=ledger`.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from infra.local.mariadb import MariaDb
from infra.local.migrations import migrate
from infra.local.stack import Stack
from orion.adapters.mysql.ledger_store import MySqlLedgerStore
from orion.adapters.mysql.session import Database, MySqlConfig
from orion.ledger.service import post_partition
from orion.records import Record
from tests.bench.figures import Figure, progress, quantile
from tests.bench.ledger_load import Load
from tests.bench.ledger_raw import MEANS, Raw
from tests.bench.process_time import server_seconds

NAME = "ledger"
# Batch size, transfers in one record, and how many batches.
SIZES = ((1, 1, 300), (100, 100, 120), (1_000, 1_000, 40), (8_000, 1_000, 16), (8_000, 1, 8))
_WARM = 2
_REFERENCE = "raw insert of the same rows by {means}, same run"
_LOG_BYTES = 512 * 2**20


@dataclass(slots=True)
class Measured:
    """Seconds by batch, and of the raw insert by means."""

    batches: list[float] = field(default_factory=list)
    raw: dict[str, list[float]] = field(default_factory=lambda: {means: [] for means in MEANS})
    own_cpu: float = 0.0
    server_cpu: float = 0.0

    def fastest(self) -> tuple[str, float]:
        """The means whose median is smallest, and that median."""
        medians = {means: statistics.median(taken) for means, taken in self.raw.items()}
        means = min(medians, key=medians.__getitem__)
        return means, medians[means]


@contextmanager
def server() -> Iterator[tuple[MariaDb, Path]]:
    """A private server with the ledger's schema and a redo log as large as a server's."""
    with tempfile.TemporaryDirectory(prefix="orion-bench-") as folder:
        Path(folder).chmod(0o711)
        stack = Stack(Path(folder) / "stack", report=lambda line: progress(NAME, line))
        try:
            stack.start("mariadb")
            migrate(stack.mariadb, None)
            connection = stack.mariadb.connect()
            with connection.cursor() as cursor:
                cursor.execute("SET GLOBAL innodb_log_file_size = %s", (_LOG_BYTES,))
            connection.close()
            yield stack.mariadb, Path(folder)
        finally:
            stack.down()


def store(mariadb: MariaDb) -> MySqlLedgerStore:
    """The product's store under the ledger's own rights."""
    login = mariadb.credentials("ledger")
    return MySqlLedgerStore(
        Database(
            MySqlConfig(
                mariadb.host,
                mariadb.port,
                login.username,
                login.password,
                "orion_ledger",
                mariadb.ca_pem,
            )
        )
    )


class Clock:
    """A moment of its own for each batch, by which its rows are found again."""

    def __init__(self) -> None:
        self._last = datetime.now(UTC)

    def tick(self) -> datetime:
        self._last = max(self._last + timedelta(microseconds=1), datetime.now(UTC))
        return self._last


def run(
    mariadb: MariaDb, raw: Raw, load: Load, size: tuple[int, int, int], *, hot: bool
) -> Measured:
    """Post batches and insert each one's rows raw, in turn."""
    transfers, a_record, count = size
    writer, clock, found = store(mariadb), Clock(), Measured()
    raw.catch_up()
    for turn in range(_WARM + count):
        records = load.batch(transfers, hot=hot, a_record=a_record)
        first, at = next_number(mariadb), clock.tick()
        own, server_before = time.process_time(), server_seconds(mariadb)
        started = time.perf_counter()
        result = post_partition(writer, records, at)
        taken = time.perf_counter() - started
        if result.posted != transfers or result.refused:
            raise RuntimeError(f"{result} of {transfers} transfers")
        own, spent = time.process_time() - own, server_seconds(mariadb) - server_before
        means = MEANS[turn % len(MEANS)]
        beside = raw.seconds(means, 0, first, at)
        if turn >= _WARM:
            found.batches.append(taken)
            found.own_cpu += own
            found.server_cpu += spent
            found.raw[means].append(beside)
    return found


def next_number(mariadb: MariaDb) -> int:
    """The number of the next posted record of shard 0."""
    connection = mariadb.connect()
    with connection.cursor() as cursor:
        cursor.execute("SELECT next_posted FROM orion_ledger.shard WHERE shard_no = 0")
        row = cursor.fetchone()
    connection.close()
    if row is None:
        raise RuntimeError("shard 0 has no row")
    return int(row[0])


def show(case: str, transfers: int, found: Measured) -> float:
    """Print rate and latencies of a case; the rate."""
    means, bare = found.fastest()
    said = _REFERENCE.format(means=means)
    typical = statistics.median(found.batches)
    rate = transfers / typical
    Figure(NAME, case, "transfers_per_s", rate, "1/s", transfers / bare, said).show()
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        value = quantile(found.batches, share) * 1_000
        Figure(NAME, case, f"batch_{name}_ms", value, "ms", bare * 1_000, said).show()
    each = len(found.batches) * transfers / 1e6
    progress(
        NAME,
        f"{case}: {rate:,.0f}/s; µs of processor a transfer: writer {found.own_cpu / each:.1f},"
        f" server {found.server_cpu / each:.1f}",
    )
    return rate


def fund(mariadb: MariaDb, load: Load) -> None:
    """Make every account before the clock runs."""
    writer = store(mariadb)
    records: Sequence[Record] = load.funding()
    for start in range(0, len(records), 8):
        post_partition(writer, records[start : start + 8], datetime.now(UTC))


def main() -> None:
    """One shard and two, uniform and with one hot account, by batch size."""
    with server() as (mariadb, folder):
        load, raw = Load(0, range(256)), Raw(mariadb, folder)
        fund(mariadb, load)
        for size in SIZES:
            for hot in (False, True):
                transfers, a_record, _ = size
                case = f"one shard, batch {transfers}" + (
                    ", hot account in every transfer" if hot else ", uniform"
                )
                if a_record == 1 < transfers:
                    case += ", a record each"
                show(case, transfers, run(mariadb, raw, load, size, hot=hot))
        floor = [raw.bare_commit(0) for _ in range(200)]
        progress(NAME, f"shortest durable transaction: {statistics.median(floor) * 1_000:.2f} ms")
        raw.close()


if __name__ == "__main__":
    main()
