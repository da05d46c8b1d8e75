"""The HTTP entry: every answer is well formed, every failure a problem document that says nothing
it should not.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from orion.errors import OrionError, Unavailable
from orion.runtime import problems
from orion.runtime.body import Body, MalformedField, MissingField, PayloadTooLarge, UnknownField
from orion.runtime.request import Request, Response, json_response
from tests.unit.http_scene import MERCHANT, answer_of, event


def problem_of(answer: Mapping[str, object]) -> dict[str, Any]:
    assert answer["headers"]["Content-Type"] == "application/problem+json"  # type: ignore[index]
    body: dict[str, Any] = json.loads(str(answer["body"]))
    assert body["status"] == answer["statusCode"]
    assert body["type"] == f"/problems/{body['code']}"
    return body


def test_a_request_reaches_its_handler_with_the_merchant_of_its_key() -> None:
    seen: list[Request] = []

    def balances(request: Request) -> Response:
        seen.append(request)
        return json_response(200, {"data": []})

    trace = "Root=1-5759e988-bd862e3fe1be46a994272793"
    answer = answer_of(
        event("GET", "/v1/balances", headers={"X-Amzn-Trace-Id": trace, "A": "b"}),
        {("GET", "/v1/balances"): balances},
    )
    assert (answer["statusCode"], answer["body"]) == (200, '{"data": []}')
    assert seen[0].merchant() == MERCHANT
    assert seen[0].trace_id == "5759e988bd862e3fe1be46a994272793"
    assert seen[0].headers["a"] == "b"


def test_a_key_without_the_scope_of_the_route_is_refused() -> None:
    def never(request: Request) -> Response:
        raise AssertionError("a refused request must not reach the handler")

    answer = answer_of(event("POST", "/v1/invoices"), {("POST", "/v1/invoices"): never})
    assert problem_of(answer)["code"] == "forbidden_scope"
    answer = answer_of(
        event("GET", "/v1/balances", requestContext={}), {("GET", "/v1/balances"): never}
    )
    assert problem_of(answer)["code"] == "unauthorized"


def test_an_unexpected_failure_tells_the_caller_only_its_trace() -> None:
    def broken(request: Request) -> Response:
        raise RuntimeError("password=hunter2")

    answer = answer_of(event("GET", "/v1/balances"), {("GET", "/v1/balances"): broken})
    assert "hunter2" not in json.dumps(answer)
    assert problem_of(answer)["code"] == "internal"


def test_what_does_not_answer_now_says_when_to_come_back() -> None:
    def down(request: Request) -> Response:
        raise Unavailable("the database does not answer")

    answer = answer_of(event("GET", "/v1/balances"), {("GET", "/v1/balances"): down})
    assert answer["statusCode"] == 503
    assert answer["headers"]["Retry-After"] == "2"
    assert problem_of(answer)["retry"] == "later"


def test_an_error_without_a_row_in_the_table_is_our_fault() -> None:
    class Unlisted(OrionError):
        code = "never_listed"

    status, body = problems.of_error(
        Unlisted("secret detail", field="x"), problems.Reader("0" * 32)
    )
    assert status == 500
    assert b"secret detail" not in body


def test_every_answer_keeps_browsers_to_https() -> None:
    place = ("GET", "/v1/balances")
    handlers = {place: lambda request: json_response(200, {"data": []})}
    for asked in (event(*place), event(*place, scopes="keys:write"), event("GET", "/v1/nothing")):
        answer = answer_of(asked, handlers)
        assert answer["headers"]["Strict-Transport-Security"] == "max-age=31536000"


def test_an_unknown_place_is_not_found() -> None:
    assert problem_of(answer_of(event("GET", "/v1/nothing"), {}))["code"] == "not_found"


def test_a_known_place_names_the_methods_it_takes() -> None:
    def never(request: Request) -> Response:
        raise AssertionError("a refused request must not reach the handler")

    answer = answer_of(event("PATCH", "/v1/balances"), {("GET", "/v1/balances"): never})
    assert problem_of(answer)["code"] == "method_not_allowed"
    assert problem_of(answer)["allowed"] == "GET"


def test_a_body_takes_only_the_fields_of_its_request() -> None:
    with pytest.raises(UnknownField):
        Body.parse(b'{"amuont": "25.00"}', {"amount"})
    with pytest.raises(PayloadTooLarge):
        Body.parse(b" " * 70_000, set())


@pytest.mark.parametrize(
    "value", [1, True, [], {}, "", "x" * 9, "a\x00b", "\ud800", "a\nb", "\ufffe", "a\uffff"]
)
def test_a_text_field_is_readable_text_within_its_limit(value: object) -> None:
    with pytest.raises(MalformedField):
        Body({"name": value}).text("name", max_length=8)


def test_an_absent_or_null_field_is_missing() -> None:
    for values in ({}, {"name": None}):
        with pytest.raises(MissingField):
            Body(values).text("name", max_length=8)
        assert Body(values).optional_text("name", max_length=8) is None
        assert Body(values).optional_integer("name", minimum=0, maximum=9) is None


@pytest.mark.parametrize("value", [True, "1", -1, 10, [1]])
def test_a_number_field_is_whole_and_within_its_bounds(value: object) -> None:
    with pytest.raises(MalformedField):
        Body({"n": value}).optional_integer("n", minimum=0, maximum=9)


@pytest.mark.parametrize("value", ["a", [], ["a", "a"], [1], ["a"] * 4])
def test_a_list_field_has_no_repeats_and_a_limit(value: object) -> None:
    with pytest.raises(MalformedField):
        Body({"n": value}).texts("n", max_items=3, max_length=8)


def test_an_answer_that_the_caller_has_is_not_sent_again() -> None:
    def balances(request: Request) -> Response:
        return json_response(200, {"data": [request.headers.get("x", "")]})

    place = ("GET", "/v1/balances")
    first = answer_of(event(*place), {place: balances})
    etag = first["headers"]["ETag"]
    for known in (etag, f'"other", W/{etag}'):
        again = answer_of(event(*place, headers={"If-None-Match": known}), {place: balances})
        assert (again["statusCode"], again["body"]) == (304, "")
        assert again["headers"]["ETag"] == etag
        assert "Content-Type" not in again["headers"]
    deleted = answer_of(
        event("DELETE", "/v1/api-keys/{key_id}", scopes="keys:write"),
        {("DELETE", "/v1/api-keys/{key_id}"): balances},
    )
    assert "ETag" not in deleted["headers"]
    changed = event(*place, headers={"If-None-Match": etag, "X": "1"})
    assert answer_of(changed, {place: balances})["statusCode"] == 200


def test_what_does_not_fit_its_description_never_reaches_the_handler() -> None:
    def never(request: Request) -> Response:
        raise AssertionError("a refused request must not reach the handler")

    def code(method: str, route: str, **more: Any) -> str:
        scopes = "invoices:write invoices:read balances:read"
        asked = event(method, route, scopes=scopes, **more)
        body: dict[str, str] = json.loads(answer_of(asked, {(method, route): never})["body"])
        return body["code"]

    key = {"headers": {"Idempotency-Key": "k"}}
    assert code("POST", "/v1/invoices", body="{}", **key) == "missing_field"
    assert code("POST", "/v1/invoices", body='{"a": 1}', **key) == "unknown_field"
    assert code("POST", "/v1/invoices", body="[", **key) == "malformed_json"
    query = {"queryStringParameters": {"limit": "0"}}
    assert code("GET", "/v1/invoices", **query) == "limit_out_of_range"
    assert code("GET", "/v1/balances", **query) == "unknown_parameter"
