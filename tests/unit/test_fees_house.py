"""Fees follow from the rate of the house: what a merchant chose has no say in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.billing.errors import RateUnavailable
from orion.billing.fees.errors import HouseRatesUnreadable
from orion.billing.fees.house import read_house, write_house
from orion.billing.fees.model import Assessment, Payer, Terms, assess
from orion.billing.quote import Rate, quote
from orion.billing.rates.errors import RateDisputed, RateStale
from orion.billing.rates.model import SPREAD_BPS_MAX, PriceRefusal, RateLock, Source
from orion.billing.rates.ports import FixedRate, MerchantRates, RateChoice
from orion.billing.rates.source import Looked, looked, refusal
from orion.money import Amount, asset
from orion.records import parse_object

EXAMPLES = settings(max_examples=60, deadline=None)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BTC, ETH, EUR = asset("BTC.bitcoin"), asset("ETH.ethereum"), asset("EUR")
COINS = (BTC, ETH, asset("USDT.ethereum"), asset("USDT.tron"))
TERMS = Terms(100, 10, Payer.MERCHANT, 2_000)

choices = st.builds(
    RateChoice,
    st.permutations(list(Source)).flatmap(
        lambda names: st.integers(1, 2).map(lambda count: tuple(names[:count]))
    ),
    st.integers(0, SPREAD_BPS_MAX),
)
fixed = st.dictionaries(
    st.sampled_from([coin.code for coin in COINS]),
    st.integers(1, 10**32 - 1).map(lambda units: FixedRate(Rate(units), NOW)),
)
merchants = st.builds(MerchantRates, choices, fixed)
rates = st.integers(10**6, 10**20)
terms = st.builds(
    Terms, st.integers(0, 5_000), st.integers(0, 10_000), st.just(Payer.MERCHANT),
    st.integers(0, 10_000),
)  # fmt: skip


def of_market(units: int) -> RateLock:
    return RateLock(Rate(units), Source.MARKET, ("binance", "kraken"), ("BTC/EUR",), 0, NOW)


def market(btc: int | None, eth: int | None = None) -> dict[str, RateLock | PriceRefusal]:
    found = {"BTC": btc, "ETH": eth}
    return {
        symbol: PriceRefusal.STALE if units is None else of_market(units)
        for symbol, units in found.items()
    }


def kept(found: Looked) -> Mapping[str, Rate]:
    """The rates that an invoice's fee follows from, out of what it stores."""
    known = {code: lock for code, lock in found.house.items() if isinstance(lock, RateLock)}
    return read_house(write_house(known))


def costs(agreed: Terms, amounts: Sequence[int], house: Mapping[str, Rate]) -> list[Assessment]:
    """Payments of one invoice, one after another."""
    taken, found = 0, []
    for units in amounts:
        one = assess(
            agreed, units, open_units=agreed.fixed_units - taken, rate=house.get(BTC.code),
            coin=BTC, money=EUR, referred=True,
        )  # fmt: skip
        taken += one.fixed_taken
        found.append(one)
    return found


@EXAMPLES
@given(terms, merchants, merchants, rates, st.lists(st.integers(1, 10**20), min_size=1, max_size=4))
def test_a_fee_is_the_same_whatever_rates_and_spread_its_merchant_chose(
    agreed: Terms, one: MerchantRates, other: MerchantRates, btc: int, amounts: list[int]
) -> None:
    now = market(btc, 7)
    mine, theirs = (kept(looked(chosen, [BTC], COINS, now)) for chosen in (one, other))
    assert mine == theirs
    assert mine[BTC.code] == Rate(btc)
    found = costs(agreed, amounts, mine)
    assert found == costs(agreed, amounts, theirs)
    # Nothing is lost on the way, and no part comes twice.
    for units, part in zip(amounts, found, strict=True):
        assert part.share_units + part.kept_units == part.fee_units <= units
    assert sum(part.fixed_taken for part in found) <= agreed.fixed_units
    assert sum(part.value_units or 0 for part in found) <= sum(amounts) * btc // 10**18


@EXAMPLES
@given(merchants, rates)
def test_the_options_rate_is_the_merchants_choice_all_the_same(
    chosen: MerchantRates, btc: int
) -> None:
    lock = looked(chosen, [BTC], COINS, market(btc)).options[BTC.code]
    first = chosen.choice.sources[0]
    if first is Source.FIXED and BTC.code in chosen.fixed:
        assert isinstance(lock, RateLock)
        assert (lock.rate, lock.spread_bps) == (chosen.fixed[BTC.code].rate, 0)
    elif Source.MARKET in chosen.choice.sources:
        assert isinstance(lock, RateLock)
        spread = chosen.choice.spread_bps
        assert lock.rate.units == btc * (10_000 - spread) // 10_000
        assert lock.spread_bps == spread


@dataclass(frozen=True)
class Row:
    """A row of the page: what is asked for, and what a payment of it costs and counts."""

    price: str
    fixed: str | None
    spread_bps: int
    asked: int
    percent: int
    value: int


