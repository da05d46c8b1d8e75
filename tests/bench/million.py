"""A million wallets with four addresses each: derived, stored and assigned, on a stack of its own.

The state machine `wallet-batch` makes 100 groups: each gets its seed, chain keys, one hot and one
warm wallet, and its ten ranges go from kms through outbox, relay, Kafka and poller to moneyin's
tables. The clock runs from the start of the execution until the last wallet is stored; then two
takers assign all of them with billing's statements, and their time is added. Goals: under 5
minutes and under 1 GB on two cores, and a rate that stays what it was at 100,000.

MariaDB has a redo log of 512 MiB here, as a server has; its buffer pool is the local stack's own.

Run: `make bench BENCH=million`; it may take ten minutes and therefore runs only when it is named.
ORION_MILLION_WALLETS names a smaller count, a multiple of 10,000.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

from infra.local import Stack, stack_up
from infra.local.failure import StackFailure
from infra.local.wallets import POLL_S, BatchRun, Progress
from orion.wallet.addresses import GROUP_WALLETS
from tests.bench import wallets
from tests.bench.figures import Figure, machine, progress
from tests.bench.start import MIB, folder
from tests.bench.takers import take_all
from tests.bench.working_memory import WorkingMemory

NAME = "million"
WALLETS = "ORION_MILLION_WALLETS"
WALLETS_MAX = 1_000_000
FIRST_GROUP = 1  # Group 0 has the deployment's first wallets.
TAKERS = 2
LIMIT_S = 1_500.0
_TOLD_EVERY_S = 5.0
_LOG_BYTES = 512 * MIB
DERIVED = "two processes that only derive, nothing stored, by processor time, same run"


@dataclass(frozen=True, slots=True)
class Stored:
    """When how many wallets were stored: seconds since the start, rising counts."""

    seen: Sequence[tuple[float, int]]

    @property
    def took_s(self) -> float:
        return self.seen[-1][0]

    def rate(self, from_share: float, to_share: float) -> float:
        """Wallets a second between two shares of all, by the nearest times that were seen."""
        total = self.seen[-1][1]
        first = next(s for s in self.seen if s[1] >= from_share * total)
        last = next(s for s in self.seen if s[1] >= to_share * total)
        if last[0] <= first[0]:
            raise StackFailure("too few wallets for a rate; to mend: name a larger count")
        return (last[1] - first[1]) / (last[0] - first[0])


def wanted_groups() -> range:
    """From the environment. Raises StackFailure."""
    text = os.environ.get(WALLETS, str(WALLETS_MAX))
    count = int(text) if text.isascii() and text.isdigit() else 0
    if not GROUP_WALLETS <= count <= WALLETS_MAX or count % GROUP_WALLETS:
        raise StackFailure(f"{WALLETS} is a multiple of {GROUP_WALLETS:,}, at most {WALLETS_MAX:,}")
    return range(FIRST_GROUP, FIRST_GROUP + count // GROUP_WALLETS)


def main() -> None:
    """Measure and print the figures."""
    groups = wanted_groups()
    progress(NAME, f"deriving alone, two processes; {machine()}")
    case = wallets.CASES[-1]
    with get_context("spawn").Pool(case.processes) as pool:
        derived_per_s = wallets.measured(case, pool)[0]
    with folder() as var:
        stack = stack_up(var, report=partial(progress, NAME))
        enlarge(stack)
        progress(NAME, f"up; {machine()}")
        with WorkingMemory(stack) as memory:
            stored = store(stack, groups)
        progress(NAME, f"stored in {stored.took_s:.1f} s; {machine()}")
        assigned_s = assign(stack, groups)
        progress(NAME, f"assigned in {assigned_s:.1f} s; {machine()}")
        update_per_s = bare_update(stack)
    count = len(groups) * GROUP_WALLETS
    name = f"{count:,} wallets, four addresses each"
    show_times(name, count, stored, assigned_s, derived_per_s, update_per_s)
    show_memory(name, memory)


def enlarge(stack: Stack) -> None:
    """A redo log of a server's size; it is dynamic in MariaDB 10.11."""
    connection = stack.mariadb.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET GLOBAL innodb_log_file_size = %s", (_LOG_BYTES,))
    finally:
        connection.close()


