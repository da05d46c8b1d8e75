"""Bitcoin Core: pushes over ZMQ (doc/zmq.md of Bitcoin Core), calls over HTTP on loopback.

Core sends [topic, body, number] where `number` counts the messages of that topic, little-endian, 32
bits. PUB drops messages for a slow reader without a word: a number that is not the next one shows
it. Whatever was lost, the cure is the same as for any push, a look at the node's head; so a hole
costs a log line and nothing else. The topic `sequence` also counts mempool events, so on a live
network a hole is noticed within seconds.
"""

import asyncio
import http.client
import json
import logging
from collections import OrderedDict
from decimal import Decimal
from urllib.parse import urlsplit

import zmq
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

from node_stacks.agent.bitcoin_node import BitcoinCalls, basic_authorization, check_network
from node_stacks.agent.endpoints import loopback_url
from node_stacks.agent.errors import NodeUnavailable
from node_stacks.agent.jsonrpc import CALL_TIMEOUT_S, MESSAGE_BYTES_MAX, result_of
from orion.chains.bitcoin.hashing import display_hash
from orion.chains.bitcoin.wire import HEADER_BYTES, parse_header

_log = logging.getLogger(__name__)

_BLOCK_TOPICS = (b"rawblock", b"hashblock")
_SEQUENCE = b"sequence"
_BLOCK_LABELS = frozenset(b"CD")  # Connected and disconnected; the others are the mempool's.
_NUMBERS = 1 << 32
_KEPT_BLOCKS = 4
_HEARTBEAT_MS = 20_000


class CoreNode(BitcoinCalls):
    """See Node."""

    def __init__(
        self,
        network: str,
        *,
        rpc_url: str,
        zmq_url: str,
        username: str,
        password: str,
        silence_s: int,
    ) -> None:
        self._network = network
        parts = urlsplit(loopback_url(rpc_url, frozenset({"http"})))
        self._rpc_host, self._rpc_port = parts.hostname or "", parts.port or 0
        self._zmq_url = loopback_url(zmq_url, frozenset({"tcp"}))
        self._authorization = basic_authorization(username, password)
        self._silence_s = silence_s
        self._numbers: dict[bytes, int] = {}
        self._pushed_blocks: OrderedDict[str, bytes] = OrderedDict()

    async def call(self, method: str, *params: object) -> object:
        """See BitcoinCalls."""
        return await asyncio.to_thread(self._call, method, params)

    def _call(self, method: str, params: tuple[object, ...]) -> object:
        body = json.dumps({"jsonrpc": "1.0", "id": 1, "method": method, "params": params})
        headers = {"Authorization": self._authorization, "Content-Type": "application/json"}
        connection = http.client.HTTPConnection(
            self._rpc_host, self._rpc_port, timeout=CALL_TIMEOUT_S
        )
        try:
            connection.request("POST", "/", body, headers)
            response = connection.getresponse()
            text = response.read(MESSAGE_BYTES_MAX)
            if response.status == http.HTTPStatus.UNAUTHORIZED:
                raise NodeUnavailable("the node refused the credentials")
            # Core answers an error of the call with a status of 404 or 500 and the error in the
            # body.
            answer = json.loads(text, parse_float=Decimal)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise NodeUnavailable("the node's RPC does not answer", cause=str(exc)) from exc
        finally:
            connection.close()
        return result_of(method, answer if isinstance(answer, dict) else {})

    async def raw_block(self, block_hash: str) -> bytes:
        """A block in wire format: the pushed bytes where they came, else fetched."""
        return self._pushed_blocks.get(block_hash) or await super().raw_block(block_hash)

    async def follow(self, changed: asyncio.Event) -> None:
        """See Node.follow. ZMQ itself reconnects; each new connection is a reason to look."""
        check_network(await self.call("getblockchaininfo"), self._network)
        self._numbers.clear()
        context = zmq.asyncio.Context()
        socket = context.socket(zmq.SUB)
        socket.setsockopt(zmq.RCVHWM, 1000)
        socket.setsockopt(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
        socket.setsockopt(zmq.RECONNECT_IVL, 100)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 5000)
        socket.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)
        monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        try:
            for topic in (*_BLOCK_TOPICS, _SEQUENCE):
                socket.subscribe(topic)
            socket.connect(self._zmq_url)
            changed.set()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read_pushes(socket, changed))
                tasks.create_task(self._watch_connection(monitor, changed))
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        finally:
            socket.disable_monitor()
            context.destroy(linger=0)

    async def _read_pushes(self, socket: zmq.asyncio.Socket, changed: asyncio.Event) -> None:
        while True:
            try:
                async with asyncio.timeout(self._silence_s):
                    frames = await socket.recv_multipart()
            except TimeoutError as exc:
                raise NodeUnavailable("no push for too long", silence_s=self._silence_s) from exc
            if self.is_push(frames):
                changed.set()

    async def _watch_connection(self, monitor: zmq.asyncio.Socket, changed: asyncio.Event) -> None:
        while True:
            event = await recv_monitor_message(monitor)
            if event["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                _log.info("ZMQ connected")
                changed.set()
            else:
                _log.warning("ZMQ disconnected")

    def is_push(self, frames: list[bytes]) -> bool:
        """Whether one multipart message is a reason to look at the node's head."""
        if len(frames) != 3 or len(frames[2]) != 4:
            _log.warning("a ZMQ message of another form", extra={"frames": len(frames)})
            return True
        topic, body, number = frames[0], frames[1], int.from_bytes(frames[2], "little")
        before = self._numbers.get(topic)
        self._numbers[topic] = number
        lost = 0 if before is None else (number - before - 1) % _NUMBERS
        if lost:
            _log.warning(
                "pushes were lost", extra={"topic": topic.decode("ascii", "replace"), "lost": lost}
            )
        if topic == b"rawblock" and len(body) > HEADER_BYTES:
            self._pushed_blocks[display_hash(parse_header(body[:HEADER_BYTES]).hash)] = body
            while len(self._pushed_blocks) > _KEPT_BLOCKS:
                self._pushed_blocks.popitem(last=False)
        if topic == _SEQUENCE:
            return bool(lost) or (len(body) > 32 and body[32] in _BLOCK_LABELS)
        return True
