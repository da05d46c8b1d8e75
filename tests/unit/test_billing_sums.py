"""Sums of deposits and refunds: kept by adding and taking away, always equal to the sum of all, and
all that the rule looks at; and what of dust is reported.
"""

from collections.abc import Iterable
from dataclasses import astuple, replace
from datetime import timedelta
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from orion.billing.invoice import SHOWN, Cause, Invoice
from orion.billing.model import (
    ALWAYS_WAKING,
    REPORTED_CHANGES,
    REPORTED_CHANGES_OF_WEIGHT,
    WAKING,
    CauseType,
    Deposit,
    DepositState,
    InvoiceStatus,
    Refund,
    next_moment,
    next_status,
    reported,
    sums_of,
)
from orion.billing.sums import NOTHING
from orion.money import Amount, asset
from tests.unit.billing_facts import AFTER, BEFORE, DUE, EXPIRES, deposit, facts, refund
from tests.unit.test_billing_life import (
    Fact,
    Mode,
    after_one_fact,
    facts_of,
    observed,
    reachable,
    real,
    status_of,
    steps,
)

S, D = InvoiceStatus, DepositState
ZERO = Fraction(0)
CAUSE = Cause(CauseType.CREATED, b"i" * 16, BEFORE, "0" * 32)


def invoice() -> Invoice:
    price = Amount(1, asset("EUR"))
    return Invoice(
        b"i" * 16, b"m" * 16, "standard", S.NEW, price, BEFORE, EXPIRES, 1, CAUSE, ()
    )  # fmt: skip


def test_every_step_of_a_deposit_changes_the_sums_by_exactly_what_it_says() -> None:
    """Each state that a deposit can be in, beside another one, and each fact after it."""
    other = replace(deposit(1, D.FINAL), deposit_id=b"o" * 16)
    walked: set[Fact | None] = {None}
    waiting: list[Fact | None] = [None]
    while waiting:
        before = waiting.pop()
        for after in after_one_fact(before, Mode.OPEN):
            found = invoice().with_deposit(None, other)
            old = None if before is None else real(before)
            if old is not None:
                found = found.with_deposit(None, old)
            if after is None:
                found = found if old is None else found.without_deposit(old)
                left = [other]
            else:
                found = found.with_deposit(old, real(after))
                left = [other, real(after)]
            assert found.sums == sums_of(left, (), EXPIRES)
            if after not in walked:
                walked.add(after)
                waiting.append(after)
    assert len(walked) > 100
    assert {observed(fact) for fact in walked} == set(steps()[Mode.OPEN])


one_deposit = st.builds(
    lambda number, units, code, state, epochs, times: replace(
        deposit(units, state, asset=code, epoch=epochs[0], posted=frozenset(epochs[1:])),
        deposit_id=bytes([number]) * 16,
        first_seen_at=EXPIRES + timedelta(seconds=times[0]),
        block_time=None if times[1] is None else EXPIRES + timedelta(seconds=times[1]),
    ),
    st.integers(0, 5),
    st.integers(1, 10**39),
    st.sampled_from(["A", "B", "not offered"]),
    st.sampled_from(D),
    st.lists(st.integers(0, 2), min_size=1, max_size=3),
    st.tuples(st.integers(-2, 2), st.none() | st.integers(-2, 2)),
)
one_refund = st.builds(refund, st.integers(1, 10**39), st.sampled_from(["A", "C"]))
one_fact = one_deposit | one_refund | st.integers(0, 5)


@settings(max_examples=50)
@given(st.lists(one_fact, max_size=30))
def test_sums_kept_fact_by_fact_equal_the_sums_of_what_is_there(
    told: list[Deposit | Refund | int],
) -> None:
    """A number is a deposit that left for another invoice."""
    found, there, refunds = invoice(), dict[bytes, Deposit](), list[Refund]()
    for fact in told:
        if isinstance(fact, Deposit):
            found = found.with_deposit(there.get(fact.deposit_id), fact)
            there[fact.deposit_id] = fact
        elif isinstance(fact, Refund):
            found = found.with_refund(fact)
            refunds.append(fact)
        elif (left := there.pop(bytes([fact]) * 16, None)) is not None:
            found = found.without_deposit(left)
        assert found.sums == sums_of(there.values(), refunds, EXPIRES)
        assert (found.deposits_count, found.refunds_count) == (len(there), len(refunds))
        assert {one.deposit_id: one for one in found.deposits} == there
    assert all(min(astuple(sums)) >= 0 for sums in found.sums.values())
    assert NOTHING not in found.sums.values()


@settings(max_examples=25)
@given(st.lists(one_deposit, max_size=6, unique_by=lambda one: one.deposit_id))
def test_paid_and_unconfirmed_are_what_the_states_say(told: list[Deposit]) -> None:
    for code, sums in sums_of(told, (), EXPIRES).items():
        of_code = [one for one in told if one.asset == code]
        mined = {D.INCLUDED, D.CONFIRMED, D.FINAL}
        assert sums.in_a_block == sum(one.units for one in of_code if one.state in mined)
        assert sums.unconfirmed == sum(one.units for one in of_code if one.state is D.SEEN)


