"""Every fee, share and return is recomputed from what was stored, and none is forgotten."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from orion.ids import fact_id
from orion.ledger.codes import Code, Kind, Purpose
from orion.ledger.model import AccountKey, Leg, Side, Transfer, clearing, leg_cause, leg_id
from orion.log.reconciliation import rules
from orion.log.reconciliation.causes import (
    CausedEntry,
    DepositFact,
    Facts,
    LegCause,
    repayment_id,
    shortfall_id,
)
from orion.log.reconciliation.fees import (
    AgreedFact,
    AssessedFact,
    FeeFacts,
    MarketOption,
)
from orion.log.reconciliation.model import Difference
from orion.records import canonical_json
from tests.unit.test_reconciliation_causes import (
    ASSET,
    AVAILABLE,
    DEPOSIT,
    FINAL,
    LOST,
    MERCHANT,
    MERCHANT_ID,
    NOW,
    RECEIVABLE,
    asked,
    deposit,
    entry,
    name,
)

REFERRER_ID = bytes.fromhex("2" * 32)
THEIRS = AccountKey("merchant:" + "2" * 32, Purpose.AVAILABLE, ASSET)
INCOME = AccountKey("system:bitcoin", Purpose.FEE_INCOME, ASSET)
PLAN = canonical_json(
    {
        "v": 1,
        "name": "standard",
        "currency": "EUR",
        "tiers": [{"from": "0.00", "bps": 1_000}, {"from": "10000.00", "bps": 80}],
        "fixed": {"EUR": "0.01"},
        "payer": "customer",
        "referral_bps": 2_000,
        "reporting": {},
    }
)
PLAN_ID = fact_id("fee_plan", PLAN)
RATE = 60_000 * 10**12


def house(rates: Mapping[str, int], **more: object) -> str:
    """What an invoice keeps of the rates of the house."""
    named = {"path": ["BTC/EUR"], "providers": ["kraken"], "observed_at": "2026-01-02", **more}
    return canonical_json({code: {"units": str(u), **named} for code, u in rates.items()}).decode()


# 100 satoshi at 60000.00 EUR/BTC are 6 cents: 10 of percent, and 16 for the one cent.
AGREED = AgreedFact(
    merchant_id=MERCHANT_ID,
    currency="EUR",
    price_units=2_500,
    plan_id=PLAN_ID,
    plan=PLAN,
    subject=MERCHANT,
    assigned_plan=PLAN_ID,
    bps=1_000,
    fixed_units=1,
    payer="customer",
    referral_bps=2_000,
    referrer_id=REFERRER_ID,
    volume_units=999_999,
    asked_units=2_779,
    referred_by=REFERRER_ID,
    house_rates=house({ASSET: RATE}),
    # A market's option with a spread of 50 bp.
    options={ASSET: MarketOption(59_700 * 10**12, 50)},
)
ASSESSED = AssessedFact(bytes(16), 100, ASSET, RATE, 6, 0, returned=False)
FEE, SHARE = 26, 5
SIDES = {
    Code.FEE: (AVAILABLE, INCOME),
    Code.FEE_RETURNED: (INCOME, AVAILABLE),
    Code.REFERRAL_SHARE: (INCOME, THEIRS),
    Code.REFERRAL_RETURNED: (THEIRS, INCOME),
}
UNITS = {
    Code.FEE: FEE,
    Code.FEE_RETURNED: FEE,
    Code.REFERRAL_SHARE: SHARE,
    Code.REFERRAL_RETURNED: SHARE,
}
RETURNS = (Code.FEE_RETURNED, Code.REFERRAL_RETURNED)


def fee(code: Code, **changes: Any) -> Transfer:
    debit, credit = SIDES[code]
    cause = {"type": "fee", "deposit_id": DEPOSIT.hex(), "credit_epoch": 0}
    made = Transfer(
        fact_id(code.value, DEPOSIT, 0), Kind.DIRECT, code, UNITS[code], debit, credit,
        canonical_json(cause), bytes(16),
    )  # fmt: skip
    return made._replace(**changes)


def facts(
    of: DepositFact,
    agreed: AgreedFact | None = AGREED,
    assessed: AssessedFact | None = ASSESSED,
    *transfers: CausedEntry,
) -> Facts:
    known = FeeFacts(agreed, assessed)
    return Facts(
        NOW,
        {of.id: of},
        transfers={one.id: one for one in transfers},
        fees={(DEPOSIT, 0): known} if agreed else {},
    )


def judged(caused: CausedEntry, known: Facts) -> list[Difference]:
    return rules.untrue([caused], known)


def around(code: Code) -> Facts:
    """What stands behind a true entry of `code`."""
    returned = code in RETURNS
    return facts(LOST if returned else FINAL, AGREED, replace(ASSESSED, returned=returned))


@pytest.mark.parametrize("code", SIDES)
def test_a_fee_bears_what_billing_stored(code: Code) -> None:
    assert judged(entry(fee(code)), around(code)) == []


@pytest.mark.parametrize("code", SIDES)
@pytest.mark.parametrize(
    "change",
    [
        {"units": 4},
        {"id": bytes(16)},
        {"digest": bytes(16)},
        {"kind": "pending"},
        {"linked": True},
        {"debit": name(THEIRS), "credit": name(AVAILABLE)},
        {"credit": name(RECEIVABLE)},
    ],
)
def test_an_entry_that_says_otherwise_is_untrue(code: Code, change: dict[str, Any]) -> None:
    [found] = judged(replace(entry(fee(code)), **change), around(code))
    assert found.kind == "cause_differs"


@pytest.mark.parametrize("code", SIDES)
@pytest.mark.parametrize("by", [-1, 1])
def test_an_entry_of_other_units_is_untrue_although_its_digest_fits(code: Code, by: int) -> None:
    [found] = judged(entry(fee(code, units=UNITS[code] + by)), around(code))
    assert (found.kind, found.expected) == ("cause_differs", f"units {UNITS[code]}")


@pytest.mark.parametrize(
    "change",
    [
        {"bps": 80},
        {"bps": 1_001},
        {"fixed_units": 0},
        {"payer": "merchant"},
        {"referral_bps": 1},
        {"asked_units": 2_778},
        {"price_units": 2_501},
        {"volume_units": 1_000_000},
        {"volume_units": None},
        {"plan": PLAN + b" "},
        {"plan": b""},
        {"plan_id": bytes(16)},
        {"assigned_plan": None},
        {"assigned_plan": bytes(16)},
        {"subject": "merchant:" + "2" * 32},
        {"subject": "lane:other"},
        {"referred_by": None},
        {"referred_by": MERCHANT_ID},
        {"referrer_id": bytes(16)},
        {"merchant_id": REFERRER_ID},
        {"house_rates": "{}"},
        {"house_rates": house({ASSET: 70_000 * 10**12})},
        {"house_rates": house({ASSET: RATE + 1})},
        {"house_rates": house({ASSET: 0})},
        {"house_rates": house({ASSET: -RATE})},
        {"house_rates": ""},
        {"house_rates": "[]"},
        {"house_rates": '{"BTC.bitcoin":"1"}'},
        {"house_rates": '{"BTC.bitcoin":{}}'},
        {"options": {ASSET: MarketOption(RATE, 50)}},
        {"options": {ASSET: MarketOption(59_700 * 10**12, 0)}},
        {"options": {"ETH.ethereum": MarketOption(1, 0)}},
    ],
)
def test_terms_that_do_not_follow_from_their_plan_make_a_fee_untrue(
    change: dict[str, Any],
) -> None:
    [found] = judged(entry(fee(Code.FEE)), facts(FINAL, replace(AGREED, **change)))
    assert found.kind == "cause_differs"


def test_a_plan_of_the_lane_bears_a_fee() -> None:
    for lane in ("standard", "vip"):
        agreed = replace(AGREED, subject=f"lane:{lane}")
        assert judged(entry(fee(Code.FEE)), facts(FINAL, agreed)) == []


@pytest.mark.parametrize(
    "known, kind",
    [
        (Facts(NOW), "cause_not_found"),
        (facts(FINAL, None), "cause_not_found"),
        (facts(FINAL, AGREED, None), "cause_not_found"),
        (facts(deposit()), "cause_not_found"),
        (facts(FINAL, AGREED, replace(ASSESSED, units=99)), "cause_differs"),
        # Of 101 the fee would be the same, so that only the units tell.
        (facts(FINAL, AGREED, replace(ASSESSED, units=101)), "cause_differs"),
        (facts(FINAL, AGREED, replace(ASSESSED, asset="ETH.ethereum")), "cause_differs"),
        (facts(FINAL, AGREED, replace(ASSESSED, taken_before=1)), "cause_differs"),
        (facts(FINAL, AGREED, replace(ASSESSED, rate_units=RATE - 1)), "cause_differs"),
        (facts(FINAL, AGREED, replace(ASSESSED, rate_units=None)), "cause_differs"),
        (facts(FINAL, AGREED, replace(ASSESSED, value_units=7)), "cause_differs"),
        (facts(FINAL, AGREED, replace(ASSESSED, value_units=None)), "cause_differs"),
    ],
)
def test_a_fee_without_its_facts_is_untrue(known: Facts, kind: str) -> None:
    [found] = judged(entry(fee(Code.FEE)), known)
    assert found.kind == kind


def test_a_fee_is_taken_from_the_merchant_to_whom_the_money_came() -> None:
    theirs = replace(
        AGREED, merchant_id=REFERRER_ID, subject="lane:standard", referrer_id=None, referred_by=None
    )
    [found] = judged(entry(fee(Code.FEE, debit=THEIRS)), facts(FINAL, theirs))
    assert (found.kind, found.expected) == (
        "cause_differs", f"merchant of the invoice {MERCHANT_ID.hex()}",
    )  # fmt: skip


@pytest.mark.parametrize("code", RETURNS)
def test_a_return_needs_a_reversal_and_an_assessment_that_says_so(code: Code) -> None:
    returned = replace(ASSESSED, returned=True)
    [found] = judged(entry(fee(code)), facts(FINAL, AGREED, returned))
    assert found.kind == "cause_not_found"
    [found] = judged(entry(fee(code)), facts(LOST))
    assert found.kind == "cause_differs"


@pytest.mark.parametrize("code", [Code.REFERRAL_SHARE, Code.REFERRAL_RETURNED])
def test_a_share_of_nobody_is_untrue(code: Code) -> None:
    known = facts(LOST, replace(AGREED, referrer_id=None), replace(ASSESSED, returned=True))
    [found] = judged(entry(fee(code)), known)
    assert found.kind == "cause_differs"


@pytest.mark.parametrize("code", [Code.FEE, Code.REFERRAL_RETURNED])
def test_a_fee_that_is_owed_in_part_is_judged_with_its_shortfall(code: Code) -> None:
    whole = fee(code)
    owing = replace(RECEIVABLE, owner=whole.debit.owner)
    taken = replace(entry(whole), units=UNITS[code] - 2)
    cause = canonical_json({"type": "shortfall", "transfer_id": whole.id.hex()})
    rest = Transfer(
        shortfall_id(whole.id), Kind.DIRECT, Code.FEE_SHORTFALL, 2, owing, INCOME, cause, bytes(16)
    )
    known = around(code)
    known = replace(known, transfers={taken.id: taken, rest.id: entry(rest)})
    assert judged(taken, known) == []
    assert judged(entry(rest), known) == []
    assert judged(taken, replace(known, transfers={})) != []
    forged = entry(rest._replace(code=Code.REVERSAL_SHORTFALL))
    [found] = judged(forged, known)
    assert found.kind == "cause_not_found"
    # What stands under the id of the shortfall and is none makes nothing whole.
    [found] = judged(taken, replace(known, transfers={rest.id: forged}))
    assert found.kind == "cause_differs"


def test_a_fee_that_is_owed_whole_debits_the_receivable() -> None:
    owed = replace(entry(fee(Code.FEE)), debit=name(RECEIVABLE))
    assert judged(owed, around(Code.FEE)) == []


def test_the_houses_side_of_a_fee_may_stand_in_clearing() -> None:
    here = name(clearing(0, ASSET))
    placed = replace(entry(fee(Code.FEE)), credit=here, counterpart=name(INCOME))
    assert judged(placed, around(Code.FEE)) == []
    [found] = judged(replace(placed, counterpart=name(THEIRS)), around(Code.FEE))
    assert found.kind == "cause_differs"


@pytest.mark.parametrize("side", list(Side))
def test_a_leg_of_the_houses_income_is_between_it_and_clearing_of_its_shard(side: Side) -> None:
    cause = leg_cause(2, 9, (4, 0), (5, 699))
    leg = Leg(leg_id(2, 9), 9, INCOME, side, 300, cause, 2, bytes(16))
    asked_for = leg.as_transfer()
    here = clearing(0, ASSET)
    moved: dict[str, Any] = {"credit": name(here)} if side is Side.DEBIT else {"debit": name(here)}
    caused = replace(entry(asked_for), **moved)
    named = LegCause(2, 9, (4, 0), (5, 699), INCOME.id, side.value)
    assert judged(caused, Facts(NOW, legs={named: 300})) == []
    for meant in (THEIRS, RECEIVABLE, replace(INCOME, owner="system:ethereum")):
        wrong: dict[str, Any] = {"debit" if side is Side.DEBIT else "credit": name(meant)}
        legs = {replace(named, account=meant.id): 300}
        [found] = judged(replace(caused, **wrong), Facts(NOW, legs=legs))
        assert found.kind == "cause_differs"


@pytest.mark.parametrize(
    "before, known", [(fee(Code.FEE_RETURNED), True), (asked(Code.DEPOSIT_CREDIT), False)]
)
def test_a_repayment_stands_behind_a_credit_that_pays_back_and_behind_no_other(
    before: Transfer, known: bool
) -> None:
    cause = canonical_json({"type": "repayment", "transfer_id": before.id.hex()})
    repaid = Transfer(
        repayment_id(before.id), Kind.DIRECT, Code.REVERSAL_REPAID, 5, AVAILABLE, RECEIVABLE,
        cause, bytes(16),
    )  # fmt: skip
    caused = entry(repaid, position=4)
    found = judged(caused, Facts(NOW, transfers={before.id: entry(before)}))
    assert [str(one.kind) for one in found] == ([] if known else ["cause_not_found"])


# Nothing is forgotten

OLD = replace(entry(asked(Code.DEPOSIT_FINAL)), posted_at=NOW - timedelta(days=2))
PAID = (entry(fee(Code.FEE)), entry(fee(Code.REFERRAL_SHARE)))


def test_a_final_deposit_whose_fee_was_posted_is_true() -> None:
    assert judged(OLD, facts(FINAL, AGREED, ASSESSED, *PAID)) == []


@pytest.mark.parametrize("there", [PAID[:1], PAID[1:], ()])
def test_a_final_deposit_of_days_ago_whose_fee_or_share_nobody_took_is_told(
    there: tuple[CausedEntry, ...],
) -> None:
    [found] = judged(OLD, facts(FINAL, AGREED, ASSESSED, *there))
    assert found.kind == "cause_not_found"
    [found] = judged(OLD, facts(FINAL, AGREED, None, *there))
    assert found.kind == "cause_not_found"


def test_a_fee_may_be_on_its_way_and_none_is_needed_where_none_was_agreed_or_all_went_back() -> (
    None
):
    young = replace(OLD, posted_at=NOW - timedelta(hours=23))
    assert judged(young, facts(FINAL, AGREED, None)) == []
    assert judged(OLD, facts(FINAL, None)) == []
    assert judged(OLD, facts(LOST, AGREED, None)) == []
    nothing = replace(AGREED, bps=0, fixed_units=0)
    assert judged(OLD, facts(FINAL, nothing)) == []


def test_what_a_final_deposit_and_a_fee_need_is_looked_up() -> None:
    for caused in (OLD, PAID[0]):
        needs = rules.wanted([caused])
        assert needs.fees == {(DEPOSIT, 0)}
        assert needs.deposits == {DEPOSIT}
    assert {one.id for one in PAID} <= rules.wanted([OLD]).transfers
    assert shortfall_id(PAID[0].id) in rules.wanted([PAID[0]]).transfers
