"""How many invoices one core makes through the API's own handler, beside the bare cost of the SQL
statements that each of them runs.

MariaDB, memcached, Kafka and MiniStack are real. The product's processes share one core and the
engines have the others. Each process serves one request at a time, as a Lambda environment does:
API Gateway's proxy event in, the handler of `functions/billing/api.py`, its answer out. Several of
them keep the core busy while others wait for a commit to reach the disk; one alone shows what a
customer waits for.

The reference is measured in the same run, on the same core, by as many processes: the statements
that the product was seen to run for one invoice, through the same client, with new identities each
time, and nothing else. Goals: 500 invoices/s a core, and that the product adds less than its SQL
costs (a ratio of at least 0.5).

Run: `make bench BENCH=invoices`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.pool import Pool

from tests.bench.figures import Figure, machine, progress, quantile
from tests.bench.invoices_stage import pinned, stage
from tests.bench.invoices_work import Measured, measured, recorded, share_starts

NAME = "invoices"
ENGINES = ("mariadb", "memcached", "kafka", "ministack")
# Enough to keep a core busy while each waits for its commits.
AT_ONCE = (6, 1)
ROUNDS = 4
SPAN_S = 4.0
WALLETS = 100_000
SQL = "the product's own statements for an invoice, through the same client, same run and core"


@dataclass(frozen=True, slots=True)
class Rounds:
    """All that several processes measured, a list a round."""

    rounds: Sequence[Sequence[Measured]]

    @property
    def per_s(self) -> float:
        """Sum over the processes of a round, mean over the rounds."""
        rates = [sum(len(one.took_s) / one.span_s for one in each) for each in self.rounds]
        return sum(rates) / len(rates)

    def took_ms(self, share: float) -> float:
        took = [took_s for each in self.rounds for one in each for took_s in one.took_s]
        return quantile(took, share) * 1000

    @property
    def processor_ms(self) -> float:
        """Of one invoice."""
        every = [one for each in self.rounds for one in each]
        return sum(one.processor_s for one in every) / sum(len(one.took_s) for one in every) * 1000


def main() -> None:
    """Measure and print the figures."""
    context = get_context("spawn")
    starts = {workers: context.Barrier(workers) for workers in AT_ONCE}
    with (
        stage(NAME, ENGINES, WALLETS) as found,
        context.Pool(max(AT_ONCE), share_starts, (starts,)) as pool,
    ):
        core = pinned(found)
        statements = pool.apply(recorded, (found,))
        progress(NAME, f"{len(statements)} statements an invoice; {machine()}")
        for workers in AT_ONCE:
            ours: list[Sequence[Measured]] = []
            bare: list[Sequence[Measured]] = []
            for number in range(ROUNDS):
                # In turn, so that what else the machine does falls on both.
                ours.append(_round(pool, workers, partial(measured, found, None, core)))
                bare.append(_round(pool, workers, partial(measured, found, statements, core)))
                progress(NAME, f"{workers} at once, round {number + 1}; {machine()}")
            show(f"{workers} processes on one core, two coins", Rounds(ours), Rounds(bare))


def show(case: str, ours: Rounds, bare: Rounds) -> None:
    """Rate, waiting and processor time."""
    Figure(NAME, case, "invoices_per_s", ours.per_s, "1/s", bare.per_s, SQL).show()
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        Figure(NAME, case, name, ours.took_ms(share), "ms", bare.took_ms(share), SQL).show()
    spent = (ours.processor_ms, bare.processor_ms)
    Figure(NAME, case, "processor_ms_per_invoice", spent[0], "ms", spent[1], SQL).show()


def _round(pool: Pool, workers: int, work: partial[Measured]) -> Sequence[Measured]:
    running = [pool.apply_async(work, (workers, SPAN_S)) for _ in range(workers)]
    return [each.get() for each in running]
