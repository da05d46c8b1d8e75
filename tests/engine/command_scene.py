"""The asker's side of commands to agents, over real Kafka messages: an issuer with a key of the
test's own, who keeps what the agents answer.
"""

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from orion.log.node_commands.answer import Answer, Asked, check_answer, read_answer
from orion.log.node_commands.command import NodeCommand
from tests.engine.agent_scene import WAIT_S, Event, Scene
from tests.unit.agent_commands import record


class Asker:
    """Commands one node, and reads `node.answers` from now on."""

    def __init__(self, scene: Scene, chain: str, node: str) -> None:
        self.chain, self.node = chain, node
        self.answers: list[Answer] = []
        argv, env = scene.command(chain, node, "--answer-key")
        done = subprocess.run(argv, env=env, check=True, capture_output=True, text=True)
        self.public_key = done.stdout.strip()
        settings = scene.kafka_settings("log")
        self._producer = Producer(settings.client("log-relay"))
        self._consumer = Consumer(
            settings.client("log")
            | {"group.id": "orion-log-node-answers", "enable.auto.commit": False}
        )
        topic = self._consumer.list_topics("node.answers", timeout=20).topics["node.answers"]
        places = [TopicPartition("node.answers", number) for number in topic.partitions]
        for place in places:
            place.offset = self._consumer.get_watermark_offsets(place, timeout=20)[1]
        self._consumer.assign(places)

    def command(
        self, height: int, items: Sequence[Mapping[str, object]], **changed: Any
    ) -> NodeCommand:
        fields: dict[str, Any] = {
            "id": secrets.token_bytes(16),
            "trace_id": secrets.token_hex(16),
            "name": "balances",
            "issuer": "reconciliation",
            "purpose": "reconciliation",
            "chain": self.chain,
            "node": self.node,
            "expires_at": datetime.now(UTC) + timedelta(seconds=60),
            "arguments": {"height": height, "items": items},
        }
        return NodeCommand(**(fields | changed))

    def send(self, value: bytes) -> None:
        """Write one record to node.commands, as the log module's relay does."""
        self._producer.produce("node.commands", value, self.node.encode())
        assert self._producer.flush(30) == 0

    def ask(self, height: int, items: Sequence[Mapping[str, object]], **changed: Any) -> Answer:
        """Send a command and wait for its answer, which must be believable."""
        made = self.command(height, items, **changed)
        self.send(record(made))
        self.until(lambda: self.answer_to(made) is not None)
        answer = self.answer_to(made)
        assert answer is not None
        asked = Asked(self.chain, self.node, made.expires_at, answered=False)
        check_answer(answer, asked, self.public_key, datetime.now(UTC))
        return answer

    def units(self, height: int, items: Sequence[Mapping[str, object]]) -> Sequence[str | None]:
        """What the chain holds in each item."""
        answer = self.ask(height, items)
        assert answer.result is not None, answer.reason
        assert answer.result["height"] == height
        found = answer.result["units"]
        assert isinstance(found, list)
        return found

    def answer_to(self, made: NodeCommand) -> Answer | None:
        found = [answer for answer in self.answers if answer.command_id == made.id]
        assert len(found) <= 1, "a command was answered twice"
        return found[0] if found else None

    def until(self, fits: Callable[[], bool]) -> None:
        end = time.monotonic() + WAIT_S
        while not fits():
            assert time.monotonic() < end, f"no answer within {WAIT_S} s"
            self._read(0.2)

    def _read(self, timeout_s: float) -> None:
        message = self._consumer.poll(timeout_s)
        if message is None or message.error() is not None:
            return
        value, key = message.value(), message.key()
        assert value is not None
        body: Event = json.loads(value)
        if body["kind"] != "answer" or body["node"] != self.node:
            return
        assert key == self.node.encode()
        answer = read_answer(value)
        assert answer is not None
        self.answers.append(answer)
