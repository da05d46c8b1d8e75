"""The outbox relay: one implementation, run by every module's `outbox_relay` function.

Only one relay of a module sends at a time: it holds a named lock of the database session, and a
second one waits for it (so no wake-up is lost between the holder's last look and its release). The
lock ends with its session, and a session whose process vanished ends after `DIRECT_IDLE_S`.
Should a holder outlive its session, records are sent twice, never lost, and consumers know each by
its event id. Rows are marked only after every acknowledgement, and only under the lock: what a
relay sends that has lost it is sent again by the next one. So everything that is marked was sent
while its sender held the lock, and whoever takes the lock and gives it back knows that nothing but
repetitions can follow by an older shard map (docs/ledger.md, "Moving a bucket").
"""

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache

from orion.adapters.kafka.producer import Producer
from orion.adapters.mysql import idempotency, outbox
from orion.adapters.mysql.session import Cursor, Database, DatabaseUnavailable
from orion.runtime import clock
from orion.runtime.log import logger
from orion.runtime.relay_refusals import Refusals
from orion.runtime.relay_run import LambdaContext, Run, Waiting
from orion.runtime.settings import kafka_config, mysql_config
from orion.runtime.wakeup import woken

_LOCK_WAIT_S = 5
_KEEP_SENT = timedelta(days=7)
# The ledger's own tables hold what it sent, and nothing of it is ever told again: its rows are
# numbered in the commit that makes them, and a handover that is repeated changes nothing.
_KEEP_SENT_BY = {"ledger": timedelta(hours=24)}
_KEEP_KEYS = timedelta(days=7)  # As docs/contracts.md promises to those who retry.
# The binary log takes a deleted row whole: 500 are 450 MB at most.
FORGET_ROWS = 500
_FORGET_ROUNDS = 2_000
_FORGET_BEFORE_DEADLINE_MS = 15_000

_log = logging.getLogger(__name__)


def relay(module: str, event: Mapping[str, object], context: LambdaContext) -> Mapping[str, int]:
    """Send what waits in the outbox of `module`; how many rows went. Stops before the invocation's
    deadline. What the schedule starts then deletes old rows, whoever holds the lock.
    """
    logger()
    woken(module)
    database, producer, refusals = _resources(module)
    try:
        sent = _send_all(Waiting(module, database), producer, context, refusals)
    finally:
        # Also while something refuses: sent rows pile up else.
        if "Records" not in event:
            forget_old(database, module, context)
    _log.info("relayed", extra={"module_name": module, "sent": sent})
    return {"sent": sent}


def _send_all(
    waiting: Waiting, producer: Producer, context: LambdaContext, refusals: Refusals
) -> int:
    """What waits, under the module's lock; 0 where another relay keeps that."""
    try:
        with waiting.database.transaction() as cursor:
            if not _take_lock(cursor, waiting.module):
                return 0
        run = Run(waiting, producer, context, refusals)
        run.everything()
        return run.sent
    finally:
        _release_lock(waiting.database, waiting.module)


def forget_old(database: Database, module: str, context: LambdaContext) -> None:
    """Delete what proves nothing any more from the two tables that stand in every schema, a few
    rows a transaction, until none is left or the time is up.
    """
    now = clock.now()
    keep_sent = _KEEP_SENT_BY.get(module, _KEEP_SENT)

    def sent_rows(cursor: Cursor) -> int:
        return outbox.forget_sent(cursor, now, older_than=keep_sent, limit=FORGET_ROWS)

    def keys(cursor: Cursor) -> int:
        return idempotency.forget(cursor, now, older_than=_KEEP_KEYS, limit=FORGET_ROWS)

    full = [sent_rows, keys]
    for _ in range(_FORGET_ROUNDS):
        full = [forget for forget in full if database.run(forget) == FORGET_ROWS]
        if not full:
            return
        if context.get_remaining_time_in_millis() < _FORGET_BEFORE_DEADLINE_MS:
            break
    _log.warning("old rows are left", extra={"module_name": module, "tables": len(full)})


def _take_lock(cursor: Cursor, module: str) -> bool:
    cursor.execute("SELECT GET_LOCK(%s, %s)", (outbox.relay_lock(module), _LOCK_WAIT_S))
    row = cursor.fetchone()
    return row is not None and row[0] == 1


def _release_lock(database: Database, module: str) -> None:
    try:
        with database.transaction() as cursor:
            cursor.execute("SELECT RELEASE_LOCK(%s)", (outbox.relay_lock(module),))
    except DatabaseUnavailable:
        database.close()


@cache
def _resources(module: str) -> tuple[Database, Producer, Refusals]:
    config = mysql_config(module, f"orion_{module.replace('-', '_')}", direct=True)
    producer = Producer(kafka_config(module), client_id=f"orion-relay-{module}")
    return Database(config), producer, Refusals()


def relay_handler(
    module: str,
) -> Callable[[Mapping[str, object], LambdaContext], Mapping[str, int]]:
    """The Lambda handler of one module's relay."""

    def handler(event: Mapping[str, object], context: LambdaContext) -> Mapping[str, int]:
        return relay(module, event, context)

    return handler
