"""The Idempotency-Key header: which texts are a key, and which are the same one."""

import json
from typing import Any

import pytest

from orion.runtime.idempotency import key_of
from orion.runtime.request import Request, Response, answered_once
from tests.unit.http_scene import answer_of, event

PLACE = ("POST", "/v1/api-keys")
BODY = json.dumps({"name": "n", "scopes": ["keys:write"]})


def ask(headers: dict[str, str], *, replayed: bool = False) -> tuple[int, dict[str, Any], str]:
    seen: list[str] = []

    def handler(request: Request) -> Response:
        seen.append(key_of(request))
        return answered_once(201, b"{}", replayed=replayed)

    asked = event(*PLACE, scopes="keys:write", headers=headers, body=BODY)
    answer = answer_of(asked, {PLACE: handler})
    return answer["statusCode"], dict(answer), seen[0] if seen else ""


@pytest.mark.parametrize(
    "header, key",
    [
        ("k", "k"),
        ("a-b_c.d/e", "a-b_c.d/e"),
        ("x" * 255, "x" * 255),
        ('"k"', "k"),
        ('"a\\"b\\\\c"', 'a"b\\c'),
        (' "k" ', "k"),
        ('k"', 'k"'),
        ('"' + "x" * 255 + '"', "x" * 255),
    ],
)
def test_a_key_is_read_in_the_drafts_form_or_bare(header: str, key: str) -> None:
    status, _, seen = ask({"Idempotency-Key": header})
    assert (status, seen) == (201, key)


@pytest.mark.parametrize(
    "header", ["", " ", '""', '"', '"k', '"a"b"', '"a\\b"', '"a b"', "a b", "é", "x" * 256]
)
def test_what_is_no_key_is_refused_before_anything_happens(header: str) -> None:
    status, answer, seen = ask({"Idempotency-Key": header})
    assert (status, json.loads(answer["body"])["code"]) == (400, "idempotency_key_malformed")
    assert seen == ""


def test_a_post_without_a_key_is_refused_before_its_body_is_looked_at() -> None:
    asked = event(*PLACE, scopes="keys:write", body="{")

    def never(request: Request) -> Response:
        raise AssertionError("a refused request must not reach the handler")

    body = json.loads(answer_of(asked, {PLACE: never})["body"])
    assert body["code"] == "idempotency_key_missing"
    assert body["type"].endswith("/problems/idempotency_key_missing")


def test_a_repeated_answer_says_so() -> None:
    _, first, _ = ask({"Idempotency-Key": "k"})
    _, again, _ = ask({"Idempotency-Key": "k"}, replayed=True)
    assert "Idempotent-Replayed" not in first["headers"]
    assert again["headers"]["Idempotent-Replayed"] == "true"
