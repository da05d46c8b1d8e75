"""One lasting JSON-RPC connection that both pushes and answers: Ethereum nodes and btcd."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping

from node_stacks.agent.errors import NodeUnavailable
from node_stacks.agent.jsonrpc import JsonRpc, Wire


class StreamConnection(ABC):
    """Holds the connection of the moment.

    A subclass opens the wire, subscribes and knows its pushes.
    """

    version = "2.0"

    def __init__(self, silence_s: int) -> None:
        self._silence_s = silence_s
        self._rpc: JsonRpc | None = None

    @abstractmethod
    async def open_wire(self) -> Wire:
        """A new connection. Raises NodeUnavailable."""

    @abstractmethod
    async def subscribe(self, rpc: JsonRpc) -> None:
        """Check that the node is the one wanted and ask it for pushes of blocks."""

    @abstractmethod
    def is_push(self, message: Mapping[str, object]) -> bool:
        """Whether a message says that the chain changed."""

    async def call(self, method: str, *params: object) -> object:
        """One call on the connection of the moment. Raises NodeUnavailable."""
        if self._rpc is None:
            raise NodeUnavailable("there is no connection to the node")
        return await self._rpc.call(method, *params)

    async def follow(self, changed: asyncio.Event) -> None:
        """See Node.follow. A connection without pushes for `silence_s` is given up."""
        pushed = asyncio.Event()

        def notice(message: Mapping[str, object]) -> None:
            if self.is_push(message):
                pushed.set()
                changed.set()

        wire = await self.open_wire()
        rpc = JsonRpc(wire, self.version, notice)
        reading = asyncio.create_task(rpc.read())
        try:
            await self.subscribe(rpc)
            self._rpc = rpc
            changed.set()
            await self._until_broken_or_silent(reading, pushed)
        finally:
            self._rpc = None
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await wire.close()

    async def _until_broken_or_silent(
        self, reading: "asyncio.Task[None]", pushed: asyncio.Event
    ) -> None:
        while True:
            pushed.clear()
            waiting = asyncio.create_task(pushed.wait())
            try:
                done, _ = await asyncio.wait(
                    {reading, waiting},
                    timeout=self._silence_s,
                    return_when=asyncio.FIRST_COMPLETED,
                )
            finally:
                waiting.cancel()
            if reading in done:
                reading.result()
            if not done:
                raise NodeUnavailable("no push for too long", silence_s=self._silence_s)
