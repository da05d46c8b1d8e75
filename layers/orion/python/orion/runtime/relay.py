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
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Protocol, TypeVar

from orion.adapters.kafka.producer import BrokerUnavailable, Message, Producer
from orion.adapters.mysql import idempotency, outbox
from orion.adapters.mysql.session import Cursor, Database
from orion.errors import Unavailable
from orion.runtime import clock
from orion.runtime.log import logger
from orion.runtime.relay_routes import partition_of, shards_by_bucket
from orion.runtime.settings import kafka_config, mysql_config
from orion.runtime.wakeup import queue_url, sqs, woken

T = TypeVar("T")

BATCH_ROWS = 500
BATCH_BYTES = 8_000_000  # What the client buffers and a delivery's time can carry.
MAX_BATCHES = 40
_LOCK_WAIT_S = 5
_STOP_BEFORE_DEADLINE_MS = 25_000  # One attempt may take as long as a delivery's time-out.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 2.0
_KEEP_SENT = timedelta(days=7)
# The ledger's own tables hold what it sent, and nothing of it is ever told again: its rows are
# numbered in the commit that makes them, and a handover that is repeated changes nothing.
_KEEP_SENT_BY = {"ledger": timedelta(hours=24)}
_KEEP_KEYS = timedelta(days=7)  # As docs/contracts.md promises to those who retry.
# The binary log takes a deleted row whole: 500 are 450 MB at most.
FORGET_ROWS = 500
_FORGET_ROUNDS = 2_000
_FORGET_BEFORE_DEADLINE_MS = 15_000
_KAFKA = "kafka:"

_log = logging.getLogger(__name__)


class LambdaContext(Protocol):
    """The part of Lambda's context object that a relay needs."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until this invocation is ended."""
        ...


class PartlySent(Unavailable):
    """SQS took only some messages of a batch; the rest stays unsent."""


class LockLost(Unavailable):
    """The session that held the module's lock ended; the next relay sends what is not marked."""


@dataclass(frozen=True, slots=True)
class _Outbox:
    """The outbox of one module, read and marked under its lock only."""

    module: str
    database: Database

    def run(self, work: Callable[[Cursor], T]) -> T:
        """`work` in a transaction of the session that holds the lock. Raises LockLost.

        The lock lives as long as the session, so what commits was done under it.
        """

        def guarded(cursor: Cursor) -> T:
            if not outbox.holds_relay_lock(cursor, self.module):
                raise LockLost("another relay may send by now", outbox=self.module)
            return work(cursor)

        return self.database.run(guarded)


def relay(module: str, event: Mapping[str, object], context: LambdaContext) -> Mapping[str, int]:
    """Send what waits in the outbox of `module`; how many rows went. Stops before the invocation's
    deadline. What the schedule starts then deletes old rows, whoever holds the lock.
    """
    logger()
    woken(module)
    database, producer = _resources(module)
    sent = _send_all(_Outbox(module, database), producer, context)
    if "Records" not in event:
        forget_old(database, module, context)
    _log.info("relayed", extra={"module_name": module, "sent": sent})
    return {"sent": sent}


def _send_all(waiting: _Outbox, producer: Producer, context: LambdaContext) -> int:
    """What waits, under the module's lock; 0 where another relay keeps that."""
    sent = 0
    try:
        with waiting.database.transaction() as cursor:
            if not _take_lock(cursor, waiting.module):
                return 0
        for _ in range(MAX_BATCHES):
            count = _send_patiently(waiting, producer, context)
            sent += count
            if count == 0:
                break
            if _must_stop(context):
                _log.warning("relay stops before its deadline", extra={"sent": sent})
                break
    finally:
        _release_lock(waiting.database, waiting.module)
    return sent


def _send_patiently(waiting: _Outbox, producer: Producer, context: LambdaContext) -> int:
    """As `_send_batch`, again while the brokers are away and there is time.

    A failed invocation's message comes back only after the queue's visibility time-out, and the
    schedule after up to a minute; brokers that restart are back sooner. Raises BrokerUnavailable.
    """
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return _send_batch(waiting, producer)
        except BrokerUnavailable:
            if _must_stop(context):
                raise
            _log.warning("brokers away, waiting", extra={"pause_ms": int(pause_s * 1000)})
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def _must_stop(context: LambdaContext) -> bool:
    return context.get_remaining_time_in_millis() < _STOP_BEFORE_DEADLINE_MS


def _send_batch(waiting: _Outbox, producer: Producer) -> int:
    rows, messages = waiting.run(_next_batch)
    kafka_rows = [unsent for unsent in rows if unsent.row.destination.startswith(_KAFKA)]
    sqs_rows = [unsent for unsent in rows if unsent.row.destination.startswith("sqs:")]
    if kafka_rows:
        try:
            producer.send(messages)
        except BrokerUnavailable as exc:
            _mark(waiting, in_order(kafka_rows, exc.acknowledged))
            raise
        _mark(waiting, [unsent.seq for unsent in kafka_rows])
    for purpose, group in _by_destination(sqs_rows).items():
        for start in range(0, len(group), 10):  # SQS takes ten messages a call.
            _send_to_queue(waiting, purpose, group[start : start + 10])
    return len(rows)


def _next_batch(cursor: Cursor) -> tuple[Sequence[outbox.Unsent], Sequence[Message]]:
    """The oldest unsent rows, and the messages of those that go to Kafka, by the newest map."""
    rows = outbox.unsent(cursor, BATCH_ROWS, BATCH_BYTES)
    told = [unsent.row for unsent in rows if unsent.row.destination.startswith(_KAFKA)]
    shards = shards_by_bucket(cursor, {_topic(row) for row in told})
    return rows, [_message(row, shards) for row in told]


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


def _message(row: outbox.OutboxRow, shards: Sequence[int]) -> Message:
    topic = _topic(row)
    return Message(
        topic=topic,
        key=row.key,
        value=row.payload,
        headers={"event-id": row.event_id.hex().encode()},
        partition=partition_of(topic, row.key, shards),
    )


def _topic(row: outbox.OutboxRow) -> str:
    return row.destination.removeprefix(_KAFKA)


def _by_destination(rows: Sequence[outbox.Unsent]) -> Mapping[str, Sequence[outbox.Unsent]]:
    groups: dict[str, list[outbox.Unsent]] = {}
    for unsent in rows:
        groups.setdefault(unsent.row.destination.removeprefix("sqs:"), []).append(unsent)
    return groups


def _send_to_queue(waiting: _Outbox, purpose: str, rows: Sequence[outbox.Unsent]) -> None:
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
    _mark(waiting, [unsent.seq for number, unsent in enumerate(rows) if number in taken])
    if len(taken) < len(rows):
        raise PartlySent(
            "the queue refused some messages", queue=purpose, refused=len(rows) - len(taken)
        )


def _mark(waiting: _Outbox, sequences: Sequence[int]) -> None:
    waiting.run(lambda cursor: outbox.mark_sent(cursor, sequences, clock.now()))


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
