"""A fee plan as operators write it: read strictly, stored in one form."""

from collections.abc import Callable

import pytest

from orion.billing.fees.errors import MalformedFeePlan
from orion.billing.fees.model import Payer, Tier
from orion.billing.fees.plan import plan_body, plan_bytes, plan_id, read_plan
from orion.ids import fact_id
from orion.records import parse_object

Body = dict[str, object]


def body() -> Body:
    return {
        "v": 1,
        "name": "standard",
        "currency": "EUR",
        "tiers": [{"from": "0.00", "bps": 100}, {"from": "10000.00", "bps": 80}],
        "fixed": {"EUR": "0.10", "USD": "0.12"},
        "payer": "merchant",
        "referral_bps": 2_000,
        "reporting": {"USD": "0.92"},
    }


def test_a_plan_is_read_as_the_page_writes_it() -> None:
    plan = read_plan(body())
    assert plan.tiers == (Tier(0, 100), Tier(1_000_000, 80))
    assert plan.fixed == {"EUR": 10, "USD": 12}
    assert plan.payer is Payer.MERCHANT
    assert plan_body(plan) == body()


def test_a_plan_has_one_form_and_one_id_however_it_was_written() -> None:
    written = body() | {"tiers": [{"from": "0", "bps": 100}, {"from": "10000", "bps": 80}]}
    written["fixed"] = {"USD": "0.12", "EUR": "0.10"}
    plan = read_plan(written)
    assert plan_bytes(plan) == plan_bytes(read_plan(body()))
    assert plan_id(plan) == fact_id("fee_plan", plan_bytes(plan))
    assert read_plan(parse_object(plan_bytes(plan))) == plan


def tiers(*rows: tuple[object, object]) -> list[Body]:
    return [{"from": begin, "bps": bps} for begin, bps in rows]


@pytest.mark.parametrize(
    "change, field",
    [
        ({"v": 2}, "v"),
        ({"v": True}, "v"),
        ({"name": "Standard"}, "name"),
        ({"name": ""}, "name"),
        ({"currency": "BTC.bitcoin"}, "currency"),
        ({"currency": "XXX"}, "currency"),
        ({"payer": "house"}, "payer"),
        ({"referral_bps": 10_001}, "referral_bps"),
        ({"referral_bps": -1}, "referral_bps"),
        ({"referral_bps": True}, "referral_bps"),
        ({"tiers": []}, "tiers"),
        ({"tiers": tiers(*[(str(n), 1) for n in range(17)])}, "tiers"),
        ({"tiers": tiers(("1.00", 1))}, "tiers.from"),
        ({"tiers": tiers(("0", 1), ("5", 1), ("5", 2))}, "tiers.from"),
        ({"tiers": tiers(("0", 1), ("5", 1), ("4", 2))}, "tiers.from"),
        ({"tiers": tiers(("0", 5_001))}, "tiers.bps"),
        ({"tiers": tiers(("0.001", 5))}, "tiers.from"),
        ({"tiers": tiers(("-1", 5))}, "tiers.from"),
        ({"tiers": [{"from": "0"}]}, "tiers"),
        ({"fixed": {"EUR": "0.00"}}, "fixed"),
        ({"fixed": {"EUR": "-0.10"}}, "fixed"),
        ({"fixed": {"BTC.bitcoin": "0.1"}}, "fixed"),
        ({"fixed": []}, "fixed"),
        ({"reporting": {"EUR": "1"}}, "reporting"),
        ({"reporting": {"USD": "0"}}, "reporting"),
        ({"reporting": {"USD": 1}}, "reporting"),
        ({"more": 1}, "more"),
    ],
)
def test_a_plan_of_another_form_is_refused_by_its_field(change: Body, field: str) -> None:
    with pytest.raises(MalformedFeePlan) as refused:
        read_plan(body() | change)
    assert refused.value.fields["field"] == field


@pytest.mark.parametrize("name", sorted(body()))
def test_a_plan_that_lacks_a_part_is_refused(name: str) -> None:
    lacking = body()
    del lacking[name]
    with pytest.raises(MalformedFeePlan) as refused:
        read_plan(lacking)
    assert refused.value.fields["field"] == name


@pytest.mark.parametrize("make", [list, lambda: None, lambda: "plan"])
def test_a_plan_is_an_object(make: Callable[[], object]) -> None:
    with pytest.raises(MalformedFeePlan):
        read_plan(make())
