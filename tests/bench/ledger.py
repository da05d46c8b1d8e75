"""How many transfers a second the ledger posts durably, and how long a batch takes.

From the bytes of Kafka records to the commit: reading, deciding, the log, refusals, counters, legs
and the outbox, by the store that the writer's function uses, over TLS, with binlog and redo log
flushed at every commit. The reference is the raw insert of the same rows (`ledger_raw`),
in turn with the batches measured. Latency is that of a batch; beside a batch of one stands the
shortest durable transaction. Processor time of this process and of the server is told on stderr.

Run: `make bench BENCH=ledger`.
"""

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import cast

from infra.local.mariadb import MariaDb
from infra.local.migrations import migrate
from infra.local.stack import Stack
from orion.adapters.mysql.ledger_store import MySqlLedgerStore
from orion.adapters.mysql.session import Database, MySqlConfig
from orion.ledger.service import post_partition
from orion.records import Record
from tests.bench.figures import Figure, machine, progress, quantile
from tests.bench.ledger_load import MERCHANTS, Load
from tests.bench.ledger_raw import MEANS, Raw
from tests.bench.process_time import server_seconds

NAME = "ledger"
_WARM = 2
SINGLE = 300
_MEET_S = 600
_LOG_BYTES = 512 * 2**20


@dataclass(frozen=True, slots=True)
class Size:
    """How many transfers a batch has, how many of them a record, and how many batches count."""

    transfers: int
    a_record: int
    batches: int


SIZES = (
    Size(1, 1, 300),
    Size(100, 100, 120),
    Size(1_000, 1_000, 40),
    Size(8_000, 1_000, 12),
    Size(8_000, 1, 8),
)


