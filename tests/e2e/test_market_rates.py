"""Market rates on the whole system: the schedule asks the exchanges, and an invoice of a merchant
who set no rate locks what they agree on.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from demos.first_light.merchant import Api, StoryFailure
from infra.local import Stack
from tests.e2e.scene import wait_until

pytestmark = pytest.mark.e2e

ASSETS = ("BTC.bitcoin", "ETH.ethereum", "USDT.ethereum")
# What the ticker server's dollars make in euros, and what its exchanges may lean to either side.
EUROS = {"BTC.bitcoin": 60_000.0, "ETH.ethereum": 2_500.0, "USDT.ethereum": 0.862}
LEAN = 0.001


@pytest.fixture
def api(merchant_api: Api) -> Api:
    """A merchant without any rate of its own."""
    for asset in ASSETS:
        merchant_api.call("DELETE", f"/v1/rates/{asset}/EUR")
    return merchant_api


@pytest.fixture
def honest_exchanges(running_stack: Stack) -> Iterator[Stack]:
    running_stack.ticker.clear()
    yield running_stack
    running_stack.ticker.clear()


def shown(api: Api, asset: str, currency: str = "EUR") -> dict[str, Any]:
    """What GET /v1/rates says of one asset."""
    (found,) = api.call("GET", f"/v1/rates?currency={currency}&assets={asset}")["data"]
    return dict(found)


def witnesses(api: Api, asset: str) -> list[str]:
    time.sleep(1)  # A round comes once a minute; who asks faster spends the merchant's quota.
    lock = shown(api, asset)["rate_lock"]
    return [] if lock is None else list(lock["providers"])


def options(api: Api) -> dict[str, Any]:
    body = {"amount": "25.00", "currency": "EUR", "assets": list(ASSETS)}
    made = api.call("POST", "/v1/invoices", body)
    return {option["asset"]: option for option in made["payment_options"]}


def test_an_invoice_without_any_fixed_rate_locks_what_three_exchanges_agree_on(
    honest_exchanges: Stack, api: Api
) -> None:
    everyone = ["binance", "coinbase", "kraken"]
    wait_until(
        lambda: all(witnesses(api, asset) == everyone for asset in ASSETS),
        "the schedule to have asked all exchanges",
    )
    for asset, option in options(api).items():
        assert abs(float(option["rate"]) / EUROS[asset] - 1) < LEAN
        assert option["rate_lock"]["source"] == "market"
        assert option["rate_lock"]["providers"] == everyone
        assert abs(float(option["amount"]) * float(option["rate"]) - 25) < 0.01


def test_losing_memcached_costs_no_invoice(honest_exchanges: Stack, api: Api) -> None:
    honest_exchanges.kill("memcached")
    try:
        for option in options(api).values():
            assert option["rate_lock"]["source"] == "market"
    finally:
        honest_exchanges.start("memcached")


def test_a_lying_exchange_is_outvoted_and_named_no_more(honest_exchanges: Stack, api: Api) -> None:
    honest_exchanges.ticker.fault("kraken", "outlier")
    wait_until(
        lambda: witnesses(api, "BTC.bitcoin") == ["binance", "coinbase"],
        "the next round to be outvoted",
    )
    option = options(api)["BTC.bitcoin"]
    assert abs(float(option["rate"]) / EUROS["BTC.bitcoin"] - 1) < LEAN


def test_a_currency_of_no_market_refuses_the_invoice(honest_exchanges: Stack, api: Api) -> None:
    assert shown(api, "BTC.bitcoin", "CNY")["code"] == "rate_unavailable"
    body = {"amount": "25.00", "currency": "CNY", "assets": ["BTC.bitcoin"]}
    with pytest.raises(StoryFailure, match="rate_unavailable"):
        api.call("POST", "/v1/invoices", body)
