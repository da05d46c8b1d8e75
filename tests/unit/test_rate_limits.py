"""Quotas: what fits the window passes, what does not is told when it will."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from orion.ids import public_id, random_id
from orion.runtime.rate_limits import (
    COUNTED,
    DEFAULTS,
    Limits,
    MalformedQuotas,
    Quota,
    read_quotas,
)
from orion.runtime.request import Request, Response, json_response
from orion.runtime.route import RateClass
from orion.runtime.routes import ROUTES
from tests.unit.http_scene import KEY, MERCHANT, answer_of, event

READ = RateClass.READ
PLACE = ("GET", "/v1/balances")


class Window:
    """A clock, and counters that end as memcached's do."""

    def __init__(self) -> None:
        self.now_s = 1_000_000.0
        self.away = False
        self.unknown = 0
        self.keys: dict[str, tuple[int, float]] = {}

    def count(self, key: str, expires_s: int) -> int | None:
        if self.away:
            return None
        used, ends = self.keys.get(key, (0, self.now_s + expires_s))
        if ends <= self.now_s:
            used, ends = 0, self.now_s + expires_s
        self.keys[key] = (used + 1, ends)
        return used + 1

    def nobody_knows(self) -> None:
        self.unknown += 1

    def limits(self, *quotas: Quota) -> Limits:
        by_class: dict[RateClass, list[Quota]] = {}
        for quota in quotas:
            by_class.setdefault(quota.rate_class, []).append(quota)
        return Limits(by_class, self.count, lambda: self.now_s, self.nobody_knows)


def balances(request: Request) -> Response:
    return json_response(200, {"data": []})


def ask(limits: Limits, *, key: bytes = KEY, merchant: bytes = MERCHANT) -> Mapping[str, Any]:
    asked: dict[str, Any] = event(*PLACE)
    asked["requestContext"]["authorizer"] |= {
        "key_id": public_id("key", key),
        "merchant_id": public_id("mer", merchant),
    }
    return answer_of(asked, {PLACE: balances}, limits)


def test_a_used_up_quota_refuses_and_says_when_it_is_new() -> None:
    window = Window()
    limits = window.limits(Quota(READ, "key", 3, 10), Quota(READ, "merchant", 9, 10))
    assert [ask(limits)["statusCode"] for _ in range(4)] == [200, 200, 200, 429]
    refused = ask(limits)
    body, headers = json.loads(refused["body"]), refused["headers"]
    assert (body["code"], body["quota"], body["limit"]) == ("rate_limited", "read-key", 3)
    assert body["retry"] == "later"
    wait_s = int(headers["Retry-After"])
    assert 1 <= wait_s <= 10
    window.now_s += wait_s
    assert ask(limits)["statusCode"] == 200


def test_of_two_used_up_quotas_the_one_that_is_new_last_is_named() -> None:
    limits = Window().limits(Quota(READ, "key", 1, 5), Quota(READ, "merchant", 1, 86_400))
    ask(limits)
    refused = ask(limits)
    assert json.loads(refused["body"])["quota"] == "read-merchant"
    assert '"read-key";r=0' in refused["headers"]["RateLimit"]


def test_windows_of_different_callers_begin_at_different_seconds() -> None:
    limits = Window().limits(Quota(READ, "key", 9, 3_600))
    resets = {ask(limits, key=random_id())["headers"]["RateLimit"].split("t=")[1] for _ in range(9)}
    assert len(resets) > 1


def test_every_answer_says_what_is_left() -> None:
    window = Window()
    limits = window.limits(Quota(READ, "key", 3, 10), Quota(READ, "merchant", 5, 60))
    ask(limits)
    headers = ask(limits)["headers"]
    assert headers["RateLimit-Policy"] == '"read-key";q=3;w=10, "read-merchant";q=5;w=60'
    left = [item.split(";t=")[0] for item in headers["RateLimit"].split(", ")]
    assert left == ['"read-key";r=1', '"read-merchant";r=3']
    refused = [ask(limits) for _ in range(3)][-1]
    assert refused["statusCode"] == 429
    assert '"read-key";r=0' in refused["headers"]["RateLimit"]


def test_keys_of_one_merchant_share_its_quota_and_strangers_do_not() -> None:
    limits = Window().limits(Quota(READ, "key", 2, 10), Quota(READ, "merchant", 3, 10))
    other_key, other_merchant = random_id(), random_id()
    assert [ask(limits)["statusCode"] for _ in range(2)] == [200, 200]
    assert ask(limits, key=other_key)["statusCode"] == 200
    assert ask(limits, key=other_key)["statusCode"] == 429
    assert ask(limits, key=random_id(), merchant=other_merchant)["statusCode"] == 200


