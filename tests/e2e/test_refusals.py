"""Bad input gets a clear, stable problem document and changes nothing."""

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import pytest

from demos.first_light.merchant import Api, register
from infra.local import Stack
from infra.local.deployed import standard_url
from tests.e2e.scene import Shop, rows

pytestmark = pytest.mark.e2e

GOOD: Mapping[str, object] = {"amount": "25.00", "currency": "EUR", "assets": ["BTC.bitcoin"]}


def ask(
    api: Api, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
) -> tuple[int, dict[str, Any]]:
    """Status and JSON body of one raw request."""
    auth = {"Authorization": f"Bearer {api.key}"} if api.key else {}
    request = urllib.request.Request(
        api.base_url + path,
        method=method,
        data=body,
        headers={"Content-Type": "application/json", **auth, **headers},
    )
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as exc:
        return exc.code, json.loads(exc.read())


def counts(stack: Stack) -> list[tuple[Any, ...]]:
    """How much is written anywhere that a request could write. Tickers come, positions are given
    and webhooks of earlier tests are tried again meanwhile.
    """
    tables = rows(
        stack,
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN"
        " ('orion_user', 'orion_billing') AND table_name NOT IN"
        " ('rate_ticker', 'event_stream', 'webhook_attempt', 'outbox') ORDER BY 1, 2",
    )
    written = [
        rows(stack, f"SELECT '{schema}.{table}', COUNT(*) FROM {schema}.{table}")[0]
        for schema, table in tables
    ]
    for schema in ("orion_user", "orion_billing"):
        told = f"SELECT '{schema}.outbox', COUNT(*) FROM {schema}.outbox"
        written += rows(stack, f"{told} WHERE destination NOT LIKE 'sqs:webhook%%'")
    taken = rows(
        stack, "SELECT 'taken', COUNT(*) FROM orion_moneyin.wallet WHERE state = 'assigned'"
    )
    return written + taken


def key() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(16)}


def invoice(**more: object) -> bytes:
    return json.dumps({**GOOD, **more}).encode()


REFUSALS = [
    (b'{"amount": "25.00"', 400, "malformed_json"),
    (b"[]", 400, "malformed_json"),
    (b'{"amount": 25.00, "currency": "EUR", "assets": ["BTC.bitcoin"]}', 400, "malformed_json"),
    (b'{"amount": 1e3, "currency": "EUR", "assets": ["BTC.bitcoin"]}', 400, "malformed_json"),
    (invoice(amount=25), 400, "malformed_field"),
    (invoice(amount="1e3"), 422, "malformed_amount"),
    (invoice(amount="25.001"), 422, "inexact_amount"),
    (invoice(amount="-25.00"), 422, "amount_not_positive"),
    (invoice(amount="0"), 422, "amount_not_positive"),
    (invoice(amount="1" + "0" * 40), 422, "amount_too_large"),
    (invoice(assets=["DOGE.dogecoin"]), 422, "unknown_asset"),
    (invoice(currency="XXX"), 422, "unknown_currency"),
    (invoice(currency="CNY"), 422, "rate_unavailable"),
    (invoice(colour="red"), 400, "unknown_field"),
    (b'{"currency": "EUR", "assets": ["BTC.bitcoin"]}', 400, "missing_field"),
]


@pytest.mark.parametrize("body, status, code", REFUSALS)
def test_a_bad_invoice_is_refused_by_name_and_writes_nothing(
    shop: Shop, running_stack: Stack, body: bytes, status: int, code: str
) -> None:
    before = counts(running_stack)
    seen, problem = ask(shop.api, "POST", "/v1/invoices", body, key())
    assert (seen, problem["code"]) == (status, code), problem
    assert problem["status"] == status
    assert problem["type"] == f"{shop.api.base_url}/problems/{code}"
    assert len(problem["trace_id"]) == 32
    assert counts(running_stack) == before, "a refused request to write nothing"


