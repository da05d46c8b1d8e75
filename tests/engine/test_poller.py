"""The poller between a real broker and real Lambda workers: order, commit, poison, kill."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import boto3
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from infra.local.kafka import Kafka
from infra.local.layout import Credentials
from infra.local.ministack import MiniStack
from infra.local.poller import READY

Json = Mapping[str, object]
ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 30.0
# Writes what it processes; a file `hold` keeps it inside an invocation, `poison-ok` makes it
# forgiving.
FUNCTION = """
import base64, json, os, time
from pathlib import Path

FOLDER, RUN = Path(os.environ["FOLDER"]), os.environ["RUN"].encode()

def handler(event, context):
    assert event["eventSource"] == "aws:kafka"
    mine = []
    for rows in event["records"].values():
        for row in rows:
            key, value = base64.b64decode(row.get("key") or ""), base64.b64decode(row["value"])
            if key != RUN:
                continue
            if value.startswith(b"poison") and not (FOLDER / "poison-ok").exists():
                print("poison")
                raise ValueError("cannot process " + value.decode())
            mine.append([row["partition"], row["offset"], value.decode()])
    with (FOLDER / "processed").open("a") as sink:
        for row in mine:
            sink.write(json.dumps(row) + "\\n")
    while mine and (FOLDER / "hold").exists():
        (FOLDER / "held").touch()
        time.sleep(0.01)
    print("processed", len(mine))
    return {}
"""


@dataclass
class Scene:
    """One topic with its mapping, function and poller; `run` is the key of this test's records."""

    folder: Path
    run: str
    topic: str
    group: str
    consumer: Credentials
    producer: Credentials
    kafka: Kafka
    environment: dict[str, str]
    template: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def log(self) -> str:
        path = self.folder / "poller.log"
        return path.read_text() if path.exists() else ""

    def start(self) -> subprocess.Popen[bytes]:
        """A poller process that serves."""
        seen = self.log.count(READY)
        command = ["-m", "infra.local.poller", "--template", str(self.template)]
        with (self.folder / "poller.log").open("ab") as sink:
            process = subprocess.Popen(
                [sys.executable, *command, "--mapping", "Mapping"],
                cwd=ROOT,
                env=self.environment,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        wait(lambda: self.log.count(READY) > seen, lambda: f"no poller: {self.log}")
        return process

    def produce(self, *records: tuple[int, str]) -> None:
        """Records as (partition, value), acknowledged."""
        producer = Producer(self._client(self.producer) | {"acks": "all"})
        for partition, value in records:
            producer.produce(self.topic, value.encode(), self.run.encode(), partition)
        assert producer.flush(WAIT_S) == 0

    def processed(self) -> list[tuple[int, int, str]]:
        path = self.folder / "processed"
        lines = path.read_text().splitlines() if path.exists() else []
        return [tuple(json.loads(line)) for line in lines]

    def values(self, partition: int) -> list[str]:
        return [value for number, _, value in self.processed() if number == partition]

    def committed(self, partition: int) -> int:
        consumer = Consumer(self._client(self.consumer) | {"group.id": self.group})
        try:
            return int(
                consumer.committed([TopicPartition(self.topic, partition)], WAIT_S)[0].offset
            )
        finally:
            consumer.close()

    def dead_letters(self, topic: str, reader: Credentials) -> list[tuple[str, dict[str, str]]]:
        """This run's records of a dead-letter topic with their headers."""
        consumer = Consumer(
            self._client(reader) | {"group.id": "admin", "enable.auto.commit": False}
        )
        try:
            place = TopicPartition(topic, 0, 0)
            end = consumer.get_watermark_offsets(place, WAIT_S)[1]
            consumer.assign([place])
            messages = consumer.consume(end, WAIT_S) if end else []
            return [
                (_text(message.value()), _texts(message.headers()))
                for message in messages
                if message.key() == self.run.encode()
            ]
        finally:
            consumer.close()

    def _client(self, user: Credentials) -> dict[str, str | bool]:
        return {
            "bootstrap.servers": self.kafka.bootstrap_servers,
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user.username,
            "sasl.password": user.password,
            "ssl.ca.pem": self.kafka.ca_pem,
        }


def _text(value: object) -> str:
    assert isinstance(value, bytes)
    return value.decode()


def _texts(headers: object) -> dict[str, str]:
    assert isinstance(headers, list)
    return {name: _text(body) for name, body in headers}


def wait(condition: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, otherwise()
        time.sleep(0.02)


def is_committed(scene: Scene, partition: int, offset: int) -> bool:
    return scene.committed(partition) == offset


def template_of(function: str, topic: str, group: str, principal: str, rule: Json) -> Json:
    """A template with one function and one mapping, in the form that the CDK app makes."""
    parameter = "AWS::SSM::Parameter::Value<String>"
    return {
        "Parameters": {
            "Cluster": {"Type": parameter, "Default": "/orion/poller/kafka/cluster-arn"},
            "Secret": {"Type": parameter, "Default": f"/orion/poller/kafka/secret-arn/{principal}"},
        },
        "Resources": {
            "Function": {
                "Type": "AWS::Lambda::Function",
                "Properties": {"FunctionName": function, "Timeout": 20},
            },
            "Mapping": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {
                    "FunctionName": {"Ref": "Function"},
                    "EventSourceArn": {"Ref": "Cluster"},
                    "Topics": [topic],
                    "StartingPosition": "TRIM_HORIZON",
                    "BatchSize": 10,
                    "MaximumBatchingWindowInSeconds": 0,
                    "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": group},
                    "SourceAccessConfigurations": [
                        {"Type": "SASL_SCRAM_512_AUTH", "URI": {"Ref": "Secret"}}
                    ],
                    **rule,
                },
            },
        },
    }


