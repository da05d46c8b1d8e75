"""A merchant with a fee plan and a referrer is paid: everybody gets his part, to the satoshi."""

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from demos.first_light.customers import BitcoinCustomer
from demos.first_light.merchant import Api
from demos.first_light.receiver import Receiver
from infra.local import Stack
from infra.local.deploy_aws import Account
from infra.local.deployed import standard_url
from orion.ids import parse_public_id, public_id
from tests.e2e.scene import Shop, open_shop, pay, rows, transfers_of, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

ASSET = "BTC.bitcoin"
FINAL_BLOCKS = 3
# What the exchanges of the stack may lean to either side of 60000.00 EUR/BTC.
LEAN = 0.001
PLAN = {
    "v": 1,
    "name": "customer-pays",
    "currency": "EUR",
    "tiers": [{"from": "0.00", "bps": 100}],
    "fixed": {"EUR": "0.10"},
    "payer": "customer",
    "referral_bps": 2_000,
    "reporting": {},
}


@pytest.fixture
def own_shop(running_stack: Stack) -> Iterator[Shop]:
    """Of this test only: its plan is nobody else's."""
    receiver = Receiver()
    try:
        yield open_shop(running_stack, receiver)
    finally:
        receiver.close()


def available(api: Api) -> str | None:
    for row in api.call("GET", "/v1/balances")["data"]:
        if row["asset"] == ASSET:
            return str(row["available"])
    return None


def balance_of(stack: Stack, owner: str, purpose: str) -> int:
    """Of the ledger's account; 0 where it has none yet."""
    found = rows(
        stack,
        "SELECT credits_posted - debits_posted FROM orion_ledger.account"
        " WHERE owner = %s AND purpose = %s AND asset = %s",
        (owner, purpose, ASSET),
    )
    return int(found[0][0]) if found else 0


def house_rate(api: Api) -> str | None:
    """By which a fee would be computed now."""
    time.sleep(1)  # A round comes once a minute; who asks faster spends the merchant's quota.
    (found,) = api.call("GET", f"/v1/rates?currency=EUR&assets={ASSET}")["data"]
    return None if found["house_rate"] is None else str(found["house_rate"])


def called(stack: Stack, call: Mapping[str, object]) -> Mapping[str, Any]:
    aws = stack.ministack
    account = Account(aws.url, aws.region, aws.environment())
    return account.invoke(
        "orion-local-billing-fee-plans", {**call, "by": "ann", "reason": "agreed"}
    )


def test_a_customer_pays_the_fee_and_everybody_gets_his_part(
    running_stack: Stack, own_shop: Shop
) -> None:
    before = own_shop.invoice(ASSET)
    assert before["customer_fee"] == "0.00"
    [(owner,)] = rows(
        running_stack,
        "SELECT merchant_id FROM orion_billing.invoice ORDER BY invoice_id DESC LIMIT 1",
    )
    merchant = public_id("mer", bytes(owner))
    url = standard_url(running_stack)
    made = Api(url).call("POST", "/v1/merchants", {"name": "Referrer"})
    # The plan's fixed part is converted by the market's rate, which the schedule asks for.
    wanted = {"name": "rates", "scopes": ["rates:read"]}
    reading = Api(url, str(made["api_key"])).call("POST", "/v1/api-keys", wanted)
    theirs = Api(url, str(reading["api_key"]))
    wait_until(lambda: house_rate(theirs) is not None, "the market to have a rate")
    assigned = called(running_stack, {"action": "assign", "merchant": merchant, "plan": PLAN})
    assert assigned["outcome"] == "assigned", assigned
    named = str(made["id"])
    referrer = parse_public_id("mer", named)
    nobody = public_id("mer", secrets.token_bytes(16))
    refer = {"action": "refer", "merchant": merchant, "referrer": nobody}
    refused = called(running_stack, refer)
    assert (refused["outcome"], refused["code"]) == ("refused", "unknown_merchant")
    refer["referrer"] = named
    assert called(running_stack, refer)["outcome"] == "stored"
    shown = own_shop.api.call("GET", "/v1/fees")
    assert (shown["bps"], shown["subject"], shown["referred_by"]) == (100, merchant, named)

    # His own rate says what he asks for, and nothing of what he pays.
    own_shop.api.call("PUT", f"/v1/rates/{ASSET}/EUR", {"rate": "600000000.00"})
    dear = own_shop.invoice(ASSET, "250000.00")
    assert dear["payment_options"][0]["rate"] == "600000000.00"
    assert abs(float(house_rate(theirs) or 0) / 60_000 - 1) < LEAN
    [(kept,)] = rows(
        running_stack,
        "SELECT house_rates FROM orion_billing.invoice_fee WHERE invoice_id = %s",
        (parse_public_id("inv", str(dear["id"])),),
    )
    assert abs(int(json.loads(kept)[ASSET]["units"]) / (60_000 * 10**12) - 1) < LEAN
    own_shop.api.call("PUT", f"/v1/rates/{ASSET}/EUR", {"rate": "60000.00"})

    earned = balance_of(running_stack, "system:bitcoin", "fee_income")
    invoice = own_shop.invoice(ASSET)
    assert (invoice["amount"], invoice["customer_fee"]) == ("25.00", "0.36")
    assert invoice["payment_options"][0]["amount"] == "0.00042267"
    customer = BitcoinCustomer(running_stack)
    pay(customer, invoice)
    customer.mine(FINAL_BLOCKS)
    own_shop.wait_for(invoice, "settled")
    wait_until(
        lambda: (
            transfers_of(running_stack, invoice)
            == ["deposit_credit", "deposit_final", "fee", "referral_share"]
        ),
        "the fee and the share to be in the ledger",
    )
    # 42,267 satoshi less a fee of 422 + 166, of which the referrer gets 117.
    assert available(own_shop.api) == "0.00041679"
    assert balance_of(running_stack, f"merchant:{referrer.hex()}", "available") == 117
    income = balance_of(running_stack, "system:bitcoin", "fee_income")
    assert income - earned == 588 - 117
