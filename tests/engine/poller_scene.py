"""A topic with its mapping, its function in a real Lambda worker, and pollers between them."""

import io
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import boto3
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

    def other_member(self) -> Consumer:
        """A consumer under the poller's own name, which has joined its group."""
        joined: list[TopicPartition] = []
        consumer = Consumer(
            self._client(self.consumer)
            | {"group.id": self.group, "group.instance.id": "Mapping", "enable.auto.commit": False}
        )
        consumer.subscribe([self.topic], on_assign=lambda _, parts: joined.extend(parts))
        deadline_s = time.monotonic() + WAIT_S
        while not joined:
            assert time.monotonic() < deadline_s, "it never joined"
            consumer.poll(0.1)
        return consumer

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