NEVER_SKIPS = {"MaximumRetryAttempts": -1, "BisectBatchOnFunctionError": False}
BOUNDED = {
    "MaximumRetryAttempts": 1,
    "BisectBatchOnFunctionError": True,
    "DestinationConfig": {"OnFailure": {"Destination": "kafka://dead-letter.billing"}},
}


def publish_surroundings(aws: MiniStack, kafka: Kafka, principal: str, user: Credentials) -> None:
    session = boto3.Session("test", "test", region_name=aws.region)
    secrets = session.client("secretsmanager", endpoint_url=aws.url)
    name = f"AmazonMSK_orion_poller_{principal}"
    body = json.dumps({"username": user.username, "password": user.password})
    try:
        arn = secrets.create_secret(Name=name, SecretString=body)["ARN"]
    except secrets.exceptions.ResourceExistsException:
        arn = secrets.describe_secret(SecretId=name)["ARN"]
    ssm = session.client("ssm", endpoint_url=aws.url)
    for path, value in {
        f"secret-arn/{principal}": arn,
        "cluster-arn": f"arn:aws:kafka:{aws.region}:{aws.account_id}:cluster/local/1",
        "bootstrap-servers": kafka.bootstrap_servers,
        "ca-pem": kafka.ca_pem,
    }.items():
        ssm.put_parameter(
            Name=f"/orion/poller/kafka/{path}", Value=value, Type="String", Overwrite=True
        )


def make_function(aws: MiniStack, name: str, variables: dict[str, str]) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("recorder.py", FUNCTION)
    session = boto3.Session("test", "test", region_name=aws.region)
    session.client("lambda", endpoint_url=aws.url).create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role=f"arn:aws:iam::{aws.account_id}:role/recorder",
        Handler="recorder.handler",
        Code={"ZipFile": archive.getvalue()},
        Timeout=20,
        Environment={"Variables": variables},
    )


@pytest.fixture
def make_scene(
    kafka_cluster: Kafka, aws_engine: MiniStack, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Scene]]:
    scenes: list[Scene] = []

    def make(topic: str, group: str, principal: str, producer: str, rule: Json) -> Scene:
        run = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:50]
        user = kafka_cluster.credentials(principal)
        publish_surroundings(aws_engine, kafka_cluster, principal, user)
        make_function(aws_engine, run, {"FOLDER": str(tmp_path), "RUN": run})
        template = tmp_path / "template.json"
        template.write_text(json.dumps(template_of(run, topic, group, principal, rule)))
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}:{ROOT / 'layers/orion/python'}",
            **aws_engine.environment(),
        }
        scene = Scene(
            tmp_path,
            run,
            topic,
            group,
            user,
            kafka_cluster.credentials(producer),
            kafka_cluster,
            environment,
            template,
        )
        scenes.append(scene)
        return scene

    yield make
    for scene in scenes:
        (scene.folder / "hold").unlink(missing_ok=True)
        for process in scene.processes:
            process.terminate()
            process.wait(WAIT_S)


def deposits(make_scene: Callable[..., Scene]) -> Scene:
    return make_scene("moneyin.deposits", "orion-billing-deposits", "billing", "moneyin", BOUNDED)


def blocks(make_scene: Callable[..., Scene]) -> Scene:
    group = "orion-moneyin-blocks-bitcoin"
    return make_scene("chain.blocks.bitcoin", group, "moneyin", "agent-bitcoin", NEVER_SKIPS)