@pytest.mark.parametrize(
    "row",
    [
        Row("25.00", None, 0, 41_667, 416, 2_500),
        Row("25.00", None, 200, 42_518, 425, 2_551),
        Row("250000.00", "600000000.00", 0, 41_667, 416, 2_500),
        Row("0.01", "24.00", 0, 41_667, 416, 2_500),
    ],
)
def test_a_fixed_part_never_vanishes_and_no_volume_is_made_up(row: Row) -> None:
    own = {} if row.fixed is None else {BTC.code: FixedRate(Rate.parse(row.fixed), NOW)}
    chosen = MerchantRates(RateChoice(spread_bps=row.spread_bps), own)
    found = looked(chosen, [BTC], COINS, market(Rate.parse("60000.00").units))
    lock = found.options[BTC.code]
    assert isinstance(lock, RateLock)
    due = quote(Amount.parse(row.price, EUR), lock.rate, BTC).units
    [cost] = costs(TERMS, [due], kept(found))
    assert (due, cost.percent_units, cost.fixed_coins, cost.value_units) == (
        row.asked, row.percent, 166, row.value,
    )  # fmt: skip


@pytest.mark.parametrize(
    "fixed_rate, spread_bps, asked, fee, gets, price_in_coins",
    [(None, 50, 42_480, 590, 41_890, 41_877), ("66000.00", 0, 38_425, 550, 37_875, 37_879)],
)
def test_a_customers_part_covers_the_fee_as_far_as_the_merchants_rate_is_not_above_the_market(
    fixed_rate: str | None, spread_bps: int, asked: int, fee: int, gets: int, price_in_coins: int
) -> None:
    own = {} if fixed_rate is None else {BTC.code: FixedRate(Rate.parse(fixed_rate), NOW)}
    chosen = MerchantRates(RateChoice(spread_bps=spread_bps), own)
    found = looked(chosen, [BTC], COINS, market(Rate.parse("60000.00").units))
    lock = found.options[BTC.code]
    assert isinstance(lock, RateLock)
    agreed = Terms(100, 10, Payer.CUSTOMER, 0)
    due = quote(agreed.asked(Amount(2_500, EUR)), lock.rate, BTC).units
    [cost] = costs(agreed, [due], kept(found))
    assert (due, cost.fee_units, due - cost.fee_units) == (asked, fee, gets)
    assert quote(Amount(2_500, EUR), lock.rate, BTC).units == price_in_coins


@EXAMPLES
@given(terms, st.integers(10**9, 10**15), st.integers(10**15, 10**17), st.integers(0, 10_000))
def test_at_a_rate_not_above_the_houses_an_exact_payment_leaves_the_merchant_his_price(
    agreed: Terms, price: int, house: int, below_bps: int
) -> None:
    locked = Rate(max(1, house * (10_000 - below_bps) // 10_000))
    agreed = Terms(agreed.bps, agreed.fixed_units, Payer.CUSTOMER, 0)
    due = quote(agreed.asked(Amount(price, EUR)), locked, BTC).units
    [cost] = costs(agreed, [due], {BTC.code: Rate(house)})
    assert (due - cost.fee_units) * locked.units >= price * 10**18


def test_the_house_knows_every_asset_that_the_market_has_and_no_other() -> None:
    chosen = MerchantRates(RateChoice(), {coin.code: FixedRate(Rate(5), NOW) for coin in COINS})
    found = looked(chosen, [BTC], COINS, market(7, None))
    assert kept(found) == {BTC.code: Rate(7)}
    assert found.house[ETH.code] is PriceRefusal.STALE
    assert found.house["USDT.tron"] is PriceRefusal.NO_MARKET


def test_what_an_invoice_keeps_says_why_its_rate_is_this_one() -> None:
    assert parse_object(write_house({BTC.code: of_market(60_010)}).encode()) == {
        "BTC.bitcoin": {
            "units": "60010",
            "providers": ["binance", "kraken"],
            "path": ["BTC/EUR"],
            "observed_at": "2026-01-02T03:04:05.000Z",
        }
    }


def test_what_was_agreed_before_is_read_by_the_same_rule() -> None:
    assert read_house('{"BTC.bitcoin":{"units":"7"}}') == {BTC.code: Rate(7)}
    assert read_house("{}") == {}


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "null", '{"BTC.bitcoin":"7"}', '{"BTC.bitcoin":{}}',
        '{"BTC.bitcoin":{"units":7}}', '{"BTC.bitcoin":{"units":"0"}}',
        '{"BTC.bitcoin":{"units":"-7"}}', '{"BTC.bitcoin":{"units":"7.5"}}',
    ],
)  # fmt: skip
def test_rates_of_another_form_are_believed_by_nobody(text: str) -> None:
    with pytest.raises(HouseRatesUnreadable):
        read_house(text)


@pytest.mark.parametrize(
    "reason, kind",
    [
        (PriceRefusal.NO_MARKET, RateUnavailable),
        (PriceRefusal.TOO_FEW_SOURCES, RateUnavailable),
        (PriceRefusal.STALE, RateStale),
        (PriceRefusal.DISPUTED, RateDisputed),
    ],
)
def test_a_refusal_for_want_of_the_houses_rate_says_what_it_is_needed_for(
    reason: PriceRefusal, kind: type[Exception]
) -> None:
    found = refusal(reason, BTC.code, "EUR", needed_for="fee")
    assert type(found) is kind
    assert found.fields["needed_for"] == "fee"
    assert "needed_for" not in refusal(reason, BTC.code, "EUR").fields
