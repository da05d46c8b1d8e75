"""The outbox and the fence on real engines: nothing lost, order kept, a repeat known as one."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import boto3
import pytest
from confluent_kafka import Consumer, TopicPartition
from kafka.producer.sender import Sender

from infra.local.kafka import Kafka
from infra.local.mariadb import MariaDb
from infra.local.ministack import MiniStack
from infra.local.stack import Stack
from orion.adapters.kafka.config import KafkaConfig
from orion.adapters.kafka.producer import BrokerUnavailable, Message, Producer
from orion.adapters.mysql import outbox
from orion.adapters.mysql.fence import OffsetsWentBack, fresh
from orion.adapters.mysql.outbox import OutboxRow, kafka_row, sqs_row
from orion.adapters.mysql.session import Cursor, Database, MySqlConfig
from orion.ids import random_id
from orion.records import Record
from orion.runtime.relay import in_order

pytestmark = pytest.mark.engine

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
STAGE = "relaytest"
RUN_RELAY = """
import json, sys
from orion.runtime.relay import relay
class Context:
    def get_remaining_time_in_millis(self): return 60_000
print(relay("user", json.loads(sys.argv[1]), Context())["sent"])
"""
WOKEN: Mapping[str, object] = {"Records": []}
SCHEDULED: Mapping[str, object] = {}


@pytest.fixture
def database(mysql_admin: MariaDb) -> Iterator[Database]:
    login = mysql_admin.credentials("user")
    config = MySqlConfig(
        mysql_admin.host,
        mysql_admin.port,
        login.username,
        login.password,
        "orion_user",
        mysql_admin.ca_pem,
    )
    opened = Database(config)
    opened.run(lambda cursor: cursor.execute("DELETE FROM outbox"))
    opened.run(lambda cursor: cursor.execute("DELETE FROM consumer_offset"))
    yield opened
    opened.close()


@pytest.fixture
def surroundings(
    mysql_admin: MariaDb,
    kafka_cluster: Kafka,
    aws_engine: MiniStack,
    monkeypatch: pytest.MonkeyPatch,
) -> Mapping[str, str]:
    """A deployment's parameters and secrets, and the environment of a function that reads them."""
    environment = {**aws_engine.environment(), "ORION_STAGE": STAGE, "ORION_MODULE": "user"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ssm, secrets = boto3.client("ssm"), boto3.client("secretsmanager")
    parameters = {
        "mysql/writer-host": mysql_admin.host,
        "mysql/writer-port": str(mysql_admin.port),
        "mysql/writer-ca-pem": mysql_admin.ca_pem,
        "mysql/proxy-ca-pem": mysql_admin.ca_pem,
        "kafka/bootstrap-servers": kafka_cluster.bootstrap_servers,
        "kafka/ca-pem": kafka_cluster.ca_pem,
    }
    for name, value in parameters.items():
        ssm.put_parameter(Name=f"/orion/{STAGE}/{name}", Value=value, Type="String", Overwrite=True)
    for name, login in (
        (f"orion/{STAGE}/mysql/user", mysql_admin.credentials("user")),
        (f"AmazonMSK_orion_{STAGE}_user", kafka_cluster.credentials("user")),
    ):
        text = json.dumps({"username": login.username, "password": login.password})
        try:
            secrets.create_secret(Name=name, SecretString=text)
        except secrets.exceptions.ResourceExistsException:
            secrets.put_secret_value(SecretId=name, SecretString=text)
    boto3.client("sqs").create_queue(QueueName=f"orion-{STAGE}-webhooks")
    paths = os.pathsep.join((str(ROOT / "layers" / "orion" / "python"), str(ROOT)))
    return {**environment, "PYTHONPATH": paths, "PATH": os.environ["PATH"]}


def start_relay(
    environment: Mapping[str, str], event: Mapping[str, object] = WOKEN
) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", RUN_RELAY, json.dumps(event)],
        env=dict(environment),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(process: "subprocess.Popen[str]") -> int:
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    return int(output.strip().splitlines()[-1])


def audit_records(kafka: Kafka) -> list[tuple[str, str]]:
    """(event id, value) of everything in audit.events, partition by partition."""
    login = kafka.admin
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": login.username,
            "sasl.password": login.password,
            "ssl.ca.pem": kafka.ca_pem,
            "group.id": "reader",
            "enable.auto.commit": False,
        }
    )
    found: list[tuple[str, str]] = []
    partitions = consumer.list_topics("audit.events", timeout=10).topics["audit.events"].partitions
    for number in partitions:
        place = TopicPartition("audit.events", number, 0)
        _, end = consumer.get_watermark_offsets(place, timeout=10)
        consumer.assign([place])
        while end > 0:
            message = consumer.poll(10)
            assert message is not None
            assert message.error() is None
            headers = dict(cast(list[tuple[str, bytes]], message.headers()))
            found.append((headers["event-id"].decode(), cast(bytes, message.value()).decode()))
            if cast(int, message.offset()) >= end - 1:
                break
    consumer.close()
    return found


