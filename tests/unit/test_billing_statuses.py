"""The status rule, explored: every reachable state of two deposits, and random orders of facts."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.billing.errors import IllegalTransition
from orion.billing.model import (
    EVENT_TYPES,
    TRANSITIONS,
    Deposit,
    DepositState,
    InvoiceStatus,
    check_transition,
    event_type,
    next_status,
    share,
)

EXPIRES = datetime(2026, 1, 1, tzinfo=UTC)
BEFORE, AFTER = EXPIRES - timedelta(minutes=1), EXPIRES + timedelta(minutes=1)
DUE = {"A": 2, "B": 3}
S, D = InvoiceStatus, DepositState


def deposit(
    units: int = 2,
    state: DepositState = D.CONFIRMED,
    *,
    asset: str = "A",
    epoch: int = 0,
    posted: frozenset[int] = frozenset({0}),
    seen: datetime = BEFORE,
    block: datetime | None = None,
    name: bytes = b"d" * 16,
) -> Deposit:
    return Deposit(
        deposit_id=name,
        asset=asset,
        units=units,
        state=state,
        version=1,
        confirmations=2,
        confirmations_settled=2,
        credit_epoch=epoch,
        block_time=block or seen,
        first_seen_at=seen,
        txid="t",
        posted_epochs=posted,
    )


def status(*deposits: Deposit, now: datetime = BEFORE) -> InvoiceStatus:
    return next_status(DUE, deposits, expires_at=EXPIRES, now=now)


def test_an_invoice_without_deposits_is_new_until_it_expires() -> None:
    assert status() == S.NEW
    assert status(now=EXPIRES) == S.EXPIRED


def test_confirmation_alone_or_posting_alone_settles_nothing() -> None:
    assert status(deposit(posted=frozenset())) == S.CONFIRMING
    assert status(deposit(state=D.INCLUDED)) == S.CONFIRMING
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


def test_a_payment_mined_again_after_the_expiry_is_not_late() -> None:
    again = deposit(epoch=1, posted=frozenset({0, 1}), seen=BEFORE, block=AFTER)
    assert status(again, now=AFTER) == S.SETTLED


def test_a_payment_seen_after_the_expiry_but_mined_before_it_is_in_time() -> None:
    assert status(deposit(seen=AFTER, block=BEFORE), now=AFTER) == S.SETTLED


def test_a_payment_at_the_very_moment_of_expiry_is_late() -> None:
    assert status(deposit(seen=EXPIRES), now=EXPIRES) == S.PAID_LATE


def test_several_assets_add_up_as_exact_fractions() -> None:
    half = deposit(1, name=b"a" * 16)
    assert status(half, deposit(1, asset="B")) == S.PARTIALLY_PAID  # 1/2 + 1/3 = 5/6
    assert status(half, deposit(2, asset="B")) == S.OVERPAID  # 1/2 + 2/3 = 7/6
    assert share(DUE, [half, deposit(1, asset="B")]).numerator == 5


def test_an_asset_that_was_not_offered_changes_no_status() -> None:
    assert status(deposit(10**9, asset="C")) == S.NEW


def test_part_in_time_and_the_rest_late_is_paid_late() -> None:
    late = deposit(1, seen=AFTER, name=b"l" * 16)
    assert status(deposit(1), now=AFTER) == S.UNDERPAID
    assert status(deposit(1), late, now=AFTER) == S.PAID_LATE


@given(
    st.lists(st.integers(1, 10**40), min_size=1, max_size=4),
    st.data(),
)
def test_shares_equal_the_sum_of_fractions(dues: list[int], data: st.DataObject) -> None:
    due = {str(number): units for number, units in enumerate(dues)}
    paid = [
        deposit(data.draw(st.integers(1, 2 * units)), asset=code) for code, units in due.items()
    ]
    found = share(due, paid)
    exact = sum((Fraction(one.units, due[one.asset]) for one in paid), Fraction(0))
    assert Fraction(found.numerator, found.denominator) == exact
    assert found.compare() == (exact > 1) - (exact < 1)


@dataclass(frozen=True)
class Fact:
    """What tells two deposits apart for the rule: one of asset A, of which 2 units are due."""

    units: int
    state: DepositState
    epoch: int
    posted: frozenset[int]
    in_time: bool


Scene = tuple[bool, Fact | None, Fact | None]  # Expired, and two deposits.
MINED = (D.INCLUDED, D.CONFIRMED)


@cache
def status_of(scene: Scene) -> InvoiceStatus:
    expired, *facts = scene
    found = [
        deposit(
            fact.units,
            fact.state,
            epoch=fact.epoch,
            posted=fact.posted,
            seen=BEFORE if fact.in_time else AFTER,
        )
        for fact in facts
        if fact is not None
    ]
    return next_status({"A": 2}, found, expires_at=EXPIRES, now=AFTER if expired else BEFORE)


def following(scene: Scene) -> Iterator[Scene]:
    """Every scene that one fact makes of this one; expiry may come with it, not yet recorded."""
    expired, one, two = scene
    for later in {expired, True}:
        yield later, one, two
        for new_one in after_one_fact(one, later):
            yield later, new_one, two
        for new_two in after_one_fact(two, later):
            yield later, one, new_two


def after_one_fact(fact: Fact | None, expired: bool) -> Iterator[Fact | None]:
    if fact is None:
        for units, state in product((1, 2, 3), D):
            for posted in (frozenset[int](), frozenset({0})):
                # Billing may learn of a payment after the expiry that was mined before it.
                for in_time in {True, not expired}:
                    yield Fact(units, state, 0, posted, in_time)
        return
    yield replace(fact, posted=fact.posted | {fact.epoch})
    if fact.state == D.REVERSED:
        yield None  # Mined again, but paying another invoice's address at the same position.
        # A contract may pay another amount when its transaction is mined again.
        for units, state in product((1, 2, 3), MINED):
            yield replace(fact, state=state, units=units)
        return
    for state in MINED:
        yield replace(fact, state=state)
    if fact.epoch == 0:
        yield replace(fact, state=D.REVERSED, epoch=1)


def explored() -> tuple[set[Scene], set[tuple[InvoiceStatus, InvoiceStatus]]]:
    start: Scene = (False, None, None)
    seen, waiting = {start}, [start]
    pairs: set[tuple[InvoiceStatus, InvoiceStatus]] = set()
    while waiting:
        scene = waiting.pop()
        old = status_of(scene)
        for after in following(scene):
            new = status_of(after)
            if old != new:
                pairs.add((old, new))
            if after not in seen:
                seen.add(after)
                waiting.append(after)
    return seen, pairs


def test_the_table_of_transitions_is_exactly_what_facts_can_cause() -> None:
    scenes, pairs = explored()
    assert len(scenes) > 1_000
    assert pairs == {(old, new) for old, after in TRANSITIONS.items() for new in after}


def test_time_never_goes_back_so_no_expired_invoice_is_new_again() -> None:
    with pytest.raises(IllegalTransition):
        check_transition(S.EXPIRED, S.NEW)


def test_every_change_has_a_published_event_type() -> None:
    for old, after in TRANSITIONS.items():
        for new in after:
            if new != S.NEW or event_type(old, new) == "invoice.reorged":
                assert event_type(old, new) in EVENT_TYPES
    assert event_type(None, S.NEW) == "invoice.created"


def test_facts_in_any_order_give_the_same_status() -> None:
    versions = (
        (1, D.INCLUDED, 0),
        (2, D.CONFIRMED, 0),
        (3, D.REVERSED, 1),
        (4, D.INCLUDED, 1),
        (5, D.CONFIRMED, 1),
    )
    ends = set()
    credits_: tuple[tuple[int, None, int], ...] = ((0, None, 0), (0, None, 1))
    for order in permutations((*versions, *credits_)):
        one = replace(deposit(posted=frozenset(), state=D.INCLUDED), version=0)
        for version, state, epoch in order:
            if state is None:
                one = replace(one, posted_epochs=one.posted_epochs | {epoch})
            elif version > one.version:
                one = replace(one, version=version, state=state, credit_epoch=epoch)
        ends.add(status(one))
    assert ends == {S.SETTLED}
