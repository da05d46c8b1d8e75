"""A producer's session and what its broker knows: partitions that are new, and how it ends."""

import threading
from collections.abc import Iterator

import pytest
from kafka.producer.sender import Sender

from infra.local.kafka import Kafka
from infra.local.kafka_admin import KafkaAdmin
from infra.local.topics import Operation, Resource, Rule, Topic, load
from orion.adapters.kafka.config import KafkaConfig
from orion.adapters.kafka.producer import BrokerUnavailable, Message, Producer
from orion.ids import random_id
from tests.engine.outbox_scene import audit_records, wait_until

pytestmark = pytest.mark.engine

_PRODUCING = (Operation.WRITE, Operation.DESCRIBE)


@pytest.fixture
def admin(kafka_cluster: Kafka) -> Iterator[KafkaAdmin]:
    with KafkaAdmin(
        kafka_cluster.bootstrap_servers, kafka_cluster.ca_path, kafka_cluster.admin
    ) as opened:
        yield opened


@pytest.fixture
def growing(admin: KafkaAdmin) -> Iterator[str]:
    """A topic of one partition that the user module's principal may write."""
    plan, name = load(), f"growing.{random_id().hex()[:8]}"
    rules = {Rule("user", Resource.TOPIC, name, False, each) for each in _PRODUCING}
    admin.ensure_rules(plan.rules | rules)
    grow(admin, name, 1)
    yield name
    admin.ensure_rules(plan.rules)


@pytest.fixture
def producer(kafka_cluster: Kafka) -> Iterator[Producer]:
    login = kafka_cluster.credentials("user")
    made = Producer(
        KafkaConfig(
            kafka_cluster.bootstrap_servers, login.username, login.password, kafka_cluster.ca_pem
        ),
        "partitions-test",
    )
    yield made
    made.close()


def grow(admin: KafkaAdmin, name: str, partitions: int) -> None:
    admin.ensure_topics([Topic(name, partitions, 1, (), ())])
    wait_until(lambda: admin.topic_partitions().get(name) == partitions)


def record(topic: str, partition: int | None = None, key: bytes = b"user") -> Message:
    return Message(topic, key, b"{}", {"event-id": random_id().hex().encode()}, partition)


def senders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if isinstance(thread, Sender)]


def test_a_partition_younger_than_the_session_refuses_its_topic_and_ends_the_session(
    admin: KafkaAdmin, growing: str, producer: Producer, kafka_cluster: Kafka
) -> None:
    producer.send([record(growing, 0)])
    grow(admin, growing, 2)
    other = record("audit.events")
    with pytest.raises(BrokerUnavailable) as lost:
        producer.send([record(growing, 0), record(growing, 1), record(growing, 0), other])
    assert lost.value.refused == {growing}
    assert lost.value.acknowledged == {0, 3}
    assert senders() == []
    assert other.headers["event-id"].decode() in {name for name, _ in audit_records(kafka_cluster)}
    producer.send([record(growing, 1)])


def test_whatever_goes_wrong_nothing_that_was_handed_over_goes_out_later(
    producer: Producer,
) -> None:
    nonsense = Message("audit.events", "no bytes", b"{}", {})  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        producer.send([record("audit.events"), nonsense])
    assert senders() == []