def test_each_partitions_records_are_processed_in_order_and_then_committed(
    make_scene: Callable[..., Scene],
) -> None:
    scene = deposits(make_scene)
    scene.produce(*((number % 4, str(number)) for number in range(100)))
    scene.start()
    wait(lambda: len(scene.processed()) >= 100, lambda: scene.log)
    for partition in range(4):
        assert scene.values(partition) == [str(n) for n in range(100) if n % 4 == partition]
        last = max(offset for number, offset, _ in scene.processed() if number == partition)
        place = (partition, last + 1)
        wait(partial(is_committed, scene, *place), lambda: scene.log)


def test_a_poller_killed_before_its_commit_delivers_the_records_again(
    make_scene: Callable[..., Scene],
) -> None:
    scene = deposits(make_scene)
    process = scene.start()
    (scene.folder / "hold").touch()
    scene.produce((1, "a"), (1, "b"))
    wait((scene.folder / "held").exists, lambda: scene.log)
    before = scene.committed(1)
    process.send_signal(signal.SIGKILL)
    process.wait(WAIT_S)
    (scene.folder / "hold").unlink()
    first = scene.processed()
    scene.start()
    wait(lambda: {"a", "b"} <= set(scene.values(1)[len(first) :]), lambda: scene.log)
    again = scene.processed()[len(first) :]
    assert set(first) <= set(again), "what was not committed comes again, at the same offsets"
    wait(lambda: scene.committed(1) > before, lambda: scene.log)


def test_a_record_that_cannot_be_processed_goes_to_the_dead_letters_with_its_cause(
    make_scene: Callable[..., Scene],
) -> None:
    scene = deposits(make_scene)
    scene.produce((0, "a"), (0, "b"), (0, "poison"), (0, "c"), (0, "d"))
    scene.start()
    wait(lambda: scene.values(0) == ["a", "b", "c", "d"], lambda: scene.log)
    admin = scene.kafka.admin
    wait(lambda: bool(scene.dead_letters("dead-letter.billing", admin)), lambda: scene.log)
    [(value, headers)] = scene.dead_letters("dead-letter.billing", admin)
    offsets = {text: offset for _, offset, text in scene.processed()}
    assert value == "poison"
    assert headers["dead-letter-topic"] == "moneyin.deposits"
    assert headers["dead-letter-partition"] == "0"
    assert int(headers["dead-letter-offset"]) == offsets["b"] + 1
    assert "cannot process poison" in headers["dead-letter-error"]
    wait(lambda: scene.committed(0) == offsets["d"] + 1, lambda: scene.log)


def test_a_never_skipping_partition_stops_with_an_alarm_while_another_goes_on(
    make_scene: Callable[..., Scene],
) -> None:
    scene = blocks(make_scene)
    scene.start()
    scene.produce((0, "a"), (0, "poison"), (0, "b"), (1, "x"))
    wait(lambda: "ALARM" in scene.log, lambda: scene.log)
    scene.produce((1, "y"))
    wait(lambda: scene.values(1) == ["x", "y"], lambda: scene.log)
    assert "b" not in scene.values(0), "nothing overtakes the record that stopped its partition"
    stopped_at = scene.committed(0)
    (scene.folder / "poison-ok").touch()
    wait(lambda: scene.values(0)[-2:] == ["poison", "b"], lambda: scene.log)
    wait(lambda: scene.committed(0) > stopped_at, lambda: scene.log)


def test_a_poller_with_a_wrong_password_does_not_serve(make_scene: Callable[..., Scene]) -> None:
    scene = blocks(make_scene)
    session = boto3.Session("test", "test", region_name=scene.environment["AWS_REGION"])
    secrets = session.client("secretsmanager", endpoint_url=scene.environment["AWS_ENDPOINT_URL"])
    name = "AmazonMSK_orion_poller_moneyin"
    right = secrets.get_secret_value(SecretId=name)["SecretString"]
    wrong = json.dumps({"username": scene.consumer.username, "password": "wrong"})
    secrets.put_secret_value(SecretId=name, SecretString=wrong)
    try:
        with (scene.folder / "poller.log").open("ab") as sink:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "infra.local.poller",
                    "--template",
                    str(scene.template),
                    "--mapping",
                    "Mapping",
                ],
                cwd=ROOT,
                env=scene.environment,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        scene.processes.append(process)
        wait(lambda: "Authentication failed" in scene.log, lambda: scene.log)
        assert READY not in scene.log
    finally:
        secrets.put_secret_value(SecretId=name, SecretString=right)
