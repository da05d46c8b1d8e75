"""The OpenAPI document: as committed, and true to the table of routes."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from infra import openapi
from orion.runtime import problems
from orion.runtime.api_schema.json_schema import NameTwice
from orion.runtime.api_schema.kinds import (
    Choice,
    Flag,
    Kind,
    Labels,
    Listing,
    Member,
    Object,
    Text,
    Whole,
)
from orion.runtime.api_schema.openapi import document
from orion.runtime.api_schema.path_parameters import PATH_PARAMETERS
from orion.runtime.route import Route
from orion.runtime.routes import ROUTES

DOCUMENT = json.loads(openapi.text())
_IN_PATH = re.compile(r"\{([a-z_]+)\}")


def operations() -> Iterator[tuple[Route, Mapping[str, Any]]]:
    for route in ROUTES:
        yield route, DOCUMENT["paths"][route.path][route.method.lower()]


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "$ref":
                yield str(item)
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_the_committed_document_is_that_of_the_route_table() -> None:
    committed = openapi.WRITTEN.read_text(encoding="utf-8")
    assert committed == openapi.text(), "write it again: python -m infra.openapi"


def test_every_route_is_described() -> None:
    for route in ROUTES:
        place = f"{route.method} {route.path}"
        assert route.summary, place
        assert route.answers, place
        assert route.query is not None or route.method != "GET" or route.scope is None, place
        for name in _IN_PATH.findall(route.path):
            assert name in PATH_PARAMETERS, place
        for code in route.refuses:
            assert code in problems.STATUS, (place, code)


def test_every_operation_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for _, operation in operations()]
    assert len(set(names)) == len(names)


def test_everything_referred_to_is_there() -> None:
    for place in references(DOCUMENT):
        found: Any = DOCUMENT
        for part in place.removeprefix("#/").split("/"):
            found = found[part]
        assert found


def test_every_operation_names_its_scope_and_the_statuses_of_its_kind() -> None:
    for route, operation in operations():
        statuses = set(operation["responses"])
        assert {"500", "503", "504"} <= statuses
        if route.scope is not None:
            assert operation["security"] == [{"key": [route.scope.value]}]
            assert {"401", "403", "429"} <= statuses
        if route.needs_idempotency_key:
            assert {"400", "409", "422"} <= statuses
        if route.request is not None:
            assert {"400", "413"} <= statuses


def _limitless(kind: Kind, place: str) -> Iterator[str]:
    match kind:
        case Text():
            if kind.max_length is None:
                yield place
        case Listing():
            if kind.max_items is None:
                yield place
            yield from _limitless(kind.item, place)
        case Object():
            for member in kind.members:
                yield from _limitless(member.kind, f"{place}.{member.name}")
        case Choice() | Whole() | Flag() | Labels():
            return
        case _:
            yield place


def test_everything_in_a_request_has_a_limit() -> None:
    for route in ROUTES:
        place = f"{route.method} {route.path}"
        kinds: list[Kind] = [parameter.kind for parameter in route.query or ()]
        if route.request is not None:
            kinds.append(route.request)
        for kind in kinds:
            assert not list(_limitless(kind, place))


def test_two_objects_of_one_name_are_refused() -> None:
    one = Object("Same", (Member("a", Flag()),))
    other = Object("Same", (Member("b", Flag()),))
    with pytest.raises(NameTwice):
        document([_route("/a", one), _route("/b", other)])


def _route(path: str, answer: Object) -> Route:
    return Route("GET", path, "user/api", None, summary="x", answers={200: answer})
