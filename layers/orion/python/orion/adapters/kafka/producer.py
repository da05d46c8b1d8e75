"""A Kafka producer kept between invocations: acks=all, idempotent, every answer awaited."""

import logging
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kafka import KafkaProducer
from kafka.errors import KafkaError
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


class BrokerUnavailable(OrionError):
    """A record was not acknowledged: it may or may not be stored."""

    code = "temporarily_unavailable"
    retry = Retry.SAME_KEY
    acknowledged: frozenset[int] = frozenset()


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
        topic that is refused costs one attempt, and those of other topics go out all the same.
        """
        pending: dict[int, FutureRecordMetadata] = {}
        try:
            producer = self._open()
            self._hand_over(producer, messages, pending)
            producer.flush(timeout=ACKNOWLEDGED_WITHIN_S)
            for future in pending.values():
                future.get(timeout=0)
        except (KafkaError, OSError) as exc:
            self.close()
            lost = BrokerUnavailable("Kafka did not acknowledge every record")
            lost.acknowledged = frozenset(
                place for place, future in pending.items() if future.succeeded()
            )
            raise lost from exc

    def _hand_over(
        self,
        producer: KafkaProducer,
        messages: Sequence[Message],
        pending: dict[int, FutureRecordMetadata],
    ) -> None:
        """Fills `pending` one by one, so that a failure leaves the futures of those before it."""
        refused: set[str] = set()
        for place, message in enumerate(messages):
            # The library answers with a future that has failed, after waiting for the topic's
            # partitions: up to REQUEST_TIMEOUT_MS a record.
            if message.topic not in refused:
                pending[place] = _handed_over(producer, message)
                if pending[place].failed():
                    refused.add(message.topic)

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
