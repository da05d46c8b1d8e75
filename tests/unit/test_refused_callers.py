"""Who has no key that is ours, or asks what no path takes, is counted by his address."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from infra.cloud.names import ROOT
from orion.runtime.authorizer import authorize
from orion.runtime.caller import network_of
from orion.runtime.rate_limits import Limits, Quota
from orion.runtime.request import Request, Response, json_response
from orion.runtime.route import RateClass, Route
from orion.runtime.routes import ROUTES
from orion.runtime.settings import AWS_CLIENT, AWS_TRIES
from tests.unit.http_scene import answer_of, event

PLACE = ("GET", "/v1/balances")
HANDLERS = {PLACE: lambda request: json_response(200, {"data": []})}
GUARDED = [route for route in ROUTES if route.scope is not None]


def limits(limit: int) -> Limits:
    """Counted in this process; only refused requests have a quota."""
    used: dict[str, int] = {}

    def count(key: str, expires_s: int) -> int:
        used[key] = used.get(key, 0) + 1
        return used[key]

    quota = Quota(RateClass.REFUSED, "address", limit, 60)
    return Limits({RateClass.REFUSED: (quota,)}, count, lambda: 1_000.0, lambda: None)


def from_address(address: str, method: str = "GET", **authorizer: str) -> dict[str, object]:
    context = {"authorizer": authorizer, "identity": {"sourceIp": address}}
    return event(method, PLACE[1], requestContext=context)


def wrong_key(known: Limits, address: str = "192.0.2.1") -> Mapping[str, Any]:
    return answer_of(from_address(address, principalId="nobody"), HANDLERS, known)


def test_guessing_keys_meets_429_with_the_headers_of_every_quota() -> None:
    known = limits(2)
    answers = [wrong_key(known) for _ in range(3)]
    assert [answer["statusCode"] for answer in answers] == [401, 401, 429]
    assert answers[0]["headers"]["WWW-Authenticate"] == "Bearer"
    assert answers[0]["headers"]["RateLimit-Policy"] == '"refused-address";q=2;w=60'
    assert '"refused-address";r=1' in answers[0]["headers"]["RateLimit"]
    refused = answers[2]
    assert 1 <= int(refused["headers"]["Retry-After"]) <= 60
    body = json.loads(refused["body"])
    assert (body["code"], body["quota"]) == ("rate_limited", "refused-address")


def test_a_right_key_is_served_behind_an_address_that_has_guessed_too_often() -> None:
    known = limits(1)
    assert [wrong_key(known)["statusCode"] for _ in range(2)] == [401, 429]
    assert answer_of(event(*PLACE), HANDLERS, known)["statusCode"] == 200
    assert wrong_key(known, "192.0.2.2")["statusCode"] == 401


def test_a_wrong_key_is_refused_in_the_callers_language() -> None:
    asked = {**from_address("192.0.2.1"), "headers": {"Accept-Language": "nl"}}
    answer = answer_of(asked, HANDLERS, limits(9))
    assert (answer["statusCode"], answer["headers"]["Content-Language"]) == (401, "nl")


def test_methods_that_a_path_does_not_have_are_counted_with_wrong_keys() -> None:
    known = limits(2)
    statuses = [
        answer_of(from_address("192.0.2.1", "BREW"), HANDLERS, known)["statusCode"],
        wrong_key(known)["statusCode"],
        answer_of(from_address("192.0.2.1", "PATCH"), HANDLERS, known)["statusCode"],
    ]
    assert statuses == [405, 401, 429]


def test_a_body_that_cannot_be_read_is_counted_before_a_method_is_refused() -> None:
    asked = {**from_address("192.0.2.1", "PATCH"), "body": "%", "isBase64Encoded": True}
    known = limits(1)
    assert [answer_of(asked, HANDLERS, known)["statusCode"] for _ in range(2)] == [405, 429]


def test_the_body_of_a_wrong_key_is_decoded_by_nobody() -> None:
    body = {"body": "%", "isBase64Encoded": True}
    known = limits(1)
    asked = {**from_address("192.0.2.1", principalId="nobody"), **body}
    assert [answer_of(asked, HANDLERS, known)["statusCode"] for _ in range(2)] == [401, 429]


def test_a_right_key_pays_for_a_body_that_cannot_be_decoded() -> None:
    quota = Quota(RateClass.READ, "merchant", 2, 60)
    used: list[str] = []

    def count(key: str, expires_s: int) -> int:
        used.append(key)
        return len(used)

    known = Limits({RateClass.READ: (quota,)}, count, lambda: 1_000.0, lambda: None)
    body = {"body": "%", "isBase64Encoded": True}
    refused = answer_of({**event(*PLACE, scopes="keys:write"), **body}, HANDLERS, known)
    assert refused["statusCode"] == 403
    statuses = [
        answer_of({**event(*PLACE), **body}, HANDLERS, known)["statusCode"] for _ in range(2)
    ]
    assert statuses == [400, 429]


def test_what_is_sent_in_base_64_reaches_its_handler_as_it_was() -> None:
    seen: list[bytes] = []

    def handler(request: Request) -> Response:
        seen.append(request.body)
        return json_response(200, {"data": []})

    for body in ({"body": "aMOp", "isBase64Encoded": True}, {"body": "h\u00e9"}):
        asked = {**event(*PLACE), **body}
        assert answer_of(asked, {PLACE: handler}, limits(9))["statusCode"] == 200
    assert seen == ["h\u00e9".encode()] * 2


def test_where_no_request_is_counted_a_wrong_method_is_not_either() -> None:
    # Pages' files are served outside the network in which counters live.
    free = next(route for route in ROUTES if route.rate_class is RateClass.NONE)
    asked = event("BREW", free.path, requestContext={"identity": {"sourceIp": "192.0.2.1"}})
    handlers = {(free.method, free.path): HANDLERS[PLACE]}
    answers = [answer_of(asked, handlers, limits(1)) for _ in range(3)]
    assert [answer["statusCode"] for answer in answers] == [405] * 3
    assert "RateLimit" not in answers[0]["headers"]


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: f"{route.method} {route.path}")
def test_nobody_reaches_no_handler_of_a_guarded_route(route: Route) -> None:
    def never(request: Request) -> Response:
        raise AssertionError("the authorizer lets pass whom the entry must refuse")

    asked = event(route.method, route.path, requestContext={"authorizer": {}})
    answer = answer_of(asked, {(route.method, route.path): never})
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (401, "unauthorized")


@pytest.mark.parametrize("function", sorted({route.function for route in GUARDED}))
def test_every_function_behind_the_authorizer_answers_through_the_entry(function: str) -> None:
    handler = (ROOT / "functions" / f"{function}.py").read_text()
    assert "from orion.runtime.http import serve\n" in handler
    assert handler.count("return ") == handler.count("return serve(event, ") == 1


@pytest.mark.parametrize("given", ["", "Bearer nonsense", "Bearer ok_", "Basic b2s6"])
def test_what_is_no_key_passes_the_authorizer_as_nobody_without_a_look_at_the_database(
    given: str,
) -> None:
    arn = "arn:aws:execute-api:eu-west-1:000000000000:api/live/GET/v1/balances"
    asked = {"headers": {"Authorization": given}, "methodArn": arn}
    answer = authorize(asked, "standard")
    assert (answer["principalId"], answer["context"]) == ("nobody", {})


@pytest.mark.parametrize(
    "one, other, same",
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::2", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("2001:DB8:1:2:0:0:0:1", "2001:db8:1:2::1", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("", "unknown", False),
    ],
)
def test_an_address_of_ipv6_stands_for_its_64(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) == same
    known = limits(1)
    assert wrong_key(known, one)["statusCode"] == 401
    assert wrong_key(known, other)["statusCode"] == (429 if same else 401)


def test_a_call_to_aws_is_tried_three_times_in_all() -> None:
    from botocore.session import Session

    client = Session().create_client("sqs", region_name="eu-west-1", config=AWS_CLIENT)
    tried = vars(client.meta.config)["retries"]
    assert (tried["mode"], tried["total_max_attempts"]) == ("standard", AWS_TRIES)
    assert AWS_TRIES == 3