def waiting(database: Database) -> int:
    def count(cursor: Cursor) -> int:
        cursor.execute("SELECT COUNT(*) FROM outbox WHERE sent_at IS NULL")
        row = cursor.fetchone()
        assert row is not None
        return int(row[0])

    return database.run(count)


def some_rows(count: int) -> list[OutboxRow]:
    marker = random_id().hex()
    return [
        kafka_row("audit.events", "user", {"v": 1, "run": marker, "n": number}, random_id())
        for number in range(count)
    ]


def test_everything_stored_is_sent_once_in_order(
    database: Database, kafka_cluster: Kafka, surroundings: Mapping[str, str]
) -> None:
    rows = some_rows(700)
    message = sqs_row("webhooks", "k", {"v": 1, "hello": "queue"}, random_id())
    database.run(lambda cursor: outbox.append(cursor, [*rows, message], NOW))
    assert finish(start_relay(surroundings)) == 701
    assert waiting(database) == 0
    mine = {row.event_id.hex(): row.payload.decode() for row in rows}
    assert [r for r in audit_records(kafka_cluster) if r[0] in mine] == list(mine.items())
    queue = boto3.client("sqs")
    url = queue.get_queue_url(QueueName=f"orion-{STAGE}-webhooks")["QueueUrl"]
    got = queue.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5)
    assert [json.loads(m["Body"])["hello"] for m in got["Messages"]] == ["queue"]
    assert finish(start_relay(surroundings)) == 0


def test_the_same_event_stored_twice_is_one_row(database: Database) -> None:
    rows = some_rows(2)
    for _ in range(2):
        database.run(lambda cursor: outbox.append(cursor, rows, NOW))
    assert waiting(database) == 2


def test_a_relay_killed_between_sending_and_marking_sends_again_under_the_same_identity(
    database: Database, mysql_admin: MariaDb, kafka_cluster: Kafka, surroundings: Mapping[str, str]
) -> None:
    rows = some_rows(3)
    database.run(lambda cursor: outbox.append(cursor, rows, NOW))
    mine = [row.event_id.hex() for row in rows]
    blocker = mysql_admin.connect()
    try:
        blocker.begin()
        with blocker.cursor() as cursor:
            # Marking waits for this lock: the records are out and the database does not know.
            cursor.execute("SELECT seq FROM orion_user.outbox FOR UPDATE")
        relay = start_relay(surroundings)
        wait_until(lambda: [r[0] for r in audit_records(kafka_cluster) if r[0] in mine] == mine)
        relay.send_signal(signal.SIGKILL)
        relay.wait()
    finally:
        blocker.rollback()
        blocker.close()
    assert waiting(database) == 3
    wait_until(lambda: finish(start_relay(surroundings)) == 3)
    assert [r[0] for r in audit_records(kafka_cluster) if r[0] in mine] == mine * 2
    assert waiting(database) == 0


