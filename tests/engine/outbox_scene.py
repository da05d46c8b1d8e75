"""A module's outbox, its relay as a process, and what arrived in Kafka."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import boto3
from confluent_kafka import Consumer, TopicPartition

from infra.local.kafka import Kafka
from infra.local.mariadb import MariaDb
from infra.local.ministack import MiniStack
from orion.adapters.mysql.outbox import OutboxRow, kafka_row
from orion.adapters.mysql.session import Cursor, Database, MySqlConfig
from orion.ids import random_id

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ROOT = Path(__file__).parents[2]
STAGE = "relaytest"
# 25 s before its end a relay stops: it has the seconds of the second argument to work.
RUN_RELAY = """
import json, sys, time
from orion.runtime.relay import relay
end = time.monotonic() + 25 + float(sys.argv[2])
class Context:
    def get_remaining_time_in_millis(self): return int((end - time.monotonic()) * 1000)
print(relay("user", json.loads(sys.argv[1]), Context())["sent"])
"""
WOKEN: Mapping[str, object] = {"Records": []}
SCHEDULED: Mapping[str, object] = {}


@contextmanager
def emptied_outbox(mysql_admin: MariaDb) -> Iterator[Database]:
    """The schema of the module `user` with nothing to send."""
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


def environment_of(aws_engine: MiniStack) -> dict[str, str]:
    """Of a function of the stage."""
    return {**aws_engine.environment(), "ORION_STAGE": STAGE, "ORION_MODULE": "user"}


def written_for(
    mysql_admin: MariaDb, kafka_cluster: Kafka, environment: Mapping[str, str]
) -> Mapping[str, str]:
    """A deployment's parameters and secrets, and the environment of a relay's process, whose AWS
    variables this process has too.
    """
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
    environment: Mapping[str, str], event: Mapping[str, object] = WOKEN, *, works_s: float = 35
) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", RUN_RELAY, json.dumps(event), str(works_s)],
        env=dict(environment),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def fail(process: "subprocess.Popen[str]") -> str:
    """What a relay says that fails."""
    output, _ = process.communicate(timeout=90)
    assert process.returncode != 0, output
    return output


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


def wait_until(look: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not look():
        assert time.monotonic() < deadline, "the relay did not get there in time"
        time.sleep(0.1)