TWO = Size(8_000, 1_000, 8)


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
    """A private server with the ledger's schema and a redo log as large as a server's, and the
    folder of its stack.
    """
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
            yield stack.mariadb, stack.layout.var
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
    """A moment of its own for each batch of each shard, by which its rows are found again."""

    def __init__(self, shard: int) -> None:
        self._shard = shard
        self._last = datetime.now(UTC)

    def tick(self) -> datetime:
        moment = max(self._last + timedelta(microseconds=10), datetime.now(UTC))
        self._last = moment.replace(microsecond=moment.microsecond // 10 * 10 + self._shard)
        return self._last


def run(
    mariadb: MariaDb,
    raw: Raw,
    load: Load,
    size: Size,
    *,
    hot: bool,
    shard: int = 0,
    meet: Callable[[], object] = lambda: None,
) -> Measured:
    """Post batches and insert each one's rows raw, in turn; both as others do who `meet`."""
    writer, clock, found = store(mariadb), Clock(shard), Measured()
    for turn in range(_WARM + size.batches):
        records = load.batch(size.transfers, hot=hot, a_record=size.a_record)
        first, at = next_number(mariadb, shard), clock.tick()
        meet()
        own, server_before = time.process_time(), server_seconds(mariadb)
        started = time.perf_counter()
        result = post_partition(writer, records, at)
        taken = time.perf_counter() - started
        own, spent = time.process_time() - own, server_seconds(mariadb) - server_before
        if result.posted != size.transfers or result.refused:
            raise RuntimeError(f"{result} of {size.transfers} transfers")
        means = MEANS[turn % len(MEANS)]
        meet()
        beside = raw.seconds(means, first, at)
        if turn >= _WARM:
            found.batches.append(taken)
            found.own_cpu += own
            found.server_cpu += spent
            found.raw[means].append(beside)
    return found


def next_number(mariadb: MariaDb, shard: int) -> int:
    """The number of the next posted record of a shard."""
    connection = mariadb.connect()
    with connection.cursor() as cursor:
        cursor.execute("SELECT next_posted FROM orion_ledger.shard WHERE shard_no = %s", (shard,))
        row = cursor.fetchone()
    connection.close()
    if row is None:
        raise RuntimeError("the shard has no row")
    return int(row[0])


def show(case: str, transfers: int, found: Measured) -> None:
    """Print rate and latencies of a case, and the processor's work on stderr."""
    means, bare = found.fastest()
    said = f"raw insert of the same rows by {means}, same run"
    rate = transfers / statistics.median(found.batches)
    Figure(NAME, case, "transfers_per_s", rate, "1/s", transfers / bare, said).show()
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        value = quantile(found.batches, share) * 1_000
        Figure(NAME, case, f"batch_{name}_ms", value, "ms", bare * 1_000, said).show()
    each = len(found.batches) * transfers / 1e6
    progress(
        NAME,
        f"{case}: {rate:,.0f}/s, at best {transfers / min(found.batches):,.0f}/s; processor time a"
        f" transfer: writer {found.own_cpu / each:.1f} µs, server {found.server_cpu / each:.1f} µs;"
        f" {machine()}",
    )


def fund(mariadb: MariaDb, load: Load) -> None:
    """Make every account before the clock runs."""
    writer = store(mariadb)
    records: Sequence[Record] = load.funding()
    for start in range(0, len(records), 8):
        post_partition(writer, records[start : start + 8], datetime.now(UTC))


def case_of(size: Size, *, hot: bool) -> str:
    """A batch in words."""
    shape = "one hot account in every transfer" if hot else f"uniform over {2 * MERCHANTS} accounts"
    words = f"batch {size.transfers}, {shape}"
    return words if size.a_record > 1 or size.transfers == 1 else f"{words}, a record each"


def one_shard(mariadb: MariaDb, folder: Path) -> None:
    """Every size, uniform and hot."""
    load, raw = Load(0, range(256)), Raw(mariadb, folder)
    fund(mariadb, load)
    raw.catch_up()
    for size in SIZES:
        for hot in (False, True):
            found = run(mariadb, raw, load, size, hot=hot)
            show(f"one shard, {case_of(size, hot=hot)}", size.transfers, found)
    raw.catch_up()
    writer, taken = store(mariadb), []
    for _ in range(SINGLE):
        records = load.batch(1, hot=True, a_record=1)
        started = time.perf_counter()
        post_partition(writer, records, datetime.now(UTC))
        taken.append(time.perf_counter() - started)
    floor = [raw.bare_commit() for _ in range(SINGLE)]
    said = "shortest durable transaction, same run"
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        value, least = quantile(taken, share) * 1_000, quantile(floor, share) * 1_000
        case = "one shard, batch 1, alone"
        Figure(NAME, case, f"batch_{name}_ms", value, "ms", least, said).show()
    raw.close()


def _work(var: Path, shard: int, hot: bool, barrier: Barrier, answer: Connection) -> None:
    """One of two writers, in a process of its own."""
    mariadb = Stack(var).mariadb
    load = Load(shard, range(128 * shard, 128 * shard + 128), seed=7 + hot)
    load.skip(hot)
    raw = Raw(mariadb, var.parent, shard)
    if not hot:
        fund(mariadb, load)
    barrier.wait(_MEET_S)
    raw.catch_up()
    answer.send(
        run(
            mariadb,
            raw,
            load,
            TWO,
            hot=hot,
            shard=shard,
            meet=partial(barrier.wait, _MEET_S),
        )
    )


def two_shards(mariadb: MariaDb, var: Path) -> None:
    """Two processes, each with half of the buckets; the slower one's time counts."""
    _part(mariadb)
    spawn = multiprocessing.get_context("spawn")
    for hot in (False, True):
        barrier = spawn.Barrier(2)
        pipes = [spawn.Pipe(duplex=False) for _ in range(2)]
        workers = [
            spawn.Process(target=_work, args=(var, shard, hot, barrier, pipes[shard][1]))
            for shard in range(2)
        ]
        for worker, (_, send) in zip(workers, pipes, strict=True):
            worker.start()
            send.close()  # Its only holder is the worker now: should it die, we hear of it.
        one, other = (cast(Measured, receive.recv()) for receive, _ in pipes)
        for worker in workers:
            worker.join(_MEET_S)
        both = Measured(
            [max(pair) for pair in zip(one.batches, other.batches, strict=True)],
            {
                means: [max(pair) for pair in zip(one.raw[means], other.raw[means], strict=True)]
                for means in MEANS
            },
            one.own_cpu + other.own_cpu,
            max(one.server_cpu, other.server_cpu),
        )
        show(f"two shards, each {case_of(TWO, hot=hot)}", 2 * TWO.transfers, both)


def _part(mariadb: MariaDb) -> None:
    """Half of the buckets to a second shard, as a growth leaves it."""
    connection = mariadb.connect()
    with connection.cursor() as cursor:
        cursor.execute("USE orion_ledger")
        for table in ("transfer", "account", "outbox", "consumer_offset"):
            cursor.execute(f"TRUNCATE {table}")
        cursor.execute("INSERT INTO shard (shard_no, next_posted, next_refused) VALUES (1, 1, 1)")
        cursor.execute("INSERT INTO shard_map VALUES (2, 0, 127, 0), (2, 128, 255, 1)")
        cursor.execute("UPDATE bucket SET map_version = 2, shard_no = bucket DIV 128")
        connection.commit()
    connection.close()


def main() -> None:
    """One shard and two, uniform and with one hot account, by batch size."""
    with server() as (mariadb, var):
        one_shard(mariadb, var.parent)
        two_shards(mariadb, var)


if __name__ == "__main__":
    main()