def store(stack: Stack, groups: range) -> Stored:
    """Run the batch until every wallet is stored. Raises StackFailure."""
    run = BatchRun(stack, groups)
    shown = Progress(run.wanted)
    begun = told_s = time.monotonic()
    run.start()
    seen = [(0.0, 0)]
    while seen[-1][1] < run.wanted:
        time.sleep(POLL_S)
        run.status()
        count = run.counter.count()
        now_s = time.monotonic()
        seen.append((now_s - begun, count.stored))
        line = shown.line(now_s, count)
        if now_s - told_s >= _TOLD_EVERY_S:
            told_s = now_s
            progress(NAME, line)
        if now_s - begun > LIMIT_S:
            raise StackFailure(f"not stored after {LIMIT_S:.0f} s: {line}")
    return Stored(seen)


def assign(stack: Stack, groups: range) -> float:
    """Seconds in which two takers assign every wallet, each once. Raises StackFailure."""
    begun = time.monotonic()
    taken = take_all(stack, groups, TAKERS)
    took_s = time.monotonic() - begun
    places = [place for one in taken for place in one]
    wanted = len(groups) * GROUP_WALLETS
    if len(places) != wanted or len(set(places)) != wanted:
        raise StackFailure(f"{len(places):,} of {wanted:,} wallets taken, not each once")
    return took_s


def bare_update(stack: Stack) -> float:
    """Rows a second of one statement that assigns the free wallets of group 0."""
    connection = stack.mariadb.connect()
    try:
        with connection.cursor() as cursor:
            begun = time.monotonic()
            rows = cursor.execute(
                "UPDATE orion_moneyin.wallet SET state = 'assigned', merchant_id = %s,"
                " invoice_id = UNHEX(MD5(wallet_index)), assigned_at = NOW(6)"
                " WHERE group_no = 0 AND state = 'free'",
                (bytes(16),),
            )
            connection.commit()
            return rows / (time.monotonic() - begun)
    finally:
        connection.close()


def show_times(
    name: str,
    count: int,
    stored: Stored,
    assigned_s: float,
    derived_per_s: float,
    update_per_s: float,
) -> None:
    """The whole way, its two parts, and whether the rate stays."""
    whole_s = stored.took_s + assigned_s
    alone_s = count / derived_per_s
    for case, metric, value, unit, reference, what in (
        ("derived, stored, assigned", "end_to_end", whole_s, "s", alone_s, DERIVED),
        (
            "derived, stored, assigned",
            "wallets_per_s",
            count / whole_s,
            "1/s",
            derived_per_s,
            DERIVED,
        ),
        ("derived and stored", "stored_in", stored.took_s, "s", alone_s, DERIVED),
        (
            "two takers, 1,000 a transaction",
            "assigned_per_s",
            count / assigned_s,
            "1/s",
            update_per_s,
            "one UPDATE that assigns the free wallets of group 0, same run",
        ),
        (
            "from 5 to 15 % of all",
            "stored_per_s",
            stored.rate(0.05, 0.15),
            "1/s",
            derived_per_s,
            DERIVED,
        ),
        (
            "from 90 to 100 % of all",
            "stored_per_s",
            stored.rate(0.9, 1.0),
            "1/s",
            stored.rate(0.05, 0.15),
            "from 5 to 15 % of all, same run",
        ),
    ):
        Figure(NAME, f"{name}: {case}", metric, value, unit, reference, what).show()


def show_memory(name: str, memory: WorkingMemory) -> None:
    """The peak of the working processes beside the engines', then who held it."""
    beside = sum(memory.beside.values())
    Figure(
        NAME,
        f"{name}: workers of the functions on the way, and the poller",
        "peak_memory",
        memory.peak / MIB,
        "MiB",
        beside / MIB,
        f"peaks of {', '.join(memory.beside)} beside them, same run",
    ).show()
    for part, held in sorted(memory.parts.items(), key=lambda item: -item[1]):
        Figure(
            NAME,
            f"{name}: {part}, at the peak",
            "memory",
            held / MIB,
            "MiB",
            memory.peak / MIB,
            "all working processes, same moment",
        ).show()


if __name__ == "__main__":
    main()
