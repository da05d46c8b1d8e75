"""The tasks of an agent.

Keep connected, read commands, keep what was published equal to the chain.
"""

import asyncio
import logging
import secrets
from collections.abc import Iterator

from node_stacks.agent.commands.room import CommandRoom
from node_stacks.agent.errors import NodeUnavailable
from node_stacks.agent.events import Resume, Source, new_trace_id, parse_resume, resume_request
from node_stacks.agent.follower import Follower
from node_stacks.agent.kafka import CommandReader, KafkaPublisher
from node_stacks.agent.node import Node
from orion.chains.errors import MalformedBlock
from orion.records import MalformedRecord

_log = logging.getLogger(__name__)

_BACKOFF_FIRST_S = 0.2
_BACKOFF_MAX_S = 10.0
_ASK_FIRST_S = 2.0
_ASK_MAX_S = 30.0
_ASKED_MAX = 64
_CONNECTION_HELD_S = 30.0


def backoff_s(first_s: float, max_s: float) -> Iterator[float]:
    """Waits that double up to `max_s`; each is a half and a random part of the other half."""
    wait_s = first_s
    while True:
        yield wait_s / 2 * (1 + secrets.randbelow(1000) / 1000)
        wait_s = min(wait_s * 2, max_s)


class Agent:
    """One agent beside one node. `run` ends only by an error that waiting does not mend."""

    def __init__(
        self,
        node: Node,
        source: Source,
        follower: Follower,
        publisher: KafkaPublisher,
        commands: CommandReader,
        room: CommandRoom,
    ) -> None:
        self._node = node
        self._source = source
        self._follower = follower
        self._publisher = publisher
        self._commands = commands
        self._room = room
        self._changed = asyncio.Event()
        self._asked: set[str] = set()
        # The newest answer not yet acted on; an older one is void as soon as a newer one is here.
        self._resume: Resume | None = None
        self._answered = asyncio.Event()

    async def run(self) -> None:
        """Raises the first error that waiting does not mend."""
        await self._commands.open()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_connected())
                tasks.create_task(self._read_commands())
                tasks.create_task(self._keep_published())
                tasks.create_task(self._room.run())
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        finally:
            self._publisher.stop()
            await self._commands.close()

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        waits = backoff_s(_BACKOFF_FIRST_S, _BACKOFF_MAX_S)
        while True:
            began = loop.time()
            try:
                await self._node.follow(self._changed)
            except (NodeUnavailable, MalformedBlock) as exc:
                if loop.time() - began > _CONNECTION_HELD_S:
                    waits = backoff_s(_BACKOFF_FIRST_S, _BACKOFF_MAX_S)
                wait_s = next(waits)
                _log.warning("connecting to the node again", extra={"wait_s": wait_s}, exc_info=exc)
                await asyncio.sleep(wait_s)

    async def _read_commands(self) -> None:
        async for value in self._commands.commands():
            try:
                resume = parse_resume(value, self._source)
            except MalformedRecord as exc:
                _log.error("a command that cannot be read", exc_info=exc)
                continue
            if resume is None:
                self._room.offer(value)
                continue
            if resume.request_id is not None and resume.request_id not in self._asked:
                _log.info("an answer to another request", extra={"request": resume.request_id})
                continue
            self._asked.clear()
            self._resume = resume
            self._answered.set()
            self._changed.set()

    async def _keep_published(self) -> None:
        await self._ask()
        waits = backoff_s(_BACKOFF_FIRST_S, _BACKOFF_MAX_S)
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._catch_up()
            except (NodeUnavailable, MalformedBlock) as exc:
                wait_s = next(waits)
                _log.warning("catching up again", extra={"wait_s": wait_s}, exc_info=exc)
                await asyncio.sleep(wait_s)
                self._changed.set()
            else:
                waits = backoff_s(_BACKOFF_FIRST_S, _BACKOFF_MAX_S)

    async def _catch_up(self) -> None:
        """Act on the newest answer, then publish up to the head.

        A new answer interrupts between two blocks.
        """
        while True:
            resume = self._resume
            if resume is not None:
                await self._follower.resume(resume.recent)
                tip = self._follower.tip
                _log.info(
                    "resumed",
                    extra={
                        "asked": resume.request_id is not None,
                        "known": len(resume.recent),
                        "height": tip.height if tip else None,
                    },
                )
                if self._resume is resume:
                    self._resume = None
            await self._follower.sync(lambda: self._resume is not None)
            if self._resume is None:
                return

    async def _ask(self) -> None:
        """Ask moneyin where to resume, with growing waits, until an answer is there."""
        for wait_s in backoff_s(_ASK_FIRST_S, _ASK_MAX_S):
            request_id, trace_id = secrets.token_hex(16), new_trace_id()
            # Any request under way may be the one that is answered first; all answers are about the
            # same state.
            if len(self._asked) >= _ASKED_MAX:
                self._asked.pop()
            self._asked.add(request_id)
            _log.info("asking where to resume", extra={"trace_id": trace_id, "request": request_id})
            await self._publisher.answer(resume_request(self._source, request_id, trace_id))
            try:
                async with asyncio.timeout(wait_s):
                    await self._answered.wait()
                    return
            except TimeoutError:
                _log.warning("no answer yet", extra={"waited_s": wait_s})