def test_a_second_relay_waits_for_the_first_and_finds_what_came_meanwhile(
    database: Database, kafka_cluster: Kafka, surroundings: Mapping[str, str], mysql_admin: MariaDb
) -> None:
    holder = mysql_admin.connect()
    try:
        with holder.cursor() as cursor:
            cursor.execute("SELECT GET_LOCK('orion-outbox-user', 0)")
        relay = start_relay(surroundings)
        time.sleep(
            1
        )  # Long enough to have reached the lock; the assertion below does not depend on it.
        rows = some_rows(1)
        database.run(lambda cursor: outbox.append(cursor, rows, NOW))
        assert waiting(database) == 1
    finally:
        holder.close()
    assert finish(relay) == 1


def test_only_what_the_schedule_starts_deletes_old_rows_and_does_so_beside_another_relay(
    database: Database, surroundings: Mapping[str, str], mysql_admin: MariaDb
) -> None:
    def stored(cursor: Cursor) -> int:
        cursor.execute("SELECT COUNT(*) FROM outbox")
        ((count,),) = cursor.fetchall()
        return int(count)

    database.run(lambda cursor: outbox.append(cursor, some_rows(3), NOW))
    database.run(lambda cursor: cursor.execute("UPDATE outbox SET sent_at = '2026-01-02'"))
    assert finish(start_relay(surroundings)) == 0
    assert database.run(stored) == 3
    holder = mysql_admin.connect()
    try:
        with holder.cursor() as cursor:
            cursor.execute("SELECT GET_LOCK('orion-outbox-user', 0)")
        assert finish(start_relay(surroundings, SCHEDULED)) == 0
        assert database.run(stored) == 0
    finally:
        holder.close()


def test_a_relay_whose_session_ended_while_it_sent_marks_nothing(
    database: Database,
    engines: Stack,
    mysql_admin: MariaDb,
    kafka_cluster: Kafka,
    surroundings: Mapping[str, str],
) -> None:
    rows = some_rows(3)
    database.run(lambda cursor: outbox.append(cursor, rows, NOW))
    mine = [row.event_id.hex() for row in rows]
    admin = mysql_admin.connect()

    def waits_for_the_broker() -> bool:
        with admin.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM information_schema.processlist WHERE command = 'Sleep' AND"
                " id = IS_USED_LOCK('orion-outbox-user') AND time_ms > 300"
            )
            return cursor.fetchone() is not None

    group = os.getpgid(engines.processes()["kafka"].pid)
    os.killpg(group, signal.SIGSTOP)
    try:
        relay = start_relay(surroundings)
        wait_until(waits_for_the_broker)
        with admin.cursor() as cursor:
            cursor.execute("SELECT IS_USED_LOCK('orion-outbox-user')")
            ((holder,),) = cursor.fetchall()
            cursor.execute(f"KILL CONNECTION {holder:d}")
    finally:
        os.killpg(group, signal.SIGCONT)
        admin.close()
    output, _ = relay.communicate(timeout=60)
    assert relay.returncode != 0
    assert "LockLost" in output
    assert waiting(database) == 3
    sent = [r[0] for r in audit_records(kafka_cluster) if r[0] in mine]
    assert finish(start_relay(surroundings)) == 3
    assert [r[0] for r in audit_records(kafka_cluster) if r[0] in mine] == sent + mine


