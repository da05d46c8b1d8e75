"""Links, sessions, payments, statements and exports through their functions, as Lambda has them."""

import csv
import importlib
import io
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest

from infra.local.seed import QUOTAS
from orion.billing.exports import csv as exports_csv
from orion.billing.exports import service as exports_service
from orion.ids import parse_public_id, public_id
from orion.runtime.routes import ROUTES
from orion.scopes import Scope
from tests.engine.billing_scene import MERCHANT, STRANGER
from tests.engine.pay_scene import ask, empty, pay_stage
from tests.engine.sales_scene import SalesScene

pytestmark = pytest.mark.engine
FUNCTIONS = {(route.method, route.path): route.function for route in ROUTES}
LINK = {"title": "Tea", "amount": "25.00", "currency": "EUR", "assets": ["BTC.bitcoin"]}
SESSION = {
    "amount": "25.00",
    "currency": "EUR",
    "assets": ["BTC.bitcoin"],
    "success_url": "https://shop.example/paid?s={session_id}",
}


@pytest.fixture(scope="module")
def stage(mysql_admin: Any, aws_engine: Any, memcached_server: Any) -> Iterator[SalesScene]:
    with pay_stage(mysql_admin, aws_engine, memcached_server.servers, QUOTAS) as found:
        yield found


@pytest.fixture
def scene(stage: SalesScene) -> SalesScene:
    empty(stage)
    return stage


def called(
    method: str,
    resource: str,
    body: object = None,
    *,
    key: str | None = None,
    merchant: bytes = MERCHANT,
    query: Mapping[str, str] | None = None,
    **path: str,
) -> tuple[int, Mapping[str, str], str]:
    """One request as API Gateway hands it over after the authorizer."""
    event = {
        "httpMethod": method,
        "resource": resource,
        "pathParameters": path or None,
        "queryStringParameters": query,
        "headers": {"idempotency-key": key} if key else {},
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
        "requestContext": {
            "identity": {"sourceIp": "203.0.113.9"},
            "authorizer": {
                "merchant_id": public_id("mer", merchant),
                "key_id": public_id("key", b"k" * 16),
                "scopes": " ".join(Scope),
                "lane": "standard",
            },
        },
    }
    function = FUNCTIONS[(method, resource)].replace("/", ".")
    answer = importlib.import_module(f"functions.{function}").handler(event, None)
    return answer["statusCode"], answer["headers"], answer["body"]


def call(method: str, resource: str, body: object = None, **more: Any) -> tuple[int, Any]:
    status, _, text = called(method, resource, body, **more)
    return status, json.loads(text)


def test_a_link_is_made_read_listed_changed_and_paid(scene: SalesScene) -> None:
    status, link = call("POST", "/v1/payment-links", LINK, key="l1")
    assert status == 201
    assert call("POST", "/v1/payment-links", LINK, key="l1") == (201, link)
    one = {"link_id": link["id"]}
    assert call("GET", "/v1/payment-links/{link_id}", **one) == (200, link)
    assert call("GET", "/v1/payment-links")[1]["data"] == [link]
    body = {"use_limit": 1, "ends_at": (scene.billing.now + timedelta(days=1)).isoformat()}
    status, changed = call("PATCH", "/v1/payment-links/{link_id}", body, **one)
    assert (status, changed["use_limit"], changed["uses"]) == (200, 1, 0)
    path = urlsplit(link["url"]).path
    page = ask("GET", path)
    assert ask("POST", path, f"visitor={page.visitor}").status == 303
    found = call("GET", "/v1/payment-links/{link_id}", **one)[1]
    assert (found["uses"], found["status"]) == (1, "used_up")
    status, cleared = call("PATCH", "/v1/payment-links/{link_id}", {"use_limit": None}, **one)
    assert (status, cleared["use_limit"], cleared["status"]) == (200, None, "active")
    assert cleared["ends_at"] == changed["ends_at"]
    invoice = call("GET", "/v1/invoices")[1]["data"][0]
    assert invoice["payment_link_id"] == link["id"]


@pytest.mark.parametrize(
    "changes, status, code",
    [
        ({"amount": "0"}, 422, "amount_not_positive"),
        ({"min_amount": "1"}, 422, "amount_bounds_refused"),
        ({"amount": None, "min_amount": "9", "max_amount": "5"}, 422, "amount_bounds_refused"),
        ({"currency": "XXX"}, 422, "unknown_currency"),
        ({"assets": ["SOL.solana"]}, 422, "unknown_asset"),
        ({"ends_at": "tomorrow"}, 400, "moment_malformed"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, 422, "payment_link_end_passed"),
        ({"success_url": "http://shop.example/"}, 422, "return_url_refused"),
        ({"use_limit": 0}, 400, "malformed_field"),
        ({"use_limit": 10_001}, 400, "malformed_field"),
        ({"title": ""}, 400, "malformed_field"),
        ({"active": False}, 400, "unknown_field"),
    ],
)
def test_a_link_that_could_not_be_paid_is_refused_with_its_code(
    scene: SalesScene, changes: dict[str, object], status: int, code: str
) -> None:
    found, problem = call("POST", "/v1/payment-links", {**LINK, **changes}, key="l2")
    assert (found, problem["code"]) == (status, code)
    assert scene.billing.one("SELECT COUNT(*) FROM orion_billing.payment_link") == 0


