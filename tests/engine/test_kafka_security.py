"""The local broker lets in whom `infra/topics.toml` names, over TLS, and nobody else."""

import socket
import ssl
import struct
import time
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from infra.local.kafka import Kafka
from infra.local.layout import Credentials

pytestmark = pytest.mark.engine

_TIMEOUT_S = 30.0
_API_VERSIONS = 18
_METADATA = 3


def _settings(kafka: Kafka, login: Credentials, errors: list[KafkaError]) -> dict[str, Any]:
    return {
        "bootstrap.servers": kafka.bootstrap_servers,
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": login.username,
        "sasl.password": login.password,
        "ssl.ca.location": kafka.ca_path,
        "error_cb": lambda error: errors.append(error),  # noqa: PLW0108 - the C caller wants None.
    }


def _refusal_of_connection(settings: Mapping[str, Any], errors: list[KafkaError]) -> int:
    """The first error code that a client with these settings meets; fails if it gets through."""
    client = AdminClient(dict(settings))
    deadline = time.monotonic() + _TIMEOUT_S
    while not errors and time.monotonic() < deadline:
        with pytest.raises(KafkaException):
            client.list_topics(timeout=1)
        client.poll(0.1)
    assert errors, "neither refused nor let in"
    return int(errors[0].code())


def _outcome_of_producing(
    kafka: Kafka, principal: str, topic: str, *, idempotent: bool
) -> int | None:
    """Error code of one record's delivery, None when it was stored."""
    outcomes: list[KafkaError | None] = []
    settings = _settings(kafka, kafka.credentials(principal), [])
    producer = Producer({**settings, "acks": "all", "enable.idempotence": idempotent})
    producer.produce(topic, b"{}", on_delivery=lambda error, _: outcomes.append(error))
    producer.flush(_TIMEOUT_S)
    assert len(outcomes) == 1, "no answer about the record"
    return None if outcomes[0] is None else int(outcomes[0].code())


def _refusals_of_reading(consumer: Consumer, wanted: int) -> set[int]:
    """Error codes that polling meets, up to `wanted`; fails when a record comes through."""
    found: set[int] = set()
    deadline = time.monotonic() + _TIMEOUT_S
    try:
        while wanted not in found and time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is not None:
                error = message.error()
                assert error is not None, "a record was read"
                found.add(int(error.code()))
    finally:
        consumer.close()
    return found


def _consumer(kafka: Kafka, principal: str, group: str) -> Consumer:
    settings = _settings(kafka, kafka.credentials(principal), [])
    return Consumer({**settings, "group.id": group, "auto.offset.reset": "earliest"})


def test_a_wrong_password_is_refused(kafka_cluster: Kafka) -> None:
    errors: list[KafkaError] = []
    wrong = Credentials("moneyin", kafka_cluster.credentials("billing").password)
    code = _refusal_of_connection(_settings(kafka_cluster, wrong, errors), errors)
    assert code == KafkaError._AUTHENTICATION


def test_an_unknown_principal_is_refused(kafka_cluster: Kafka) -> None:
    errors: list[KafkaError] = []
    stranger = Credentials("stranger", kafka_cluster.admin.password)
    code = _refusal_of_connection(_settings(kafka_cluster, stranger, errors), errors)
    assert code == KafkaError._AUTHENTICATION


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SASL_PLAINTEXT", "SSL"])
def test_a_client_without_tls_or_without_a_password_is_refused(
    kafka_cluster: Kafka, protocol: str
) -> None:
    errors: list[KafkaError] = []
    settings = _settings(kafka_cluster, kafka_cluster.admin, errors)
    _refusal_of_connection({**settings, "security.protocol": protocol}, errors)


def test_a_principal_writes_its_own_topic_idempotently_and_its_consumer_reads_it(
    kafka_cluster: Kafka,
) -> None:
    topic = "chain.blocks.bitcoin"
    assert _outcome_of_producing(kafka_cluster, "agent-bitcoin", topic, idempotent=True) is None
    consumer = _consumer(kafka_cluster, "moneyin", "orion-moneyin-blocks")
    consumer.subscribe(["chain.blocks.bitcoin"])
    deadline = time.monotonic() + _TIMEOUT_S
    value = None
    while value is None and time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if message is not None:
            assert message.error() is None
            value = message.value()
    consumer.close()
    assert value == b"{}"


@pytest.mark.parametrize(
    "principal,topic",
    [
        ("agent-bitcoin", "chain.blocks.ethereum"),
        ("user", "ledger.transfers"),
        ("billing", "chain.blocks.bitcoin"),
        ("arch", "ledger.transfers"),
    ],
)
def test_writing_a_foreign_principals_topic_is_refused(
    kafka_cluster: Kafka, principal: str, topic: str
) -> None:
    refusal = _outcome_of_producing(kafka_cluster, principal, topic, idempotent=False)
    assert refusal == KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.mark.parametrize(
    "principal,group,topic",
    [
        ("kms", "orion-kms-address-pool", "wallet.addresses"),
        ("moneyin", "orion-moneyin-blocks", "moneyin.deposits"),
        ("ledger", "orion-billing-ledger-writer", "ledger.refused"),
    ],
)
def test_who_writes_a_topic_may_not_therefore_read_it(
    kafka_cluster: Kafka, principal: str, group: str, topic: str
) -> None:
    consumer = _consumer(kafka_cluster, principal, group)
    consumer.assign([TopicPartition(topic, 0, 0)])
    wanted = KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert wanted in _refusals_of_reading(consumer, wanted)


