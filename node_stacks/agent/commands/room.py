"""Executing commands, one at a time, beside an agent that goes on following its chain.

An answer is given to a command that its issuer signed, was in time and was never seen before, and
at most once: it is remembered on the disk before it is looked at any further. Everything else is
refused in the log alone, so nobody can make an agent talk by repeating or inventing commands, and a
repetition by the sender's outbox cannot overtake the answer of the first.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from node_stacks.agent.commands.answer_key import AnswerKey
from node_stacks.agent.commands.balances import (
    Balances,
    Calls,
    CommandFailed,
    Failure,
    MalformedArguments,
)
from node_stacks.agent.commands.command import (
    Command,
    CommandRefused,
    Issuer,
    Reason,
    is_command,
    read_command,
)
from node_stacks.agent.commands.memory import MemoryFull, ReplayMemory
from node_stacks.agent.errors import NodeUnavailable
from node_stacks.agent.events import Source
from node_stacks.agent.jsonrpc import RpcError
from orion.chains.errors import MalformedBlock
from orion.records import MalformedRecord

_log = logging.getLogger(__name__)

WAITING_MAX = 8
EXECUTION_TIMEOUT_S = 60.0

Action = Callable[[Calls, str, Mapping[str, object]], Awaitable[Balances]]
Answer = Callable[[bytes], Awaitable[None]]


class CommandRoom:
    """Commands of one node. `offer` never waits; `run` is a task of the agent's."""

    def __init__(
        self,
        node: Calls,
        source: Source,
        issuers: Mapping[str, Issuer],
        memory: ReplayMemory,
        key: AnswerKey,
        actions: Mapping[str, Action],
        answer: Answer,
    ) -> None:
        self._node = node
        self._source = source
        self._issuers = issuers
        self._memory = memory
        self._key = key
        self._actions = MappingProxyType(dict(actions))
        self._answer = answer
        self._waiting: asyncio.Queue[Command] = asyncio.Queue(WAITING_MAX)

    def offer(self, value: bytes) -> None:
        """Take a record of `node.commands` for execution if it is a command for this node that may
        be believed; what is refused is logged.
        """
        try:
            if not is_command(value, self._source.node):
                return
            command = read_command(value, self._source, self._issuers, _now())
            try:
                self._waiting.put_nowait(command)
            except asyncio.QueueFull:
                raise CommandRefused(
                    Reason.BUSY, command.id, "too many commands are waiting"
                ) from None
        except CommandRefused as refusal:
            _log.error("command refused", exc_info=refusal)
        except MalformedRecord as exc:
            _log.error("a command that cannot be read", exc_info=exc)

    async def run(self) -> None:
        """Execute what waits, one command at a time, for as long as the agent lives.

        Raises StateRefused and PublishRefused: waiting does not mend them.
        """
        while True:
            command = await self._waiting.get()
            try:
                await asyncio.to_thread(self._remember, command)
            except CommandRefused as refusal:
                _log.error("command refused", exc_info=refusal)
                continue
            await self._answer(self._key.signed(await self._answered(command)))

    def _remember(self, command: Command) -> None:
        now = _now()
        if command.expires_at <= now:
            raise CommandRefused(Reason.EXPIRED, command.id, "the command expired while it waited")
        try:
            fresh = self._memory.remember(command.id, command.expires_at, now)
        except MemoryFull as exc:
            raise CommandRefused(Reason.BUSY, command.id, exc.detail) from exc
        if not fresh:
            raise CommandRefused(Reason.REPLAYED, command.id, "the command was begun before")

    async def _answered(self, command: Command) -> dict[str, object]:
        try:
            balances = await self._executed(command)
        except CommandRefused as refusal:
            _log.error("command refused", exc_info=refusal)
            return self._body(command, "refused", refusal.reason.value, None)
        except CommandFailed as failure:
            _log.warning("command failed", extra=_told(command), exc_info=failure)
            return self._body(command, "failed", failure.failure.value, None)
        _log.info("command done", extra={**_told(command), "items": len(balances.units)})
        result: dict[str, object] = {
            "height": balances.at.height,
            "hash": balances.at.hash,
            "units": [None if units is None else str(units) for units in balances.units],
        }
        return self._body(command, "done", None, result)

    async def _executed(self, command: Command) -> Balances:
        """Raises CommandRefused, CommandFailed."""
        if not command.permitted:
            raise CommandRefused(
                Reason.NOT_PERMITTED, command.id, "this issuer may not give this command"
            )
        action = self._actions.get(command.name)
        if action is None:
            raise CommandRefused(Reason.COMMAND_UNKNOWN, command.id, "no such command")
        left_s = (command.expires_at - _now()).total_seconds()
        try:
            async with asyncio.timeout(min(EXECUTION_TIMEOUT_S, max(left_s, 0.0))):
                return await action(self._node, self._source.network, command.arguments)
        except MalformedArguments as exc:
            raise CommandRefused(Reason.ARGUMENTS_MALFORMED, command.id, exc.detail) from exc
        except TimeoutError as exc:
            raise CommandFailed(Failure.TIMEOUT, "the time of the command is over") from exc
        except MalformedBlock as exc:
            raise CommandFailed(Failure.ANSWER_MALFORMED, exc.detail) from exc
        except RpcError as exc:
            raise CommandFailed(Failure.NODE_REFUSED, str(exc)) from exc
        except NodeUnavailable as exc:
            raise CommandFailed(Failure.NODE_UNAVAILABLE, exc.detail) from exc

    def _body(
        self,
        command: Command,
        outcome: str,
        reason: str | None,
        result: Mapping[str, object] | None,
    ) -> dict[str, object]:
        return {
            "v": 1,
            "trace_id": command.trace_id,
            "kind": "answer",
            "command_id": command.id,
            "chain": self._source.chain,
            "node": self._source.node,
            "outcome": outcome,
            "reason": reason,
            "result": result,
            "answered_at": _now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }


def _told(command: Command) -> dict[str, str]:
    return {
        "trace_id": command.trace_id,
        "command_id": command.id,
        "command": command.name,
        "issuer": command.issuer,
        "purpose": command.purpose,
    }


def _now() -> datetime:
    return datetime.now(UTC)
