"""The status rule by example: one test a row of the table in docs/invoices.md."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.billing.errors import IllegalTransition
from orion.billing.model import (
    EVENT_TYPES,
    TRANSITIONS,
    CauseType,
    Deposit,
    DepositState,
    Facts,
    InvoiceStatus,
    Refund,
    cancellable,
    check_transition,
    event_type,
    next_moment,
    next_status,
    share,
)
from tests.unit.billing_facts import AFTER, BEFORE, EXPIRES, deposit, facts, refund

S, D = InvoiceStatus, DepositState


def status(
    *parts: Deposit | Refund,
    now: datetime = BEFORE,
    due: Mapping[str, int] | None = None,
    tolerance_bps: int = 0,
    cancelled_at: datetime | None = None,
) -> InvoiceStatus:
    found = facts(*parts, due=due, tolerance_bps=tolerance_bps, cancelled_at=cancelled_at)
    return next_status(found, now)


def test_an_invoice_without_deposits_is_new_until_it_expires() -> None:
    assert status() == S.NEW
    assert status(now=EXPIRES) == S.EXPIRED


def test_what_is_in_no_block_yet_is_seen_however_much_it_is() -> None:
    for units in (1, 2, 3):
        assert status(deposit(units, D.SEEN)) == S.SEEN
    assert status(deposit(1, D.SEEN), deposit(1, D.INCLUDED)) == S.CONFIRMING
    assert status(deposit(1, D.SEEN), deposit(1, D.INCLUDED), now=AFTER) == S.CONFIRMING
    assert status(deposit(2, D.SEEN), now=AFTER) == S.SEEN
    assert status(deposit(1, D.SEEN), now=AFTER) == S.UNDERPAID


def test_confirmation_alone_or_posting_alone_settles_nothing() -> None:
    assert status(deposit(posted=frozenset())) == S.CONFIRMING
    assert status(deposit(state=D.INCLUDED)) == S.CONFIRMING
    assert status(deposit(state=D.SEEN)) == S.SEEN
    assert status(deposit()) == S.SETTLED


def test_a_credit_of_an_earlier_epoch_settles_nothing() -> None:
    assert status(deposit(epoch=1)) == S.CONFIRMING
    assert status(deposit(epoch=1, posted=frozenset({0, 1}))) == S.SETTLED


def test_a_reorg_takes_a_settled_invoice_back_to_confirming() -> None:
    settled = deposit()
    assert status(settled) == S.SETTLED
    reversed_ = replace(settled, state=D.REVERSED, credit_epoch=1)
    assert status(reversed_) == S.CONFIRMING
    assert event_type(S.SETTLED, S.CONFIRMING) == "invoice.reorged"


def test_a_deposit_that_can_never_confirm_leaves_its_invoice_invalid_and_payable() -> None:
    dead = deposit(state=D.INVALID, epoch=1)
    assert status(dead) == status(dead, now=AFTER) == S.INVALID
    assert status(dead, deposit(2, D.SEEN)) == S.SEEN
    assert status(dead, deposit(1, D.INCLUDED)) == S.PARTIALLY_PAID
    assert status(dead, deposit()) == S.SETTLED
    assert status(dead, deposit(1), now=AFTER) == S.UNDERPAID


def test_a_dead_deposit_in_an_asset_that_was_not_offered_changes_no_status() -> None:
    assert status(deposit(9, D.INVALID, asset="C")) == S.NEW


def test_a_payment_that_never_confirmed_is_not_in_time_for_a_later_one() -> None:
    dead = deposit(2, D.INVALID, seen=BEFORE)
    assert status(dead, deposit(2, seen=AFTER), now=AFTER) == S.PAID_LATE


def test_a_payment_mined_again_after_the_expiry_is_not_late() -> None:
    again = deposit(epoch=1, posted=frozenset({0, 1}), seen=BEFORE, block=AFTER)
    assert status(again, now=AFTER) == S.SETTLED


def test_a_payment_seen_after_the_expiry_but_mined_before_it_is_in_time() -> None:
    assert status(deposit(seen=AFTER, block=BEFORE), now=AFTER) == S.SETTLED


def test_a_payment_at_the_very_moment_of_expiry_is_late() -> None:
    assert status(deposit(seen=EXPIRES), now=EXPIRES) == S.PAID_LATE


def test_a_payment_without_a_block_is_in_time_when_it_was_seen_in_time() -> None:
    early = replace(deposit(1, D.SEEN, seen=BEFORE), block_time=None)
    late = replace(deposit(1, D.SEEN, seen=AFTER), block_time=None)
    assert early.in_time(EXPIRES)
    assert not late.in_time(EXPIRES)


def test_several_assets_add_up_as_exact_fractions() -> None:
    half = deposit(1)
    assert status(half, deposit(1, asset="B")) == S.PARTIALLY_PAID  # 1/2 + 1/3 = 5/6
    assert status(half, deposit(2, asset="B")) == S.OVERPAID  # 1/2 + 2/3 = 7/6
    assert share({"A": 2, "B": 3}, {"A": 1, "B": 1}).numerator == 5


def test_an_asset_that_was_not_offered_changes_no_status() -> None:
    assert status(deposit(10**9, asset="C")) == S.NEW
    mined_elsewhere = deposit(1, D.INCLUDED, asset="C")
    assert status(deposit(2, D.SEEN), mined_elsewhere) == S.SEEN
    assert status(deposit(1, D.SEEN), mined_elsewhere) == S.SEEN


def test_part_in_time_and_the_rest_late_is_paid_late() -> None:
    late = deposit(1, seen=AFTER)
    assert status(deposit(1), now=AFTER) == S.UNDERPAID
    assert status(deposit(1), late, now=AFTER) == S.PAID_LATE


def test_the_tolerance_is_exact_to_the_unit_and_works_downwards_only() -> None:
    due = {"A": 41_667}
    assert status(deposit(41_666), due=due) == S.PARTIALLY_PAID
    assert status(deposit(41_250), due=due, tolerance_bps=100) == S.PARTIALLY_PAID
    assert status(deposit(41_251), due=due, tolerance_bps=100) == S.SETTLED
    assert status(deposit(41_251, D.INCLUDED), due=due, tolerance_bps=100) == S.CONFIRMING
    assert status(deposit(41_667), due=due, tolerance_bps=100) == S.SETTLED
    assert status(deposit(41_668), due=due, tolerance_bps=100) == S.OVERPAID
    both = {"A": 41_667, "B": 10_000}
    pair = deposit(20_834), deposit(4_950, asset="B")
    assert status(*pair, due=both, tolerance_bps=50) == S.SETTLED
    assert status(*pair, due=both, tolerance_bps=49) == S.PARTIALLY_PAID


def test_what_came_in_time_within_the_tolerance_is_not_late() -> None:
    due = {"A": 10_000}
    in_time, late = deposit(9_900), deposit(50, seen=AFTER)
    assert status(in_time, late, due=due, tolerance_bps=100, now=AFTER) == S.SETTLED
    assert status(in_time, late, due=due, tolerance_bps=49, now=AFTER) == S.UNDERPAID
    assert status(in_time, late, due=due, tolerance_bps=50, now=AFTER) == S.PAID_LATE


def test_every_payment_of_a_cancelled_invoice_is_late_whenever_it_was_mined() -> None:
    assert status(cancelled_at=BEFORE) == S.CANCELLED
    assert status(now=AFTER, cancelled_at=BEFORE) == S.CANCELLED
    assert status(deposit(1, D.INCLUDED), cancelled_at=BEFORE) == S.UNDERPAID
    assert status(deposit(2, D.SEEN), cancelled_at=BEFORE) == S.SEEN
    assert status(deposit(2, seen=BEFORE), cancelled_at=BEFORE) == S.PAID_LATE
    assert status(deposit(2, D.INVALID), cancelled_at=BEFORE) == S.CANCELLED


def test_refunds_are_set_against_what_settled() -> None:
    assert status(deposit(2), refund(1)) == S.PARTIALLY_REFUNDED
    assert status(deposit(2), refund(1), refund(1)) == S.REFUNDED
    assert status(deposit(3), refund(1)) == S.SETTLED, "the surplus alone was paid back"
    assert status(deposit(4), refund(1)) == S.OVERPAID
    assert status(deposit(2), refund(1, asset="C")) == S.SETTLED
    assert status(deposit(1), refund(1), now=AFTER) == S.REFUNDED
    assert status(deposit(2, seen=AFTER), refund(1), now=AFTER) == S.PARTIALLY_REFUNDED
    assert status(deposit(3, seen=AFTER), refund(1), now=AFTER) == S.PAID_LATE


def test_what_was_refunded_stays_so_when_a_reorg_takes_the_payment() -> None:
    gone = deposit(2, D.REVERSED, epoch=1)
    assert status(gone, refund(1)) == S.REFUNDED


@pytest.mark.parametrize(
    "fact,moment",
    [
        ((), EXPIRES),
        ((deposit(1, D.SEEN),), EXPIRES),
        ((deposit(1, D.INCLUDED),), EXPIRES),
        ((deposit(2, D.SEEN),), None),
        ((deposit(2, D.INCLUDED),), None),
        ((deposit(2),), None),
        ((deposit(2, D.INVALID),), None),
        ((deposit(2), refund(2)), None),
    ],
)
def test_an_invoice_wakes_only_for_a_change_that_time_alone_makes(
    fact: tuple[Deposit | Refund, ...], moment: object
) -> None:
    assert next_moment(facts(*fact), BEFORE) == moment
    assert next_moment(facts(*fact), EXPIRES) is None
    assert next_moment(facts(*fact, cancelled_at=BEFORE), BEFORE) is None


@given(st.data())
def test_between_now_and_the_moment_it_wakes_time_changes_nothing(data: st.DataObject) -> None:
    drawn = [
        deposit(data.draw(st.integers(1, 3)), data.draw(st.sampled_from(D)), seen=seen)
        for seen in data.draw(st.lists(st.sampled_from((BEFORE, AFTER)), max_size=3))
    ]
    found = facts(*drawn, tolerance_bps=data.draw(st.sampled_from((0, 5_000))))
    now, later = sorted(
        EXPIRES + timedelta(seconds=data.draw(st.integers(-100, 100))) for _ in range(2)
    )
    moment = next_moment(found, now)
    if moment is None or later < moment:
        assert next_status(found, later) == next_status(found, now)


def test_only_an_invoice_that_nobody_paid_anything_to_can_be_cancelled() -> None:
    assert cancellable(facts(), BEFORE)
    assert not cancellable(facts(), EXPIRES)
    assert not cancellable(facts(cancelled_at=BEFORE), BEFORE)
    for state in D:
        for asset in ("A", "C"):
            assert not cancellable(facts(deposit(1, state, asset=asset)), BEFORE)


@given(
    st.lists(st.integers(1, 10**40), min_size=1, max_size=4),
    st.integers(0, 1_000),
    st.data(),
)
def test_shares_equal_the_sum_of_fractions(
    dues: list[int], tolerance_bps: int, data: st.DataObject
) -> None:
    due = {str(number): units for number, units in enumerate(dues)}
    paid = {code: data.draw(st.integers(1, 2 * units)) for code, units in due.items()}
    found = share(due, {**paid, "not offered": 1})
    exact = sum((Fraction(units, due[code]) for code, units in paid.items()), Fraction(0))
    assert Fraction(found.numerator, found.denominator) == exact
    assert found.compare() == (exact > 1) - (exact < 1)
    assert found.covers(tolerance_bps) == (exact >= 1 - Fraction(tolerance_bps, 10_000))


def settled(one: Deposit) -> Deposit:
    return replace(one, state=D.CONFIRMED, posted_epochs=frozenset({0}))


def test_the_worked_example_of_the_document_holds() -> None:
    """docs/invoices.md: 25.00 EUR, due 41,667 sat or 0.01 ETH, of two chains."""
    due = {"BTC": 41_667, "ETH": 10_000}
    one = deposit(20_000, D.SEEN, asset="BTC", posted=frozenset())
    two = deposit(5_200, D.INCLUDED, asset="ETH", posted=frozenset())
    three = deposit(1, D.SEEN, asset="BTC", posted=frozenset())
    found: list[tuple[InvoiceStatus, list[Deposit | Refund], datetime]] = [
        (S.NEW, [], BEFORE),
        (S.SEEN, [one], BEFORE),
        (S.PARTIALLY_PAID, [one := replace(one, state=D.INCLUDED)], BEFORE),
        (S.PARTIALLY_PAID, [one, two], BEFORE),
        (S.CONFIRMING, [one, two, three], BEFORE),
        (S.CONFIRMING, [one, two, three], EXPIRES),
        (S.CONFIRMING, [one := settled(one), two := settled(two), three], AFTER),
        (S.OVERPAID, [one, two, three := settled(three)], AFTER),
        (S.CONFIRMING, [one := replace(one, state=D.REVERSED, credit_epoch=1), two, three], AFTER),
        (S.UNDERPAID, [one := replace(one, state=D.INVALID), two, three], AFTER),
        (S.PAID_LATE, [one, two, three, four := deposit(20_000, asset="BTC", seen=AFTER)], AFTER),
        (S.PARTIALLY_REFUNDED, [one, two, three, four, refund(5_200, "ETH")], AFTER),
        (S.REFUNDED, [one, two, three, four, refund(5_200, "ETH"), refund(20_001, "BTC")], AFTER),
    ]
    for expected, all_facts, now in found:
        assert status(*all_facts, due=due, now=now) == expected


def test_time_never_goes_back_so_no_expired_invoice_is_new_again() -> None:
    with pytest.raises(IllegalTransition):
        check_transition(S.EXPIRED, S.NEW)


def test_a_refunded_invoice_is_never_unpaid_again() -> None:
    unpaid = {S.NEW, S.SEEN, S.PARTIALLY_PAID, S.CONFIRMING, S.UNDERPAID, S.EXPIRED, S.INVALID}
    for old in (S.REFUNDED, S.PARTIALLY_REFUNDED):
        assert not TRANSITIONS[old] & unpaid


def test_every_change_has_a_published_event_type() -> None:
    for old, after in TRANSITIONS.items():
        for new in {*after, old}:
            for cause in CauseType:
                assert event_type(old, new, cause) in EVENT_TYPES
    assert event_type(None, S.NEW) == "invoice.created"


def test_a_refund_is_no_reorg_and_reports_itself() -> None:
    assert event_type(S.SETTLED, S.REFUNDED, CauseType.REFUND) == "invoice.refunded"
    assert event_type(S.PARTIALLY_REFUNDED, S.PARTIALLY_REFUNDED, CauseType.REFUND) == (
        "invoice.refund_posted"
    )
    assert event_type(S.PAID_LATE, S.PAID_LATE) == "invoice.deposit_received"


def test_facts_are_immutable_values_of_their_own() -> None:
    assert facts(deposit(1)) == facts(deposit(1))
    assert Facts({"A": 1}, EXPIRES).tolerance_bps == 0