def test_a_session_is_made_and_read(scene: SalesScene) -> None:
    status, session = call("POST", "/v1/checkout-sessions", SESSION, key="s1")
    assert (status, session["status"]) == (201, "open")
    assert session["success_url"] == f"https://shop.example/paid?s={session['id']}"
    one = {"session_id": session["id"]}
    assert call("GET", "/v1/checkout-sessions/{session_id}", **one) == (200, session)
    invoice = call("GET", "/v1/invoices/{invoice_id}", invoice_id=session["invoice_id"])[1]
    assert (invoice["session_id"], invoice["checkout_url"]) == (session["id"], session["url"])


def test_what_is_not_there_is_said_by_its_own_code(scene: SalesScene) -> None:
    for resource, path, code in (
        ("/v1/payment-links/{link_id}", {"link_id": "pl_0"}, "payment_link_not_found"),
        (
            "/v1/checkout-sessions/{session_id}",
            {"session_id": "cs_" + "0" * 26},
            "checkout_session_not_found",
        ),
        ("/v1/statements/{asset}", {"asset": "BTC.bitcoin"}, "unknown_account"),
    ):
        status, problem = call("GET", resource, **path)
        assert (status, problem["code"]) == (404, code)


@pytest.mark.parametrize(
    "query, status, code",
    [
        ({"from": "yesterday"}, 400, "moment_malformed"),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-02T00:00:00Z"}, 400, "period_refused"),
        ({"cursor": "AAAA"}, 400, "cursor_malformed"),
        ({"limit": "0"}, 400, "limit_out_of_range"),
        ({"limit": "101"}, 400, "limit_out_of_range"),
        ({"state": "lost"}, 400, "malformed_parameter"),
        ({"invoice_id": "inv_1"}, 400, "malformed_parameter"),
        ({"colour": "red"}, 400, "unknown_parameter"),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused(
    scene: SalesScene, query: dict[str, str], status: int, code: str
) -> None:
    found, problem = call("GET", "/v1/payments", query=query)
    assert (found, problem["code"]) == (status, code)


def paid(scene: SalesScene, key: str, deposit: str) -> str:
    """A new invoice and one payment to it; the payment's id."""
    body = {"amount": "25.00", "currency": "EUR", "assets": ["BTC.bitcoin"], "reference": "=cmd"}
    invoice = call("POST", "/v1/invoices", body, key=key)[1]
    invoice_id = parse_public_id("inv", invoice["id"])
    record = scene.billing.deposit(invoice_id, deposit_id=deposit * 16)
    scene.billing.progress().apply_deposits([record])
    return public_id("dep", bytes.fromhex(deposit * 16))


def test_payments_are_listed_filtered_and_exported(
    scene: SalesScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [paid(scene, f"p{number}", f"{number + 16:x}") for number in range(3)]
    page = call("GET", "/v1/payments", query={"limit": "2"})[1]
    rest = call("GET", "/v1/payments", query={"limit": "2", "cursor": page["next_cursor"]})[1]
    assert {row["id"] for row in page["data"] + rest["data"]} == set(found)
    assert rest["next_cursor"] is None
    assert call("GET", "/v1/payments", query={"state": "final"})[1]["data"] == []
    assert call("GET", "/v1/payments", merchant=STRANGER)[1]["data"] == []
    monkeypatch.setattr(
        exports_service, "fill", lambda header, rows: exports_csv.fill(header, rows, max_rows=2)
    )
    text, link = "", ""
    address = "https://pay.example/v1/exports/payments.csv?from=2020-01-01T00:00:00Z"
    for number in range(2):
        query = dict(parse_qsl(urlsplit(address).query))
        status, headers, body = called("GET", "/v1/exports/payments.csv", query=query)
        assert status == 200
        present = "absent" if number else "present"
        assert headers["Content-Type"] == f"text/csv; charset=utf-8; header={present}"
        text += body
        link = headers.get("Link", "")
        address = urljoin(address, link.partition("<")[2].partition(">")[0])
    assert link == ""
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert {row["id"] for row in rows} == set(found)
    assert {row["reference"] for row in rows} == {"'=cmd"}


def test_invoices_are_exported_and_a_statement_needs_its_asset(scene: SalesScene) -> None:
    session = call("POST", "/v1/checkout-sessions", SESSION, key="s2")[1]
    status, headers, body = called("GET", "/v1/exports/invoices.csv")
    (row,) = csv.DictReader(io.StringIO(body, newline=""), strict=True)
    assert (status, row["id"], row["session_id"]) == (200, session["invoice_id"], session["id"])
    assert "Link" not in headers
    assert headers["Content-Disposition"] == 'attachment; filename="invoices.csv"'
    status, problem = call("GET", "/v1/exports/statement.csv")
    assert (status, problem["code"]) == (400, "malformed_parameter")
