"""The client has every route of the API's description, under the names that stand there."""

import inspect
import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, NotRequired, get_args, get_origin, get_type_hints

import pytest

from orion_client import Client, Retries, shapes
from orion_client.resources import Resource
from tests.unit.client_server import Seen, Told, serving

ROOT = Path(__file__).parents[2]
OPENAPI: Mapping[str, Any] = json.loads((ROOT / "infra" / "openapi.json").read_text())
METHODS = ("get", "post", "put", "patch", "delete")
PAGE: Mapping[str, object] = {"data": [], "next_cursor": None, "has_more": False}


def operations() -> dict[tuple[str, str], Mapping[str, Any]]:
    """Every operation of the programs' API; pages for people are none of it."""
    return {
        (method.upper(), path): item[method]
        for path, item in OPENAPI["paths"].items()
        if path.startswith("/v1/")
        for method in METHODS
        if method in item
    }


def value_for(name: str, annotation: str) -> object:
    """Something of the type that a parameter says."""
    if "Callable" in annotation:
        return lambda: True
    if "Mapping" in annotation:
        return {"name": "value"}
    if "Sequence" in annotation:
        return ["one", "two"]
    if "bool" in annotation:
        return True
    if "int" in annotation or "float" in annotation:
        return 1
    return f"{name}-text"


def resources(client: Client) -> Mapping[str, Resource]:
    return {name: item for name, item in vars(client).items() if isinstance(item, Resource)}


def public_methods(resource: Resource) -> list[str]:
    return [name for name, _ in inspect.getmembers(resource, inspect.ismethod) if name[0] != "_"]


@pytest.fixture(scope="module")
def requests() -> dict[str, Seen]:
    """What each method of the client sends, with every parameter given."""
    found: dict[str, Seen] = {}
    with serving() as server, Client(server.url, "ok_k", retries=Retries(attempts=1)) as client:
        server.tell(Told(200, PAGE))
        for group, resource in resources(client).items():
            for name in public_methods(resource):
                method = getattr(resource, name)
                given = {
                    parameter.name: value_for(parameter.name, str(parameter.annotation))
                    for parameter in inspect.signature(method).parameters.values()
                }
                server.seen.clear()
                answer = method(**given)
                if inspect.isgenerator(answer):
                    next(answer, None)
                assert server.seen, (group, name)
                found[f"{group}.{name}"] = server.seen[0]
    return found


def operation_of(request: Seen) -> tuple[str, str]:
    """The described operation that a request is for; one without names in its path goes first."""
    for method, path in sorted(operations(), key=lambda place: place[1].count("{")):
        if method == request.method and re.fullmatch(
            re.sub(r"\{\w+\}", "[^/]+", path), request.path
        ):
            return method, path
    raise AssertionError(f"no such route: {request.method} {request.path}")


def test_no_route_of_the_description_is_missing(requests: dict[str, Seen]) -> None:
    assert operations().keys() == {operation_of(request) for request in requests.values()}


def test_every_parameter_has_the_descriptions_name(requests: dict[str, Seen]) -> None:
    for name, request in requests.items():
        operation = operations()[operation_of(request)]
        described = {
            parameter["name"]
            for parameter in map(resolved, operation.get("parameters", []))
            if parameter["in"] == "query"
        }
        assert set(request.query) <= described, name


def test_every_member_of_a_body_has_the_descriptions_name_and_none_is_missing(
    requests: dict[str, Seen],
) -> None:
    for name, request in requests.items():
        operation = operations()[operation_of(request)]
        body = operation.get("requestBody")
        described: Mapping[str, Any] = {}
        if body is not None:
            described = resolved(body["content"]["application/json"]["schema"])["properties"]
        assert set(request.members) == set(described), name


def test_what_needs_a_key_gets_one_and_nothing_else_does(requests: dict[str, Seen]) -> None:
    for name, request in requests.items():
        operation = operations()[operation_of(request)]
        parameters = map(resolved, operation.get("parameters", []))
        needed = any(parameter["name"].lower() == "idempotency-key" for parameter in parameters)
        assert ("idempotency-key" in request.headers) == needed, name


