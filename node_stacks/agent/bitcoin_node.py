"""A Bitcoin node: btcd over one WebSocket, or Bitcoin Core over RPC with ZMQ pushes."""

import base64
from abc import ABC, abstractmethod
from collections.abc import Mapping

from node_stacks.agent.endpoints import loopback_url
from node_stacks.agent.errors import NodeMisconfigured, NodeUnavailable
from node_stacks.agent.jsonrpc import JsonRpc, RpcError, WebSocketWire, Wire
from node_stacks.agent.node import Point
from node_stacks.agent.stream_node import StreamConnection
from orion.chains import Block
from orion.chains.bitcoin.block import decode_block
from orion.chains.bitcoin.hashing import display_hash
from orion.chains.bitcoin.wire import HEADER_BYTES, BlockHeader, parse_header
from orion.chains.errors import MalformedBlock

# What nodes call their networks (getblockchaininfo) beside our names.
_NETWORK_NAMES = {"main": "mainnet", "test": "testnet", "testnet3": "testnet"}
_NO_SUCH_HEIGHT = frozenset({-1, -8})  # btcd, Core.
_BLOCK_PUSHES = frozenset({"blockconnected", "blockdisconnected"})


def basic_authorization(username: str, password: str) -> str:
    """The value of an Authorization header (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def check_network(info: object, network: str) -> None:
    """Raises NodeMisconfigured unless getblockchaininfo's answer names `network`."""
    name = info.get("chain") if isinstance(info, dict) else None
    if not isinstance(name, str) or _NETWORK_NAMES.get(name, name) != network:
        raise NodeMisconfigured("the node is on another network", network=network)


class BitcoinCalls(ABC):
    """The calls that btcd and Core share. A subclass brings the connection."""

    _network: str

    @abstractmethod
    async def call(self, method: str, *params: object) -> object:
        """One call. Raises RpcError or NodeUnavailable."""

    async def head(self) -> Point:
        """See Node."""
        info = await self.call("getblockchaininfo")
        height = info.get("blocks") if isinstance(info, dict) else None
        block_hash = info.get("bestblockhash") if isinstance(info, dict) else None
        if not isinstance(height, int) or not isinstance(block_hash, str):
            raise NodeUnavailable("getblockchaininfo names no best block")
        return Point(height, block_hash)

    async def head_time(self) -> int:
        """See Node."""
        return (await self._header((await self.head()).hash)).time

    async def hash_at(self, height: int) -> str | None:
        """See Node."""
        try:
            found = await self.call("getblockhash", height)
        except RpcError as exc:
            if exc.number in _NO_SUCH_HEIGHT:
                return None
            raise
        if not isinstance(found, str):
            raise NodeUnavailable("getblockhash names no block")
        return found

    async def parent_of(self, block_hash: str) -> str:
        """See Node."""
        return display_hash((await self._header(block_hash)).parent)

    async def _header(self, block_hash: str) -> BlockHeader:
        # Not the verbose form: btcd has none for a block off its best chain.
        return parse_header(_bytes(await self.call("getblockheader", block_hash, False)))

    async def raw_block(self, block_hash: str) -> bytes:
        """A block in wire format."""
        return _bytes(await self.call("getblock", block_hash, 0))

    async def block(self, point: Point) -> Block:
        """See Node."""
        raw = await self.raw_block(point.hash)
        if len(raw) <= HEADER_BYTES or display_hash(parse_header(raw[:80]).hash) != point.hash:
            raise MalformedBlock("the node answered another block", hash=point.hash)
        return decode_block(raw, point.height, self._network)


def _bytes(answer: object) -> bytes:
    try:
        return bytes.fromhex(answer) if isinstance(answer, str) else b""
    except ValueError as exc:
        raise MalformedBlock("the node answered no hex") from exc


class BtcdNode(StreamConnection, BitcoinCalls):
    """See Node. btcd pushes and answers over one WebSocket (notifyblocks)."""

    version = "1.0"

    def __init__(
        self, network: str, *, ws_url: str, username: str, password: str, silence_s: int
    ) -> None:
        super().__init__(silence_s)
        self._network = network
        self._ws_url = loopback_url(ws_url, frozenset({"ws"}))
        self._authorization = basic_authorization(username, password)

    async def open_wire(self) -> Wire:
        """See StreamConnection."""
        return await WebSocketWire.open(self._ws_url, {"Authorization": self._authorization})

    async def subscribe(self, rpc: JsonRpc) -> None:
        """See StreamConnection."""
        check_network(await rpc.call("getblockchaininfo"), self._network)
        await rpc.call("notifyblocks")

    def is_push(self, message: Mapping[str, object]) -> bool:
        """See StreamConnection."""
        return message.get("method") in _BLOCK_PUSHES
