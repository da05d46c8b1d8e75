"""The outbox relay: one implementation, run by every module's `outbox_relay` function.

Only one relay of a module sends at a time: it holds a named lock of the database session, and a
second one waits for it (so no wake-up is lost between the holder's last look and its release). The
lock ends with its session, and a session whose process vanished ends after `_SESSION_IDLE_S`.
Should a holder outlive its session, records are sent twice, never lost, and consumers know each by
its event id. Rows are marked only after every acknowledgement.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Protocol

from orion.adapters.kafka.producer import BrokerUnavailable, Message, Producer
from orion.adapters.mysql import idempotency, outbox
from orion.adapters.mysql.session import Cursor, Database
from orion.errors import Unavailable
from orion.runtime import clock
from orion.runtime.log import logger
from orion.runtime.settings import kafka_config, mysql_config
from orion.runtime.wakeup import queue_url, sqs

BATCH_ROWS = 500
BATCH_BYTES = 8_000_000  # What the client buffers and a delivery's time can carry.
MAX_BATCHES = 40
_LOCK_WAIT_S = 5
_SESSION_IDLE_S = 30
_STOP_BEFORE_DEADLINE_MS = 25_000  # One attempt may take as long as a delivery's time-out.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 2.0
_KEEP_SENT = timedelta(days=7)
_KEEP_KEYS = timedelta(days=7)  # As docs/contracts.md promises to those who retry.
_FORGET_ROWS = 2_000
# A ledger shard is a partition, so the key says which.
_KEY_IS_PARTITION = frozenset({"ledger.transfers", "ledger.posted", "ledger.refused"})

_log = logging.getLogger(__name__)


class LambdaContext(Protocol):
    """The part of Lambda's context object that a relay needs."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until this invocation is ended."""
        ...


class PartlySent(Unavailable):
    """SQS took only some messages of a batch; the rest stays unsent."""


def relay(module: str, event: Mapping[str, object], context: LambdaContext) -> Mapping[str, int]:
    """Send what waits in the outbox of `module`; how many rows went. Stops before the invocation's
    deadline.
    """
    logger()
    scheduled = "Records" not in event
    database, producer = _resources(module)
    sent = 0
    try:
        with database.transaction() as cursor:
            if not _take_lock(cursor, module):
                return {"sent": 0}
        for _ in range(MAX_BATCHES):
            count = _send_patiently(database, producer, context)
            sent += count
            if count == 0:
                break
            if _must_stop(context):
                _log.warning("relay stops before its deadline", extra={"sent": sent})
                break
        if scheduled:
            database.run(_forget)
    finally:
        _release_lock(database, module)
    _log.info("relayed", extra={"module_name": module, "sent": sent})
    return {"sent": sent}


def _send_patiently(database: Database, producer: Producer, context: LambdaContext) -> int:
    """As `_send_batch`, again while the brokers are away and there is time.

    A failed invocation's message comes back only after the queue's visibility time-out, and the
    schedule after up to a minute; brokers that restart are back sooner. Raises BrokerUnavailable.
    """
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return _send_batch(database, producer)
        except BrokerUnavailable:
            if _must_stop(context):
                raise
            _log.warning("brokers away, waiting", extra={"pause_ms": int(pause_s * 1000)})
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def _must_stop(context: LambdaContext) -> bool:
    return context.get_remaining_time_in_millis() < _STOP_BEFORE_DEADLINE_MS


def _send_batch(database: Database, producer: Producer) -> int:
    rows = database.run(lambda cursor: outbox.unsent(cursor, BATCH_ROWS, BATCH_BYTES))
    kafka_rows = [unsent for unsent in rows if unsent.row.destination.startswith("kafka:")]
    sqs_rows = [unsent for unsent in rows if unsent.row.destination.startswith("sqs:")]
    if kafka_rows:
        try:
            producer.send([_message(unsent.row) for unsent in kafka_rows])
        except BrokerUnavailable as exc:
            _mark(database, in_order(kafka_rows, exc.acknowledged))
            raise
        _mark(database, [unsent.seq for unsent in kafka_rows])
    for purpose, group in _by_destination(sqs_rows).items():
        for start in range(0, len(group), 10):  # SQS takes ten messages a call.
            _send_to_queue(database, purpose, group[start : start + 10])
    return len(rows)


