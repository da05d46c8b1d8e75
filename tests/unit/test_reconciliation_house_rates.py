"""A fee is recomputed by the rate of the house that its invoice locked, and by no other."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.billing.fees.model import Payer, Terms, assess
from orion.billing.quote import Rate
from orion.ledger.codes import Code
from orion.log.reconciliation.fees import MarketOption, due
from orion.money import asset
from orion.records import canonical_json
from tests.unit.test_reconciliation_causes import ASSET, FINAL, entry
from tests.unit.test_reconciliation_fees import (
    AGREED,
    ASSESSED,
    FEE,
    OLD,
    PAID,
    RATE,
    REFERRER_ID,
    facts,
    fee,
    house,
    judged,
)

EXAMPLES = settings(max_examples=50, deadline=None)


@pytest.mark.parametrize(
    "rate, kept",
    [
        # As the merchant's fixed rate of 600,000,000.00 would make it: no fixed part, any volume.
        (600_000_000 * 10**12, 10),
        # As his spread would: the market's rate less 50 bp.
        (59_700 * 10**12, 26),
    ],
)
def test_a_fee_and_a_volume_by_the_merchants_own_rate_are_found(rate: int, kept: int) -> None:
    value = 100 * rate // 10**18
    theirs = replace(ASSESSED, rate_units=rate, value_units=value)
    [found] = judged(entry(fee(Code.FEE, units=kept)), facts(FINAL, AGREED, theirs))
    assert found.kind == "cause_differs"
    assert found.expected == f"rate assessed {RATE}"
    # Also where only the ledger's entry tells of it.
    if kept != FEE:
        [found] = judged(entry(fee(Code.FEE, units=kept)), facts(FINAL))
        assert found.expected == f"units {FEE}"
    # And where no fee was posted at all, but the volume counted.
    [found] = judged(OLD, facts(FINAL, AGREED, theirs, *PAID))
    assert found.expected == f"rate assessed {RATE}"


def test_what_was_agreed_before_the_rates_of_the_house_were_kept_stays_true() -> None:
    old = canonical_json({ASSET: {"units": str(RATE)}}).decode()
    agreed = replace(AGREED, house_rates=old, options={ASSET: MarketOption(RATE, 50)})
    assert judged(entry(fee(Code.FEE)), facts(FINAL, agreed)) == []


def test_a_payment_without_a_rate_of_the_house_bears_its_percent_and_no_value() -> None:
    agreed = replace(AGREED, house_rates="{}", options={})
    unvalued = replace(ASSESSED, rate_units=None, value_units=None)
    assert judged(entry(fee(Code.FEE, units=10)), facts(FINAL, agreed, unvalued)) == []


@EXAMPLES
@given(
    st.integers(1, 10**24),
    st.integers(0, 5_000),
    st.integers(0, 10**6),
    st.integers(0, 10_000),
    st.one_of(st.none(), st.integers(1, 10**20)),
    st.sampled_from(["BTC.bitcoin", "ETH.ethereum", "USDT.tron"]),
    st.sampled_from(["EUR", "JPY"]),
    st.sampled_from([None, REFERRER_ID]),
    st.integers(0, 10**6),
)
def test_the_books_and_billing_work_out_the_same(
    units: int,
    bps: int,
    fixed: int,
    referral_bps: int,
    rate: int | None,
    coin: str,
    currency: str,
    referrer: bytes | None,
    before: int,
) -> None:
    before = min(before, fixed)
    taken = assess(
        Terms(bps, fixed, Payer.MERCHANT, referral_bps),
        units,
        open_units=fixed - before,
        rate=None if rate is None else Rate(rate),
        coin=asset(coin),
        money=asset(currency),
        referred=referrer is not None,
    )
    agreed = replace(
        AGREED, currency=currency, bps=bps, fixed_units=fixed, referral_bps=referral_bps,
        referrer_id=referrer, house_rates=house({coin: rate}) if rate else "{}",
    )  # fmt: skip
    found = due(agreed, coin, units, before)
    assert (found.fee, found.share) == (taken.fee_units, taken.share_units)
    assert (found.rate, found.value) == (rate, taken.value_units)
