"""moneyin's Lambda functions as they are deployed: true events in, settings from SSM, a wake-up."""

import base64
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from orion.adapters.mysql.session import Database, MySqlConfig

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
TRACE = "ab" * 16
ADDRESS = "bcrt1qours"
RUN = (
    "import importlib, json, os, sys;"
    "handler = importlib.import_module('functions.moneyin.' + os.environ['FUNCTION']).handler;"
    "answer = handler(json.loads(sys.stdin.read()), None);"
    "print(json.dumps({'answer': answer}))"
)


@dataclass
class Deployed:
    """A stage with the parameters, the secret and the queue that moneyin reads."""

    environment: Mapping[str, str]
    sqs: Any
    queue_url: str
    database: Database

    def invoke(self, function: str, event: Mapping[str, object]) -> Any:
        done = subprocess.run(
            [sys.executable, "-c", RUN],
            input=json.dumps(event),
            env={**self.environment, "FUNCTION": function},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])["answer"]

    def wake_ups(self) -> int:
        answer = self.sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
        return len(answer.get("Messages", []))

    def ask(self, sql: str) -> Any:
        with self.database.transaction() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()


@pytest.fixture
def deployed(mysql_admin: Any, aws_engine: Any) -> Any:
    aws, stage = aws_engine.environment(), f"t{secrets.token_hex(4)}"
    login = mysql_admin.credentials("moneyin")

    def client(service: str) -> Any:
        return boto3.session.Session(
            aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
            region_name=aws_engine.region,
        ).client(service, endpoint_url=aws_engine.url)  # type: ignore[call-overload]

    parameters = {
        "mysql/writer-host": mysql_admin.host,
        "mysql/writer-port": str(mysql_admin.port),
        "mysql/writer-ca-pem": mysql_admin.ca_pem,
        "mysql/proxy-ca-pem": mysql_admin.ca_pem,
        "chains/networks": '{"bitcoin": "regtest"}',
        "chains/contracts": "{}",
        "policy/confirmations": '{"bitcoin": {"settled": 1, "final": 3}}',
    }
    for name, value in parameters.items():
        client("ssm").put_parameter(Name=f"/orion/{stage}/{name}", Value=value, Type="String")
    secret = json.dumps({"username": login.username, "password": login.password})
    client("secretsmanager").create_secret(Name=f"orion/{stage}/mysql/moneyin", SecretString=secret)
    sqs = client("sqs")
    url = sqs.create_queue(QueueName=f"orion-{stage}-outbox-moneyin")["QueueUrl"]
    config = (mysql_admin.host, mysql_admin.port, login.username, login.password)
    database = Database(MySqlConfig(*config, "orion_moneyin", mysql_admin.ca_pem))
    with database.transaction() as cursor:
        for table in ("outbox", "consumer_offset", "wallet", "address", "pool_request"):
            cursor.execute(f"DELETE FROM {table}")
        for table in ("chain_head", "chain_block", "chain_cursor", "deposit", "deposit_history"):
            cursor.execute(f"DELETE FROM {table}")
    path = os.pathsep.join((str(ROOT), str(ROOT / "layers/orion/python")))
    environment = {"PATH": os.environ["PATH"], **aws, "ORION_STAGE": stage, "PYTHONPATH": path}
    yield Deployed(environment, sqs, url, database)
    database.close()


def kafka_event(topic: str, *bodies: Mapping[str, object]) -> Mapping[str, object]:
    rows: Sequence[Mapping[str, object]] = [
        {
            "topic": topic,
            "partition": 0,
            "offset": offset,
            "timestamp": 1_700_000_000_000,
            "timestampType": "CREATE_TIME",
            "key": base64.b64encode(b"bitcoin-1").decode(),
            "value": base64.b64encode(json.dumps(body).encode()).decode(),
            "headers": [],
        }
        for offset, body in enumerate(bodies)
    ]
    return {
        "eventSource": "aws:kafka",
        "eventSourceArn": "arn:aws:kafka:eu-central-1:123456789012:cluster/orion/1",
        "bootstrapServers": "127.0.0.1:9096",
        "records": {f"{topic}-0": rows},
    }


def test_a_payment_goes_through_the_deployed_functions_once_and_wakes_the_relay(
    deployed: Deployed,
) -> None:
    assert deployed.invoke("pool_level", {}) == {"messages": 1}
    assert deployed.wake_ups() == 1
    wallet = {"index": 0, "addresses": {"bitcoin": ADDRESS, "ethereum": "0xours"}}
    answer = {"v": 1, "trace_id": TRACE, "kind": "addresses", "group": 0, "wallets": [wallet]}
    event = kafka_event("wallet.addresses", answer)
    assert deployed.invoke("addresses", event) == {"added": 2}
    deployed.ask(
        "UPDATE wallet SET state = 'assigned', merchant_id = REPEAT('m', 16),"
        " invoice_id = REPEAT('i', 16), assigned_at = UTC_TIMESTAMP(6)"
    )
    head = {"v": 1, "trace_id": TRACE, "chain": "bitcoin", "network": "regtest"}
    transfer = {"txid": "t", "position": "out:1", "contract": None, "to": ADDRESS, "units": "41234"}
    block = {"node": "bitcoin-1", "height": 812, "hash": "b", "parent": "a", "time": 1_700_000_000}
    block |= {"kind": "connected", "part": 0, "parts": 1, "transfers": [transfer]}
    event = kafka_event("chain.blocks.bitcoin", head | block)
    # One transfers record and two deposit events: with one confirmation asked for, it settles too.
    assert deployed.invoke("blocks", event) == {"messages": 3}
    assert deployed.wake_ups() == 1
    assert deployed.invoke("blocks", event) == {"messages": 0}
    question = {"v": 1, "trace_id": TRACE, "kind": "resume_request", "chain": "bitcoin"}
    asked = kafka_event("node.answers", question | {"node": "bitcoin-1", "request_id": "r"})
    assert deployed.invoke("node_answers", asked) == {"messages": 1}
    assert deployed.ask("SELECT destination, COUNT(*) FROM outbox GROUP BY 1 ORDER BY 1") == (
        ("kafka:ledger.transfers", 1),
        ("kafka:moneyin.deposits", 2),
        ("kafka:node.commands", 1),
        ("kafka:wallet.requests", 1),
    )
    assert deployed.ask("SELECT state, units FROM deposit") == (("confirmed", "41234"),)
