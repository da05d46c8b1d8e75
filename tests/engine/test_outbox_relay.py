"""The outbox and the fence on real engines: nothing lost, order kept, a repeat known as one."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping

import boto3
import pytest
from kafka.producer.sender import Sender

from infra.local.kafka import Kafka
from infra.local.mariadb import MariaDb
from infra.local.ministack import MiniStack
from infra.local.stack import Stack
from orion.adapters.kafka.config import KafkaConfig
from orion.adapters.kafka.producer import BrokerUnavailable, Message, Producer
from orion.adapters.mysql import outbox
from orion.adapters.mysql.fence import OffsetsWentBack, fresh
from orion.adapters.mysql.outbox import OutboxRow, sqs_row
from orion.adapters.mysql.session import Cursor, Database
from orion.ids import random_id
from orion.records import Record
from orion.runtime.relay_run import in_order
from tests.engine.outbox_scene import (
    NOW,
    SCHEDULED,
    STAGE,
    audit_records,
    emptied_outbox,
    environment_of,
    finish,
    some_rows,
    start_relay,
    wait_until,
    waiting,
    written_for,
)

pytestmark = pytest.mark.engine


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
    return written_for(mysql_admin, kafka_cluster, environment)


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
    # By which of the two it notices depends on how long ago the session answered.
    assert "LockLost" in output or "DatabaseUnavailable" in output
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
