"""Executing commands: one at a time, each at most once, never longer than it may take."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from node_stacks.agent.commands import room as room_module
from node_stacks.agent.commands.answer_key import AnswerKey, answer_key
from node_stacks.agent.commands.balances import (
    Balances,
    Calls,
    CommandFailed,
    Failure,
    MalformedArguments,
)
from node_stacks.agent.commands.memory import ReplayMemory
from node_stacks.agent.commands.private_files import open_folder
from node_stacks.agent.commands.room import WAITING_MAX, Action, CommandRoom
from node_stacks.agent.errors import NodeUnavailable
from node_stacks.agent.jsonrpc import RpcError
from node_stacks.agent.node import Point
from orion.chains.errors import MalformedBlock
from tests.unit.agent_commands import ISSUERS, NOW, SOURCE, command, record

HELD = Balances(Point(7, "aa"), (41_234, None))


class Desk:
    """A room over a folder, with its answers and what was begun. Its clock stands still."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, action: Action | None = None
    ) -> None:
        self.now = NOW
        self.begun: list[Mapping[str, object]] = []
        self.answers: list[dict[str, Any]] = []
        self.changed = asyncio.Event()
        monkeypatch.setattr(room_module, "_now", lambda: self.now)
        self.key: AnswerKey = answer_key(open_folder(folder))

        async def counted(node: Calls, network: str, arguments: Mapping[str, object]) -> Balances:
            self.begun.append(arguments)
            return HELD if action is None else await action(node, network, arguments)

        self.room = CommandRoom(
            cast(Calls, None),
            SOURCE,
            ISSUERS,
            ReplayMemory(folder),
            self.key,
            {"balances": counted},
            self._answer,
        )

    async def _answer(self, value: bytes) -> None:
        self.answers.append(json.loads(value))
        self.changed.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.answers) < count:
                self.changed.clear()
                await self.changed.wait()


def play(desk: Callable[[], Desk], story: Callable[[Desk], Awaitable[None]]) -> Desk:
    """Tell `story` while the room works."""

    async def whole() -> Desk:
        found = desk()
        working = asyncio.create_task(found.room.run())
        try:
            await story(found)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        return found

    return asyncio.run(whole())


def single(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: bytes, action: Action | None = None
) -> dict[str, Any]:
    async def story(desk: Desk) -> None:
        desk.room.offer(value)
        await desk.until(1)

    (answer,) = play(lambda: Desk(tmp_path / "s", monkeypatch, action), story).answers
    return answer


def test_an_answer_carries_the_result_and_the_agents_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = single(tmp_path, monkeypatch, record(command()))
    signature = base64.b64decode(answer.pop("signature"))
    assert answer == {
        "v": 1,
        "trace_id": "0" * 32,
        "kind": "answer",
        "command_id": f"{1:032x}",
        "chain": "bitcoin",
        "node": "bitcoin-1",
        "outcome": "done",
        "reason": None,
        "result": {"height": 7, "hash": "aa", "units": ["41234", None]},
        "answered_at": "2026-11-23T10:00:00.000Z",
    }
    spki = base64.b64decode(answer_key(tmp_path / "s").public_text)
    key = load_der_public_key(spki)
    assert isinstance(key, Ed25519PublicKey)
    text = json.dumps(answer, sort_keys=True, separators=(",", ":"))
    key.verify(signature, hashlib.sha256(text.encode()).digest())


def test_a_repeated_command_is_neither_executed_nor_answered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(desk: Desk) -> None:
        for value in (record(command(1)), record(command(1)), record(command(2))):
            desk.room.offer(value)
        await desk.until(2)

    desk = play(lambda: Desk(tmp_path / "s", monkeypatch), story)
    assert [answer["command_id"] for answer in desk.answers] == [f"{n:032x}" for n in (1, 2)]
    assert len(desk.begun) == 2
    assert "replayed" in caplog.text


def test_a_command_that_was_begun_before_a_crash_is_not_executed_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(_node: Calls, _network: str, _arguments: Mapping[str, object]) -> Balances:
        raise KeyboardInterrupt

    async def begun(desk: Desk) -> None:
        desk.room.offer(record(command(1)))
        await asyncio.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        play(lambda: Desk(tmp_path / "s", monkeypatch, crash), begun)

    async def again(desk: Desk) -> None:
        desk.room.offer(record(command(1)))
        desk.room.offer(record(command(2)))
        await desk.until(1)

    desk = play(lambda: Desk(tmp_path / "s", monkeypatch), again)
    assert [answer["command_id"] for answer in desk.answers] == [f"{2:032x}"]
    assert len(desk.begun) == 1


