"""A Kafka producer kept between invocations: acks=all, idempotent, every answer awaited."""

import logging
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.producer.future import FutureRecordMetadata

from orion.adapters.kafka.config import KafkaConfig
from orion.errors import OrionError, Retry

_log = logging.getLogger(__name__)

REQUEST_TIMEOUT_MS = 5_000
ACKNOWLEDGED_WITHIN_S = 10
# Never reached while a relay lives. A record that the client itself gave up would let younger ones
# of its partition pass it: we give up a whole session instead.
DELIVERY_TIMEOUT_MS = 900_000
_SENDER_ENDS_WITHIN_S = 6
# One topic that does not answer is waited for, a second one not: a send is over within the time
# that its caller's database session may idle (bootstrap, one topic, acknowledgements, end: 26 s).
_ASKS_FOR_S = 4


class BrokerUnavailable(OrionError):
    """A record was not acknowledged: it may or may not be stored. `refused` topics did not take all
    that was for them.
    """

    code = "temporarily_unavailable"
    retry = Retry.SAME_KEY
    acknowledged: frozenset[int] = frozenset()
    refused: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Message:
    """One record to send. Records of one key keep their order."""

    topic: str
    key: bytes
    value: bytes
    headers: Mapping[str, bytes]
    partition: int | None = None


def _handed_over(producer: KafkaProducer, message: Message) -> FutureRecordMetadata:
    return producer.send(
        message.topic,
        key=message.key,
        value=message.value,
        headers=list(message.headers.items()),
        partition=message.partition,
    )


class Producer:
    """Sends batches; a failure drops the connection, so the next batch starts a clean session."""

    def __init__(self, config: KafkaConfig, client_id: str) -> None:
        self._config = config
        self._client_id = client_id
        self._producer: KafkaProducer | None = None

    def send(self, messages: Sequence[Message]) -> None:
        """Send all and await every acknowledgement.

        Raises BrokerUnavailable: any of them may be stored; its `acknowledged` has the places in
        `messages` of those that are. The session is over then, so nothing of it arrives later. A
        topic that is refused costs one wait, and those of others that answer go out all the same.
        """
        pending: dict[int, FutureRecordMetadata] = {}
        refused: set[str] = set()
        try:
            self._await_all(messages, pending, refused)
        except (KafkaError, OSError) as exc:
            self.close()
            lost = BrokerUnavailable("Kafka did not acknowledge every record")
            lost.refused = frozenset(refused)
            lost.acknowledged = frozenset(
                place for place, future in pending.items() if future.succeeded()
            )
            raise lost from exc
        except BaseException:
            # Whatever it is: nothing that was handed over may arrive after its caller goes on.
            self.close()
            raise

    def _await_all(
        self,
        messages: Sequence[Message],
        pending: dict[int, FutureRecordMetadata],
        refused: set[str],
    ) -> None:
        producer = self._open()
        self._hand_over(producer, messages, pending, refused)
        producer.flush(timeout=ACKNOWLEDGED_WITHIN_S)
        for future in pending.values():
            future.get(timeout=0)
        if len(pending) < len(messages):
            raise KafkaTimeoutError("some topics were not asked in time, or refused")

    def _hand_over(
        self,
        producer: KafkaProducer,
        messages: Sequence[Message],
        pending: dict[int, FutureRecordMetadata],
        refused: set[str],
    ) -> None:
        """Fills `pending` one by one and `refused` with topics, so that a failure leaves what was
        before it. What is not handed over is not acknowledged: its caller sends it again.
        """
        taken: set[str] = set()
        until_s = time.monotonic() + _ASKS_FOR_S
        for place, message in enumerate(messages):
            late = time.monotonic() > until_s and message.topic not in taken
            if late or message.topic in refused:
                continue
            # The library waits for the topic's partitions, up to REQUEST_TIMEOUT_MS a record, then
            # raises, or answers with a future that has failed. A partition that it does not know
            # is a ValueError: what it knows may be 5 minutes old, and the next session asks anew.
            try:
                pending[place] = _handed_over(producer, message)
            except (KafkaTimeoutError, ValueError) as exc:
                _log.warning(
                    "topic not handed over", extra={"topic": message.topic, "why": str(exc)}
                )
                refused.add(message.topic)
            else:
                (refused if pending[place].failed() else taken).add(message.topic)

    def close(self) -> None:
        """End the session and wait until nothing of it can be sent any more."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # The library's close() flushes first, and raises while records wait: a sender left behind
        # could deliver them later, after younger ones.
        sender = producer._sender  # noqa: SLF001 - no public way ends it at once
        sender.force_close()
        sender.join(_SENDER_ENDS_WITHIN_S)
        if sender.is_alive():
            _log.error("the Kafka client did not end in time")
        try:
            producer.close(timeout=0)
        except KafkaError as exc:
            _log.info("unsent records dropped", extra={"error": type(exc).__name__})

    def _open(self) -> KafkaProducer:
        if self._producer is None:
            config = self._config
            self._producer = KafkaProducer(
                bootstrap_servers=config.bootstrap_servers.split(","),
                client_id=self._client_id,
                security_protocol="SASL_SSL",
                sasl_mechanism="SCRAM-SHA-512",
                sasl_plain_username=config.username,
                sasl_plain_password=config.password,
                ssl_context=ssl.create_default_context(cadata=config.ca_pem),
                acks="all",
                enable_idempotence=True,
                max_in_flight_requests_per_connection=1,
                linger_ms=0,
                request_timeout_ms=REQUEST_TIMEOUT_MS,
                delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
                max_block_ms=REQUEST_TIMEOUT_MS,
                bootstrap_timeout_ms=REQUEST_TIMEOUT_MS,
            )
        return self._producer
