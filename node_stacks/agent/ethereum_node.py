"""An Ethereum node over IPC or a loopback WebSocket.

Eth_subscribe for pushes, calls on the same connection.
"""

import asyncio
from collections.abc import Mapping

from node_stacks.agent.endpoints import loopback_url, private_socket
from node_stacks.agent.errors import NodeMisconfigured, NodeUnavailable
from node_stacks.agent.jsonrpc import IpcWire, JsonRpc, RpcError, WebSocketWire, Wire
from node_stacks.agent.node import Point
from node_stacks.agent.stream_node import StreamConnection
from orion.chains import Block
from orion.chains.errors import MalformedBlock
from orion.chains.ethereum.block import decode_block
from orion.chains.ethereum.json_rpc import data, mapping, quantity, sequence

_METHOD_NOT_FOUND = -32601


class EthereumNode(StreamConnection):
    """See Node. `ipc_path` is preferred; `traces` says whether internal value must be seen."""

    def __init__(
        self,
        network: str,
        *,
        ipc_path: str | None,
        ws_url: str | None,
        traces: bool,
        silence_s: int,
    ) -> None:
        super().__init__(silence_s)
        self._network = network
        self._ipc_path = ipc_path
        self._ws_url = ws_url
        self._traces = traces

    async def open_wire(self) -> Wire:
        """See StreamConnection.

        The socket's mode is checked at every connection: a node makes a new one.
        """
        if self._ipc_path is not None:
            return await IpcWire.open(private_socket(self._ipc_path))
        return await WebSocketWire.open(
            loopback_url(self._ws_url or "", frozenset({"ws"})), headers={}
        )

    async def subscribe(self, rpc: JsonRpc) -> None:
        """See StreamConnection."""
        chain_id = quantity({"eth_chainId": await rpc.call("eth_chainId")}, "eth_chainId")
        if str(chain_id) != self._network:
            raise NodeMisconfigured("the node is on another network", network=self._network)
        await rpc.call("eth_subscribe", "newHeads")

    def is_push(self, message: Mapping[str, object]) -> bool:
        """See StreamConnection."""
        return message.get("method") == "eth_subscription"

    async def _header(self, method: str, key: str) -> Mapping[str, object] | None:
        found = await self.call(method, key, False)
        return None if found is None else mapping(found, "block")

    async def _latest(self) -> Mapping[str, object]:
        found = await self._header("eth_getBlockByNumber", "latest")
        if found is None:
            raise NodeUnavailable("the node has no block yet")
        return found

    async def head(self) -> Point:
        """See Node."""
        latest = await self._latest()
        return Point(quantity(latest, "number"), data(latest, "hash", 32))

    async def head_time(self) -> int:
        """See Node."""
        return quantity(await self._latest(), "timestamp")

    async def hash_at(self, height: int) -> str | None:
        """See Node."""
        found = await self._header("eth_getBlockByNumber", hex(height))
        return None if found is None else data(found, "hash", 32)

    async def parent_of(self, block_hash: str) -> str:
        """See Node."""
        found = await self._header("eth_getBlockByHash", block_hash)
        if found is None:
            raise NodeUnavailable("the node does not know this block", hash=block_hash)
        return data(found, "parentHash", 32)

    async def block(self, point: Point) -> Block:
        """See Node."""
        whole, receipts = await asyncio.gather(
            self.call("eth_getBlockByHash", point.hash, True),
            self.call("eth_getBlockReceipts", point.hash),
        )
        if whole is None or receipts is None:
            raise NodeUnavailable("the node does not know this block", hash=point.hash)
        block = mapping(whole, "block")
        rows = sequence(block.get("transactions"), "transactions")
        # Nothing to trace in an empty block; nodes refuse to trace the genesis.
        traces = await self._traces_of(point.hash) if self._traces and rows else None
        decoded = decode_block(block, sequence(receipts, "receipts"), traces)
        if (decoded.height, decoded.hash) != (point.height, point.hash):
            raise MalformedBlock("the node answered another block", hash=point.hash)
        return decoded

    async def _traces_of(self, block_hash: str) -> list[object]:
        try:
            traces = await self.call("debug_traceBlockByHash", block_hash, {"tracer": "callTracer"})
        except RpcError as exc:
            if exc.number == _METHOD_NOT_FOUND:
                raise NodeMisconfigured(
                    "the node has no debug_traceBlockByHash: internal payments would be missed"
                ) from exc
            raise
        return list(sequence(traces, "traces"))
