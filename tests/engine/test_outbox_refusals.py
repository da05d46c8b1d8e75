"""What one destination refuses holds up no other one, and nothing passes it under its own key."""

import json
from collections.abc import Iterator, Mapping

import boto3
import pytest

from infra.local.kafka import Kafka
from infra.local.kafka_admin import KafkaAdmin
from infra.local.mariadb import MariaDb
from infra.local.ministack import MiniStack
from infra.local.topics import Operation, Resource, Rule, load
from orion.adapters.mysql import outbox
from orion.adapters.mysql.outbox import LeftAlone, OutboxRow, kafka_row, sqs_row
from orion.adapters.mysql.session import Cursor, Database
from orion.ids import random_id
from orion.runtime.relay_run import BATCH_ROWS
from tests.engine.outbox_scene import (
    NOW,
    STAGE,
    audit_records,
    emptied_outbox,
    environment_of,
    fail,
    finish,
    some_rows,
    start_relay,
    waiting,
    written_for,
)
from tests.engine.queue_scene import a_queue_that_hangs

pytestmark = pytest.mark.engine

NO_QUEUE, SMALL_QUEUE = "never-made", "small"
# A topic that the user module's principal may not write.
FOREIGN_TOPIC = "moneyin.deposits"
_PRODUCING = (Operation.WRITE, Operation.DESCRIBE)


@pytest.fixture
def database(mysql_admin: MariaDb) -> Iterator[Database]:
    with emptied_outbox(mysql_admin) as found:
        yield found


@pytest.fixture
def surroundings(
    mysql_admin: MariaDb,
    kafka_cluster: Kafka,
    aws_engine: MiniStack,
    monkeypatch: pytest.MonkeyPatch,
) -> Mapping[str, str]:
    environment = environment_of(aws_engine)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = written_for(mysql_admin, kafka_cluster, environment)
    sqs = boto3.client("sqs")
    sqs.create_queue(
        QueueName=f"orion-{STAGE}-{SMALL_QUEUE}", Attributes={"MaximumMessageSize": "1024"}
    )
    for purpose in ("webhooks", SMALL_QUEUE):
        sqs.purge_queue(QueueUrl=url_of(purpose))
    return found


def url_of(purpose: str) -> str:
    return boto3.client("sqs").get_queue_url(QueueName=f"orion-{STAGE}-{purpose}")["QueueUrl"]


