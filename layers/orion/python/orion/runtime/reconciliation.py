"""Composition of the reconciliation's steps. Each function builds only the books that it reads."""

import logging
import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING

import boto3

from orion.adapters.mysql.reconciliation_runs import MySqlRunStore
from orion.adapters.mysql.session import Database
from orion.log.reconciliation import calls, service
from orion.log.reconciliation.model import Book, Run
from orion.log.reconciliation.report import Outcome
from orion.runtime import clock
from orion.runtime.log import logger, new_trace_id, set_trace_id, trace_id
from orion.runtime.metrics import count
from orion.runtime.settings import AWS_CLIENT, MissingSetting, mysql_config, postgres_config
from orion.runtime.wakeup import wake

if TYPE_CHECKING:
    from orion.adapters.aws.reconciled_segments import S3SegmentBook
    from orion.adapters.mysql.reconciled_ledger import MySqlLedgerReader
    from orion.adapters.postgres.reconciled_book import PostgresBookReader

_log = logging.getLogger(__name__)

Event = Mapping[str, object]
Answer = Mapping[str, object]


@cache
def _database() -> Database:
    return Database(mysql_config("log", "orion_log", direct=False))


@cache
def _runs() -> MySqlRunStore:
    return MySqlRunStore(_database())


@cache
def _ledger() -> "MySqlLedgerReader":
    from orion.adapters.mysql.reconciled_ledger import MySqlLedgerReader

    return MySqlLedgerReader(_database())


@cache
def _external() -> "PostgresBookReader":
    from orion.adapters.postgres.reconciled_book import PostgresBookReader
    from orion.adapters.postgres.session import Database as ExternalDatabase

    return PostgresBookReader(ExternalDatabase(postgres_config("book-auditor")))


@cache
def _segments() -> "S3SegmentBook":
    from orion.adapters.aws.reconciled_segments import S3SegmentBook
    from orion.runtime.ledger_book import reader

    return S3SegmentBook(boto3.client("s3", config=AWS_CLIENT), _bucket(), reader())


def _bucket() -> str:
    bucket = os.environ.get("ORION_LEDGER_BOOK_BUCKET")
    if not bucket:
        raise MissingSetting("the environment variable ORION_LEDGER_BOOK_BUCKET is not set")
    return bucket


def _books() -> service.Books:
    return service.Books(_ledger(), _segments(), _external())


def _trace(run: Run) -> None:
    set_trace_id(run.trace_id.hex())


def _is_late(name: str) -> bool:
    run = _runs().run(name)
    _trace(run)
    late = service.is_late(run, clock.now())
    if late:
        _log.error("the run has lasted too long", extra={"run": name})
    return late


def plan(event: Event) -> Answer:
    """`{"run", "scope"?}`: `planned` with the ranges' numbers, or `waiting` for a book that
    follows.
    """
    logger()
    call = calls.plan_call(event)
    trace = bytes.fromhex(new_trace_id())
    planned = service.plan(_runs(), _books(), call.run, call.scope, trace, clock.now())
    _trace(planned.run)
    if planned.ranges is None:
        _log.info("a book is behind", extra={"run": call.run})
        return {"outcome": "waiting"}
    _log.info("run planned", extra={"run": call.run, "ranges": len(planned.ranges)})
    return {"outcome": "planned", "ranges": [part.number for part in planned.ranges]}


def book_roots(event: Event) -> Answer:
    """`{"run", "range", "book"}`: reads one book over one range and keeps its roots."""
    logger()
    call = calls.book_call(event)
    if _is_late(call.run):
        return {"outcome": "late"}
    if call.book is Book.SEGMENTS:
        entries = service.read_segments(_runs(), _segments(), call.run, call.range)
    else:
        reader = _ledger() if call.book is Book.MYSQL else _external()
        entries = service.read_book(_runs(), reader, call.book, call.run, call.range)
    _log.info("book read", extra={"book": str(call.book), "range": call.range, "entries": entries})
    return {"outcome": "read", "entries": entries}


def compare(event: Event) -> Answer:
    """`{"run", "range"}`: names the entries on which the books differ."""
    return _range_step(
        event, lambda run, number: len(service.compare(_runs(), _books(), run, number))
    )


def causes(event: Event) -> Answer:
    """`{"run", "range"}`: every entry against the rule of its cause."""
    from orion.adapters.mysql.reconciled_causes import MySqlCauseReader
    from orion.adapters.mysql.reconciled_statements import MySqlStatementRows

    reader, statements = MySqlCauseReader(_database()), MySqlStatementRows(_database())
    return _range_step(
        event,
        lambda run, number: len(
            service.check_causes(_runs(), reader, statements, run, number, clock.now())
        ),
    )


def _range_step(event: Event, check: Callable[[str, int], int]) -> Answer:
    logger()
    call = calls.range_call(event)
    if _is_late(call.run):
        return {"outcome": "late"}
    found = check(call.run, call.range)
    level = logging.ERROR if found else logging.INFO
    _log.log(level, "range checked", extra={"range": call.range, "differences": found})
    return {"outcome": "checked", "differences": found}


def sums(event: Event) -> Answer:
    """`{"run"}`: counters, balances of debits and credits, what is in flight, statements."""
    from orion.adapters.mysql.reconciled_sums import MySqlLedgerSums

    logger()
    call = calls.run_call(event)
    _trace(_runs().run(call.run))
    found = service.check_sums(_runs(), MySqlLedgerSums(_database()), _external(), call.run)
    _log.log(logging.ERROR if found else logging.INFO, "sums checked",
             extra={"differences": len(found)})  # fmt: skip
    return {"outcome": "checked", "differences": len(found)}


def report(event: Event) -> Answer:
    """`{"run"}`: writes the report, ends the run. The outcome is `equal`,
    `different` or `not_checked`.
    """
    from orion.adapters.aws.reconciled_segments import S3ReportStore

    logger()
    call = calls.run_call(event)
    reports = S3ReportStore(boto3.client("s3", config=AWS_CLIENT), _bucket())
    trace = bytes.fromhex(new_trace_id())
    try:
        done = service.report(_runs(), reports, call.run, trace, clock.now())
    finally:
        # Incidents are told also where the report itself could not be written.
        wake("log")
    _trace(done.run)
    # A run that could not check everything raises the same alarm: unknown is not equal.
    alarming = done.differences or int(done.outcome is not Outcome.EQUAL)
    count("log", "Reconciliation differences", alarming)
    level = logging.INFO if done.outcome is Outcome.EQUAL else logging.ERROR
    _log.log(
        level,
        "reconciliation ended",
        extra={
            "run": call.run,
            "outcome": str(done.outcome),
            "differences": done.differences,
            "incidents": len(done.incidents),
            "report": done.key,
            "trace_id": trace_id(),
        },
    )
    return {"outcome": str(done.outcome), "differences": done.differences, "report": done.key}