@pytest.mark.parametrize(
    "value",
    [
        record(command(expires_at=NOW)),
        record(command(expires_at=NOW + timedelta(minutes=11))),
        record(command(issuer="stranger")),
        record(command()).replace(b'"height":7', b'"height":8'),
        record(command(node="bitcoin-2")),
        b"{",
    ],
)
def test_what_cannot_be_believed_is_neither_begun_nor_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: bytes
) -> None:
    async def story(desk: Desk) -> None:
        desk.room.offer(value)
        desk.room.offer(record(command(2)))
        await desk.until(1)

    desk = play(lambda: Desk(tmp_path / "s", monkeypatch), story)
    assert [answer["command_id"] for answer in desk.answers] == [f"{2:032x}"]
    assert len(desk.begun) == 1


def test_a_command_that_expired_while_it_waited_is_not_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(desk: Desk) -> None:
        desk.room.offer(record(command(1, expires_at=NOW + timedelta(seconds=5))))
        desk.room.offer(record(command(2)))
        desk.now = NOW + timedelta(seconds=5)
        await desk.until(1)

    desk = play(lambda: Desk(tmp_path / "s", monkeypatch), story)
    assert [answer["command_id"] for answer in desk.answers] == [f"{2:032x}"]


@pytest.mark.parametrize(
    "changed, reason",
    [({"name": "broadcast"}, "not_permitted"), ({"arguments": {}}, "arguments_malformed")],
)
def test_a_signed_command_that_is_not_to_be_done_is_answered_once_as_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: Any, reason: str
) -> None:
    async def strict(_node: Calls, _network: str, arguments: Mapping[str, object]) -> Balances:
        raise MalformedArguments("not of this form")

    async def story(desk: Desk) -> None:
        desk.room.offer(record(command(1, **changed)))
        desk.room.offer(record(command(1, **changed)))
        desk.room.offer(record(command(2)))
        await desk.until(2)

    desk = play(lambda: Desk(tmp_path / "s", monkeypatch, strict), story)
    assert [(a["command_id"], a["outcome"], a["reason"]) for a in desk.answers] == [
        (f"{1:032x}", "refused", reason),
        (f"{2:032x}", "refused", "arguments_malformed"),
    ]
    assert all(answer["result"] is None for answer in desk.answers)


@pytest.mark.parametrize(
    "error, reason",
    [
        (NodeUnavailable("away"), "node_unavailable"),
        (RpcError("gettxout", -5, "no"), "node_refused"),
        (MalformedBlock("no"), "answer_malformed"),
        (CommandFailed(Failure.CHAIN_MOVED, "no"), "chain_moved"),
    ],
)
def test_a_command_that_the_node_cannot_answer_fails_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    async def failing(_node: Calls, _network: str, _arguments: Mapping[str, object]) -> Balances:
        raise error

    answer = single(tmp_path, monkeypatch, record(command()), failing)
    assert (answer["outcome"], answer["reason"], answer["result"]) == ("failed", reason, None)


def test_a_command_ends_with_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(_node: Calls, _network: str, _arguments: Mapping[str, object]) -> Balances:
        await asyncio.Event().wait()
        raise AssertionError

    soon: datetime = NOW + timedelta(milliseconds=20)
    answer = single(tmp_path, monkeypatch, record(command(expires_at=soon)), endless)
    assert (answer["outcome"], answer["reason"]) == ("failed", "timeout")


def test_commands_run_one_at_a_time_and_more_than_eight_waiting_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    together = 0

    async def slow(_node: Calls, _network: str, _arguments: Mapping[str, object]) -> Balances:
        nonlocal together
        together += 1
        assert together == 1
        await asyncio.sleep(0)
        together -= 1
        return HELD

    async def story(desk: Desk) -> None:
        for number in range(1, WAITING_MAX + 3):
            desk.room.offer(record(command(number)))
        await desk.until(WAITING_MAX)
        desk.room.offer(record(command(WAITING_MAX + 1)))
        await desk.until(WAITING_MAX + 1)

    desk = play(lambda: Desk(tmp_path / "s", monkeypatch, slow), story)
    assert [int(answer["command_id"], 16) for answer in desk.answers] == list(
        range(1, WAITING_MAX + 2)
    )
    assert caplog.text.count("reason='busy'") == 2
