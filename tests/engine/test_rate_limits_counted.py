"""Quotas counted in a real memcached: functions share them, and losing it stops nobody."""

import hashlib
import json
import socket
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from infra.local.memcached import Memcached
from infra.local.seed import QUOTAS
from orion.adapters.memcached.cache import Cache, Server
from orion.runtime import rate_limits, settings
from orion.runtime import sockets as room
from orion.runtime.cache import cache
from orion.runtime.rate_limits import Limits, Quota
from orion.runtime.request import Request, Response, json_response
from orion.runtime.route import RateClass
from tests.engine.checkout_scene import checkout_stage
from tests.unit.http_scene import KEY, MERCHANT, answer_of, event

pytestmark = pytest.mark.engine
PLACE = ("GET", "/v1/balances")
_LONG_S = 86_400
_DEAD: Server = ("127.0.0.1", 1)


def balances(request: Request) -> Response:
    return json_response(200, {"data": []})


class Function:
    """One function's process: a cache of its own, the quotas of all."""

    def __init__(self, server: Server, prefix: str, *quotas: Quota) -> None:
        self.unknown = 0
        cache = Cache((server,), prefix, lambda word: None)
        self.limits = Limits({RateClass.READ: quotas}, cache.count, time.time, self._nobody_knows)

    def _nobody_knows(self) -> None:
        self.unknown += 1

    def ask(self) -> Mapping[str, Any]:
        return answer_of(event(*PLACE), {PLACE: balances}, self.limits)


def test_functions_side_by_side_let_exactly_the_quota_pass(memcached_server: Memcached) -> None:
    prefix = f"t{time.time_ns()}:"
    quota = Quota(RateClass.READ, "merchant", 20, _LONG_S)
    server = (memcached_server.host, memcached_server.port)
    functions = [Function(server, prefix, quota) for _ in range(4)]

    def ten(function: Function) -> list[int]:
        return [int(function.ask()["statusCode"]) for _ in range(10)]

    with ThreadPoolExecutor(len(functions)) as pool:
        statuses = [status for found in pool.map(ten, functions) for status in found]
    assert sorted(statuses) == [200] * 20 + [429] * 20
    assert sum(function.unknown for function in functions) == 0


def test_without_memcached_requests_pass_and_are_counted() -> None:
    quota = Quota(RateClass.READ, "merchant", 1, _LONG_S)
    function = Function(_DEAD, "t:", quota)
    answers = [function.ask() for _ in range(5)]
    assert [answer["statusCode"] for answer in answers] == [200] * 5
    assert function.unknown == 5
    assert all("RateLimit" not in answer["headers"] for answer in answers)


def keys_in(server: Memcached, stage: str) -> str:
    """All keys of a stage, as anybody who reaches memcached may list them."""
    with socket.create_connection((server.host, server.port), timeout=5) as asked:
        asked.sendall(b"lru_crawler metadump all\r\n")
        found = b""
        while not found.endswith(b"END\r\n"):
            part = asked.recv(65_536)
            assert part, found
            found += part
    lines = found.decode().splitlines()
    return "\n".join(line for line in lines if line.startswith(f"key=orion%3A{stage}%3A"))


def test_whoever_lists_memcached_learns_no_caller(
    mysql_admin: Any, aws_engine: Any, memcached_server: Memcached, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORION_LANE", "standard")
    quotas = {"policy/rate-limits": json.dumps(QUOTAS)}
    address = f"198.51.100.{time.time_ns() % 250}"
    with checkout_stage(
        mysql_admin, aws_engine, memcached_server.servers, monkeypatch.setenv, **quotas
    ):
        rate_limits.live.cache_clear()
        answer = answer_of(event(*PLACE), {PLACE: balances}, rate_limits.live())
        opened = {"requestContext": {"identity": {"sourceIp": address}}}
        route = ("GET", "/pay/{link_id}")
        asked = {**event(*route), **opened}
        counted = answer_of(asked, {route: balances}, rate_limits.live())
        connect = {
            "queryStringParameters": {"invoice": "inv_" + "0" * 26},
            "requestContext": {
                "eventType": "CONNECT",
                "connectionId": "c=",
                "identity": {"sourceIp": address},
            },
        }
        assert room.socket(connect) == {"statusCode": 404}
        assert cache().failures == 0
        stage = settings.stage()
    rate_limits.live.cache_clear()
    assert "RateLimit" in answer["headers"]
    assert "RateLimit" in counted["headers"]
    keys = keys_in(memcached_server, stage)
    assert keys.count("%3Acounter%3A") >= 4
    for said in (address, address.encode().hex(), KEY.hex(), MERCHANT.hex()):
        assert said not in keys
    assert hashlib.sha256(address.encode()).hexdigest()[:32] not in keys
