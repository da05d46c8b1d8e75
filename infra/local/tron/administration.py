"""What no node has: blocks on request, forks, the clock. Source: none, it is for tests alone."""

from collections.abc import Mapping
from types import MappingProxyType

from infra.local.tron.chain import MINE_MAX, CannotFork, Chain
from infra.local.tron.reading import Endpoint
from infra.local.tron.requests import Request
from infra.local.tron.wire import MalformedMessage

_INTERVAL_MAX_MS = 3_600_000
_AHEAD_MAX_MS = 365 * 86_400_000


def _bounded(request: Request, name: str, default: int | None, most: int, least: int = 0) -> int:
    value = request.number(name, default)
    if not least <= value <= most:
        raise MalformedMessage(f"{name} is not from {least} to {most}")
    return value


def _status(chain: Chain, _request: Request) -> object:
    head = chain.head
    return {
        "height": head.height,
        "block_id": head.block_id.hex(),
        "time_ms": head.time_ms,
        "solid_height": chain.solid_height,
        "pool": chain.pool_size,
        "interval_ms": chain.interval_ms,
        "now_ms": chain.now_ms,
        "chain_id": chain.chain_id,
    }


def _mine(chain: Chain, request: Request) -> object:
    chain.mine(_bounded(request, "count", 1, MINE_MAX, 1))
    return _status(chain, request)


def _fork(chain: Chain, request: Request) -> object:
    kept = request.text("transactions", "keep")
    if kept not in {"keep", "lose"}:
        raise MalformedMessage("transactions is keep or lose")
    try:
        chain.fork(request.number("depth"), lose=kept == "lose")
    except CannotFork as exc:
        raise MalformedMessage(str(exc)) from exc
    return _status(chain, request)


def _clock(chain: Chain, request: Request) -> object:
    chain.advance_clock(_bounded(request, "ahead_ms", None, _AHEAD_MAX_MS))
    return _status(chain, request)


def _interval(chain: Chain, request: Request) -> object:
    chain.set_interval(_bounded(request, "ms", None, _INTERVAL_MAX_MS))
    return _status(chain, request)


READING: Mapping[str, Endpoint] = MappingProxyType({"status": _status})
CHANGING: Mapping[str, Endpoint] = MappingProxyType(
    {"mine": _mine, "fork": _fork, "clock": _clock, "interval": _interval}
)
