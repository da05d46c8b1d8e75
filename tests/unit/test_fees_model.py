"""What a payment costs: the worked numbers of docs/fees.md, and what holds for all."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.billing.fees.model import (
    Assessment,
    Payer,
    Plan,
    Terms,
    Tier,
    assess,
    coins_for,
    value_of,
    volume_window,
)
from orion.billing.quote import Rate, quote
from orion.money import MAX_UNITS, Amount, AmountTooLarge, Asset, asset

BTC, EUR, JPY = asset("BTC.bitcoin"), asset("EUR"), asset("JPY")
RATE = Rate.parse("60000.00")
TERMS = Terms(100, 10, Payer.MERCHANT, 2_000)
STANDARD = Plan(
    name="standard",
    currency="EUR",
    tiers=(Tier(0, 100), Tier(1_000_000, 80)),
    fixed={"EUR": 10, "USD": 12},
    payer=Payer.MERCHANT,
    referral_bps=2_000,
    reporting={"USD": Rate.parse("0.92")},
)

EXAMPLES = settings(max_examples=50, deadline=None)
bps = st.integers(0, 5_000)
fixed = st.integers(0, 10_000)
rates = st.integers(1, 10**20).map(Rate)
# Below it, an amount may be more than the ledger holds.
fair_rates = st.integers(10**6, 10**20).map(Rate)
units = st.integers(1, 10**30)
terms = st.builds(Terms, bps, fixed, st.sampled_from(Payer), st.integers(0, 10_000))
coins = st.sampled_from([asset(code) for code in ("BTC.bitcoin", "ETH.ethereum", "USDT.tron")])
moneys = st.sampled_from([EUR, JPY])


def assessed(amount: int, open_units: int, agreed: Terms = TERMS) -> Assessment:
    return assess(
        agreed, amount, open_units=open_units, rate=RATE, coin=BTC, money=EUR, referred=True
    )


@pytest.mark.parametrize(
    "amount, open_units, percent, taken, in_coins, share, kept",
    [
        (41_667, 10, 416, 10, 166, 116, 466),
        (15, 10, 0, 0, 0, 0, 0),
        (20, 10, 0, 1, 16, 3, 13),
        (41_667, 9, 416, 9, 150, 113, 453),
        (41_667, 0, 416, 0, 0, 83, 333),
    ],
)
def test_a_deposit_costs_what_the_page_works_out(
    amount: int, open_units: int, percent: int, taken: int, in_coins: int, share: int, kept: int
) -> None:
    found = assessed(amount, open_units)
    assert (found.percent_units, found.fixed_taken, found.fixed_coins) == (percent, taken, in_coins)
    assert (found.share_units, found.kept_units) == (share, kept)
    assert found.fee_units == percent + in_coins


@pytest.mark.parametrize(
    "price, rate_bps, fixed_units, asked, satoshi, fee, gets",
    [
        (2_500, 100, 10, 2_536, 42_267, 588, 41_679),
        (2_500, 0, 10, 2_510, 41_834, 166, 41_668),
        (1, 5_000, 0, 2, 34, 17, 17),
    ],
)
def test_a_customer_is_asked_for_what_the_page_works_out(
    price: int, rate_bps: int, fixed_units: int, asked: int, satoshi: int, fee: int, gets: int
) -> None:
    agreed = Terms(rate_bps, fixed_units, Payer.CUSTOMER, 0)
    raised = agreed.asked(Amount(price, EUR))
    assert raised == Amount(asked, EUR)
    due = quote(raised, RATE, BTC).units
    assert due == satoshi
    assert assessed(due, fixed_units, agreed).fee_units == fee
    assert due - fee == gets


def test_a_merchant_who_pays_himself_asks_for_his_price() -> None:
    assert TERMS.asked(Amount(2_500, EUR)) == Amount(2_500, EUR)


def test_a_price_that_its_fee_makes_too_large_is_refused() -> None:
    with pytest.raises(AmountTooLarge):
        Terms(5_000, 0, Payer.CUSTOMER, 0).asked(Amount(MAX_UNITS, EUR))


@pytest.mark.parametrize(
    "sums, volume, tier_bps",
    [
        ({"EUR": 900_000, "USD": 108_695}, 999_999, 100),
        ({"EUR": 900_000, "USD": 108_696}, 1_000_000, 80),
        ({"EUR": 900_000, "JPY": 1_000_000}, 900_000, 100),
        ({"EUR": 100, "USD": -1_000}, 0, 100),
        ({}, 0, 100),
    ],
)
def test_a_volume_and_its_tier_are_what_the_page_works_out(
    sums: dict[str, int], volume: int, tier_bps: int
) -> None:
    assert STANDARD.volume(sums) == volume
    assert STANDARD.tier(volume).bps == tier_bps


def test_the_volume_is_of_the_thirty_whole_days_before_the_day_of_creation() -> None:
    for hour, minute in ((0, 0), (23, 59)):
        at = datetime(2026, 11, 23, hour, minute, tzinfo=UTC)
        assert volume_window(at) == (date(2026, 10, 24), date(2026, 11, 22))


def test_an_asset_without_a_rate_of_the_house_pays_the_percent_only_and_has_no_known_value() -> (
    None
):
    found = assess(TERMS, 41_667, open_units=10, rate=None, coin=BTC, money=EUR, referred=True)
    assert found == Assessment(416, 0, 0, 83, None)


def test_nobody_who_was_not_referred_has_a_referrer_paid() -> None:
    found = assess(TERMS, 41_667, open_units=10, rate=RATE, coin=BTC, money=EUR, referred=False)
    assert (found.share_units, found.kept_units) == (0, 582)


@EXAMPLES
@given(terms, units, fixed, rates, coins, moneys, st.booleans())
def test_a_fee_is_never_negative_and_never_above_the_payment_and_its_parts_are_the_whole(
    agreed: Terms,
    amount: int,
    open_units: int,
    rate: Rate,
    coin: Asset,
    money: Asset,
    referred: bool,
) -> None:
    found = assess(
        agreed, amount, open_units=open_units, rate=rate, coin=coin, money=money, referred=referred
    )
    assert 0 <= found.fee_units <= amount
    assert 0 <= found.fixed_taken <= open_units
    assert found.share_units >= 0
    assert found.kept_units >= 0
    assert found.share_units + found.kept_units == found.percent_units + found.fixed_coins
    assert found.value_units == value_of(amount, rate, coin, money)


@EXAMPLES
@given(terms, units, st.integers(0, 10**30), fixed, rates, coins, moneys)
def test_a_larger_payment_never_costs_less(
    agreed: Terms, amount: int, more: int, open_units: int, rate: Rate, coin: Asset, money: Asset
) -> None:
    small, large = (
        assess(agreed, u, open_units=open_units, rate=rate, coin=coin, money=money, referred=True)
        for u in (amount, amount + more)
    )
    assert small.percent_units <= large.percent_units
    assert small.fixed_coins <= large.fixed_coins
    assert small.share_units <= large.share_units
    assert (small.value_units or 0) <= (large.value_units or 0)


@EXAMPLES
@given(terms, st.lists(units, min_size=1, max_size=6), fixed, rates, coins, moneys)
def test_several_payments_never_cost_more_than_one_of_their_sum(
    agreed: Terms, amounts: list[int], whole: int, rate: Rate, coin: Asset, money: Asset
) -> None:
    def cost(amount: int, open_units: int) -> Assessment:
        return assess(
            agreed, amount, open_units=open_units, rate=rate, coin=coin, money=money, referred=True
        )

    taken = fees = 0
    for amount in amounts:
        found = cost(amount, whole - taken)
        taken += found.fixed_taken
        fees += found.fee_units
    at_once = cost(sum(amounts), whole)
    assert taken <= at_once.fixed_taken
    assert fees <= at_once.fee_units
    # What is lacking to the one payment's fixed part is open still: later payments pay it.
    assert taken <= whole


@EXAMPLES
@given(terms, st.integers(1, 10**12), fair_rates, coins, moneys, st.integers(0, 10**20))
def test_an_exactly_paid_invoice_whose_customer_bears_the_fee_leaves_the_merchant_his_price(
    agreed: Terms, price_units: int, rate: Rate, coin: Asset, money: Asset, part: int
) -> None:
    agreed = Terms(agreed.bps, agreed.fixed_units, Payer.CUSTOMER, agreed.referral_bps)
    price = Amount(price_units, money)
    due = quote(agreed.asked(price), rate, coin).units
    first = min(part, due)
    left, open_units = 0, agreed.fixed_units
    for amount in [first, due - first]:
        if amount:
            found = assess(
                agreed, amount, open_units=open_units, rate=rate, coin=coin, money=money,
                referred=True,
            )  # fmt: skip
            open_units -= found.fixed_taken
            left += amount - found.fee_units
    # At least his price at the locked rate, compared without rounding.
    assert left * rate.units * 10**money.decimals >= price_units * 10 ** (12 + coin.decimals)


@EXAMPLES
@given(terms, st.integers(1, 10**20), st.integers(0, 10**6))
def test_a_higher_price_is_never_asked_as_less_and_never_less_than_itself(
    agreed: Terms, price: int, more: int
) -> None:
    low, high = (agreed.asked(Amount(units, EUR)).units for units in (price, price + more))
    assert price <= low <= high


@EXAMPLES
@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_higher_volume_never_has_an_earlier_tier(volume: int, more: int) -> None:
    tiers = [STANDARD.tiers.index(STANDARD.tier(v)) for v in (volume, volume + more)]
    assert tiers == sorted(tiers)


@EXAMPLES
@given(units, rates, coins, moneys)
def test_coins_for_the_value_of_coins_are_never_more_than_these(
    amount: int, rate: Rate, coin: Asset, money: Asset
) -> None:
    assert coins_for(value_of(amount, rate, coin, money), rate, coin, money) <= amount
