"""What operators ask about fees: read strictly, refused by the field that is wrong."""

import pytest

from orion.billing.fees.calls import Assigning, Lane, Referring, Showing, read_call
from orion.billing.fees.errors import MalformedFeeCall, MalformedFeePlan, SelfReferral
from orion.billing.fees.model import Payer
from orion.billing.fees.plan import MAX_BPS, MAX_CURRENCIES, MAX_TIERS, read_plan
from orion.ids import public_id
from orion.runtime.api_routes import fees as described
from tests.unit.test_fees_plan import body

MERCHANT, OTHER = b"m" * 16, b"o" * 16
ME, THEM = public_id("mer", MERCHANT), public_id("mer", OTHER)
WHO = {"by": "ann", "reason": "agreed"}


def test_a_plan_is_assigned_to_a_merchant_or_to_a_lane() -> None:
    plan = read_plan(body())
    mine = read_call({"action": "assign", "merchant": ME, "plan": body(), **WHO})
    assert mine == Assigning(MERCHANT, f"merchant:{MERCHANT.hex()}", ME, plan, "ann", "agreed")
    lane = read_call({"action": "assign", "lane": "vip", "plan": None, **WHO})
    assert lane == Assigning(None, "lane:vip", "lane:vip", None, "ann", "agreed")


def test_a_fixed_part_in_a_currency_that_no_market_reaches_is_not_assigned() -> None:
    never = {**body(), "fixed": {"EUR": "0.10", "CNY": "0.80"}}
    assert read_plan(never).fixed == {"EUR": 10, "CNY": 80}
    for whose in ({"merchant": ME}, {"lane": "vip"}):
        with pytest.raises(MalformedFeePlan) as refused:
            read_call({"action": "assign", **whose, "plan": never, **WHO})
        assert refused.value.fields["field"] == "fixed"
    everywhere = {
        **body(),
        "fixed": {"EUR": "0.10", "USD": "0.12", "GBP": "0.09", "JPY": "16"},
    }
    called = read_call({"action": "assign", "lane": "vip", "plan": everywhere, **WHO})
    assert isinstance(called, Assigning)
    assert called.plan == read_plan(everywhere)


def test_a_referral_and_a_look_are_read() -> None:
    told = read_call({"action": "refer", "merchant": ME, "referrer": THEM, **WHO})
    assert told == Referring(MERCHANT, OTHER, "ann", "agreed")
    asked = read_call({"action": "show", "merchant": ME, "lane": "standard"})
    assert asked == Showing(MERCHANT, Lane.STANDARD)


ASSIGN = {"action": "assign", "merchant": ME, "plan": None, **WHO}


@pytest.mark.parametrize(
    "call, field",
    [
        ({}, "action"),
        ({"action": "drop"}, "action"),
        ({"action": ["assign"]}, "action"),
        ({**ASSIGN, "lane": "vip"}, "merchant"),
        ({k: v for k, v in ASSIGN.items() if k != "merchant"}, "merchant"),
        ({k: v for k, v in ASSIGN.items() if k != "plan"}, "plan"),
        ({**ASSIGN, "merchant": "mer_1"}, "merchant"),
        ({**ASSIGN, "merchant": 5}, "merchant"),
        ({**ASSIGN, "by": " "}, "by"),
        ({**ASSIGN, "by": "a" * 65}, "by"),
        ({**ASSIGN, "reason": ""}, "reason"),
        ({**ASSIGN, "reason": "a" * 256}, "reason"),
        ({**ASSIGN, "more": 1}, "more"),
        ({"action": "assign", "lane": "slow", "plan": None, **WHO}, "lane"),
        ({"action": "refer", "merchant": ME, "referrer": "x", **WHO}, "referrer"),
        ({"action": "show", "merchant": ME}, "lane"),
    ],
)
def test_a_call_of_another_form_is_refused_by_its_field(
    call: dict[str, object], field: str
) -> None:
    with pytest.raises(MalformedFeeCall) as refused:
        read_call(call)
    assert refused.value.fields["field"] == field


def test_a_plan_of_another_form_is_refused_as_a_plan() -> None:
    with pytest.raises(MalformedFeePlan):
        read_call({**ASSIGN, "plan": {}})


def test_nobody_refers_himself() -> None:
    with pytest.raises(SelfReferral):
        read_call({"action": "refer", "merchant": ME, "referrer": ME, **WHO})


def test_the_description_of_fees_has_the_limits_of_plans() -> None:
    assert (described.BPS_MAX, described.TIERS_MAX) == (MAX_BPS, MAX_TIERS)
    assert described.CURRENCIES_MAX == MAX_CURRENCIES
    assert set(described.PAYERS) == set(Payer)
    assert described.SHARE_BPS_MAX == 10_000
