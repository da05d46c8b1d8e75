"""Billing's functions as Lambda runs them: true events in, settings from SSM, secrets under KMS."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.billing_scene import STRANGER, BillingScene
from tests.engine.billing_stage import call, kafka_event, run
from tests.engine.billing_stage import stage_scene as scene

__all__ = ["scene"]  # A fixture, used by its name.
pytestmark = pytest.mark.engine
ROOT = Path(__file__).parents[2]


ASKED = {"amount": "25.00", "currency": "EUR", "assets": ["BTC.bitcoin"]}


def test_an_invoice_is_created_read_listed_and_paid_through_the_functions(
    scene: BillingScene,
) -> None:
    status, invoice = call("POST", "/v1/invoices", ASKED, key="k1")
    assert status == 201
    assert invoice["checkout_url"] == f"https://pay.example/checkout/{invoice['id']}"
    path = {"invoice_id": invoice["id"]}
    assert call("GET", "/v1/invoices/{invoice_id}", path=path) == (200, invoice)
    assert call("GET", "/v1/invoices", query={"limit": "1"})[1]["data"] == [invoice]
    code = call("GET", "/v1/invoices/{invoice_id}", path=path, merchant=STRANGER)
    assert (code[0], code[1]["code"]) == (404, "invoice_not_found")
    invoice_id = scene.one("SELECT invoice_id FROM orion_billing.invoice")
    run("deposits", kafka_event(scene.deposit(invoice_id, 1, state="confirmed")))
    run("ledger_posted", kafka_event(scene.posted()))
    assert call("GET", "/v1/invoices/{invoice_id}", path=path)[1]["status"] == "settled"
    assert run("expiry", {}) == run("webhook_due", {}) == {"changes": 0}


@pytest.mark.parametrize(
    "body,status,code",
    [
        ("{", 400, "malformed_json"),
        ('{"amount": 25.00, "currency": "EUR", "assets": ["BTC.bitcoin"]}', 400, "malformed_json"),
        ('{"amount": 1e3, "currency": "EUR", "assets": ["BTC.bitcoin"]}', 400, "malformed_json"),
        ({**ASKED, "amount": 25}, 400, "malformed_field"),
        ({**ASKED, "amount": "1e3"}, 422, "malformed_amount"),
        ({**ASKED, "amount": "1" + "0" * 40}, 422, "amount_too_large"),
        ({**ASKED, "amount": "-1"}, 422, "amount_not_positive"),
        ({**ASKED, "amount": "1.001"}, 422, "inexact_amount"),
        ({**ASKED, "assets": ["DOGE.dogecoin"]}, 422, "unknown_asset"),
        # A chain that the stage has addresses on and does not follow.
        ({**ASKED, "assets": ["TRX.tron"]}, 422, "unknown_asset"),
        ({**ASKED, "assets": ["USDT.tron"]}, 422, "unknown_asset"),
        ({**ASKED, "assets": ["SOL.solana"]}, 422, "unknown_asset"),
        ({**ASKED, "assets": ["BTC.bitcoin", "SOL.solana"]}, 422, "unknown_asset"),
        ({**ASKED, "assets": []}, 400, "malformed_field"),
        ({**ASKED, "price": "1"}, 400, "unknown_field"),
        ({"amount": "1", "currency": "EUR"}, 400, "missing_field"),
        ({**ASKED, "expires_in_s": 0}, 400, "malformed_field"),
    ],
)
def test_bad_input_is_a_problem_with_a_stable_code_and_writes_nothing(
    scene: BillingScene, body: object, status: int, code: str
) -> None:
    found, problem = call("POST", "/v1/invoices", body, key="k1")
    assert (found, problem["code"]) == (status, code)
    assert scene.one("SELECT COUNT(*) FROM orion_billing.idempotency") == 0
    assert scene.one("SELECT COUNT(*) FROM orion_moneyin.wallet WHERE state = 'assigned'") == 0


def test_an_invoice_without_an_idempotency_key_is_refused(scene: BillingScene) -> None:
    status, problem = call("POST", "/v1/invoices", ASKED)
    assert (status, problem["code"]) == (400, "idempotency_key_missing")


def test_request_functions_import_neither_a_kafka_client_nor_the_senders_http() -> None:
    program = (
        "import sys, orion.runtime.billing as b;"
        "print([m for m in sys.modules if m.split('.')[0] in ('kafka', 'confluent_kafka')"
        " or m.startswith('orion.adapters.webhook') or m == 'orion.adapters.kafka.producer'])"
    )
    environment = {"PYTHONPATH": str(ROOT / "layers/orion/python")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
