"""Amounts are whole numbers with their asset, read and written exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.money import (
    ASSETS,
    MAX_UNITS,
    Amount,
    AmountNotPositive,
    AmountTooLarge,
    Asset,
    AssetMismatch,
    InexactAmount,
    MalformedAmount,
    UnknownAsset,
    asset,
)

BTC, ETH, EUR, JPY = (asset(code) for code in ("BTC.bitcoin", "ETH.ethereum", "EUR", "JPY"))
every_asset = st.sampled_from(sorted(ASSETS.values(), key=lambda row: row.code))


@given(st.integers(-MAX_UNITS, MAX_UNITS), every_asset)
def test_every_amount_reads_back_as_it_was_written(units: int, kind: Asset) -> None:
    assert Amount.parse(Amount(units, kind).text(), kind) == Amount(units, kind)


@given(st.text(max_size=30), every_asset)
def test_any_text_is_an_amount_or_a_named_refusal(text: str, kind: Asset) -> None:
    try:
        amount = Amount.parse(text, kind)
    except (MalformedAmount, InexactAmount, AmountTooLarge):
        return
    assert amount.text().rstrip("0").rstrip(".").lstrip("-") in text or amount.units == 0


@pytest.mark.parametrize(
    "text, kind, units",
    [
        ("0.00012500", BTC, 12_500),
        ("25.00", EUR, 2_500),
        ("25", EUR, 2_500),
        ("0.1", EUR, 10),
        ("1", JPY, 1),
        ("0.000000000000000001", ETH, 1),
        ("-3.5", EUR, -350),
        ("340282366920938463463.374607431768211455", ETH, MAX_UNITS),
    ],
)
def test_a_plain_decimal_is_read_exactly(text: str, kind: Asset, units: int) -> None:
    assert Amount.parse(text, kind).units == units


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "+1",
        "1e3",
        "1E3",
        "01",
        ".5",
        "5.",
        "1,5",
        "0x10",
        "NaN",
        "Infinity",
        "--1",
        "1_000",
        "\uff11",
        "1.0.0",
        "1\n",
    ],
)
def test_other_notations_are_refused_as_malformed(text: str) -> None:
    with pytest.raises(MalformedAmount):
        Amount.parse(text, EUR)


def test_a_place_beyond_the_assets_decimals_is_refused_even_when_zero() -> None:
    for text in ("1.001", "1.000"):
        with pytest.raises(InexactAmount):
            Amount.parse(text, EUR)


def test_more_than_the_ledger_holds_is_refused() -> None:
    for text in ("1" + "0" * 40, "340282366920938463463374607431768211456"):
        with pytest.raises(AmountTooLarge):
            Amount.parse(text, JPY)


def test_nothing_and_less_are_not_payable() -> None:
    for units in (0, -1):
        with pytest.raises(AmountNotPositive):
            Amount(units, EUR).positive()


def test_two_assets_do_not_add_up() -> None:
    with pytest.raises(AssetMismatch):
        Amount(1, EUR) + Amount(1, BTC)


def test_a_truth_value_is_not_an_amount() -> None:
    with pytest.raises(TypeError):
        Amount(True, EUR)


def test_an_unknown_asset_is_refused_by_name() -> None:
    with pytest.raises(UnknownAsset) as refusal:
        asset("DOGE.dogecoin")
    assert refusal.value.fields == {"asset": "DOGE.dogecoin"}
