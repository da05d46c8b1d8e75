"""Idempotency keys: one effect and one answer for each (scope, key), decided by a unique row in the
caller's transaction.

Source: IETF draft-ietf-httpapi-idempotency-key-header, sections 2.6 and 2.7.

Only answers of transactions that commit are stored. A refusal rolls its key back with everything
else, so the same
key works once the cause is mended; and a process that dies leaves no key behind, because its
transaction never commits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pymysql

from orion.adapters.mysql.one_trip import Columns, Question, Row, ask
from orion.adapters.mysql.session import Cursor
from orion.errors import OrionError, Retry

_DUPLICATE, _LOCK_WAIT = 1062, 1205


class IdempotencyKeyReused(OrionError):
    """The key belongs to another request."""

    code = "idempotency_key_reused"


class IdempotencyKeyInFlight(OrionError):
    """The first request with this key has not finished."""

    code = "idempotency_key_in_flight"
    retry = Retry.SAME_KEY


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with. `kept` is what a replay gets: `body` itself, or `body` with
    secrets as null. `replayed`: the request had its effect before.
    """

    status: int
    body: bytes
    kept: bytes
    replayed: bool = False


def once(
    cursor: Cursor,
    *,
    scope: bytes,
    key: str,
    route: str,
    request_hash: bytes,
    now: datetime,
    work: Callable[[], Answer],
) -> Answer:
    """The answer of `work`, run at most once for (scope, key), in the caller's transaction; later,
    the kept answer.

    Call it first in the transaction. A concurrent second caller waits for the first as long as a
    session waits for any lock (`innodb_lock_wait_timeout` of the server, docs/contracts.md), below
    the 10 s that a synchronous request may take.
    `scope` has 1 to 32 bytes (a merchant's id), `request_hash` 32. What `work` raises must roll the
    transaction back.
    Raises IdempotencyKeyInFlight, IdempotencyKeyReused.
    """
    if claim(cursor, scope, key, route, request_hash, now):
        answer = work()
        cursor.execute(
            "UPDATE idempotency SET status = %s, response = %s"
            " WHERE scope = %s AND idempotency_key = %s",
            (answer.status, answer.kept, scope, key),
        )
        return answer
    found = kept(ask(cursor, [question(scope, key)])[0], route, request_hash)
    if found is None:
        raise IdempotencyKeyInFlight("the first request with this key has not finished")
    return found


_KEPT = Columns({"route": str, "request_hash": bytes, "status": int, "response": bytes})


def question(scope: bytes, key: str) -> Question:
    """What `kept` reads."""
    return Question(
        _KEPT,
        "FROM idempotency WHERE scope = %s AND idempotency_key = %s",
        (scope, key),
    )


def kept(rows: Sequence[Row], route: str, request_hash: bytes) -> Answer | None:
    """The answer that this key has, None of a new one. Raises IdempotencyKeyInFlight,
    IdempotencyKeyReused.
    """
    for key_route, key_hash, status, response in rows:
        if not isinstance(status, int) or not isinstance(response, bytes):
            raise IdempotencyKeyInFlight("the first request with this key has not finished")
        if key_route != route or key_hash != request_hash:
            raise IdempotencyKeyReused("this key was used for another request")
        return Answer(status, response, response, replayed=True)
    return None


def claim(
    cursor: Cursor, scope: bytes, key: str, route: str, request_hash: bytes, now: datetime
) -> bool:
    """Whether the key is new; it is then this transaction's, without an answer yet. Waits for a
    concurrent first request as `once` does. Raises IdempotencyKeyInFlight.
    """
    try:
        cursor.execute(
            "INSERT INTO idempotency (scope, idempotency_key, route, request_hash, created_at)"
            " VALUES (%s, %s, %s, %s, %s)",
            (scope, key, route, request_hash, now.replace(tzinfo=None)),
        )
    except pymysql.err.IntegrityError as exc:
        if exc.args[0] != _DUPLICATE:
            raise
        return False
    except pymysql.err.OperationalError as exc:
        if exc.args[0] != _LOCK_WAIT:
            raise
        raise IdempotencyKeyInFlight("the first request with this key has not finished") from exc
    return True


def forget(cursor: Cursor, now: datetime, *, older_than: timedelta, limit: int) -> int:
    """Delete keys older than `older_than`, at most `limit`; how many went."""
    return cursor.execute(
        "DELETE FROM idempotency WHERE created_at < %s ORDER BY created_at LIMIT %s",
        ((now - older_than).replace(tzinfo=None), limit),
    )