def test_open_routes_are_counted_by_address() -> None:
    limits = Window().limits(Quota(RateClass.OPEN_WRITE, "address", 1, 10))

    def from_address(address: str) -> int:
        asked = event("POST", "/v1/merchants", requestContext={"identity": {"sourceIp": address}})
        answer = answer_of(asked, {("POST", "/v1/merchants"): balances}, limits)
        return int(answer["statusCode"])

    # Without its Idempotency-Key it is refused later: counting comes first.
    assert from_address("192.0.2.1") == 400
    assert from_address("192.0.2.1") == 429
    assert from_address("192.0.2.2") == 400


def test_a_quota_that_nobody_can_count_lets_pass_and_is_counted_itself() -> None:
    window = Window()
    limits = window.limits(Quota(READ, "key", 1, 10))
    ask(limits)
    window.away = True
    answer = ask(limits)
    assert (answer["statusCode"], window.unknown) == (200, 1)
    assert "RateLimit" not in answer["headers"]
    assert answer["headers"]["RateLimit-Policy"] == '"read-key";q=1;w=10'


def test_what_a_key_may_not_do_is_counted_too() -> None:
    limits = Window().limits(Quota(READ, "key", 2, 10))
    asked = event(*PLACE, scopes="keys:write")
    answers = [answer_of(asked, {PLACE: balances}, limits) for _ in range(3)]
    assert [answer["statusCode"] for answer in answers] == [403, 403, 429]
    assert '"read-key";r=1' in answers[0]["headers"]["RateLimit"]


_KEYED = {"window_s": 10, "key": 1, "merchant": 2}
_OPEN = {"window_s": 10, "address": 3}
_QUOTAS: Mapping[str, object] = {
    "read": _KEYED,
    "write": _KEYED,
    "expensive": _KEYED,
    "open_read": _OPEN,
    "open_write": _OPEN,
    "refused": _OPEN,
}


def test_quotas_are_read_by_lane_and_class() -> None:
    found = read_quotas({"standard": _QUOTAS, "vip": _QUOTAS})
    for lane in ("standard", "vip"):
        assert found[lane][READ] == (Quota(READ, "key", 1, 10), Quota(READ, "merchant", 2, 10))
        assert [quota.limit for quota in found[lane][RateClass.OPEN_READ]] == [3]


WRONG: Sequence[Mapping[str, object]] = [
    {"standard": None},
    {"standard": {}},
    {"standard": {**_QUOTAS, "refused": None}},
    {"standard": {**_QUOTAS, "refused": {"window_s": 10}}},
    {"standard": {**_QUOTAS, "read": {"window_s": 10, "key": 1}}},
    {"standard": {**_QUOTAS, "read": {"window_s": 10, "key": 1, "merchant": 1, "address": 1}}},
    {"standard": {**_QUOTAS, "read": {"window_s": 0, "key": 1, "merchant": 1}}},
    {"standard": {**_QUOTAS, "read": {"window_s": 10, "key": True, "merchant": 1}}},
    {"standard": {**_QUOTAS, "read": {"window_s": 10, "key": "1", "merchant": 1}}},
]


# What the first form of the parameter had: no stage may lack these.
_FIRST = ("read", "write", "expensive", "open_read", "open_write")


def test_a_class_younger_than_the_parameter_counts_by_its_built_in_numbers() -> None:
    older = {name: _QUOTAS[name] for name in _FIRST}
    found = read_quotas({"standard": older})["standard"]
    assert found[RateClass.REFUSED] == (Quota(RateClass.REFUSED, "address", 60, 600),)
    assert found[READ] == (Quota(READ, "key", 1, 10), Quota(READ, "merchant", 2, 10))


def test_every_class_is_of_the_first_form_or_has_built_in_numbers() -> None:
    assert {each.value for each in COUNTED} == {*_FIRST, *(each.value for each in DEFAULTS)}


def test_a_class_that_this_code_does_not_know_is_ignored_whatever_it_says() -> None:
    newer = {"standard": {**_QUOTAS, "other": {"window_h": "1"}, "another": None}}
    assert read_quotas(newer) == read_quotas({"standard": _QUOTAS})


@pytest.mark.parametrize("name", _FIRST)
def test_a_class_of_the_first_form_must_be_there(name: str) -> None:
    lacking = {each: row for each, row in _QUOTAS.items() if each != name}
    with pytest.raises(MalformedQuotas, match=f"place='vip.{name}'"):
        read_quotas({"standard": _QUOTAS, "vip": lacking})


@pytest.mark.parametrize("document", WRONG)
def test_quotas_of_another_form_are_refused(document: Mapping[str, object]) -> None:
    with pytest.raises(MalformedQuotas):
        read_quotas(document)


def test_what_a_load_balancer_or_a_page_loads_is_not_counted() -> None:
    free = {route.path for route in ROUTES if route.rate_class is RateClass.NONE}
    assert "/health" in free
    assert not any(path.startswith("/v1/") for path in free)
