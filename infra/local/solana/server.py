"""HTTP and WebSocket on one loopback port, and the slot clock."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

from infra.local.layout import LOOPBACK
from infra.local.solana import (
    methods_accounts,
    methods_blocks,
    methods_cluster,
    methods_transactions,
)
from infra.local.solana.chain import Chain
from infra.local.solana.methods import Method
from infra.local.solana.model import Json
from infra.local.solana.params import Params
from infra.local.solana.rpc_errors import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    RpcError,
)
from infra.local.solana.subscriptions import Hub, Outbox

# Agave's own limit of a request (rpc-client-api, MAX_REQUEST_BODY_SIZE).
REQUEST_BYTES_MAX = 50 * 1024
BATCH_MAX = 100
CONNECTIONS_MAX = 256
_STOP_TIMEOUT_S = 2

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger(__name__)


class SlotClock:
    """Closes a slot every `interval_ms` of the chain; 0 leaves that to `local_advance`."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._changed = asyncio.Event()

    def change(self, interval_ms: int) -> None:
        self._chain.change_interval(interval_ms)
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._changed.clear()
            interval_ms = self._chain.interval_ms
            wait_s = interval_ms / 1000 if interval_ms else None
            try:
                await asyncio.wait_for(self._changed.wait(), wait_s)
            except TimeoutError:
                self._chain.advance()


class Application:
    """The ASGI application over one chain; everything runs on one event loop."""

    def __init__(self, chain: Chain, clock: SlotClock) -> None:
        self._chain = chain
        self._hub = Hub(chain)
        self._methods: dict[str, Method] = {
            **methods_cluster.METHODS,
            **methods_accounts.METHODS,
            **methods_blocks.METHODS,
            **methods_transactions.METHODS,
            "local_clock": methods_cluster.clock_method(clock.change),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "GET" and scope["path"] == "/health":
            await _respond(send, 200, b"ok")
            return
        if scope["method"] != "POST":
            await _respond(send, 405, b"Used HTTP Method is not allowed. POST is required")
            return
        body = await _body(receive)
        if body is None:
            await _respond(send, 413, b"request body is too large")
            return
        await _respond(send, 200, json.dumps(self.answer(body), separators=(",", ":")).encode())

    def answer(self, body: bytes) -> Json:
        """The answer to one call or a batch of them."""
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            return _failure(None, RpcError(PARSE_ERROR, "Parse error"))
        if isinstance(request, list):
            if not 1 <= len(request) <= BATCH_MAX:
                return _failure(None, RpcError(INVALID_REQUEST, "Invalid request"))
            return [self._one(row) for row in request]
        return self._one(request)

    def _one(self, request: Json) -> Json:
        number = request.get("id") if isinstance(request, dict) else None
        try:
            name, params = _call_of(request)
            method = self._methods.get(name, _unknown)
            return {"jsonrpc": "2.0", "result": method(self._chain, params), "id": number}
        except RpcError as exc:
            return _failure(number, exc)
        except Exception:  # noqa: BLE001 - a fault of ours ends one call, not the node.
            _log.exception("a call failed")
            return _failure(number, RpcError(INTERNAL_ERROR, "Internal error"))

    async def _websocket(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        outbox = Outbox()
        writer = asyncio.create_task(_write(outbox, send))
        try:
            while (event := await receive())["type"] == "websocket.receive":
                text = event.get("text") or (event.get("bytes") or b"").decode(errors="replace")
                self._subscription_call(outbox, text)
        finally:
            self._hub.leave(outbox)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer

    def _subscription_call(self, outbox: Outbox, text: str) -> None:
        try:
            request = json.loads(text)
        except (ValueError, RecursionError):
            outbox.push(_failure(None, RpcError(PARSE_ERROR, "Parse error")))
            return
        rows = request if isinstance(request, list) else [request]
        if not 1 <= len(rows) <= BATCH_MAX:
            outbox.push(_failure(None, RpcError(INVALID_REQUEST, "Invalid request")))
            return
        for row in rows:
            self._subscribe(outbox, row)

    def _subscribe(self, outbox: Outbox, request: Json) -> None:
        number = request.get("id") if isinstance(request, dict) else None
        try:
            name, params = _call_of(request)
            if not self._hub.handle(outbox, name, params, number):
                _unknown(self._chain, params)
        except RpcError as exc:
            outbox.push(_failure(number, exc))
        except Exception:  # noqa: BLE001 - as for calls over HTTP.
            _log.exception("a subscription failed")
            outbox.push(_failure(number, RpcError(INTERNAL_ERROR, "Internal error")))


def _unknown(_: Chain, __: Params) -> Json:
    raise RpcError(METHOD_NOT_FOUND, "Method not found")


def _call_of(request: Json) -> tuple[str, Params]:
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        raise RpcError(INVALID_REQUEST, "Invalid request")
    return request["method"], Params(request.get("params"))


def _failure(number: Json, error: RpcError) -> Json:
    return {"jsonrpc": "2.0", "error": error.body(), "id": number}


async def _write(outbox: Outbox, send: Send) -> None:
    """Send what waits, in order; close the connection of a reader that is too slow."""
    while (text := await outbox.queue.get()) is not None:
        await send({"type": "websocket.send", "text": text})
    await send({"type": "websocket.close", "code": 1013, "reason": "too slow"})


async def _body(receive: Receive) -> bytes | None:
    """The request's body, None when it is over the limit or the client left."""
    body = b""
    while True:
        event = await receive()
        body += bytes(event.get("body", b""))
        if event["type"] != "http.request" or len(body) > REQUEST_BYTES_MAX:
            return None
        if not event.get("more_body"):
            return body


async def _respond(send: Send, status: int, body: bytes) -> None:
    kind = b"application/json" if body[:1] in (b"{", b"[") else b"text/plain"
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def serve(chain: Chain, port: int) -> None:
    """Serve on the loopback address until SIGTERM or SIGINT."""
    clock = SlotClock(chain)
    config = uvicorn.Config(
        Application(chain, clock),
        host=LOOPBACK,
        port=port,
        http="h11",
        ws="websockets-sansio",
        ws_max_size=REQUEST_BYTES_MAX,
        lifespan="off",
        access_log=False,
        log_level="warning",
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=_STOP_TIMEOUT_S,
        server_header=False,
    )
    server = uvicorn.Server(config)
    ticking = asyncio.create_task(clock.run())
    # A clock that fails (a full disk) ends the server: it must not answer with a frozen chain.
    ticking.add_done_callback(lambda _: setattr(server, "should_exit", True))
    try:
        await server.serve()
    finally:
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