def test_what_a_broken_session_left_unsent_never_arrives_behind_younger_records(
    engines: Stack, kafka_cluster: Kafka
) -> None:
    login = kafka_cluster.credentials("user")
    config = KafkaConfig(
        kafka_cluster.bootstrap_servers, login.username, login.password, kafka_cluster.ca_pem
    )
    others = set(threading.enumerate())
    producer, run = Producer(config, "relay-test"), random_id().hex()

    def message(name: str) -> Message:
        value = f"{run} {name}".encode()
        return Message("audit.events", b"k", value, {"event-id": name.encode()})

    producer.send([message("before")])
    group = os.getpgid(engines.processes()["kafka"].pid)
    os.killpg(group, signal.SIGSTOP)
    try:
        with pytest.raises(BrokerUnavailable) as failure:
            producer.send([message("a"), message("b")])
        ours = set(threading.enumerate()) - others
        left = [thread for thread in ours if isinstance(thread, Sender)]
        assert left == [], "nobody to be left who could still send what waits"
    finally:
        os.killpg(group, signal.SIGCONT)
    assert failure.value.acknowledged == frozenset()
    producer.send([message("a"), message("b"), message("c")])
    producer.close()
    names = [name for name, value in audit_records(kafka_cluster) if run in value]
    # What was already on the wire may be there twice; nothing comes back after its successors.
    assert names[0] == "before"
    assert names[-3:] == ["a", "b", "c"]
    assert names[1:-3] in ([], ["a"], ["a", "b"])


def wait_until(look: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not look():
        assert time.monotonic() < deadline, "the relay did not get there in time"
        time.sleep(0.1)


def record(offset: int, timestamp_ms: int = 0) -> Record:
    return Record("chain.blocks.test", 0, offset, b"", b"{}", timestamp_ms=timestamp_ms)


def test_a_topic_made_anew_stops_its_partition_instead_of_losing_records(
    database: Database,
) -> None:
    seen = [record(5, 1_000), record(6, 900)]
    assert database.run(lambda cursor: fresh(cursor, seen)) == seen
    assert database.run(lambda cursor: fresh(cursor, seen)) == []
    with pytest.raises(OffsetsWentBack):
        database.run(lambda cursor: fresh(cursor, [record(0, 1_001)]))


def test_a_batch_is_bounded_in_bytes_and_holds_one_row_at_least(database: Database) -> None:
    rows = some_rows(4)
    database.run(lambda cursor: outbox.append(cursor, rows, NOW))
    size = len(rows[0].payload)
    for limit_bytes, count in ((1, 1), (2 * size, 2), (100 * size, 4)):
        found = database.run(
            lambda cursor, limit_bytes=limit_bytes: outbox.unsent(cursor, 500, limit_bytes)  # type: ignore[misc]
        )
        assert [unsent.row for unsent in found] == rows[:count]


def test_after_a_failure_nothing_counts_as_sent_behind_a_gap_of_its_key() -> None:
    keys = [b"a", b"b", b"a", b"b"]
    rows = [
        outbox.Unsent(seq, OutboxRow(random_id(), "kafka:t", key, b"{}"))
        for seq, key in enumerate(keys)
    ]
    assert in_order(rows, frozenset({1, 2, 3})) == [1, 3]


def test_a_record_behind_the_fence_is_not_seen_again(database: Database) -> None:
    batch = [record(5), record(7)]
    assert database.run(lambda cursor: fresh(cursor, batch)) == batch
    assert database.run(lambda cursor: fresh(cursor, batch)) == []
    assert database.run(lambda cursor: fresh(cursor, [record(7), record(8)])) == [record(8)]


def test_a_rolled_back_effect_leaves_the_fence_where_it_was(database: Database) -> None:
    def fail(cursor: Cursor) -> None:
        fresh(cursor, [record(1)])
        raise RuntimeError("the effect failed")

    with pytest.raises(RuntimeError):
        database.run(fail)
    assert database.run(lambda cursor: fresh(cursor, [record(1)])) == [record(1)]


def test_a_fence_takes_one_partition_in_order(database: Database) -> None:
    for batch in ([record(2), record(1)], [record(1), record(1)]):
        with pytest.raises(ValueError, match="one partition"):
            database.run(lambda cursor, batch=batch: fresh(cursor, batch))  # type: ignore[misc]
