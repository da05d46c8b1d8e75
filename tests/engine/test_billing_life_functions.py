"""Cancelling, settings and filters through the API's handler."""

import json
from collections.abc import Iterator

import boto3
import pytest

from infra.local.seed import QUOTAS
from orion.runtime import rate_limits
from tests.engine import billing_stage
from tests.engine.billing_scene import STRANGER, BillingScene
from tests.engine.billing_stage import STAGE, call, kafka_event, run, stage_scene

__all__ = ["stage_scene"]  # A fixture, used by its name.
pytestmark = pytest.mark.engine
ASKED = {"amount": "25.00", "currency": "EUR", "assets": ["BTC.bitcoin"]}
CANCEL, LIST = "/v1/invoices/{invoice_id}/cancel", "/v1/invoices"


@pytest.fixture
def scene(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[BillingScene]:
    found: BillingScene = request.getfixturevalue("stage_scene")
    monkeypatch.setenv("ORION_LANE", "standard")
    scopes = f"{billing_stage.SCOPES} settings:read settings:write"
    monkeypatch.setattr(billing_stage, "SCOPES", scopes)
    boto3.client("ssm").put_parameter(
        Name=f"/orion/{STAGE}/policy/rate-limits",
        Value=json.dumps(QUOTAS),
        Type="String",
        Overwrite=True,
    )
    rate_limits.live.cache_clear()
    yield found
    rate_limits.live.cache_clear()


def test_a_merchant_cancels_an_invoice_once(scene: BillingScene) -> None:
    _, invoice = call("POST", LIST, ASKED, key="k1")
    path = {"invoice_id": invoice["id"]}
    status, cancelled = call("POST", CANCEL, key="c1", path=path)
    assert (status, cancelled["status"]) == (200, "cancelled")
    assert call("POST", CANCEL, key="c1", path=path) == (200, cancelled)
    assert call("GET", LIST, query={"status": "cancelled"})[1]["data"] == [cancelled]
    assert call("GET", LIST, query={"status": "new"})[1]["data"] == []
    stranger = call("POST", CANCEL, key="c2", path=path, merchant=STRANGER)
    assert (stranger[0], stranger[1]["code"]) == (404, "invoice_not_found")


def test_an_invoice_with_a_payment_is_not_cancelled_and_says_where_it_is(
    scene: BillingScene,
) -> None:
    _, invoice = call("POST", LIST, ASKED, key="k1")
    invoice_id = scene.one("SELECT invoice_id FROM orion_billing.invoice")
    run("deposits", kafka_event(scene.deposit(invoice_id)))
    status, problem = call("POST", CANCEL, key="c1", path={"invoice_id": invoice["id"]})
    assert (status, problem["code"]) == (409, "invoice_not_cancellable")
    assert problem["invoice_status"] == "confirming"


def test_settings_are_what_new_invoices_take(scene: BillingScene) -> None:
    defaults = {"tolerance_bps": 0, "expires_in_s": 900}
    assert call("GET", "/v1/settings") == (200, defaults)
    wanted = {"tolerance_bps": 50, "expires_in_s": 1_800}
    assert call("PUT", "/v1/settings", wanted) == (200, wanted)
    assert call("POST", LIST, ASKED, key="k1")[1]["tolerance_bps"] == 50
    assert call("PUT", "/v1/settings", {}) == (200, defaults)


@pytest.mark.parametrize(
    "body,code",
    [
        ({"tolerance_bps": 1_001}, "malformed_field"),
        ({"tolerance_bps": "50"}, "malformed_field"),
        ({"expires_in_s": 0}, "malformed_field"),
        ({"spread": 1}, "unknown_field"),
    ],
)
def test_settings_that_are_none_are_refused(
    scene: BillingScene, body: dict[str, object], code: str
) -> None:
    status, problem = call("PUT", "/v1/settings", body)
    assert (status, problem["code"]) == (400, code)


def test_what_is_the_merchants_own_comes_back_with_the_invoice(scene: BillingScene) -> None:
    own = {
        "reference": "order 7",
        "metadata": {"basket": "三つ"},
        "success_url": "https://shop.example.com/thanks",
        "language": "ja",
    }
    status, invoice = call("POST", LIST, {**ASKED, **own}, key="k1")
    assert status == 201
    assert {name: invoice[name] for name in own} == own
    assert call("GET", LIST, query={"reference": "order 7"})[1]["data"] == [invoice]


@pytest.mark.parametrize(
    "query,code",
    [
        ({"status": "paid"}, "malformed_parameter"),
        ({"created_from": "yesterday"}, "moment_malformed"),
        ({"created_to": "2026-01-01T00:00:00"}, "moment_malformed"),
        ({"customer": "x"}, "unknown_parameter"),
    ],
)
def test_a_filter_that_says_nothing_is_refused(
    scene: BillingScene, query: dict[str, str], code: str
) -> None:
    status, problem = call("GET", LIST, query=query)
    assert (status, problem["code"]) == (400, code)


@pytest.mark.parametrize(
    "more,status,code",
    [
        ({"metadata": {str(number): "x" for number in range(21)}}, 400, "malformed_field"),
        ({"metadata": {"name": 7}}, 400, "malformed_field"),
        ({"language": "fr"}, 400, "malformed_field"),
        ({"success_url": "javascript:alert(1)"}, 422, "return_url_refused"),
    ],
)
def test_what_cannot_be_kept_with_an_invoice_is_refused(
    scene: BillingScene, more: dict[str, object], status: int, code: str
) -> None:
    found, problem = call("POST", LIST, {**ASKED, **more}, key="k1")
    assert (found, problem["code"]) == (status, code)
