"""One run of a relay: what waits goes out batch by batch, and what is refused waits alone.

A destination that refuses is left alone until the others have theirs, and so is one that refused
in the last run of this process, until then untried. Where a batch for several
topics is not acknowledged, and no topic said no, its session is given up whole, and each topic is
tried by itself in the next batch. That is read anew, so that nothing is routed by a shard map older
than its rows.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from orion.adapters.kafka.producer import BrokerUnavailable, Message, Producer
from orion.adapters.mysql import outbox
from orion.adapters.mysql.outbox import NOTHING_LEFT_ALONE, LeftAlone, Unsent
from orion.adapters.mysql.session import Cursor, Database
from orion.errors import OrionError, Unavailable
from orion.runtime import clock, relay_queue
from orion.runtime.metrics import count
from orion.runtime.relay_queue import MESSAGE_BYTES, QueueRefused
from orion.runtime.relay_refusals import Refusals
from orion.runtime.relay_routes import Unroutable, partition_of, shards_by_bucket

T = TypeVar("T")

BATCH_ROWS = 500
BATCH_BYTES = 8_000_000  # What the client buffers and a delivery's time can carry.
MAX_BATCHES = 80
_STOP_BEFORE_DEADLINE_MS = 25_000  # One attempt may take as long as a delivery's time-out.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 2.0
_KAFKA, _SQS = "kafka:", "sqs:"

_log = logging.getLogger(__name__)
_Key = tuple[str, bytes]


class LambdaContext(Protocol):
    """The part of Lambda's context object that a relay needs."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until this invocation is ended."""
        ...


class LockLost(Unavailable):
    """The session that held the module's lock ended; the next relay sends what is not marked."""


class MessageTooLarge(OrionError):
    """A stored row that no queue takes: a mistake of the module that stored it."""

    code = "message_too_large"


class MessageRefused(OrionError):
    """A stored row that its queue will not take however often it comes."""

    code = "message_refused"


# They wait for a person, and fail no run.
_FOR_A_PERSON = (MessageTooLarge, MessageRefused)


