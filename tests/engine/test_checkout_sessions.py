"""Checkout sessions on a real database: a session and its invoice are made together or not."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from orion.billing.errors import RateUnavailable
from orion.billing.sessions.errors import CheckoutSessionNotFound
from orion.billing.sessions.return_url import ReturnUrlRefused
from orion.billing.sessions.service import SessionAsked
from orion.ids import parse_public_id
from orion.records import parse_object
from tests.engine.billing_scene import MERCHANT, STRANGER, TRACE
from tests.engine.sales_scene import SalesScene, sales_scene

pytestmark = pytest.mark.engine
ASKED = SessionAsked(
    "25.00",
    "EUR",
    ("BTC.bitcoin",),
    "https://shop.example/thanks?session={session_id}",
    cancel_url="https://shop.example/basket",
    client_reference="order 7",
    metadata={"size": "L"},
    language="nl",
)


@pytest.fixture
def scene(mysql_admin: Any) -> Iterator[SalesScene]:
    with sales_scene(mysql_admin) as found:
        yield found


def made(scene: SalesScene, asked: SessionAsked = ASKED) -> dict[str, Any]:
    answer = scene.sessions().create(scene.keyed(), asked, lane="standard", trace_id=TRACE)
    assert answer.status == 201
    return dict(parse_object(answer.body))


def seen(scene: SalesScene, session: dict[str, Any]) -> Any:
    return scene.sessions().session(MERCHANT, parse_public_id("cs", session["id"]))


def test_a_session_is_an_invoice_and_the_ways_back(scene: SalesScene) -> None:
    session = made(scene)
    assert session["status"] == "open"
    assert session["url"] == f"https://pay.example/checkout/{session['invoice_id']}"
    assert session["success_url"] == f"https://shop.example/thanks?session={session['id']}"
    assert seen(scene, session) == session
    invoice_id = parse_public_id("inv", session["invoice_id"])
    invoice = scene.billing.billing().invoice(MERCHANT, invoice_id)
    assert (invoice["reference"], invoice["metadata"]) == ("order 7", {"size": "L"})
    assert (invoice["session_id"], invoice["language"]) == (session["id"], "nl")
    assert invoice["success_url"] == session["success_url"]
    assert invoice["cancel_url"] == "https://shop.example/basket"


def test_a_session_is_made_once_for_its_key(scene: SalesScene) -> None:
    first = made(scene)
    scene.keys = 0
    assert made(scene) == first
    assert scene.invoices() == scene.taken_wallets() == 1


def test_a_session_whose_invoice_is_refused_does_not_exist(scene: SalesScene) -> None:
    scene.billing.rows("DELETE FROM orion_billing.rate")
    with pytest.raises(RateUnavailable):
        made(scene)
    for table in ("checkout_session", "invoice", "idempotency"):
        assert scene.billing.one(f"SELECT COUNT(*) FROM orion_billing.{table}") == 0
    assert scene.taken_wallets() == 0


def test_a_customer_is_led_nowhere_else(scene: SalesScene) -> None:
    refused: tuple[dict[str, Any], ...] = (
        {"success_url": "http://shop.example/"},
        {"success_url": "javascript:alert(1)"},
        {"cancel_url": "https://user@shop.example/"},
    )
    for urls in refused:
        with pytest.raises(ReturnUrlRefused):
            made(scene, replace(ASKED, **urls))
    assert scene.invoices() == 0


def test_a_session_says_what_its_invoice_says(scene: SalesScene) -> None:
    session = made(scene)
    assert seen(scene, session)["invoice_status"] == "new"
    scene.billing.rows("UPDATE orion_billing.invoice SET status = 'settled'")
    found = seen(scene, session)
    assert (found["status"], found["invoice_status"]) == ("complete", "settled")
    scene.billing.rows("UPDATE orion_billing.invoice SET status = 'invalid'")
    assert seen(scene, session)["status"] == "open"
    scene.billing.now += timedelta(days=1)
    assert seen(scene, session)["status"] == "expired"


def test_a_stranger_does_not_see_a_session(scene: SalesScene) -> None:
    session = made(scene)
    for merchant, text in ((STRANGER, session["id"]), (MERCHANT, "cs_" + "0" * 26)):
        with pytest.raises(CheckoutSessionNotFound):
            scene.sessions().session(merchant, parse_public_id("cs", text))