def shapes_of_answers() -> dict[str, type]:
    """The client's dictionaries by the names that the description gives to the same things."""
    return {
        "ApiKey": shapes.ApiKey,
        "ApiKeyMade": shapes.NewApiKey,
        "Balance": shapes.Balance,
        "Cause": shapes.Cause,
        "CheckoutSession": shapes.CheckoutSession,
        "Event": shapes.Event,
        "EventPage": shapes.EventPage,
        "FeePlan": shapes.FeePlan,
        "FeeTier": shapes.FeeTier,
        "Fees": shapes.Fees,
        "FixedRate": shapes.FixedRate,
        "Invoice": shapes.Invoice,
        "InvoiceChange": shapes.InvoiceChange,
        "InvoiceDeposit": shapes.Deposit,
        "InvoiceRefund": shapes.Refund,
        "MerchantMade": shapes.Merchant,
        "Payment": shapes.Payment,
        "PaymentLink": shapes.PaymentLink,
        "PaymentOption": shapes.PaymentOption,
        "Rate": shapes.Rate,
        "RateLock": shapes.RateLock,
        "RateSettings": shapes.RateSettings,
        "Settings": shapes.Settings,
        "Statement": shapes.Statement,
        "StatementLine": shapes.StatementLine,
        "WebhookAttempt": shapes.Attempt,
        "WebhookDelivery": shapes.Delivery,
        "WebhookDeliveryLogged": shapes.LoggedDelivery,
        "WebhookEndpoint": shapes.WebhookEndpoint,
        "WebhookEndpointMade": shapes.NewWebhookEndpoint,
        "WebhookSecretRotated": shapes.RotatedSecret,
        "WebhookTest": shapes.TestEventSent,
    }


def kind_of(schema: Mapping[str, Any]) -> set[str]:
    """What a value may be, in Python's words."""
    if "$ref" in schema:
        return {str(schema["$ref"]).rpartition("/")[2]}
    choices = schema.get("anyOf", schema.get("oneOf"))
    if choices is not None:
        return set[str]().union(*(kind_of(choice) for choice in choices))
    words = {"string": "str", "integer": "int", "boolean": "bool", "object": "dict", "null": "None"}
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    of_items = kind_of(schema["items"]).pop() if "array" in kinds else ""
    return {f"list[{of_items}]" if kind == "array" else words[kind] for kind in kinds}


def kind_of_hint(hint: Any, names: Mapping[type, str]) -> set[str]:
    if hint is type(None):
        return {"None"}
    if isinstance(hint, UnionType):
        return set[str]().union(*(kind_of_hint(part, names) for part in hint.__args__))
    if get_origin(hint) is list:
        return {f"list[{kind_of_hint(get_args(hint)[0], names).pop()}]"}
    return {"dict" if get_origin(hint) is dict else names.get(hint, hint.__name__)}


def answered() -> set[str]:
    """Names of everything that answers of 2xx hold, at any depth; pages and lists are generic."""

    def named(item: Any) -> set[str]:
        if isinstance(item, list):
            return set[str]().union(*map(named, item))
        if not isinstance(item, dict):
            return set()
        here = {str(item["$ref"]).rpartition("/")[2]} if "$ref" in item else set[str]()
        return here.union(*map(named, item.values()))

    found = set[str]()
    for operation in operations().values():
        for status, answer in operation["responses"].items():
            found |= named(answer.get("content")) if status.startswith("2") else set()
    seen: set[str] = set()
    while found - seen:
        name = (found - seen).pop()
        seen.add(name)
        found |= named(OPENAPI["components"]["schemas"].get(name))
    return {name for name in seen if not name.endswith(("Page", "List"))} | {"EventPage"}


def test_everything_that_answers_hold_has_a_type() -> None:
    assert shapes_of_answers().keys() == answered()


def test_what_answers_hold_is_typed_as_the_description_says() -> None:
    mapped = shapes_of_answers()
    names = {shape: name for name, shape in mapped.items()}
    for name, shape in mapped.items():
        schema = OPENAPI["components"]["schemas"][name]
        hints = get_type_hints(shape, include_extras=True)
        assert hints.keys() == schema["properties"].keys(), name
        for member, hint in hints.items():
            optional = get_origin(hint) is NotRequired
            assert optional == (member not in schema["required"]), member
            bare = get_args(hint)[0] if optional else hint
            wanted = kind_of(schema["properties"][member])
            assert kind_of_hint(bare, names) == wanted, (name, member)


def resolved(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a `$ref` of the document points to."""
    while "$ref" in item:
        found: Any = OPENAPI
        for part in str(item["$ref"]).removeprefix("#/").split("/"):
            found = found[part]
        item = found
    return item
