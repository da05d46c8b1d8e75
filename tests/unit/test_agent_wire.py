"""JSON-RPC over a lasting connection, against a real Unix socket in this process."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from node_stacks.agent.agent import backoff_s
from node_stacks.agent.errors import NodeUnavailable
from node_stacks.agent.jsonrpc import IpcWire, JsonRpc, RpcError

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def with_server(path: Path, serve: Serve, use: Callable[[IpcWire], Awaitable[None]]) -> None:
    server = await asyncio.start_unix_server(serve, path)
    try:
        wire = await IpcWire.open(str(path))
        async with asyncio.timeout(10):
            await use(wire)
        await wire.close()
    finally:
        server.close()


@pytest.mark.parametrize("between", ["", "\n", "\r\n  "])
@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
def test_texts_are_read_however_the_node_cuts_them(tmp_path: Path, between: str, size: int) -> None:
    texts = [{"id": 1, "result": "}{"}, {"id": 2, "result": {"deep": [{"é": "ü"}] * 9}}]
    raw = between.join(json.dumps(text, ensure_ascii=False) for text in texts).encode() + b"\n"
    raw = raw if between else raw.rstrip()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for place in range(0, len(raw), size):
            writer.write(raw[place : place + size])
            await writer.drain()
            await asyncio.sleep(0)

    async def use(wire: IpcWire) -> None:
        found: list[object] = []
        while len(found) < len(texts):
            found.extend(await wire.receive())
        assert found == texts

    asyncio.run(with_server(tmp_path / "s", serve, use))


def test_answers_find_their_calls_in_any_order_and_pushes_are_told_apart(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls = [json.loads(await reader.readline()) for _ in range(3)]
        push = {"jsonrpc": "2.0", "method": "eth_subscription", "params": {}}
        answers = [
            {"id": calls[2]["id"], "error": {"code": -32601, "message": "no such method"}},
            push,
            {"id": calls[1]["id"], "result": calls[1]["params"]},
            {"id": 999, "result": "nobody asked"},
            {"id": calls[0]["id"], "result": calls[0]["params"]},
        ]
        writer.write(b"".join(json.dumps(answer).encode() for answer in answers))
        await writer.drain()

    async def use(wire: IpcWire) -> None:
        pushes: list[Mapping[str, object]] = []
        rpc = JsonRpc(wire, "2.0", pushes.append)
        reading = asyncio.create_task(rpc.read())
        first, second, third = await asyncio.gather(
            rpc.call("a", 1), rpc.call("b", 2), rpc.call("c"), return_exceptions=True
        )
        assert (first, second) == ([1], [2])
        assert isinstance(third, RpcError)
        assert third.number == -32601
        assert len(pushes) == 1
        reading.cancel()

    asyncio.run(with_server(tmp_path / "s", serve, use))


def test_calls_under_way_end_when_the_connection_does(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    async def use(wire: IpcWire) -> None:
        rpc = JsonRpc(wire, "2.0", lambda _: None)
        reading = asyncio.create_task(rpc.read())
        with pytest.raises(NodeUnavailable):
            await rpc.call("a")
        with pytest.raises(NodeUnavailable):
            await reading

    asyncio.run(with_server(tmp_path / "s", serve, use))


def test_waits_double_up_to_their_bound_and_never_vanish() -> None:
    waits = backoff_s(0.2, 10.0)
    found = [next(waits) for _ in range(20)]
    assert 0.1 <= found[0] <= 0.2
    assert all(5.0 <= wait <= 10.0 for wait in found[8:])
