"""A Kafka producer kept between invocations: acks=all, idempotent, every answer awaited."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kafka import KafkaProducer
from kafka.errors import KafkaError

from orion.adapters.kafka.config import KafkaConfig
from orion.errors import OrionError, Retry

REQUEST_TIMEOUT_MS = 5_000
DELIVERY_TIMEOUT_MS = 10_000


class BrokerUnavailable(OrionError):
    """A record was not acknowledged: it may or may not be stored."""

    code = "temporarily_unavailable"
    retry = Retry.SAME_KEY


@dataclass(frozen=True, slots=True)
class Message:
    """One record to send. Records of one key keep their order."""

    topic: str
    key: bytes
    value: bytes
    headers: Mapping[str, bytes]
    partition: int | None = None


class Producer:
    """Sends batches; a failure drops the connection, so the next batch starts a clean session."""

    def __init__(self, config: KafkaConfig, client_id: str) -> None:
        self._config = config
        self._client_id = client_id
        self._producer: KafkaProducer | None = None

    def send(self, messages: Sequence[Message]) -> None:
        """Send all and await every acknowledgement. Raises BrokerUnavailable: any of them may be
        stored.
        """
        try:
            producer = self._open()
            pending = [
                producer.send(
                    message.topic,
                    key=message.key,
                    value=message.value,
                    headers=list(message.headers.items()),
                    partition=message.partition,
                )
                for message in messages
            ]
            producer.flush(timeout=DELIVERY_TIMEOUT_MS / 1000)
            for future in pending:
                future.get(timeout=DELIVERY_TIMEOUT_MS / 1000)
        except (KafkaError, OSError) as exc:
            self.close()
            raise BrokerUnavailable("Kafka did not acknowledge every record") from exc

    def close(self) -> None:
        """Drop the connection without waiting for it."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close(timeout=0)

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
