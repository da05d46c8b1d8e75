"""A quote rounds once, up, at the displayed decimals, and says who gains the fraction."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.billing.quote import RATE_DECIMALS, Rate, quote
from orion.errors import OrionError
from orion.money import ASSETS, MAX_UNITS, Amount, AmountTooLarge, Asset, asset

COINS = [found for found in ASSETS.values() if found.chain is not None]
FIAT = [found for found in ASSETS.values() if found.chain is None]


@pytest.mark.parametrize(
    "price,currency,rate,coin,asked",
    [
        ("25.00", "EUR", "60000.00", "BTC.bitcoin", "0.00041667"),
        ("25.00", "EUR", "2500.00", "ETH.ethereum", "0.010000000000000000"),
        ("25.00", "EUR", "0.93", "USDT.ethereum", "26.881721"),
        ("0.01", "EUR", "99999999999999999999", "BTC.bitcoin", "0.00000001"),
        ("1000", "JPY", "9000000", "BTC.bitcoin", "0.00011112"),
    ],
)
def test_worked_numbers(price: str, currency: str, rate: str, coin: str, asked: str) -> None:
    found = quote(Amount.parse(price, asset(currency)), Rate.parse(rate), asset(coin))
    assert found.text() == asked


@given(
    st.sampled_from(FIAT),
    st.sampled_from(COINS),
    st.integers(1, 10**15),
    st.integers(1, 10**20),
)
def test_the_merchant_never_loses_and_gains_less_than_one_displayed_step(
    money: Asset, coin: Asset, units: int, rate_units: int
) -> None:
    exact = Fraction(units, 10**money.decimals) / Fraction(rate_units, 10**RATE_DECIMALS)
    if exact * 10**coin.decimals > MAX_UNITS - 10**18:
        return
    found = Fraction(quote(Amount(units, money), Rate(rate_units), coin).units, 10**coin.decimals)
    assert 0 <= found - exact < Fraction(1, 10**coin.display_decimals)
    assert (found * 10**coin.display_decimals).denominator == 1


def test_more_coins_than_the_ledger_holds_are_refused() -> None:
    with pytest.raises(AmountTooLarge):
        quote(Amount(10**30, asset("EUR")), Rate.parse("0.000000000001"), asset("ETH.ethereum"))


@pytest.mark.parametrize(
    "text,code",
    [
        ("1e3", "malformed_amount"),
        ("", "malformed_amount"),
        ("+1", "malformed_amount"),
        ("01", "malformed_amount"),
        ("1.", "malformed_amount"),
        (".5", "malformed_amount"),
        ("NaN", "malformed_amount"),
        ("1,5", "malformed_amount"),
        ("1\n", "malformed_amount"),
        ("\u0661", "malformed_amount"),
        ("-1", "amount_not_positive"),
        ("0", "amount_not_positive"),
        ("0.000", "amount_not_positive"),
        ("-0", "amount_not_positive"),
        ("0.0000000000001", "inexact_amount"),
        ("1" + "0" * 20, "amount_too_large"),
        ("1" + "0" * 40, "amount_too_large"),
    ],
)
def test_a_rate_that_is_no_price_is_refused_by_its_code(text: str, code: str) -> None:
    with pytest.raises(OrionError) as refusal:
        Rate.parse(text)
    assert refusal.value.code == code


@given(st.integers(1, 10**32 - 1))
def test_a_rate_reads_back_as_it_was_written(units: int) -> None:
    assert Rate.parse(Rate(units).text()) == Rate(units)
