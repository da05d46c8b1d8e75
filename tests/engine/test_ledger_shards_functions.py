"""The operators' function and the watch as they are deployed: settings from SSM, a wake-up."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from infra.local.mariadb import MariaDb
from infra.local.ministack import MiniStack
from orion.ledger.buckets import BUCKETS
from tests.engine.ledger_shards_scene import ROOT, Ledger, emptied
from tests.engine.test_ledger_shards import MOVED, same_as_one_shard
from tests.unit.ledger_shards_world import life

pytestmark = pytest.mark.engine

PARTITIONS = 8
RUN = """
import importlib, json, sys
from orion.errors import OrionError
handler = importlib.import_module("functions.billing." + sys.argv[1]).handler
for event in json.loads(sys.argv[2]):
    try:
        print(json.dumps({"answer": handler(event, None)}))
    except OrionError as raised:
        print(json.dumps({"answer": {"outcome": "raised", "code": raised.code}}))
"""


@dataclass
class Deployed:
    """A stage with what the two functions read, and the queue that they wake."""

    ledger: Ledger
    environment: Mapping[str, str]
    sqs: Any
    queue_url: str

    def start(self, function: str, *events: Mapping[str, object]) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", RUN, function, json.dumps(events)],
            env=dict(self.environment),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )

    def invoke(self, function: str, *events: Mapping[str, object]) -> tuple[list[Any], str]:
        """The answers of one process to these events in turn, and all that it wrote."""
        process = self.start(function, *events)
        written, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        lines = [line for line in written.splitlines() if line.startswith('{"answer":')]
        return [json.loads(line)["answer"] for line in lines], written

    def grow(self, *shards: int) -> list[Any]:
        events = [{"action": "grow", "shards": number} for number in shards]
        return self.invoke("shard_map", *events)[0]

    def wake_ups(self) -> int:
        answer = self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
        return len(answer.get("Messages", []))

    def handovers(self) -> int:
        return int(
            self.ledger.one("SELECT COUNT(*) FROM outbox WHERE payload LIKE '%%\"handover\":%%'")
        )


@pytest.fixture
def deployed(mysql_admin: MariaDb, aws_engine: MiniStack) -> Iterator[Deployed]:
    stage, login = f"t{secrets.token_hex(4)}", mysql_admin.credentials("ledger")
    parameters = {
        "mysql/writer-host": mysql_admin.host,
        "mysql/writer-port": str(mysql_admin.port),
        "mysql/writer-ca-pem": mysql_admin.ca_pem,
        "kafka/ledger-partitions": str(PARTITIONS),
    }
    ssm = aws_engine.client("ssm")
    for name, value in parameters.items():
        ssm.put_parameter(Name=f"/orion/{stage}/{name}", Value=value, Type="String")
    aws_engine.client("secretsmanager").create_secret(
        Name=f"orion/{stage}/mysql/ledger",
        SecretString=json.dumps({"username": login.username, "password": login.password}),
    )
    aws = aws_engine.environment()
    sqs = boto3.session.Session(
        aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
        region_name=aws_engine.region,
    ).client("sqs", endpoint_url=aws_engine.url)
    url = sqs.create_queue(QueueName=f"orion-{stage}-outbox-ledger")["QueueUrl"]
    path = os.pathsep.join((str(ROOT), str(ROOT / "layers/orion/python")))
    environment = {
        "PATH": os.environ["PATH"],
        **aws,
        "ORION_STAGE": stage,
        "PYTHONPATH": path,
    }
    with emptied(mysql_admin) as admin:
        ledger = Ledger(mysql_admin, admin)
        yield Deployed(ledger, environment, sqs, url)
        ledger.close()


def test_an_operator_grows_the_ledger_and_calls_again_until_it_is_settled(
    deployed: Deployed,
) -> None:
    ledger, story = deployed.ledger, life(MOVED)
    ledger.ask(*story)
    show = {"action": "show"}
    (shown,), _ = deployed.invoke("shard_map", show)
    assert (shown["outcome"], shown["map_version"], shown["moving"]) == ("shown", 1, 0)
    assert [row["buckets"] for row in shown["shards"]] == [BUCKETS]
    moving = {"outcome": "moving", "map_version": 2, "moving": 192}
    # The second call finds all of it done, and owes nothing twice.
    assert deployed.grow(1, 4, 4) == [
        {"outcome": "settled", "map_version": 1, "moving": 0},
        moving,
        moving,
    ]
    assert deployed.handovers() == 192
    assert deployed.wake_ups() == 2
    ledger.drain()
    grow = {"action": "grow", "shards": 4}
    (settled, shown), _ = deployed.invoke("shard_map", grow, show)
    assert settled == {"outcome": "settled", "map_version": 2, "moving": 0}
    assert [row["buckets"] for row in shown["shards"]] == [64] * 4
    same_as_one_shard(ledger, [tuple(story)])


def test_what_a_request_must_change_is_refused_and_changes_nothing(deployed: Deployed) -> None:
    answers, _ = deployed.invoke(
        "shard_map",
        {"action": "grow", "shards": PARTITIONS + 1},
        {"action": "grow"},
        {"action": "grow", "shards": 0},
        {"action": "grow", "shards": True},
        {"action": "shrink"},
        {"action": "show", "shard": 1},
        {},
    )
    assert [(answer["outcome"], answer["code"]) for answer in answers] == [
        ("refused", "shards_out_of_range"),
        ("refused", "missing_field"),
        ("refused", "malformed_field"),
        ("refused", "malformed_field"),
        ("refused", "malformed_field"),
        ("refused", "unknown_field"),
        ("refused", "missing_field"),
    ]
    assert deployed.ledger.one("SELECT MAX(map_version) FROM shard_map") == 1
    answers = deployed.grow(4, 2, 8)
    assert [(answer["outcome"], answer.get("code")) for answer in answers] == [
        ("moving", None),
        ("refused", "shards_out_of_range"),
        ("raised", "buckets_moving"),
    ]
    assert deployed.ledger.one("SELECT MAX(map_version) FROM shard_map") == 2


def killed_at_the_barrier(deployed: Deployed, shards: int) -> None:
    """An operator's call draws the map and dies waiting for a relay; the relay then lets go."""
    ledger, relay = deployed.ledger, deployed.ledger.relays["moneyin"]
    assert relay.lock()
    call = deployed.start("shard_map", {"action": "grow", "shards": shards})
    deadline = time.monotonic() + 30
    waits = (
        "SELECT id FROM information_schema.processlist"
        " WHERE info LIKE 'SELECT GET_LOCK(''orion-outbox-moneyin''%%'"
    )
    while not ledger.rows(waits):
        assert time.monotonic() < deadline, "the call never came to the barrier"
        time.sleep(0.02)
    ((thread,),) = ledger.rows(waits)
    call.kill()
    call.communicate()
    ledger.admin.execute(f"KILL CONNECTION {thread:d}")
    assert ledger.one("SELECT MAX(map_version) FROM shard_map") == 2
    assert deployed.handovers() == 0
    relay.unlock()


