"""One process of the bench of invoices: the API's handler, or the statements alone."""

import json
import os
import random
import re
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from multiprocessing.synchronize import Barrier
from typing import Any
from unittest.mock import patch

from demos.first_light.merchant import StoryFailure
from orion.adapters.mysql.session import Cursor, Database
from orion.ids import ID_BYTES, public_id, random_id
from tests.bench.invoices_stage import COINS, Stage

WARM_UP = 40
WALLET_AT = 7  # Of the values that store an invoice: behind its key and answer.
WARM_WITHIN_S = 120.0
_KEY = re.compile("[0-9a-f]{32}", re.ASCII)  # Of a request, and of a trace.


@dataclass(frozen=True, slots=True)
class Statement:
    """What one statement was given: `rows` where it was given many at once."""

    sql: str
    values: tuple[object, ...]
    rows: tuple[tuple[object, ...], ...] | None


@dataclass(frozen=True, slots=True)
class Measured:
    """What one process did between two moments of the machine's monotonic clock."""

    took_s: Sequence[float]
    span_s: float
    processor_s: float


def recorded(stage: Stage) -> Sequence[Statement]:
    """The statements that the product runs for one invoice, in their order."""
    _begin(stage)
    for _ in range(WARM_UP):
        _create(stage)
    found: list[Statement] = []
    execute, executemany = Cursor.execute, Cursor.executemany
    inside = False

    def seen(cursor: Cursor, query: str, args: Any = None) -> int:
        if not inside:
            found.append(Statement(query, tuple(args or ()), None))
        return execute(cursor, query, args)

    def seen_many(cursor: Cursor, query: str, args: Any) -> int | None:
        nonlocal inside
        found.append(Statement(query, (), tuple(map(tuple, args))))
        inside = True
        try:
            return executemany(cursor, query, args)
        finally:
            inside = False

    # The client's own cursor, and here only: what the product asks of it is what is wanted.
    with patch.object(Cursor, "execute", seen), patch.object(Cursor, "executemany", seen_many):
        _create(stage)
    return found


_starts: dict[int, Barrier] = {}


def share_starts(starts: Mapping[int, Barrier]) -> None:
    """Initialise a process: for so many at once, that barrier is passed when all are warm."""
    _starts.update(starts)


def measured(
    stage: Stage, statements: Sequence[Statement] | None, core: int, at_once: int, span_s: float
) -> Measured:
    """Invoice after invoice for `span_s`, on one core together with the other processes of
    `at_once`; of `statements` where they are given, else through the handler.
    """
    _begin(stage)
    os.sched_setaffinity(0, {core})
    once: Callable[[], None] = (
        (lambda: _create(stage)) if statements is None else (lambda: _replay(stage, statements))
    )
    for _ in range(WARM_UP):
        once()
    _starts[at_once].wait(WARM_WITHIN_S)
    took_s: list[float] = []
    spent, begin = time.process_time(), time.monotonic()
    now = begin
    while now < begin + span_s:
        before = now
        once()
        now = time.monotonic()
        took_s.append(now - before)
    return Measured(took_s, now - begin, time.process_time() - spent)


def _begin(stage: Stage) -> None:
    """Be the function of this stage: its environment, and its log where nobody reads it."""
    os.environ.update(stage.environment)
    _quieten()


@cache
def _quieten() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _create(stage: Stage) -> None:
    merchant = random.choice(stage.merchants)  # noqa: S311 - no secret
    answer = import_module("functions.billing.api").handler(_event(merchant), None)
    if answer["statusCode"] != 201:
        raise StoryFailure(f"expected an invoice; the API said {answer}")


def _event(merchant: bytes) -> Mapping[str, object]:
    """As API Gateway hands a request over after the authorizer (Amazon API Gateway Developer Guide,
    "Input format of a Lambda function for proxy integration").
    """
    body = {
        "amount": "25.00",
        "currency": "EUR",
        "assets": list(COINS),
        "reference": f"order {_hexadecimal(8)}",
    }
    headers = {
        "accept": "application/json",
        "content-type": "application/json",
        "host": "pay.example.com",
        "idempotency-key": _hexadecimal(16),
        "user-agent": "bench",
        "x-amzn-trace-id": f"Root=1-{_hexadecimal(4)}-{_hexadecimal(12)}",
    }
    return {
        "resource": "/v1/invoices",
        "path": "/v1/invoices",
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": "/v1/invoices",
            "httpMethod": "POST",
            "requestId": _hexadecimal(16),
            "identity": {"sourceIp": "203.0.113.9", "userAgent": "bench"},
            "authorizer": {
                "merchant_id": public_id("mer", merchant),
                "key_id": public_id("key", merchant),
                "scopes": "invoices:write invoices:read",
                "lane": "standard",
            },
        },
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


def _hexadecimal(count: int) -> str:
    """So many bytes. Not of the kernel: to ask it is what clients and API Gateway do, not we."""
    return random.randbytes(count).hex()  # noqa: S311 - no secret


@cache
def _database() -> Database:
    from orion.runtime.settings import mysql_config

    return Database(mysql_config("billing", "orion_billing", direct=False))


def _replay(stage: Stage, statements: Sequence[Statement]) -> None:
    """The same statements in one transaction, as a new invoice: of some merchant, under another
    key, with other identities and the wallet that is free now.
    """
    fresh = _Fresh(stage)
    wallet: tuple[object, ...] = ()
    with _database().transaction() as cursor:
        for statement in statements:
            if statement.rows is not None:
                cursor.executemany(statement.sql, [fresh.values(row) for row in statement.rows])
                continue
            values = fresh.values(statement.values)
            if statement.sql.startswith("CALL store_invoice"):
                values = (*values[:WALLET_AT], *wallet, *values[WALLET_AT + len(wallet) :])
            cursor.execute(statement.sql, values)
            rows = cursor.fetchall()
            if "SKIP LOCKED" in statement.sql:
                wallet = _wallet(statement.sql, rows)


def _wallet(sql: str, rows: Sequence[tuple[Any, ...]]) -> tuple[object, ...]:
    """Group and number of the free wallet, of what came in one trip (`adapters.mysql.one_trip`)."""
    [place] = [n for n, each in enumerate(sql.split(" UNION ALL ")) if "SKIP LOCKED" in each]
    for number, array in rows:
        if number == place:
            return tuple(int(each) for each in json.loads(array)[:2])
    raise StoryFailure("the wallets are used up; to mend: measure with more")


class _Fresh:
    """Values of a recorded invoice with what must be new in each: the same for the same."""

    def __init__(self, stage: Stage) -> None:
        self._known: dict[object, object] = {}
        self._stage = stage

    def values(self, recorded_values: Sequence[object]) -> tuple[object, ...]:
        return tuple(
            self._known.setdefault(value, self._new(value))
            if isinstance(value, bytes | str)
            else value
            for value in recorded_values
        )

    def _new(self, value: bytes | str) -> object:
        if isinstance(value, str):
            return secrets.token_hex(16) if _KEY.fullmatch(value) else value
        if len(value) != ID_BYTES:
            return value
        merchants = self._stage.merchants
        # Ordered by time, as the product's are: rows go to the ends of their indexes.
        return secrets.choice(merchants) if value in merchants else random_id()