@dataclass(frozen=True, slots=True)
class Waiting:
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


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows of one queue, or of topics that are sent together; of records also their messages."""

    rows: Sequence[Unsent]
    messages: Sequence[Message] = ()


class Run:
    """`sent` rows went out and are marked. `refusals` are those of earlier runs, and learn."""

    def __init__(
        self, waiting: Waiting, producer: Producer, context: LambdaContext, refusals: Refusals
    ) -> None:
        self.sent = 0
        self._waiting = waiting
        self._producer = producer
        self._context = context
        self._refusals = refusals
        # They refused an earlier run: left alone, untried, until everything else is sent.
        self._last = refusals.recent()
        # Tried by themselves: each was in a batch for several that failed.
        self._suspected: set[str] = set()
        # Left alone until everything else is sent.
        self._refusing: dict[str, OrionError] = {}
        self._refused_keys: dict[_Key, OrionError] = {}
        # Left alone by this run: no second attempt would change it.
        self._stuck: dict[_Key, OrionError] = {}
        self._out_of_sight = False

    def everything(self) -> None:
        """Send what waits until nothing does or the time is up. Raises the first failure of a
        destination that still refuses then.

        Until then what refuses is tried again: a failed invocation's message comes back only after
        the queue's visibility time-out, and the schedule after up to a minute; brokers that restart
        are back sooner.
        """
        pause_s = _FIRST_PAUSE_S
        for _ in range(MAX_BATCHES):
            found = self._batch()
            if self._must_stop():
                _log.warning("relay stops before its deadline", extra={"sent": self.sent})
                break
            if found:
                continue
            if self._last:
                self._suspected |= self._last
                self._last = frozenset()
                continue
            if not (self._refusing or self._refused_keys):
                break
            _log.warning("refused, waiting", extra={"pause_ms": int(pause_s * 1000)})
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            if self._must_stop():
                break
            self._suspected |= set(self._refusing)
            self._refusing.clear()
            self._refused_keys.clear()
        self._tell()

    def _tell(self) -> None:
        """Say what is left. A message that no queue takes waits for a person and fails no run."""
        for_a_person = sum(isinstance(error, _FOR_A_PERSON) for error in self._stuck.values())
        if for_a_person:
            count("outbox", "Messages refused", for_a_person)
        if self._out_of_sight:
            count("outbox", "Rows out of sight", 1)
        failures = [
            *self._refusing.values(),
            *self._refused_keys.values(),
            *(error for error in self._stuck.values() if not isinstance(error, _FOR_A_PERSON)),
        ]
        if failures:
            count("outbox", "Destinations refusing", 1)
            raise failures[0]

    def _must_stop(self) -> bool:
        return self._context.get_remaining_time_in_millis() < _STOP_BEFORE_DEADLINE_MS

    def _batch(self) -> bool:
        """Send one batch; whether there was anything to send."""
        found, groups = self._waiting.run(self._next)
        for group in groups:
            if group.messages:
                self._to_kafka(group)
            else:
                self._to_queue(group.rows)
            if self._must_stop():
                break
        return found

    def _next(self, cursor: Cursor) -> tuple[bool, Sequence[_Group]]:
        """Whether there are rows that are not left alone, and how the oldest of them go out: to
        Kafka by the newest map.
        """
        alone = LeftAlone(
            frozenset({*self._refusing, *self._last}),
            frozenset({*self._refused_keys, *self._stuck}),
        )
        rows = outbox.unsent(cursor, BATCH_ROWS, BATCH_BYTES, alone)
        if not rows and not self._last and alone != NOTHING_LEFT_ALONE:
            self._out_of_sight |= outbox.rows_out_of_sight(cursor)
        shards = shards_by_bucket(cursor, {_topic(unsent) for unsent in rows})
        records: list[tuple[Unsent, Message]] = []
        queued: dict[str, list[Unsent]] = {}
        for unsent in rows:
            if _key(unsent) in self._stuck:
                continue
            try:
                if unsent.row.destination.startswith(_SQS):
                    _check_size(unsent)
                    queued.setdefault(unsent.row.destination, []).append(unsent)
                else:
                    records.append((unsent, _message(unsent, shards)))
            except (Unroutable, MessageTooLarge) as error:
                self._stick(unsent, error)
        return bool(rows), self._groups(records, queued)

    def _groups(
        self, records: Sequence[tuple[Unsent, Message]], queued: Mapping[str, Sequence[Unsent]]
    ) -> Sequence[_Group]:
        """First what never failed, all topics in one; then each suspected destination."""
        by_topic: dict[str, list[tuple[Unsent, Message]]] = {}
        for unsent, message in records:
            alone = unsent.row.destination in self._suspected
            by_topic.setdefault(unsent.row.destination if alone else "", []).append(
                (unsent, message)
            )
        groups = [
            *(
                (name, _Group([row for row, _ in part], [message for _, message in part]))
                for name, part in by_topic.items()
            ),
            *((name, _Group(part)) for name, part in queued.items()),
        ]
        return [group for _, group in sorted(groups, key=lambda each: each[0] in self._suspected)]

    def _stick(self, unsent: Unsent, error: OrionError) -> None:
        row = unsent.row
        _log.error(
            "message stuck", extra={"seq": unsent.seq, "to": row.destination, "error": str(error)}
        )
        self._stuck[_key(unsent)] = error

    def _refuse(self, destinations: Iterable[str], error: OrionError) -> None:
        self._refusing.update(dict.fromkeys(destinations, error))
        self._refusals.note(destinations)

    def _to_kafka(self, group: _Group) -> None:
        try:
            self._producer.send(group.messages)
        except BrokerUnavailable as error:
            self._mark(in_order(group.rows, error.acknowledged))
            missing = {
                unsent.row.destination
                for place, unsent in enumerate(group.rows)
                if place not in error.acknowledged
            }
            _log.warning("refused", extra={"to": sorted(missing), "error": str(error)})
            refused = {f"{_KAFKA}{topic}" for topic in error.refused}
            if refused or len(missing) == 1:
                # The others have not been asked, or go out with the next batch.
                self._refuse(refused or missing, error)
            else:
                self._suspected |= missing
        else:
            self._mark([unsent.seq for unsent in group.rows])
            destinations = {unsent.row.destination for unsent in group.rows}
            self._suspected -= destinations
            self._refusals.forget(destinations)

    def _to_queue(self, rows: Sequence[Unsent]) -> None:
        destination = rows[0].row.destination
        # Not all that are stuck: what stands before a row that is too large goes out.
        gaps: set[_Key] = set()
        for batch in relay_queue.batches(self._doubted_alone(rows)):
            due = [unsent for unsent in batch if _key(unsent) not in gaps]
            if not due:
                continue
            try:
                answer = relay_queue.send(destination.removeprefix(_SQS), due)
            except QueueRefused as error:
                _log.warning("refused", extra={"to": destination, "error": str(error)})
                self._refuse({destination}, error)
                # Several that hang would outlast the session that idles meanwhile.
                self._mark([])
                return
            self._mark(in_order(due, answer.taken))
            for place, unsent in enumerate(due):
                self._heed(unsent, place, answer, gaps)
            if self._must_stop():
                return
        self._suspected.discard(destination)
        self._refusals.forget({destination})

    def _doubted_alone(self, rows: Sequence[Unsent]) -> Sequence[Unsent]:
        """Without what stands behind a row that was refused for good before: with it in one call
        it would be taken, and sent again by each run.
        """
        doubted = self._refusals.keys()
        seen: set[_Key] = set()
        due = []
        for unsent in rows:
            if _key(unsent) not in seen:
                due.append(unsent)
            if _key(unsent) in doubted:
                seen.add(_key(unsent))
        return due

    def _heed(
        self, unsent: Unsent, place: int, answer: relay_queue.Answer, gaps: set[_Key]
    ) -> None:
        key = _key(unsent)
        if key in gaps:
            return  # What stands behind a gap is sent again, whatever its queue says of it.
        if place in answer.taken:
            self._refusals.trust(key)
            return
        gaps.add(key)
        if place in answer.never:
            error = MessageRefused("its queue will not take it", why=answer.never[place])
            self._stick(unsent, error)
            self._refusals.doubt(key)
        else:
            self._refuse_key(unsent)

    def _refuse_key(self, unsent: Unsent) -> None:
        row = unsent.row
        error = QueueRefused("the queue refused a message", to=row.destination, seq=unsent.seq)
        _log.warning("message refused", extra={"seq": unsent.seq, "to": row.destination})
        self._refused_keys[_key(unsent)] = error

    def _mark(self, sequences: Sequence[int]) -> None:
        # Also where there are none: whoever has lost the lock sends nothing more.
        now = clock.now()
        self._waiting.run(lambda cursor: outbox.mark_sent(cursor, sequences, now))
        self.sent += len(sequences)


def in_order(rows: Sequence[Unsent], acknowledged: frozenset[int]) -> Sequence[int]:
    """Which rows count as sent after a failure: those acknowledged before any gap of their key.

    What stands behind a gap is sent again, after it.
    """
    broken: set[_Key] = set()
    sent = []
    for place, unsent in enumerate(rows):
        if place in acknowledged and _key(unsent) not in broken:
            sent.append(unsent.seq)
        else:
            broken.add(_key(unsent))
    return sent


def _check_size(unsent: Unsent) -> None:
    size_bytes = relay_queue.size_bytes(unsent)
    if size_bytes > MESSAGE_BYTES:
        raise MessageTooLarge("no queue takes it", size_bytes=size_bytes)


def _key(unsent: Unsent) -> _Key:
    return unsent.row.destination, unsent.row.key


def _topic(unsent: Unsent) -> str:
    return unsent.row.destination.removeprefix(_KAFKA)


def _message(unsent: Unsent, shards: Sequence[int]) -> Message:
    row, topic = unsent.row, _topic(unsent)
    if topic == row.destination:
        raise Unroutable("neither a topic nor a queue", destination=row.destination)
    return Message(
        topic=topic,
        key=row.key,
        value=row.payload,
        headers={"event-id": row.event_id.hex().encode()},
        partition=partition_of(topic, row.key, shards),
    )