def test_an_invoice_shows_the_newest_and_counts_all() -> None:
    found, names = invoice(), [number.to_bytes(16, "big") for number in range(SHOWN + 20)]
    for name in names:
        found = found.with_deposit(None, replace(deposit(1), deposit_id=name))
        found = found.with_refund(refund(1))
    assert [one.deposit_id for one in found.deposits] == names[-SHOWN:]
    assert len(found.refunds) == SHOWN
    assert (found.deposits_count, found.refunds_count) == (SHOWN + 20, SHOWN + 20)
    assert found.sums["A"].settled == found.sums["A"].refunded == SHOWN + 20
    # A fact about one that is not shown counts, and brings it back only in its place.
    old = replace(deposit(1), deposit_id=names[0])
    found = found.with_deposit(old, replace(old, state=D.INVALID))
    assert found.sums["A"].standing == SHOWN + 19
    assert [one.deposit_id for one in found.deposits] == names[-SHOWN:]


def by_the_table(
    deposits: list[Deposit], refunds: list[Refund], tolerance_bps: int, ended: bool, cancelled: bool
) -> InvoiceStatus:
    """The table of docs/invoices.md, word by word, over the deposits themselves."""

    def of(some: Iterable[Deposit | Refund]) -> Fraction:
        return sum((Fraction(one.units, DUE[one.asset]) for one in some if one.asset in DUE), ZERO)

    stands = [one for one in deposits if one.state is not D.INVALID]
    mined = of(one for one in stands if one.state is not D.SEEN)
    done = [one for one in stands if one.state in (D.CONFIRMED, D.FINAL)]
    settled = of(one for one in done if one.credit_epoch in one.posted_epochs)
    in_time = ZERO if cancelled else of(one for one in stands if one.in_time(EXPIRES))
    refunded, standing, needed = of(refunds), of(stands), Fraction(10_000 - tolerance_bps, 10_000)
    net = settled - refunded
    rows = (
        (refunded > 0 and refunded >= settled, S.REFUNDED),
        (refunded > 0 and net < needed, S.PARTIALLY_REFUNDED),
        (net >= needed and ended and in_time < needed, S.PAID_LATE),
        (net > 1, S.OVERPAID),
        (net >= needed, S.SETTLED),
        (standing >= needed and mined > 0, S.CONFIRMING),
        (standing >= needed, S.SEEN),
        (standing > 0 and ended, S.UNDERPAID),
        (standing > 0 and mined > 0, S.PARTIALLY_PAID),
        (standing > 0, S.SEEN),
        (cancelled, S.CANCELLED),
        (any(one.asset in DUE and one.state is D.INVALID for one in deposits), S.INVALID),
        (ended, S.EXPIRED),
    )
    return next((status for holds, status in rows if holds), S.NEW)


a_small_deposit = st.builds(
    lambda one, units: replace(one, units=units), one_deposit, st.integers(1, 4)
)


@settings(max_examples=80)
@given(
    st.lists(a_small_deposit, max_size=3),
    st.lists(st.builds(refund, st.integers(1, 3), st.sampled_from(["A", "C"])), max_size=2),
    st.sampled_from([0, 1_000, 5_000]),
    st.sampled_from(Mode),
)
def test_the_status_from_sums_is_the_one_of_the_table_over_the_deposits_themselves(
    deposits: list[Deposit], refunds: list[Refund], tolerance_bps: int, mode: Mode
) -> None:
    cancelled = mode is Mode.CANCELLED
    found = facts(
        *deposits,
        *refunds,
        tolerance_bps=tolerance_bps,
        cancelled_at=BEFORE if cancelled else None,
    )
    now = AFTER if mode is Mode.EXPIRED else BEFORE
    wanted = by_the_table(deposits, refunds, tolerance_bps, mode is not Mode.OPEN, cancelled)
    assert next_status(found, now) == wanted


def test_only_three_statuses_wake_and_two_of_them_always() -> None:
    for found in reachable():
        now = AFTER if found.mode is Mode.EXPIRED else BEFORE
        wakes, status = next_moment(facts_of(found, 0), now), status_of(found, 0)
        assert wakes is None or status in WAKING, (found, status)
        assert wakes is not None or status not in ALWAYS_WAKING, (found, status)


def test_of_dust_only_the_first_is_reported_and_what_weighs_for_longer() -> None:
    due: dict[str, int] = {**DUE, "BTC": 41_667}

    def dust(units: int, code: str = "BTC") -> Deposit:
        return deposit(units, D.SEEN, asset=code)

    assert reported(due, dust(1), REPORTED_CHANGES - 1)
    assert not reported(due, dust(1), REPORTED_CHANGES)
    assert not reported(due, dust(416), REPORTED_CHANGES)
    assert reported(due, dust(417), REPORTED_CHANGES)
    assert reported(due, dust(417), REPORTED_CHANGES_OF_WEIGHT - 1)
    assert not reported(due, dust(10**39), REPORTED_CHANGES_OF_WEIGHT)
    assert not reported(due, dust(10**39, "not offered"), REPORTED_CHANGES)
