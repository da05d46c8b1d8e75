"""How many status reads of checkout pages one core answers, from memcached and without it, through
the handler of `functions/billing/checkout.py`.

MariaDB, memcached and MiniStack are real. The product's processes share one core and the engines
have the others. Each process answers one request at a time, as a Lambda environment does: API
Gateway's proxy event in, its answer out, the quota of its source address counted in memcached as
always. What is read are many invoices in turn, so entries expire and are filled again during the
run. The reference is the same read with a status cache that holds nothing, in the same run.

Run: `make bench BENCH=status`.
"""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, cycle
from multiprocessing import get_context
from multiprocessing.pool import Pool
from typing import Any

from tests.bench.figures import Figure, machine, progress, quantile
from tests.bench.invoices_stage import Stage, pinned, stage

NAME = "status"
ENGINES = ("mariadb", "memcached", "ministack")
AT_ONCE = (4, 1)
ROUNDS = 3
SPAN_S = 3.0
INVOICES = 100
DATABASE = "the same read answered by the database, same run and core"


@dataclass(frozen=True, slots=True)
class Measured:
    """What one process did: how long each answer took."""

    span_s: float
    took_s: Sequence[float]
    processor_s: float


def main() -> None:
    """Measure and print the figures."""
    with (
        stage(NAME, ENGINES, INVOICES) as found,
        get_context("spawn").Pool(max(AT_ONCE), _quiet) as pool,
    ):
        core = pinned(found)
        names = pool.apply(create, (found,))
        progress(NAME, f"{len(names)} invoices; {machine()}")
        for known in (True, False):
            for workers in AT_ONCE:
                kept: list[Sequence[Measured]] = []
                bare: list[Sequence[Measured]] = []
                for _ in range(ROUNDS):
                    for cached, rounds in ((True, kept), (False, bare)):
                        work = partial(read, found, names, core, cached=cached, known=known)
                        rounds.append(_round(pool, workers, work))
                what = "nothing new (304)" if known else "first question (200)"
                show(f"{what}, {workers} processes on one core", kept, bare)
                progress(NAME, f"{what}, {workers} at once; {machine()}")


def show(case: str, kept: Sequence[Sequence[Measured]], bare: Sequence[Sequence[Measured]]) -> None:
    """Rate, waiting and processor time."""
    Figure(NAME, case, "status_reads_per_s", _rate(kept), "1/s", _rate(bare), DATABASE).show()
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        ours, other = _took_ms(kept, share), _took_ms(bare, share)
        Figure(NAME, case, name, ours, "ms", other, DATABASE).show()
    spent = (_processor_ms(kept), _processor_ms(bare))
    Figure(NAME, case, "processor_ms_per_read", spent[0], "ms", spent[1], DATABASE).show()


def _rate(rounds: Sequence[Sequence[Measured]]) -> float:
    return sum(len(m.took_s) / m.span_s for each in rounds for m in each) / len(rounds)


def _took_ms(rounds: Sequence[Sequence[Measured]], share: float) -> float:
    return quantile([took for each in rounds for m in each for took in m.took_s], share) * 1000


def _processor_ms(rounds: Sequence[Sequence[Measured]]) -> float:
    every = [m for each in rounds for m in each]
    return sum(m.processor_s for m in every) / sum(len(m.took_s) for m in every) * 1000


def _round(pool: Pool, workers: int, work: "partial[Measured]") -> Sequence[Measured]:
    running = [pool.apply_async(work, (number,)) for number in range(workers)]
    return [each.get() for each in running]


def _quiet() -> None:
    """The product logs to stdout, where the figures are."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def create(found: Stage) -> Sequence[str]:
    """Invoices to read, made by the product; their public ids."""
    os.environ.update(found.environment)
    from orion.billing.creation import Asked
    from orion.billing.ports import KeyedRequest
    from orion.records import parse_json
    from orion.runtime.billing import invoices

    names = []
    for number in range(INVOICES):
        merchant = found.merchants[number % len(found.merchants)]
        request = KeyedRequest(merchant, f"k{number}", "POST /v1/invoices", b"." * 32)
        asked = Asked("25.00", "EUR", ("BTC.bitcoin", "ETH.ethereum"), None, 3600)
        made = invoices().create_invoice(request, asked, lane="standard", trace_id="ab" * 16)
        names.append(str(parse_json(made.body)["id"]))
    return names


def read(
    found: Stage, names: Sequence[str], core: int, number: int, *, cached: bool, known: bool
) -> Measured:
    """Read for SPAN_S on `core`, as worker `number`."""
    os.environ.update(found.environment)
    os.sched_setaffinity(0, {core})
    from functions.billing.checkout import handler
    from orion.adapters.memcached.cache import Cache
    from orion.runtime import checkout, status_cache

    nothing = status_cache.StatusCache(Cache((), "", lambda word: None))
    vars(checkout)["statuses"] = status_cache.statuses if cached else lambda: nothing
    addresses = count(number << 24)
    events = []
    for name in names:
        first: Any = handler(_event(name, "", next(addresses)), None)
        events.append(_event(name, first["headers"]["ETag"] if known else "", next(addresses)))
    # Whoever is served for long is one of many: no address comes near its quota.
    took_s: list[float] = []
    expected = 304 if known else 200
    spent, begun = time.process_time(), time.monotonic()
    for event in cycle(events):
        event["requestContext"] = {"identity": {"sourceIp": str(next(addresses))}}
        asked = time.perf_counter()
        answer = handler(event, None)
        took_s.append(time.perf_counter() - asked)
        if answer["statusCode"] != expected:
            raise RuntimeError(f"a read was answered {answer['statusCode']}")
        if time.monotonic() - begun >= SPAN_S:
            break
    return Measured(time.monotonic() - begun, took_s, time.process_time() - spent)


def _event(name: str, etag: str, address: int) -> dict[str, Any]:
    headers: Mapping[str, str] = {"if-none-match": etag} if etag else {}
    return {
        "httpMethod": "GET",
        "resource": "/checkout/{invoice_id}/status",
        "pathParameters": {"invoice_id": name},
        "queryStringParameters": None,
        "headers": headers,
        "body": None,
        "isBase64Encoded": False,
        "requestContext": {"identity": {"sourceIp": str(address)}},
    }
