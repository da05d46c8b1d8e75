"""Kafka at the agent's edge: block events out, commands in (SASL_SSL with SCRAM-SHA-512)."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from node_stacks.agent.errors import PublishRefused

_log = logging.getLogger(__name__)

COMMANDS_TOPIC = "node.commands"
ANSWERS_TOPIC = "node.answers"
_FLUSH_SLICE_S = 1.0
_WAIT_LOGGED_EVERY = 10
_OPEN_TIMEOUT_S = 10.0
_ERROR_LOGGED_EVERY_S = 10.0


def blocks_topic(chain: str) -> str:
    """The topic of a chain's block events."""
    return f"chain.blocks.{chain}"


@dataclass(frozen=True, slots=True, repr=False)
class KafkaSettings:
    """`ca_pem` None trusts the system's authorities."""

    bootstrap_servers: str
    username: str
    password: str
    ca_pem: str | None

    def client(self, client_id: str) -> dict[str, str | int | float | bool]:
        """What producer and consumer share, in librdkafka's names."""
        config: dict[str, str | int | float | bool] = {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": self.username,
            "sasl.password": self.password,
            "client.id": client_id,
            "reconnect.backoff.ms": 100,
            "reconnect.backoff.max.ms": 2000,
            "socket.keepalive.enable": True,
            # What it writes by itself is no JSON; what matters comes through `error_cb`.
            "log_level": 2,
        }
        if self.ca_pem is not None:
            config["ssl.ca.pem"] = self.ca_pem
        return config


class _ErrorLog:
    """Says what librdkafka meets, each kind at most every ten seconds: it retries much faster."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def __call__(self, error: KafkaError) -> None:
        now = time.monotonic()
        name = error.name()
        if now - self._said.get(name, -_ERROR_LOGGED_EVERY_S) >= _ERROR_LOGGED_EVERY_S:
            self._said[name] = now
            _log.warning("Kafka client", extra={"error": name, "reason": error.str()})


class KafkaPublisher:
    """See follower.Publisher.

    One key, the node's name: the order of sending is the order in the topic.

    Nothing is given up while the broker is away: librdkafka repeats under the producer's own
    numbering, so a record is stored once and in order, and the block that is under way is the only
    one in memory.
    """

    def __init__(self, settings: KafkaSettings, topic: str, node: str) -> None:
        self._topic = topic
        self._key = node.encode("ascii")
        self._stopping = threading.Event()
        # A flush tells of all that is under way: blocks and answers must not tell of each other.
        self._one = threading.Lock()
        self._producer = Producer(
            settings.client(f"agent-{node}")
            | {
                "acks": "all",
                "enable.idempotence": True,
                "max.in.flight.requests.per.connection": 5,
                "message.timeout.ms": 0,
                "linger.ms": 0,
                "queue.buffering.max.kbytes": 131_072,
                "message.max.bytes": 1_000_000,
                "compression.type": "lz4",
                "partitioner": "murmur2_random",
                "error_cb": _ErrorLog(),
            }
        )

    async def publish(self, records: Sequence[bytes]) -> None:
        """See follower.Publisher. Raises PublishRefused."""
        await asyncio.to_thread(self._publish_alone, self._topic, records)

    async def answer(self, record: bytes) -> None:
        """Store one record in `node.answers`. Raises PublishRefused."""
        await asyncio.to_thread(self._publish_alone, ANSWERS_TOPIC, [record])

    def _publish_alone(self, topic: str, records: Sequence[bytes]) -> None:
        with self._one:
            self._publish(topic, records)

    def _publish(self, topic: str, records: Sequence[bytes]) -> None:
        refused: list[KafkaError] = []

        def delivered(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                refused.append(error)

        for record in records:
            try:
                self._producer.produce(topic, record, self._key, on_delivery=delivered)
            except BufferError as exc:
                raise PublishRefused("a block larger than the producer's queue") from exc
        waits = 0
        while (waiting := self._producer.flush(_FLUSH_SLICE_S)) and not self._stopping.is_set():
            waits += 1
            if waits % _WAIT_LOGGED_EVERY == 0:
                _log.warning(
                    "waiting for Kafka's acknowledgement",
                    extra={"topic": topic, "records": waiting, "waited_s": waits},
                )
        if refused:
            raise PublishRefused("Kafka refused a record", topic=topic, error=refused[0].name())
        if waiting:
            raise PublishRefused("stopped before Kafka acknowledged", topic=topic)

    def stop(self) -> None:
        """Let a publish that waits for acknowledgements end within a second."""
        self._stopping.set()


class CommandReader:
    """Reads `node.commands` from the moment it was opened, without a group.

    Every agent sees every command.
    """

    def __init__(self, settings: KafkaSettings, chain: str, node: str) -> None:
        self._stopping = threading.Event()
        self._consumer = Consumer(
            settings.client(f"agent-{node}-commands")
            | {
                # librdkafka asks for a name; without commits and subscriptions no group of it ever
                # forms.
                "group.id": f"orion-agent-{chain}-{node}",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "queued.max.messages.kbytes": 4096,
                "fetch.wait.max.ms": 100,
                "allow.auto.create.topics": False,
                "error_cb": _ErrorLog(),
            }
        )

    async def open(self) -> None:
        """Take a place at the end of every partition.

        Whatever is written after this returns will be read.

        Repeats until Kafka answers.
        """
        while True:
            try:
                await asyncio.to_thread(self._assign)
                return
            except KafkaException as exc:
                _log.warning("no place in node.commands yet", extra={"reason": str(exc)})
                await asyncio.sleep(1.0)

    def _assign(self) -> None:
        topic = self._consumer.list_topics(COMMANDS_TOPIC, timeout=_OPEN_TIMEOUT_S).topics[
            COMMANDS_TOPIC
        ]
        if topic.error is not None:
            raise KafkaException(topic.error)
        places = []
        for number in topic.partitions:
            partition = TopicPartition(COMMANDS_TOPIC, number)
            _, end = self._consumer.get_watermark_offsets(partition, timeout=_OPEN_TIMEOUT_S)
            places.append(TopicPartition(COMMANDS_TOPIC, number, end))
        self._consumer.assign(places)

    async def commands(self) -> AsyncIterator[bytes]:
        """The values of the records after `open`, for as long as the agent lives."""
        while not self._stopping.is_set():
            message = await asyncio.to_thread(self._consumer.poll, 0.5)
            if message is None:
                continue
            error = message.error()
            value = message.value()
            if error is not None:
                _log.warning("reading node.commands", extra={"reason": error.str()})
            elif value is not None:
                yield value

    async def close(self) -> None:
        """Let go of the connection."""
        self._stopping.set()
        with contextlib.suppress(KafkaException, RuntimeError):
            await asyncio.to_thread(self._consumer.close)