@pytest.mark.parametrize("principal", ["user", "billing", "agent-bitcoin"])
def test_reading_a_foreign_principals_topic_is_refused_from_its_description_on(
    kafka_cluster: Kafka, principal: str
) -> None:
    client = AdminClient(_settings(kafka_cluster, kafka_cluster.credentials(principal), []))
    answer = client.list_topics("wallet.addresses", timeout=_TIMEOUT_S)
    error = answer.topics["wallet.addresses"].error
    assert error is not None
    assert error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED


def test_joining_a_foreign_consumer_group_is_refused(kafka_cluster: Kafka) -> None:
    consumer = _consumer(kafka_cluster, "moneyin", "orion-billing-deposits")
    consumer.subscribe(["chain.blocks.bitcoin"])
    wanted = KafkaError.GROUP_AUTHORIZATION_FAILED
    assert wanted in _refusals_of_reading(consumer, wanted)


def test_writing_an_unknown_topic_makes_none(kafka_cluster: Kafka) -> None:
    name = f"made-up-{uuid.uuid4().hex}"
    client = AdminClient(_settings(kafka_cluster, kafka_cluster.admin, []))
    producer = Producer(
        {**_settings(kafka_cluster, kafka_cluster.admin, []), "message.timeout.ms": 2000}
    )
    producer.produce(name, b"{}")
    producer.flush(_TIMEOUT_S)
    assert name not in client.list_topics(timeout=_TIMEOUT_S).topics


def test_only_an_administrator_makes_topics(kafka_cluster: Kafka) -> None:
    def make(principal: str, name: str) -> None:
        client = AdminClient(_settings(kafka_cluster, kafka_cluster.credentials(principal), []))
        client.create_topics([NewTopic(name, 1, 1)])[name].result(_TIMEOUT_S)

    name = f"made-{uuid.uuid4().hex}"
    with pytest.raises(KafkaException) as refused:
        make("moneyin", name)
    assert refused.value.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    make("arch", name)
    admin = AdminClient(_settings(kafka_cluster, kafka_cluster.admin, []))
    admin.delete_topics([name])[name].result(_TIMEOUT_S)


def _tls(kafka: Kafka, port: int) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=kafka.ca_path)
    plain = socket.create_connection((kafka.host, port), _TIMEOUT_S)
    return context.wrap_socket(plain, server_hostname=kafka.host)


def _ports(kafka: Kafka) -> tuple[int, int]:
    return kafka.port, kafka.controller_port


def _request(api_key: int) -> bytes:
    """A request of version 0 with an empty body, as the protocol guide frames it."""
    body = b"" if api_key == _API_VERSIONS else struct.pack(">i", 0)
    header = struct.pack(">hhih", api_key, 0, 7, 1) + b"t"
    return struct.pack(">i", len(header) + len(body)) + header + body


def _answer(connection: socket.socket, request: bytes) -> bytes:
    """What comes back before the peer closes or falls silent."""
    connection.sendall(request)
    try:
        return connection.recv(65_536)
    except ConnectionError:
        return b""


def test_every_listener_proves_itself_by_our_authority(kafka_cluster: Kafka) -> None:
    for port in _ports(kafka_cluster):
        with _tls(kafka_cluster, port) as connection:
            assert connection.version() in {"TLSv1.2", "TLSv1.3"}


def test_no_listener_understands_plain_text(kafka_cluster: Kafka) -> None:
    for port in _ports(kafka_cluster):
        with socket.create_connection((kafka_cluster.host, port), _TIMEOUT_S) as connection:
            answer = _answer(connection, _request(_API_VERSIONS))
        # Nothing, or a TLS alert (record type 21): never an answer with our correlation id.
        assert answer[:1] in {b"", b"\x15"}


def test_no_listener_serves_before_sasl(kafka_cluster: Kafka) -> None:
    for port in _ports(kafka_cluster):
        with _tls(kafka_cluster, port) as connection:
            versions = _answer(connection, _request(_API_VERSIONS))
            assert struct.unpack(">i", versions[4:8]) == (7,), "versions are told to anybody"
        with _tls(kafka_cluster, port) as connection:
            assert _answer(connection, _request(_METADATA)) == b""


def test_the_keys_of_the_broker_are_for_its_owner_only(kafka_cluster: Kafka) -> None:
    files = (
        kafka_cluster.authority.key_path,
        kafka_cluster.data / "keystore.pem",
        kafka_cluster.data / "server.properties",
    )
    assert [oct(file.stat().st_mode & 0o777) for file in files] == ["0o600"] * 3