def test_a_call_killed_at_the_barrier_owes_no_handover_and_the_next_one_goes_on(
    deployed: Deployed,
) -> None:
    killed_at_the_barrier(deployed, 2)
    assert deployed.grow(2) == [{"outcome": "moving", "map_version": 2, "moving": 128}]
    assert deployed.handovers() == 128
    deployed.ledger.drain()
    assert deployed.ledger.moving() == 0


def test_a_growth_whose_call_was_killed_is_carried_on_by_the_watch(deployed: Deployed) -> None:
    ledger, story = deployed.ledger, life(MOVED)
    ledger.ask(*story)
    killed_at_the_barrier(deployed, 2)
    answers, _ = deployed.invoke("ledger_watch", {}, {})
    assert [answer["handovers_owed"] for answer in answers] == [128, 0]
    assert deployed.handovers() == 128
    assert deployed.wake_ups() == 1
    ledger.drain()
    assert ledger.moving() == 0
    same_as_one_shard(ledger, [tuple(story)])
    (answer,), _ = deployed.invoke("ledger_watch", {})
    assert answer["handovers_owed"] == 0


def test_the_watch_tells_its_counts_as_metrics(deployed: Deployed) -> None:
    deployed.ledger.ask(*life(MOVED))
    deployed.ledger.grow(2)
    for _ in range(2):
        deployed.ledger.relays["moneyin"].run()
        deployed.ledger.relays["ledger"].run()
    deployed.ledger.work(1)
    (answer,), written = deployed.invoke("ledger_watch", {})
    lines = [json.loads(line) for line in written.splitlines() if '"_aws"' in line]
    metrics = {
        metric["Name"]: line[metric["Name"]]
        for line in lines
        for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
    }
    assert metrics == {"Legs late": [0], "Transfers held": [1], "Statements behind": [0]}
    counted = {"legs_late": 0, "transfers_held": 1, "statements_behind": 0}
    assert answer == counted | {"handovers_owed": 0}
