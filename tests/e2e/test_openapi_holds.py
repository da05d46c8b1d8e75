"""The running stack keeps to its own description: every operation, with data that fits and data
that does not. No 5xx, no status, no header and no member that the document does not have.

schemathesis makes the data from the document and judges the answers. Seeds are fixed; the time is
bounded: each test stops making examples when its share is over.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from demos.first_light.merchant import Api
from infra import openapi
from infra.local import Stack
from infra.local.deployed import standard_url
from orion.scopes import Scope
from tests.e2e.openapi_good import AS_GOOD, BODIES, QUERIES, Known, Place, key, places

pytestmark = pytest.mark.e2e

DOCUMENT: Mapping[str, Any] = json.loads(openapi.WRITTEN.read_text(encoding="utf-8"))
PLACES = places(DOCUMENT)
_FUZZ_S = 50.0
_EXAMPLES = {GenerationMode.POSITIVE: 4, GenerationMode.NEGATIVE: 10}
_LEAST = 1
_REQUEST_TIMEOUT_S = 30
# Data of the right form may be of no use all the same: an asset that nobody offers, a page that has
# ended, an ETag that still holds.
_USELESS = ("302", "303", "304", "400", "401", "403", "404", "409", "410", "422")


def _closed(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with answers that have no other members than it says: it leaves them open, so
    that they may grow, but what is there now is all described.
    """
    copied: dict[str, Any] = json.loads(json.dumps(document))
    for name, schema in copied["components"]["schemas"].items():
        if name != "Problem" and schema.get("type") == "object" and "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return copied


def _config() -> schemathesis.Config:
    return schemathesis.Config.from_dict(
        {
            "checks": {
                "positive_data_acceptance": {"expected-statuses": ["2xx", *_USELESS]},
                "negative_data_rejection": {"expected-statuses": list(_USELESS)},
            }
        }
    )


SCHEMA = schemathesis.openapi.from_dict(_closed(DOCUMENT), config=_config())


@dataclass(frozen=True, slots=True)
class Running:
    """The stack's API, a key of every scope, and what its good requests made."""

    base_url: str
    headers: Mapping[str, str]
    session: requests.Session
    known: Known
    served: Mapping[str, int]


def _case(place: Place, path: Mapping[str, str]) -> schemathesis.Case[Any]:
    needs_key = {"$ref": "#/components/parameters/IdempotencyKey"} in DOCUMENT["paths"][place.path][
        place.method.lower()
    ]["parameters"]
    made: dict[str, Any] = {"path_parameters": dict(path), "headers": key() if needs_key else {}}
    if place.name in QUERIES:
        made["query"] = dict(QUERIES[place.name])
    if place.has_body:
        made["body"] = dict(BODIES[place.name])
        made["media_type"] = "application/json"
    case: schemathesis.Case[Any] = SCHEMA[place.path][place.method].Case(**made)
    return case


@pytest.fixture(scope="module")
def running(running_stack: Stack) -> Iterator[Running]:
    """Every operation asked once, well; `served` has the status of each answer."""
    base_url = standard_url(running_stack)
    made = Api(base_url).call("POST", "/v1/merchants", {"name": "Described"})
    first = Api(base_url, str(made["api_key"]))
    every = first.call("POST", "/v1/api-keys", {"name": "all", "scopes": sorted(Scope)})
    headers = {"Authorization": f"Bearer {every['api_key']}"}
    known, served = Known(), {}
    with requests.Session() as session:
        for place in PLACES:
            path = known.path(place)
            if path is None or (place.has_body and place.name not in BODIES):
                continue
            answer = _case(place, path).call(
                base_url, session, headers, timeout=_REQUEST_TIMEOUT_S, allow_redirects=False
            )
            served[place.name] = answer.status_code
            if "json" in answer.headers.get("content-type", [""])[0] and answer.content:
                known.learn(answer.json())
        yield Running(base_url, headers, session, known, served)


def test_every_operation_has_answered_a_good_request_well(running: Running) -> None:
    refused = {name: status for name, status in running.served.items() if status >= 400}
    assert {name: status for name, status in refused.items() if AS_GOOD.get(name) != status} == {}
    unasked = {place.name for place in PLACES} - set(running.served)
    assert not unasked, "no good request could be made: see openapi_good.py"


def test_the_document_is_served_as_it_is_committed(running: Running) -> None:
    answer = running.session.get(f"{running.base_url}/v1/openapi.json", timeout=_REQUEST_TIMEOUT_S)
    body = answer.json()
    assert body.pop("servers")[0]["url"] == running.base_url
    assert body == {name: part for name, part in DOCUMENT.items() if name != "servers"}
    again = running.session.get(
        f"{running.base_url}/v1/openapi.json",
        headers={"If-None-Match": answer.headers["ETag"]},
        timeout=_REQUEST_TIMEOUT_S,
    )
    assert again.status_code == 304


def _whole(value: Any) -> Any:
    """242.0 is an integer to JSON Schema, but never to this API: numbers are written whole."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    return value


def _can_be_wrong(place: Place) -> bool:
    """Whether anything that it takes can be of another form: any text is an ETag."""
    operation = DOCUMENT["paths"][place.path][place.method.lower()]
    parameters = [each for each in operation["parameters"] if each != _ETAG]
    return bool(parameters) or place.has_body


_ETAG = {"$ref": "#/components/parameters/IfNoneMatch"}
_ASKED = [(place, GenerationMode.POSITIVE) for place in PLACES] + [
    (place, GenerationMode.NEGATIVE) for place in PLACES if _can_be_wrong(place)
]


@pytest.mark.parametrize("place, mode", _ASKED, ids=[f"{p.name}-{mode}" for p, mode in _ASKED])
def test_whatever_is_asked_the_answer_is_as_described(
    running: Running, place: Place, mode: GenerationMode
) -> None:
    fixed = running.known.path(place) if mode is GenerationMode.POSITIVE else None
    strategy = SCHEMA[place.path][place.method].as_strategy(
        generation_mode=mode, path_parameters=dict(fixed) if fixed else None
    )
    ends_at = time.monotonic() + _FUZZ_S / len(_ASKED)
    asked = 0

    @settings(
        max_examples=_EXAMPLES[mode],
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def holds(case: schemathesis.Case[Any]) -> None:
        nonlocal asked
        if asked >= _LEAST and time.monotonic() > ends_at:
            return
        asked += 1
        if mode is GenerationMode.POSITIVE:
            case.body = _whole(case.body)
        case.call_and_validate(
            running.base_url,
            running.session,
            dict(running.headers),
            timeout=_REQUEST_TIMEOUT_S,
            allow_redirects=False,
        )

    holds()
    assert asked
