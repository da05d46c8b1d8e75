"""Quotas counted in a real memcached: functions share them, and losing it stops nobody."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from infra.local.memcached import Memcached
from orion.adapters.memcached.cache import Cache, Server
from orion.runtime.http import Request, Response, json_response
from orion.runtime.rate_limits import Limits, Quota
from orion.runtime.route import RateClass
from tests.unit.http_scene import answer_of, event

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
