"""Wake-ups of a relay that is woken often: one waits at a time, and none is missed."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from orion.runtime import cache, settings, wakeup

pytestmark = pytest.mark.engine
STAGE = "wakeups"
NO_SERVER = "127.0.0.1:9"


@pytest.fixture
def stage(aws_engine: Any, memcached_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Says where memcached is: `stage(servers)`; its own server at first."""
    for name, value in {**aws_engine.environment(), "ORION_STAGE": STAGE}.items():
        monkeypatch.setenv(name, value)
    for module in ("billing", "moneyin"):
        queue = boto3.client("sqs").create_queue(QueueName=f"orion-{STAGE}-outbox-{module}")
        boto3.client("sqs").purge_queue(QueueUrl=queue["QueueUrl"])

    def forget() -> None:
        for once in (settings.settings, cache.cache, wakeup.sqs, wakeup.queue_url):
            once.cache_clear()

    def at(servers: str) -> None:
        boto3.client("ssm").put_parameter(
            Name=f"/orion/{STAGE}/memcached/servers", Value=servers, Type="String", Overwrite=True
        )
        forget()

    at(memcached_server.servers)
    wakeup.woken("billing")
    yield at
    forget()


def waiting(module: str = "billing") -> int:
    """Messages in the relay's queue."""
    found = boto3.client("sqs").get_queue_attributes(
        QueueUrl=wakeup.queue_url(f"outbox-{module}"),
        AttributeNames=["ApproximateNumberOfMessages"],
    )
    return int(found["Attributes"]["ApproximateNumberOfMessages"])


def test_while_one_wake_up_waits_no_second_one_is_sent(stage: Any) -> None:
    for _ in range(5):
        wakeup.wake("billing")
    assert waiting() == 1


def test_what_is_committed_after_the_relay_began_wakes_it_again(stage: Any) -> None:
    wakeup.wake("billing")
    wakeup.woken("billing")
    wakeup.wake("billing")
    assert waiting() == 2


def test_without_memcached_every_commit_wakes(stage: Any) -> None:
    stage(NO_SERVER)
    for _ in range(3):
        wakeup.wake("billing")
    assert waiting() == 3


def test_a_wake_up_that_could_not_be_sent_is_not_waited_for(stage: Any) -> None:
    queue = wakeup.queue_url("outbox-billing")
    boto3.client("sqs").delete_queue(QueueUrl=queue)
    wakeup.wake("billing")
    boto3.client("sqs").create_queue(QueueName=queue.rpartition("/")[2])
    wakeup.wake("billing")
    assert waiting() == 1


def test_a_module_that_is_woken_seldom_is_woken_by_each_commit(stage: Any) -> None:
    for _ in range(2):
        wakeup.wake("moneyin")
    assert waiting("moneyin") == 2