def test_a_post_needs_an_idempotency_key(shop: Shop, running_stack: Stack) -> None:
    before = counts(running_stack)
    status, problem = ask(shop.api, "POST", "/v1/invoices", invoice(), {})
    assert (status, problem["code"]) == (400, "idempotency_key_missing")
    status, problem = ask(shop.api, "POST", "/v1/invoices", invoice(), {"Idempotency-Key": "a b"})
    assert (status, problem["code"]) == (400, "idempotency_key_malformed")
    assert counts(running_stack) == before


def test_a_key_gives_its_answer_again_and_refuses_another_payload(
    shop: Shop, running_stack: Stack
) -> None:
    mine = key()
    status, first = ask(shop.api, "POST", "/v1/invoices", invoice(), mine)
    assert status == 201, first
    before = counts(running_stack)
    assert ask(shop.api, "POST", "/v1/invoices", invoice(), mine) == (201, first)
    status, problem = ask(shop.api, "POST", "/v1/invoices", invoice(amount="26.00"), mine)
    assert (status, problem["code"]) == (422, "idempotency_key_reused")
    assert counts(running_stack) == before


def test_a_foreign_merchants_invoice_does_not_exist(shop: Shop, running_stack: Stack) -> None:
    other = register(standard_url(running_stack), "Other shop")
    made = shop.invoice("BTC.bitcoin")
    before = counts(running_stack)
    for wanted in (str(made["id"]), "inv_" + "0" * 26, "inv_x", "mer_" + "0" * 26):
        status, problem = ask(other, "GET", f"/v1/invoices/{wanted}", None, {})
        assert (status, problem["code"]) == (404, "invoice_not_found"), wanted
    assert counts(running_stack) == before


def test_a_wrong_or_missing_key_is_unauthorized(shop: Shop, running_stack: Stack) -> None:
    base = standard_url(running_stack)
    assert shop.api.key is not None
    for wrong in (None, "ok_nonsense", shop.api.key[:-2] + "AA"):
        status, problem = ask(Api(base, wrong), "GET", "/v1/balances", None, {})
        assert status == 401, wrong
        assert problem["code"] == "unauthorized"


def test_a_key_may_do_only_what_its_scopes_say(shop: Shop, running_stack: Stack) -> None:
    made = Api(standard_url(running_stack)).call("POST", "/v1/merchants", {"name": "Narrow"})
    first = Api(standard_url(running_stack), str(made["api_key"]))
    status, problem = ask(first, "POST", "/v1/invoices", invoice(), key())
    assert (status, problem["code"]) == (403, "forbidden_scope")


def test_a_secret_is_shown_once(running_stack: Stack) -> None:
    api, mine = Api(standard_url(running_stack)), key()
    body = json.dumps({"name": "Once"}).encode()
    _, first = ask(api, "POST", "/v1/merchants", body, mine)
    status, again = ask(api, "POST", "/v1/merchants", body, mine)
    assert status == 201
    assert again == {**first, "api_key": None}
    # The secret's own alphabet has the underscore, so the two before it are counted from the left.
    secret = str(first["api_key"]).split("_", 2)[2]
    assert len(secret) == 43
    kept = rows(running_stack, "SELECT name, HEX(secret_hash), scopes FROM orion_user.api_key")
    kept += rows(running_stack, "SELECT response FROM orion_user.idempotency")
    assert secret not in repr(kept)


def test_a_webhook_to_a_private_place_is_refused(shop: Shop, running_stack: Stack) -> None:
    before = counts(running_stack)
    for url in ("http://10.0.0.1/x", "https://169.254.169.254/latest", "ftp://example.com/", "x"):
        body = json.dumps({"url": url, "events": ["*"]}).encode()
        status, problem = ask(shop.api, "POST", "/v1/webhook-endpoints", body, key())
        assert (status, problem["code"]) == (422, "webhook_url_refused"), url
    assert counts(running_stack) == before
