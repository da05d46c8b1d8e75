"""The poller between a real broker and real Lambda workers: order, commit, poison, kill."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import boto3
import pytest

from infra.local.kafka import Kafka
from infra.local.ministack import MiniStack
from infra.local.poller import READY
from tests.engine.poller_scene import (
    BOUNDED,
    NEVER_SKIPS,
    ROOT,
    WAIT_S,
    Json,
    Scene,
    is_committed,
    make_function,
    publish_surroundings,
    template_of,
    wait,
)

pytestmark = pytest.mark.engine


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


def test_a_poller_whose_broker_takes_another_for_it_begins_again_and_loses_nothing(
    make_scene: Callable[..., Scene],
) -> None:
    scene = deposits(make_scene)
    scene.start()
    scene.produce((2, "before"))
    wait(lambda: scene.values(2) == ["before"], lambda: scene.log)
    served = scene.log.count(READY)
    # The same member of the same group: from now on the broker refuses the poller's own consumer.
    other = scene.other_member()
    scene.produce((2, "after"))
    wait(lambda: scene.log.count(READY) > served, lambda: scene.log)
    assert "fenced" in scene.log
    wait(lambda: scene.values(2)[-1] == "after", lambda: scene.log)
    other.close()


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
