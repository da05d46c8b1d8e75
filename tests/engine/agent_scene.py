"""A private Kafka, AWS engine and nodes for the agents, and the other side of their protocol.

The test plays moneyin over real Kafka messages: it keeps the chain that the events describe, and
refuses an event that does not fit on it.
"""

import base64
import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

from infra.local.layout import port_is_free
from infra.local.stack import Stack
from node_stacks.agent.kafka import KafkaSettings

ROOT = Path(__file__).parents[2]
STAGE = "agents"
WAIT_S = 60.0
Event = dict[str, Any]


def rpc(url: str, method: str, *params: object, login: str | None = None) -> Any:
    """One JSON-RPC call over HTTP."""
    headers = {"Content-Type": "application/json"}
    if login is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    # btcd speaks 1.0, the others 2.0.
    version = "2.0" if login is None else "1.0"
    body = json.dumps({"jsonrpc": version, "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        found = json.load(answer)
    if found.get("error"):
        raise RuntimeError(found["error"])
    return found["result"]


class Moneyin:
    """The consumer of one node's events, and the one who answers where to resume."""

    def __init__(self, scene: "Scene", chain: str, node: str, *, answering: bool = True) -> None:
        self.chain, self.node = chain, node
        self.answering = answering
        self.events: list[Event] = []
        self.requests: list[Event] = []
        self.blocks: list[tuple[int, str]] = []
        self._parts: list[Event] = []
        settings = scene.kafka_settings("moneyin")
        self._producer = Producer(settings.client("moneyin-relay"))
        self._consumer = Consumer(
            settings.client("moneyin")
            | {"group.id": "orion-moneyin-blocks", "enable.auto.commit": False}
        )
        places = [
            TopicPartition(topic, number, OFFSET_END)
            for topic in (f"chain.blocks.{chain}", "node.answers")
            for number in self._consumer.list_topics(topic, timeout=20).topics[topic].partitions
        ]
        for place in places:
            place.offset = self._consumer.get_watermark_offsets(place, timeout=20)[1]
        self._consumer.assign(places)

    def until(self, fits: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
        """Read until `fits()`."""
        end = time.monotonic() + timeout_s
        while not fits():
            assert time.monotonic() < end, f"not seen within {timeout_s} s; seen: {self.story()}"
            self._read(0.2)

    def quiet(self, for_s: float) -> None:
        """Read for a while."""
        end = time.monotonic() + for_s
        while time.monotonic() < end:
            self._read(0.1)

    def story(self) -> list[tuple[str, int]]:
        """Kind and height of everything published."""
        return [(event["kind"], event["height"]) for event in self.events]

    def top(self) -> tuple[int, str] | None:
        return self.blocks[-1] if self.blocks else None

    def transfers(self) -> list[Event]:
        return [row for event in self.events for row in event.get("transfers", [])]

    def command(self, body: Mapping[str, object]) -> None:
        """Write one record to node.commands."""
        self._producer.produce("node.commands", json.dumps(body).encode(), self.node.encode())
        assert self._producer.flush(30) == 0

    def resume(self, request_id: str | None) -> None:
        """Tell the agent where moneyin stands."""
        recent = [{"height": height, "hash": name} for height, name in self.blocks[:-257:-1]]
        self.command(
            {
                "v": 1,
                "trace_id": secrets.token_hex(16),
                "kind": "resume",
                "chain": self.chain,
                "node": self.node,
                "request_id": request_id,
                "recent": recent,
            }
        )

    def _read(self, timeout_s: float) -> None:
        message = self._consumer.poll(timeout_s)
        if message is None or message.error() is not None:
            return
        value, key = message.value(), message.key()
        assert value is not None
        event = json.loads(value)
        if event["node"] != self.node:
            return
        assert key == self.node.encode()
        assert len(value) <= 512_000
        assert len(event["trace_id"]) == 32
        if event["kind"] == "resume_request":
            self.requests.append(event)
            if self.answering:
                self.resume(event["request_id"])
            return
        if event["kind"] == "answer":
            return  # To a command: not for moneyin.
        self.events.append(event)
        self._apply(event)

    def _apply(self, event: Event) -> None:
        if event["kind"] == "disconnected":
            assert self.top() == (event["height"], event["hash"]), "not the newest block"
            self.blocks.pop()
            return
        assert event["part"] == len(self._parts)
        self._parts.append(event)
        if len(self._parts) < event["parts"]:
            return
        self._parts.clear()
        top = self.top()
        assert top is None or (event["height"] - 1, event["parent"]) == top, "not the next block"
        self.blocks.append((event["height"], event["hash"]))


class Scene:
    """The engines, and agents beside them."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        aws = stack.ministack
        self._aws_env = {
            "AWS_ENDPOINT_URL": f"http://{aws.host}:{aws.port}",
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        session = boto3.Session(
            aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-central-1"
        )
        url = self._aws_env["AWS_ENDPOINT_URL"]
        self._ssm = session.client("ssm", endpoint_url=url)
        self._secrets = session.client("secretsmanager", endpoint_url=url)
        kafka = stack.kafka
        self._put("kafka/bootstrap-servers", kafka.bootstrap_servers)
        self._put("kafka/ca-pem", kafka.ca_pem)
        self.put_networks()
        for principal in ("agent-bitcoin", "agent-ethereum"):
            user = kafka.credentials(principal)
            self._secret(f"AmazonMSK_orion_{STAGE}_{principal}", user.username, user.password)

    def _put(self, name: str, value: str) -> None:
        self._ssm.put_parameter(
            Name=f"/orion/{STAGE}/{name}", Value=value, Type="String", Overwrite=True
        )

    def put_issuers(self, text: str) -> None:
        """Who may command the agents that are started from now on."""
        self._put("nodes/command-issuers", text)

    def put_networks(self, **changed: str) -> None:
        """What `chains/networks` says; without arguments, the truth."""
        networks = {"bitcoin": "regtest", "ethereum": str(self.stack.anvil.chain_id)}
        self._put("chains/networks", json.dumps(networks | changed))

    def _secret(self, name: str, username: str, password: str) -> None:
        text = json.dumps({"username": username, "password": password})
        self._secrets.create_secret(Name=name, SecretString=text)

    def kafka_settings(self, principal: str) -> KafkaSettings:
        """As a principal of the real cluster."""
        kafka = self.stack.kafka
        user = kafka.credentials(principal)
        return KafkaSettings(kafka.bootstrap_servers, user.username, user.password, kafka.ca_pem)

    def node(self, chain: str, **endpoints: str) -> str:
        """Declare a node of its own for one test; its name."""
        name = f"{chain}-{secrets.token_hex(3)}"
        for place, value in endpoints.items():
            self._put(f"nodes/{name}/{place.replace('_', '-')}", value)
        if chain == "bitcoin":
            user = self.stack.btcd.rpc
            self._secret(f"orion/{STAGE}/nodes/{name}", user.username, user.password)
        return name

    @contextmanager
    def agent(self, chain: str, name: str) -> Iterator["subprocess.Popen[bytes]"]:
        """The agent program beside a declared node, stopped at the end."""
        process = self.start_agent(chain, name)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) is not None

    def command(self, chain: str, name: str, *more: str) -> tuple[Sequence[str], dict[str, str]]:
        """Argument vector and environment of an agent."""
        node_file = ROOT / "node_stacks" / chain / "node.toml"
        argv = (sys.executable, "-m", "node_stacks.agent", "--node", str(node_file))
        env = self._aws_env | {
            "PATH": os.environ["PATH"],
            "ORION_STAGE": STAGE,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'layers/orion/python'}",
        }
        return (*argv, "--name", name, "--state", str(self.state(name)), *more), env

    def start_agent(self, chain: str, name: str) -> "subprocess.Popen[bytes]":
        """The agent program, its log in a file of the scene."""
        argv, env = self.command(chain, name)
        with self.log(name).open("ab") as log:
            return subprocess.Popen(argv, env=env, cwd=ROOT, stdout=log, stderr=log)

    def start_kafka(self) -> None:
        """After a kill: on the port that clients know, which the kernel frees a little later."""
        port = self.stack.kafka.port
        end = time.monotonic() + WAIT_S
        while not port_is_free(port):
            assert time.monotonic() < end, "the killed broker's port is still taken"
            time.sleep(0.05)
        self.stack.start("kafka")
        assert self.stack.kafka.port == port

    def state(self, name: str) -> Path:
        """The state folder of an agent."""
        return self.folder / f"{name}.state"

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def log_lines(self, name: str) -> list[Event]:
        return [json.loads(line) for line in self.log(name).read_text().splitlines()]

    def bitcoin(self, method: str, *params: object) -> Any:
        user = self.stack.btcd.rpc
        login = f"{user.username}:{user.password}"
        return rpc(self.stack.btcd.rpc_url, method, *params, login=login)

    def ethereum(self, method: str, *params: object) -> Any:
        return rpc(self.stack.anvil.http_url, method, *params)

    def send(self, **transaction: object) -> Any:
        """Send from anvil's first account and mine one block; the receipt."""
        sender = self.ethereum("eth_accounts")[0]
        # Half a million is enough for every contract of these tests.
        row = {"from": sender, "gas": hex(500_000), **transaction}
        txid = self.ethereum("eth_sendTransaction", row)
        end = time.monotonic() + WAIT_S
        while (receipt := self.ethereum("eth_getTransactionReceipt", txid)) is None:
            assert time.monotonic() < end
            time.sleep(0.02)
        return receipt
