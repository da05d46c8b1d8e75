"""The transports of the way from a block to a webhook, with nothing done on them.

A block passes two topics of Kafka (`chain.blocks.*`, `moneyin.deposits`), three queues (two
wake-ups of relays and the webhook itself) and five functions (blocks, relay, deposits, relay,
sender). The bare path is as many round trips, one after another, in the same run: so the difference
is what our own code and waiting cost. The bare function is `system-doctor/health`: it runs one
`SELECT 1`.
"""

import json
import time
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config
from confluent_kafka import OFFSET_END, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from demos.first_light.merchant import StoryFailure
from infra.local import Stack

INVOCATIONS, TOPICS, QUEUES = 5, 2, 3
IS = (
    f"{INVOCATIONS} invocations of the health function, {TOPICS} records through Kafka (acks=all)"
    f" and {QUEUES} messages through SQS, one after another, same run"
)
_FUNCTION = "orion-local-system-doctor-health-standard"
_NAME = "bench-round-trip"
_TIMEOUT_S = 10.0
_EVENT = json.dumps(
    {
        "resource": "/health",
        "path": "/health",
        "httpMethod": "GET",
        "headers": {},
        "multiValueHeaders": {},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {"resourcePath": "/health", "httpMethod": "GET", "requestId": "bench"},
        "body": None,
        "isBase64Encoded": False,
    }
).encode()


class BarePath:
    """A topic and a queue of the bench's own, removed by `close`."""

    def __init__(self, stack: Stack) -> None:
        environment = stack.ministack.environment()
        session = boto3.Session(
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name=stack.ministack.region,
        )
        config = Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 1})
        url = stack.ministack.url
        self._lambda = session.client("lambda", endpoint_url=url, config=config)
        self._sqs = session.client("sqs", endpoint_url=url, config=config)
        self._queue = self._sqs.create_queue(QueueName=_NAME)["QueueUrl"]
        settings = kafka_settings(stack)
        self._admin = AdminClient(settings)
        for future in self._admin.create_topics([NewTopic(_NAME, 1, 1)]).values():
            future.result(_TIMEOUT_S)
        self._producer = Producer({**settings, "acks": "all", "linger.ms": 0})
        self._consumer = Consumer(
            {**settings, "group.id": _NAME, "enable.auto.commit": False, "fetch.wait.max.ms": 100}
        )
        self._consumer.assign([TopicPartition(_NAME, 0, OFFSET_END)])
        self._consumer.poll(1.0)

    def parts_s(self) -> tuple[float, float, float]:
        """Seconds of one invocation, one record and one message."""
        marks = [time.monotonic()]
        for step in (self._invoke, self._record, self._message):
            step()
            marks.append(time.monotonic())
        return marks[1] - marks[0], marks[2] - marks[1], marks[3] - marks[2]

    def once_s(self) -> float:
        """Seconds of the whole bare path, once."""
        begin = time.monotonic()
        for _ in range(INVOCATIONS):
            self._invoke()
        for _ in range(TOPICS):
            self._record()
        for _ in range(QUEUES):
            self._message()
        return time.monotonic() - begin

    def _invoke(self) -> None:
        answer = self._lambda.invoke(FunctionName=_FUNCTION, Payload=_EVENT)
        said = json.loads(answer["Payload"].read())
        if not isinstance(said, dict) or said.get("statusCode") != 200:
            raise StoryFailure(f"expected {_FUNCTION} to be well; it said {said}")

    def _record(self) -> None:
        self._producer.produce(_NAME, value=b"{}")
        self._producer.flush(_TIMEOUT_S)
        message = self._consumer.poll(_TIMEOUT_S)
        if message is None or message.error() is not None:
            raise StoryFailure(f"expected the record that was just produced; saw {message}")

    def _message(self) -> None:
        self._sqs.send_message(QueueUrl=self._queue, MessageBody="{}")
        found = self._sqs.receive_message(QueueUrl=self._queue, WaitTimeSeconds=2)["Messages"]
        self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=found[0]["ReceiptHandle"])

    def close(self) -> None:
        """Leave nothing behind in a stack that goes on."""
        self._consumer.close()
        self._sqs.delete_queue(QueueUrl=self._queue)
        for future in self._admin.delete_topics([_NAME]).values():
            future.result(_TIMEOUT_S)


def kafka_settings(stack: Stack) -> dict[str, str | int | float | bool]:
    """A client of the broker's administrator."""
    return {
        "bootstrap.servers": stack.kafka.bootstrap_servers,
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": stack.kafka.admin.username,
        "sasl.password": stack.kafka.admin.password,
        "ssl.ca.location": stack.kafka.ca_path,
        # A connection that is closed while it opens would be a line on people's screens.
        "log_level": 2,
    }


def read_topic(stack: Stack, topic: str) -> list[tuple[int, Mapping[str, Any]]]:
    """Every record of a topic: when its producer made it (milliseconds since 1970) and its body."""
    consumer = Consumer({**kafka_settings(stack), "group.id": _NAME, "enable.auto.commit": False})
    try:
        known = consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].partitions
        ends = {
            number: consumer.get_watermark_offsets(TopicPartition(topic, number))
            for number in known
        }
        left = sum(high - low for low, high in ends.values())
        consumer.assign([TopicPartition(topic, number, low) for number, (low, _) in ends.items()])
        found: list[tuple[int, Mapping[str, Any]]] = []
        while left > 0:
            message = consumer.poll(_TIMEOUT_S)
            if message is None:
                raise StoryFailure(f"expected {left} more records of {topic}")
            if message.error() is not None:
                raise KafkaException(message.error())
            left -= 1
            found.append((message.timestamp()[1], json.loads(message.value() or b"{}")))
        return found
    finally:
        consumer.close()
