"""Voids: claims spent on the account itself, whoever holds them; and what no void may do."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.chains.spend import Operation, Payment, WalletKind
from orion.kms.custody.errors import CustodianRefusal
from orion.kms.custody.model import (
    RecordedEffect,
    RecordedVersion,
    Remembered,
    Step,
    check_asked,
    effect_id,
)
from tests.engine.custodian_scene import FLOATS, NOW, PAYERS, Body, void
from tests.unit.custodian_judging import (
    ETH,
    ISSUERS,
    OTHER_MERCHANT,
    SHOP,
    asked,
    decided,
    judge,
    pay,
    reason,
    refusal,
    spend,
)

VOID = void("ethereum", ETH, fee_max_units="7")
EMPTY = spend(operation=Operation.VOID)
OTHERS = Remembered(holders={"safe:1": "another effect"})


def test_a_void_leaves_held_claims_where_they_are_and_takes_the_free_ones() -> None:
    made = replace(EMPTY, claims=("safe:1", "safe:2"), fee_max_units=7)

    decision = decided(asked(VOID), made, OTHERS)

    assert (decision.step, decision.void, decision.taken) == (Step.FIRST, True, ("safe:2",))
    assert decision.claims == ("safe:1", "safe:2")
    assert decision.counted == {ETH: 7}
    assert decided(asked(VOID), EMPTY).taken == ("safe:1",)


@settings(max_examples=40)
@given(st.sets(st.integers(0, 5), min_size=1), st.dictionaries(st.integers(0, 5), st.just("e")))
def test_a_void_takes_no_claim_that_anybody_holds(spent: set[int], held: dict[int, str]) -> None:
    claims = tuple(f"coin:{place}" for place in sorted(spent))
    holders = {f"coin:{place}": owner for place, owner in held.items()}

    taken = decided(asked(VOID), replace(EMPTY, claims=claims), Remembered(holders=holders)).taken

    assert set(taken) == set(claims) - set(holders)


@pytest.mark.parametrize("holders", [{}, OTHERS.holders])
def test_a_payment_is_no_void_whoever_holds_its_claims(holders: dict[str, str]) -> None:
    paid, known = Payment(ETH, SHOP, 5), Remembered(holders=holders)

    assert reason(asked(VOID), spend(paid), known) == "other_operation"
    assert reason(asked(VOID), replace(EMPTY, payments=(paid,)), known) == "payment_extra"
    assert reason(asked(pay()), EMPTY, known) == "other_operation"
    turn = replace(EMPTY, operation=Operation.ROTATE)
    assert reason(asked(VOID), turn, known) == "other_operation"
    assert reason(asked(VOID), replace(EMPTY, owners_after=(SHOP,)), known) == "owners_change"


def test_a_payment_takes_every_claim_though_others_hold_it() -> None:
    """So that the store refuses it: only a void looks at who holds what."""
    made = spend(Payment(ETH, SHOP, 700))

    assert decided(asked(pay()), made, OTHERS).taken == ("safe:1",)


def test_a_void_spends_a_claim_and_no_more_than_its_fee() -> None:
    assert reason(asked(VOID), replace(EMPTY, claims=())) == "no_claims"
    assert reason(asked(VOID), replace(EMPTY, fee_max_units=8)) == "fee_too_high"
    dear = void("ethereum", ETH, fee_max_units="1001")
    assert reason(asked(dear), EMPTY) == "cap_exceeded"
    free = decided(asked(void("ethereum", ETH)), EMPTY)
    assert free.counted == {}


def test_a_next_void_keeps_the_claims_of_the_first() -> None:
    known = Remembered(RecordedEffect(("safe:1",), ("bb" * 32,)), holders=OTHERS.holders)

    more = replace(EMPTY, claims=("safe:1", "safe:2"))
    decision = decided(asked(VOID), more, known)
    assert (decision.step, decision.taken, decision.counted) == (Step.NEXT, ("safe:2",), {})
    assert reason(asked(VOID), replace(EMPTY, claims=("safe:2",)), known) == "claims_not_kept"


def test_two_voids_of_the_same_bytes_are_both_signed_and_no_payments_are() -> None:
    wanted, other = asked(VOID), effect_id(asked(void("ethereum", ETH)))
    met = Remembered(version=RecordedVersion(other, NOW), holders={"safe:1": other})

    first = decided(wanted, EMPTY, met)
    assert (first.step, first.recorded, first.taken) == (Step.FIRST, True, ())
    since = replace(met, effect=RecordedEffect(("safe:1",), ("bb" * 32,)))
    assert decided(wanted, EMPTY, since).step is Step.NEXT
    again = replace(met, effect=RecordedEffect(("safe:1",), (EMPTY.version,)))
    assert decided(wanted, EMPTY, again).step is Step.REPEAT
    paid = asked(pay(), pay())
    assert reason(paid, spend(*[Payment(ETH, SHOP, 700)] * 2), met) == "version_of_other_effect"


@pytest.mark.parametrize("wallet", WalletKind)
@pytest.mark.parametrize("by_policy,given,enough", [(0, 1, 0), (0, 2, 1), (3, 2, 0), (3, 3, 1)])
def test_a_void_wants_two_people_whatever_the_wallet(
    wallet: WalletKind, by_policy: int, given: int, enough: int
) -> None:
    body = void("ethereum", ETH, wallet=wallet.value)
    people = [ISSUERS.approval(body, f"usr_{place}") for place in range(given)]
    entry = {"instruction": body, "evidence": [ISSUERS.decision(body, by_policy), *people]}

    if enough:
        judge(entry)
    else:
        assert refusal(entry).reason == "approvals_missing"


def test_a_void_wants_a_decision_and_nothing_of_a_merchant() -> None:
    people = [ISSUERS.approval(VOID, who) for who in ("usr_a", "usr_b")]
    stepped = [*ISSUERS.enough(VOID), ISSUERS.step_up(VOID)]

    assert refusal({"instruction": VOID, "evidence": people}).reason == "decision_missing"
    assert refusal({"instruction": VOID, "evidence": stepped}).reason == "not_wanted"


@pytest.mark.parametrize(
    "change,why",
    [
        ({"merchant": OTHER_MERCHANT}, "merchant_differs"),
        ({"asset": "USDT.ethereum"}, "not_native"),
        ({"recipient": SHOP}, "recipient_given"),
        ({"units": "1"}, "units_given"),
        ({"target_set": 3}, "target_differs"),
    ],
)
def test_a_void_says_nothing_else(change: Body, why: str) -> None:
    assert refusal(ISSUERS.asked(VOID | change)).reason == why


@pytest.mark.parametrize("chain,asset", [("tron", "TRX.tron"), ("solana", "SOL.solana")])
def test_there_is_no_void_where_nothing_but_time_ends_a_version(chain: str, asset: str) -> None:
    assert refusal(ISSUERS.asked(void(chain, asset))).reason == "no_claims"
    judge(ISSUERS.asked(void("bitcoin", "BTC.bitcoin")))


def unasked(*bodies: Body, account: str = PAYERS["ethereum"]) -> str:
    with pytest.raises(CustodianRefusal) as refused:
        check_asked(asked(*bodies), account, FLOATS)
    assert refused.value.part.startswith(f"instructions[{len(bodies) - 1}].instruction.")
    return refused.value.reason


def test_every_instruction_names_the_account_that_the_custodian_computed() -> None:
    check_asked(asked(pay(), pay()), PAYERS["ethereum"], FLOATS)

    assert unasked(pay(), pay(account=SHOP)) == "other_account"
    assert unasked(pay(), account=SHOP) == "other_account"
    assert unasked(pay(account=PAYERS["ethereum"].upper())) == "other_account"


def test_a_refill_pays_its_chains_float_alone() -> None:
    refill = {"purpose": "refill", "merchant": None}
    check_asked(
        asked(pay() | refill | {"recipient": FLOATS["ethereum"]}), PAYERS["ethereum"], FLOATS
    )

    assert unasked(pay(**refill)) == "not_the_float"
    with pytest.raises(CustodianRefusal) as refused:
        check_asked(asked(pay(**refill)), PAYERS["ethereum"], {"solana": SHOP})
    assert refused.value.reason == "not_the_float"
