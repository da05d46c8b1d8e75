"""A poller's broker side: one consumer, and a producer for the dead-letter topic once it is
needed.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from infra.local.poller_event import Fetched
from infra.local.poller_template import KafkaMapping

_PRODUCE_TIMEOUT_S = 10.0

_log = logging.getLogger("poller")


class DeadLetterRefused(Exception):
    """The dead-letter topic did not acknowledge a record."""


@dataclass(frozen=True, slots=True)
class Brokers:
    """How the mapping's principal reaches the cluster. `authority_pem` None: the system's trust
    store.
    """

    servers: str
    username: str
    password: str
    authority_pem: str | None

    def settings(self) -> dict[str, str | int | bool]:
        common: dict[str, str | int | bool] = {
            "bootstrap.servers": self.servers,
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": self.username,
            "sasl.password": self.password,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1000,
            "log_level": 4,
        }
        if self.authority_pem is not None:
            common["ssl.ca.pem"] = self.authority_pem
        return common


class Source:
    """The mapping's topic, read in its consumer group; offsets are committed only by `commit`."""

    def __init__(
        self,
        mapping: KafkaMapping,
        brokers: Brokers,
        *,
        assigned: Callable[[Sequence[int]], None],
        revoked: Callable[[Sequence[int]], None],
    ) -> None:
        self._mapping = mapping
        self._brokers = brokers
        self._topic = mapping.topic
        self._assigned = assigned
        self._revoked = revoked
        self._owned: set[int] = set()
        self._last_error = ""
        self._consumer = self._open()

    def _open(self) -> Consumer:
        consumer = Consumer(
            {
                **self._brokers.settings(),
                "group.id": self._mapping.group,
                # A poller that was killed and started again keeps its partitions at once, instead
                # of waiting until the group misses its former self (KIP-345).
                "group.instance.id": self._mapping.logical_id,
                "session.timeout.ms": 10_000,
                "heartbeat.interval.ms": 1_000,
                "max.poll.interval.ms": 900_000,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest" if self._mapping.from_start else "latest",
                # One record is enough for an answer, so this only bounds how long a partition that
                # was paused waits for the fetch after it is resumed.
                "fetch.min.bytes": 1,
                "fetch.wait.max.ms": 100,
                "fetch.max.bytes": 4_194_304,
                "max.partition.fetch.bytes": 2_097_152,
                "queued.min.messages": 1_000,
                "queued.max.messages.kbytes": 8_192,
                "allow.auto.create.topics": False,
            },
            logger=_log,
        )
        consumer.subscribe(
            [self._topic],
            on_assign=lambda _, parts: self._take([part.partition for part in parts]),
            on_revoke=lambda _, parts: self._leave([part.partition for part in parts]),
            on_lost=lambda _, parts: self._leave([part.partition for part in parts]),
        )
        return consumer

    def _take(self, numbers: Sequence[int]) -> None:
        self._owned.update(numbers)
        self._assigned(numbers)

    def _leave(self, numbers: Sequence[int]) -> None:
        self._owned.difference_update(numbers)
        self._revoked(numbers)

    def poll(self, timeout_s: float, limit: int) -> list[Fetched]:
        """At most `limit` records; waits only for the first. Broker trouble is logged and
        outlived.
        """
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        rest = self._consumer.consume(limit - 1, 0) if limit > 1 else []
        fetched = []
        for message in (first, *rest):
            error = message.error()
            if error is None:
                self._last_error = ""
                fetched.append(_fetched(message))
            else:
                self._report(error)
                if error.code() == KafkaError._FATAL or error.fatal():  # noqa: SLF001
                    # A broker that died in the middle of a join can take this consumer for its own
                    # successor and fence it for ever: only another consumer goes on. What was
                    # fetched is fetched again.
                    self._begin_again()
                    return []
        return fetched

    def _begin_again(self) -> None:
        _log.warning("the consumer was fenced: another one takes its place")
        self._consumer.close()
        self._leave(sorted(self._owned))
        self._consumer = self._open()

    def commit(self, partition: int, offset: int, *, wait: bool = False) -> None:
        """Record that everything below `offset` is done. A lost commit means redelivery, never
        loss.
        """
        place = TopicPartition(self._topic, partition, offset)
        try:
            if wait:
                self._consumer.commit(offsets=[place], asynchronous=False)
            else:
                self._consumer.commit(offsets=[place], asynchronous=True)
        except KafkaException as exc:
            _log.warning("commit of %s-%s %s failed: %s", self._topic, partition, offset, exc)

    def pause(self, partition: int) -> None:
        self._consumer.pause([TopicPartition(self._topic, partition)])

    def resume(self, partition: int) -> None:
        self._consumer.resume([TopicPartition(self._topic, partition)])

    def close(self) -> None:
        self._consumer.close()

    def _report(self, error: KafkaError) -> None:
        text = str(error)
        if text != self._last_error:
            self._last_error = text
            _log.warning("broker: %s", text)


class DeadLetters:
    """Produces set-aside records with the cause of their failure; opens its connection at first
    use.
    """

    def __init__(self, mapping: KafkaMapping, brokers: Brokers) -> None:
        self._mapping = mapping
        self._brokers = brokers
        self._producer: Producer | None = None

    def put(self, records: Sequence[Fetched], cause: str, attempts: int) -> None:
        """Produce all and wait for every acknowledgement. Raises DeadLetterRefused."""
        topic = self._mapping.dead_letter_topic
        if topic is None:
            raise DeadLetterRefused("the mapping names no dead-letter topic")
        if self._producer is None:
            self._producer = Producer(
                {
                    **self._brokers.settings(),
                    "acks": "all",
                    "enable.idempotence": True,
                    "message.timeout.ms": int(_PRODUCE_TIMEOUT_S * 1000),
                },
                logger=_log,
            )
        errors: list[str] = []

        def acknowledged(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                errors.append(str(error))

        for record in records:
            self._producer.produce(
                topic,
                key=record.key,
                value=record.value,
                headers=[*record.headers, *self._cause(record, cause, attempts)],
                on_delivery=acknowledged,
            )
        unsent = self._producer.flush(_PRODUCE_TIMEOUT_S)
        if errors or unsent:
            raise DeadLetterRefused(errors[0] if errors else f"{unsent} records unacknowledged")

    def _cause(self, record: Fetched, cause: str, attempts: int) -> list[tuple[str, bytes]]:
        return [
            ("dead-letter-topic", record.topic.encode()),
            ("dead-letter-partition", str(record.partition).encode()),
            ("dead-letter-offset", str(record.offset).encode()),
            ("dead-letter-function", self._mapping.function.encode()),
            ("dead-letter-attempts", str(attempts).encode()),
            ("dead-letter-error", cause[:1000].encode()),
        ]


def _fetched(message: Message) -> Fetched:
    kind, timestamp_ms = message.timestamp()
    headers = message.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return Fetched(
        topic=str(message.topic()),
        partition=int(message.partition() or 0),
        offset=int(message.offset() or 0),
        timestamp_ms=timestamp_ms,
        timestamp_type="LOG_APPEND_TIME" if kind == TIMESTAMP_LOG_APPEND_TIME else "CREATE_TIME",
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        headers=tuple((name, _bytes(body) or b"") for name, body in pairs),
    )


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
