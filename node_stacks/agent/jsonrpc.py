"""JSON-RPC over one lasting connection (WebSocket or IPC socket): calls and pushes side by side.

Numbers with a fraction are read as Decimal: some of them are money.
"""

import asyncio
import itertools
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Protocol, cast

import websockets
from websockets.asyncio.client import ClientConnection

from node_stacks.agent.errors import NodeUnavailable

MESSAGE_BYTES_MAX = 256 * 1024 * 1024  # Traces of a full block are tens of megabytes.
CALL_TIMEOUT_S = 30.0
_PENDING_MAX = 64
_READ_BYTES = 1 << 20

Notice = Callable[[Mapping[str, object]], None]


class RpcError(NodeUnavailable):
    """The node answered a call with an error. `number` is the code of the answer."""

    code = "node_rpc_error"

    def __init__(self, method: str, number: int, message: str) -> None:
        super().__init__("the node refused a call", method=method, number=number, message=message)
        self.number = number


class Wire(Protocol):
    """One connection that carries whole JSON texts.

    Its methods raise NodeUnavailable when it is broken.
    """

    async def send(self, text: str) -> None:
        """Send one text."""
        ...

    async def receive(self) -> list[object]:
        """Wait for at least one JSON value and return all that came."""
        ...

    async def close(self) -> None:
        """Let go of the connection. Never raises."""
        ...


class WebSocketWire:
    """A WebSocket; pings every 20 s notice a connection that died without a word."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    @classmethod
    async def open(cls, url: str, headers: Mapping[str, str]) -> "WebSocketWire":
        """Connect within 10 s. Raises NodeUnavailable."""
        try:
            socket = await websockets.connect(
                url,
                additional_headers=dict(headers),
                max_size=MESSAGE_BYTES_MAX,
                open_timeout=10,
                close_timeout=2,
                ping_interval=20,
                ping_timeout=20,
                compression=None,
                proxy=None,
            )
        except (OSError, TimeoutError, websockets.WebSocketException) as exc:
            raise NodeUnavailable("no WebSocket to the node", cause=str(exc)) from exc
        return cls(socket)

    async def send(self, text: str) -> None:
        """See Wire."""
        try:
            await self._socket.send(text)
        except websockets.ConnectionClosed as exc:
            raise NodeUnavailable("the WebSocket was closed", cause=str(exc)) from exc

    async def receive(self) -> list[object]:
        """See Wire."""
        try:
            return [json.loads(await self._socket.recv(), parse_float=Decimal)]
        except websockets.ConnectionClosed as exc:
            raise NodeUnavailable("the WebSocket was closed", cause=str(exc)) from exc
        except ValueError as exc:
            raise NodeUnavailable("the node sent no JSON") from exc

    async def close(self) -> None:
        """See Wire."""
        await self._socket.close()


class IpcWire:
    """A Unix socket with JSON texts one after another.

    Some nodes part them by a line feed, some by nothing.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = json.JSONDecoder(parse_float=Decimal)
        self._pieces: list[bytes] = []

    @classmethod
    async def open(cls, path: str) -> "IpcWire":
        """Connect within 10 s. Raises NodeUnavailable."""
        try:
            async with asyncio.timeout(10):
                return cls(*await asyncio.open_unix_connection(path))
        except (OSError, TimeoutError) as exc:
            raise NodeUnavailable("no IPC connection to the node", cause=str(exc)) from exc

    async def send(self, text: str) -> None:
        """See Wire."""
        try:
            self._writer.write(text.encode("utf-8") + b"\n")
            await self._writer.drain()
        except OSError as exc:
            raise NodeUnavailable("the IPC connection broke", cause=str(exc)) from exc

    async def receive(self) -> list[object]:
        """See Wire."""
        while True:
            try:
                piece = await self._reader.read(_READ_BYTES)
            except OSError as exc:
                raise NodeUnavailable("the IPC connection broke", cause=str(exc)) from exc
            if not piece:
                raise NodeUnavailable("the node closed the IPC connection")
            self._pieces.append(piece)
            if sum(map(len, self._pieces)) > MESSAGE_BYTES_MAX:
                raise NodeUnavailable("a message of the node is too large")
            # A text that is complete ends with a brace. Trying earlier would read a long one again
            # and again.
            if piece.rstrip().endswith(b"}") and (values := self._take()):
                return values

    def _take(self) -> list[object]:
        """Every complete JSON text that came; what is left of an incomplete one stays."""
        text = b"".join(self._pieces).decode("utf-8", "surrogateescape")
        values: list[object] = []
        place = 0
        try:
            while place < len(text):
                if text[place].isspace():
                    place += 1
                    continue
                value, place = self._decoder.raw_decode(text, place)
                values.append(value)
        except ValueError:
            pass  # The rest of this text has not come yet.
        self._pieces = [text[place:].encode("utf-8", "surrogateescape")]
        return values

    async def close(self) -> None:
        """See Wire."""
        self._writer.close()


class JsonRpc:
    """Calls over a wire, answered in any order; what is not an answer goes to `notice`."""

    def __init__(self, wire: Wire, version: str, notice: Notice) -> None:
        self._wire = wire
        self._version = version
        self._notice = notice
        self._numbers = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Mapping[str, object]]] = {}
        self._slots = asyncio.Semaphore(_PENDING_MAX)

    async def read(self) -> None:
        """Read answers and pushes until the wire breaks.

        Then every call under way ends with NodeUnavailable.
        """
        try:
            while True:
                for value in await self._wire.receive():
                    if isinstance(value, dict):
                        self._dispatch(cast(Mapping[str, object], value))
        finally:
            for future in self._pending.values():
                if not future.done():
                    future.set_exception(NodeUnavailable("the connection to the node ended"))

    def _dispatch(self, message: Mapping[str, object]) -> None:
        number = message.get("id")
        if isinstance(number, int) and number in self._pending:
            future = self._pending[number]
            if not future.done():
                future.set_result(message)
        elif "method" in message:
            self._notice(message)

    async def call(self, method: str, *params: object) -> object:
        """The result of one call. Raises RpcError for an answered error, else NodeUnavailable."""
        async with self._slots:
            number = next(self._numbers)
            future: asyncio.Future[Mapping[str, object]] = (
                asyncio.get_running_loop().create_future()
            )
            self._pending[number] = future
            try:
                request = {
                    "jsonrpc": self._version,
                    "id": number,
                    "method": method,
                    "params": params,
                }
                async with asyncio.timeout(CALL_TIMEOUT_S):
                    await self._wire.send(json.dumps(request))
                    answer = await future
            except TimeoutError as exc:
                raise NodeUnavailable("the node did not answer in time", method=method) from exc
            finally:
                del self._pending[number]
        return result_of(method, answer)


def result_of(method: str, answer: Mapping[str, object]) -> object:
    """The result in an answer. Raises RpcError."""
    error = answer.get("error")
    if isinstance(error, dict):
        number = error.get("code")
        message = str(error.get("message"))[:200]
        raise RpcError(method, number if isinstance(number, int) else 0, message)
    return answer.get("result")
