"""`kill -9` of writers, relays, databases, broker and books' writers, 200 times, under traffic.

On a stack of its own a module tells the ledger of credits, finals, reversals, payouts of two phases
and chains, repetitions and contradictions among them, for merchants whose buckets lie in four
shards and, from the middle on, in eight. Meanwhile one process after another is killed at a random
point and started again. At the end everything must be followed, and then: every id that was sent
is posted or refused once as a replay without shards and deaths says, counters are the replay's,
sums and clearing are zero, statements equal accounts, and the three books are the same, entry by
entry and by the reconciliation. The reference is the same traffic with nobody killed.

Run: `make bench BENCH=chaos`; it takes a quarter of an hour and therefore runs only when it is
named. ORION_CHAOS_KILLS names another number of kills, ORION_CHAOS_SEED another order.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from infra.local import Stack, stack_up
from infra.local.deploy_aws import Account, DeployFailed
from infra.local.failure import StackFailure
from tests.bench.chaos_kills import Killer, plan
from tests.bench.chaos_load import Load
from tests.bench.chaos_reconciled import check_books
from tests.bench.chaos_traffic import Traffic
from tests.bench.chaos_verdict import Base, Books, NotSurvived, legs_of
from tests.bench.figures import Figure, machine, progress
from tests.bench.start import folder
from tests.e2e.scene import rows

NAME = "chaos"
KILLS = "ORION_CHAOS_KILLS"
SEED = "ORION_CHAOS_SEED"
KILLS_DEFAULT, KILLS_MAX = 200, 10_000
MERCHANTS = 48
RECORDS_PER_S = 60.0
FEW_SHARDS, MANY_SHARDS = 4, 8
PAUSE_MAX_S = 1.5
_TOLD_EVERY_S = 10.0
_SETTLED_WITHIN_S = 60.0
UNDISTURBED = "the same number of records at the same pace, nobody killed, same run"


@dataclass(frozen=True, slots=True)
class Survived:
    """Seconds from the first record until every book had the last one."""

    took_s: float
    traffic: Traffic
    killed: Counter[str]


def number(name: str, default: int, most: int) -> int:
    """From the environment. Raises StackFailure."""
    text = os.environ.get(name, str(default))
    found = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= found <= most:
        raise StackFailure(f"{name} is a whole number from 1 to {most:,}")
    return found


def main() -> None:
    """Kill, count, compare, print the figures."""
    kills, seed = number(KILLS, KILLS_DEFAULT, KILLS_MAX), number(SEED, 1, 2**31)
    victims = plan(kills, seed)
    with folder() as var:
        stack = stack_up(var, report=partial(progress, NAME))
        grow(stack, FEW_SHARDS)
        progress(NAME, f"up, {FEW_SHARDS} shards; {machine()}")
        books = Books(stack)
        before = books.base()
        disturbed = survive(stack, books, before, victims, seed)
        records = len(disturbed.traffic.sent)
        progress(NAME, f"followed after {disturbed.took_s:.0f} s; {machine()}")
        books.check(before, disturbed.traffic.replay)
        progress(NAME, f"{legs_of(stack):,} legs between {shards_in_use(stack)} shards")
        progress(NAME, f"undisturbed now: {records:,} records")
        calm = undisturbed(stack, books, records, seed)
        progress(NAME, f"followed after {calm.took_s:.0f} s; {machine()}")
        books.check(before, disturbed.traffic.replay, calm.traffic.replay)
        ranges = check_books(stack, "chaos")
        progress(NAME, f"{ranges} ranges of the three books are equal; {machine()}")
    show(disturbed, calm)


def survive(
    stack: Stack, books: Books, before: Base, victims: Sequence[str], seed: int
) -> Survived:
    """Kill them all under traffic, then wait until all is followed. Raises NotSurvived."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    traffic, killer = Traffic(seed, "disturbed", MERCHANTS), Killer(stack)
    begun_s = told_s = time.monotonic()
    with Load(stack, traffic, RECORDS_PER_S) as load:
        for count, victim in enumerate(victims, start=1):
            time.sleep(chance.uniform(0, PAUSE_MAX_S))
            killer.kill(victim)
            load.check()
            if count == len(victims) // 2:
                grow(stack, MANY_SHARDS, wait=False)
            if time.monotonic() - told_s > _TOLD_EVERY_S:
                told_s = time.monotonic()
                progress(NAME, f"{count} of {len(victims)} killed, {len(traffic.sent):,} records")
        load.finish()
    books.await_followed(before, traffic.replay)
    return Survived(time.monotonic() - begun_s, traffic, Counter(victims))


def undisturbed(stack: Stack, books: Books, records: int, seed: int) -> Survived:
    """As many records with nobody killed."""
    before = books.base()
    traffic = Traffic(seed, "undisturbed", MERCHANTS)
    begun_s = time.monotonic()
    with Load(stack, traffic, RECORDS_PER_S, limit=records) as load:
        load.finish()
    books.await_followed(before, traffic.replay)
    return Survived(time.monotonic() - begun_s, traffic, Counter())


def grow(stack: Stack, shards: int, *, wait: bool = True) -> None:
    """Give the ledger so many shards, as an operator does: again after an outage, and until
    nothing moves any more.
    """
    aws = stack.ministack
    account = Account(aws.url, aws.region, aws.environment())
    deadline_s = time.monotonic() + _SETTLED_WITHIN_S
    while True:
        said = _asked(account, shards)
        if said.get("outcome") == "settled" or (said.get("outcome") == "moving" and not wait):
            return
        refused = said.get("outcome") not in ("moving", "away")
        if refused or time.monotonic() > deadline_s:
            raise NotSurvived(f"{shards} shards: {said}")
        time.sleep(0.2)


def _asked(account: Account, shards: int) -> Mapping[str, object]:
    """The function's answer; `away` where it could not give one."""
    try:
        return account.invoke("orion-local-billing-shard-map", {"action": "grow", "shards": shards})
    except DeployFailed as exc:
        return {"outcome": "away", "because": str(exc)}


def show(disturbed: Survived, calm: Survived) -> None:
    """The figures, and who was killed how often."""
    kills = sum(disturbed.killed.values())
    case = f"{kills} kills, {len(disturbed.traffic.sent):,} records"
    for name, count in disturbed.killed.most_common():
        progress(NAME, f"{count:4} {name}")
    Figure(NAME, case, "kills_survived", kills, "1", kills, "kills made, same run").show()
    sent, calm_sent = disturbed.traffic.transfers, calm.traffic.transfers
    Figure(NAME, case, "transfers", sent, "1", calm_sent, UNDISTURBED).show()
    Figure(NAME, case, "time_to_followed", disturbed.took_s, "s", calm.took_s, UNDISTURBED).show()
    rate, calm_rate = sent / disturbed.took_s, calm_sent / calm.took_s
    Figure(NAME, case, "transfers_per_s", rate, "1/s", calm_rate, UNDISTURBED).show()


def shards_in_use(stack: Stack) -> int:
    """How many shards have posted anything."""
    [(count,)] = rows(stack, "SELECT COUNT(*) FROM orion_ledger.shard WHERE next_posted > 1")
    return int(count)