def in_order(rows: Sequence[outbox.Unsent], acknowledged: frozenset[int]) -> Sequence[int]:
    """Which rows count as sent after a failure: those acknowledged before any gap of their key.

    What stands behind a gap is sent again, after it.
    """
    broken: set[tuple[str, bytes]] = set()
    sent = []
    for place, unsent in enumerate(rows):
        where = (unsent.row.destination, unsent.row.key)
        if place in acknowledged and where not in broken:
            sent.append(unsent.seq)
        else:
            broken.add(where)
    return sent


def _message(row: outbox.OutboxRow) -> Message:
    topic = row.destination.removeprefix("kafka:")
    return Message(
        topic=topic,
        key=row.key,
        value=row.payload,
        headers={"event-id": row.event_id.hex().encode()},
        partition=int(row.key) if topic in _KEY_IS_PARTITION else None,
    )


def _by_destination(rows: Sequence[outbox.Unsent]) -> Mapping[str, Sequence[outbox.Unsent]]:
    groups: dict[str, list[outbox.Unsent]] = {}
    for unsent in rows:
        groups.setdefault(unsent.row.destination.removeprefix("sqs:"), []).append(unsent)
    return groups


def _send_to_queue(database: Database, purpose: str, rows: Sequence[outbox.Unsent]) -> None:
    answer = sqs().send_message_batch(
        QueueUrl=queue_url(purpose),
        Entries=[
            {
                "Id": str(number),
                "MessageBody": unsent.row.payload.decode(),
                "MessageAttributes": {
                    "event-id": {"DataType": "String", "StringValue": unsent.row.event_id.hex()}
                },
            }
            for number, unsent in enumerate(rows)
        ],
    )
    taken = {int(entry["Id"]) for entry in answer.get("Successful", [])}
    _mark(database, [unsent.seq for number, unsent in enumerate(rows) if number in taken])
    if len(taken) < len(rows):
        raise PartlySent(
            "the queue refused some messages", queue=purpose, refused=len(rows) - len(taken)
        )


def _mark(database: Database, sequences: Sequence[int]) -> None:
    database.run(lambda cursor: outbox.mark_sent(cursor, sequences, clock.now()))


def _forget(cursor: Cursor) -> None:
    """Both tables stand in every schema, and old rows of both prove nothing any more."""
    now = clock.now()
    outbox.forget_sent(cursor, now, older_than=_KEEP_SENT, limit=_FORGET_ROWS)
    idempotency.forget(cursor, now, older_than=_KEEP_KEYS, limit=_FORGET_ROWS)


def _lock_name(module: str) -> str:
    return f"orion-outbox-{module}"


def _take_lock(cursor: Cursor, module: str) -> bool:
    cursor.execute("SET SESSION wait_timeout = %s", (_SESSION_IDLE_S,))
    cursor.execute("SELECT GET_LOCK(%s, %s)", (_lock_name(module), _LOCK_WAIT_S))
    row = cursor.fetchone()
    return row is not None and row[0] == 1


def _release_lock(database: Database, module: str) -> None:
    try:
        with database.transaction() as cursor:
            cursor.execute("SELECT RELEASE_LOCK(%s)", (_lock_name(module),))
    except Unavailable:
        database.close()


@cache
def _resources(module: str) -> tuple[Database, Producer]:
    config = mysql_config(module, f"orion_{module.replace('-', '_')}", direct=True)
    return Database(config), Producer(kafka_config(module), client_id=f"orion-relay-{module}")


def relay_handler(
    module: str,
) -> Callable[[Mapping[str, object], LambdaContext], Mapping[str, int]]:
    """The Lambda handler of one module's relay."""

    def handler(event: Mapping[str, object], context: LambdaContext) -> Mapping[str, int]:
        return relay(module, event, context)

    return handler