def queued(purpose: str) -> list[int]:
    """The numbers of all messages of a queue, which is empty then."""
    sqs, url = boto3.client("sqs"), url_of(purpose)
    found: list[int] = []
    while True:
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        if not got:
            return sorted(found)
        for message in got:
            found.append(json.loads(message["Body"])["n"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def message(purpose: str, number: int, *, key: str = "k", bytes_more: int = 0) -> OutboxRow:
    return sqs_row(purpose, key, {"n": number, "more": "x" * bytes_more}, random_id())


def store(database: Database, *rows: OutboxRow) -> None:
    database.run(lambda cursor: outbox.append(cursor, rows, NOW))


def left(database: Database) -> list[str]:
    """The destinations of what waits, oldest first."""

    def read(cursor: Cursor) -> list[str]:
        cursor.execute("SELECT destination FROM outbox WHERE sent_at IS NULL ORDER BY seq")
        return [str(row[0]) for row in cursor.fetchall()]

    return database.run(read)


def refused_records(count: int) -> list[OutboxRow]:
    return [
        kafka_row(FOREIGN_TOPIC, "k", {"v": 1, "n": number}, random_id()) for number in range(count)
    ]


def test_more_refused_rows_than_a_batch_holds_hold_up_neither_topic_nor_queue(
    database: Database, kafka_cluster: Kafka, surroundings: Mapping[str, str]
) -> None:
    store(database, *refused_records(300), *(message(NO_QUEUE, n) for n in range(300)))
    told = some_rows(3)
    store(database, *told, message("webhooks", 1))
    output = fail(start_relay(surroundings, works_s=3))
    assert "Destinations refusing" in output, output
    mine = [row.event_id.hex() for row in told]
    assert [record[0] for record in audit_records(kafka_cluster) if record[0] in mine] == mine
    assert queued("webhooks") == [1]
    assert left(database) == [f"kafka:{FOREIGN_TOPIC}"] * 300 + [f"sqs:{NO_QUEUE}"] * 300


def test_a_queue_that_is_back_within_the_run_gets_what_waited_in_order(
    database: Database, surroundings: Mapping[str, str]
) -> None:
    purpose = f"late-{random_id().hex()[:8]}"
    store(database, *(message(purpose, number) for number in range(12)))
    relay = start_relay(surroundings, works_s=30)
    assert relay.stdout is not None
    assert any('"message":"refused"' in line for line in relay.stdout), "it began without a queue"
    boto3.client("sqs").create_queue(QueueName=f"orion-{STAGE}-{purpose}")
    assert finish(relay) == 12
    assert queued(purpose) == list(range(12))


def test_a_message_that_no_queue_takes_waits_with_its_key_only_and_raises_an_alarm(
    database: Database, surroundings: Mapping[str, str]
) -> None:
    store(
        database,
        message("webhooks", 1),
        message("webhooks", 2, bytes_more=262_144),
        message("webhooks", 3),
        message("webhooks", 4, key="other"),
        message(SMALL_QUEUE, 5),
    )
    output = start_relay(surroundings)
    said, _ = output.communicate(timeout=60)
    assert output.returncode == 0, said
    assert said.strip().splitlines()[-1] == "3"
    assert "Messages refused" in said
    assert queued("webhooks") == [1, 4]
    assert queued(SMALL_QUEUE) == [5]
    assert left(database) == ["sqs:webhooks"] * 2


def test_more_of_them_than_a_batch_holds_hold_up_nobody_either(
    database: Database, surroundings: Mapping[str, str]
) -> None:
    # Nine of these are all that a batch may read.
    large = [message("webhooks", n, key=f"k{n}", bytes_more=890_000) for n in range(10)]
    for row in large:
        store(database, row)
    store(database, message("webhooks", 11, key="other"))
    assert finish(start_relay(surroundings)) == 1
    assert queued("webhooks") == [11]
    assert waiting(database) == len(large)


def test_large_messages_travel_in_more_calls(
    database: Database, surroundings: Mapping[str, str]
) -> None:
    # Ten of them are 1.5 MB: more than any queue takes in a call.
    store(database, *(message("webhooks", n, bytes_more=150_000) for n in range(10)))
    assert finish(start_relay(surroundings)) == 10
    assert queued("webhooks") == list(range(10))


def test_a_message_that_its_queue_refuses_holds_up_its_key_only(
    database: Database, surroundings: Mapping[str, str]
) -> None:
    store(
        database,
        message(SMALL_QUEUE, 1),
        message(SMALL_QUEUE, 2, bytes_more=2_000),
        message(SMALL_QUEUE, 3, key="other"),
        *(message(SMALL_QUEUE, number, key="other") for number in range(10, 30)),
    )
    said, _ = (relay := start_relay(surroundings)).communicate(timeout=60)
    assert relay.returncode == 0, said
    assert "Messages refused" in said
    assert queued(SMALL_QUEUE) == [1, 3, *range(10, 30)]
    assert waiting(database) == 1


def test_characters_that_no_queue_takes_arrive_all_the_same(
    database: Database, surroundings: Mapping[str, str]
) -> None:
    text = '\ufffe \uffff \x7f \u00e9 \u4e2d \U0001f600 \U0010ffff \\ " \n'
    store(database, sqs_row("webhooks", "k", {"n": 1, text: text}, random_id()))
    assert finish(start_relay(surroundings)) == 1
    [got] = boto3.client("sqs").receive_message(QueueUrl=url_of("webhooks"))["Messages"]
    assert json.loads(got["Body"]) == {"n": 1, text: text}


def test_a_queue_that_hangs_keeps_no_topic_waiting(
    database: Database, kafka_cluster: Kafka, surroundings: Mapping[str, str]
) -> None:
    told = some_rows(2)
    # More than a batch: the topic's rows are seen only when the queue has been given up.
    store(database, *(message("webhooks", n) for n in range(BATCH_ROWS)), *told)
    with a_queue_that_hangs() as url:
        output = fail(start_relay({**surroundings, "AWS_ENDPOINT_URL_SQS": url}, works_s=10))
    assert "LockLost" not in output, output
    mine = [row.event_id.hex() for row in told]
    assert [record[0] for record in audit_records(kafka_cluster) if record[0] in mine] == mine
    assert left(database) == ["sqs:webhooks"] * BATCH_ROWS


def test_a_record_without_a_way_holds_up_nobody_else(
    database: Database, kafka_cluster: Kafka, surroundings: Mapping[str, str]
) -> None:
    told = some_rows(2)
    store(database, kafka_row("ledger.posted", "no number", {"v": 1}, random_id()), *told)
    output = fail(start_relay(surroundings, works_s=1))
    assert "unroutable" in output
    mine = [row.event_id.hex() for row in told]
    assert [record[0] for record in audit_records(kafka_cluster) if record[0] in mine] == mine
    assert left(database) == ["kafka:ledger.posted"]


def test_what_is_left_alone_is_passed_over_by_destination_and_by_key(database: Database) -> None:
    rows = [
        message("a", 1, key="x"),
        message("a", 2, key="y"),
        message("b", 3, key="x"),
        message("c", 4, key="x"),
    ]
    store(database, *rows)
    for alone, expected in (
        (LeftAlone(frozenset({"sqs:a"})), rows[2:]),
        (LeftAlone(frozenset(), frozenset({("sqs:a", b"x"), ("sqs:b", b"y")})), rows[1:]),
        (LeftAlone(frozenset({"sqs:c"}), frozenset({("sqs:b", b"x")})), rows[:2]),
    ):
        found = database.run(
            lambda cursor, alone=alone: outbox.unsent(cursor, 500, 10_000, alone)  # type: ignore[misc]
        )
        assert [unsent.row for unsent in found] == expected


@pytest.fixture
def unknown_topics(kafka_cluster: Kafka) -> Iterator[list[str]]:
    """Topics that nobody made and that the user module's principal may write."""
    plan, prefix = load(), "never.made."
    more = {Rule("user", Resource.TOPIC, prefix, True, each) for each in _PRODUCING}
    with KafkaAdmin(
        kafka_cluster.bootstrap_servers, kafka_cluster.ca_path, kafka_cluster.admin
    ) as admin:
        admin.ensure_rules(plan.rules | more)
        yield [f"{prefix}{number}" for number in range(7)]
        admin.ensure_rules(plan.rules)


def test_topics_that_do_not_answer_cost_a_batch_the_wait_for_one(
    database: Database,
    kafka_cluster: Kafka,
    surroundings: Mapping[str, str],
    unknown_topics: list[str],
) -> None:
    # The client waits 5 s for the partitions of each: all of them would outlast the session that
    # holds the relay's lock, and nothing could be marked.
    unknown = [kafka_row(topic, "k", {"v": 1}, random_id()) for topic in unknown_topics]
    told = some_rows(2)
    store(database, *told[:1], *unknown, *told[1:])
    output = fail(start_relay(surroundings, works_s=3))
    assert "LockLost" not in output, output
    mine = [row.event_id.hex() for row in told]
    assert [record[0] for record in audit_records(kafka_cluster) if record[0] in mine] == mine
    assert left(database) == [f"kafka:{topic}" for topic in unknown_topics]
