"""The life of an invoice, explored: every reachable state of two deposits in every order of facts,
with refunds, cancellation and expiry.

A status depends on a deposit only through what `observed` tells of it. So one deposit is explored
in full first, fact by fact; two of them are pairs of what was observed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from itertools import combinations, permutations, product
from typing import NamedTuple

import pytest

from orion.billing.errors import IllegalTransition
from orion.billing.model import (
    TRANSITIONS,
    Deposit,
    DepositState,
    Facts,
    InvoiceStatus,
    Refund,
    check_transition,
    next_status,
)
from tests.unit.billing_facts import AFTER, BEFORE, EXPIRES, deposit, facts, refund

S, D = InvoiceStatus, DepositState
WHOLE = 4  # Fine enough that of half of it, too, a part can be refunded.
UNITS = (2, 4, 6)  # Less than, exactly, and more than the whole.
REFUNDED_MAX = 6
# Nothing may be missing, or half: 2 units of 4 are then enough.
TOLERANCES = (0, 5_000)


class Mode(Enum):
    """What ended the invoice's time."""

    OPEN = "open"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Fact:
    """One deposit of asset A as far as rules can tell it from another."""

    units: int
    state: DepositState
    epoch: int
    posted: frozenset[int]
    in_time: bool


class Observed(NamedTuple):
    """All that the rule looks at."""

    units: int
    stands: bool
    mined: bool
    settled: bool
    in_time: bool


def real(fact: Fact) -> Deposit:
    seen = BEFORE if fact.in_time else AFTER
    return deposit(fact.units, fact.state, epoch=fact.epoch, posted=fact.posted, seen=seen)


@cache
def observed(fact: Fact | None) -> Observed | None:
    if fact is None:
        return None
    one = real(fact)
    return Observed(one.units, one.stands, one.mined, one.settled, one.in_time(EXPIRES))


def after_one_fact(fact: Fact | None, mode: Mode) -> Iterator[Fact | None]:
    """What the next event of one deposit, or its next credit, can make of it."""
    if fact is None:
        # Billing may learn of a payment after the end that was seen or mined before it.
        for units, in_time in product(UNITS, {True, mode is Mode.OPEN}):
            for state, posted in product(D, (frozenset[int](), frozenset({0}))):
                yield Fact(units, state, 0, posted, in_time)
        return
    yield replace(fact, posted=fact.posted | {fact.epoch})
    if fact.state in (D.INCLUDED, D.CONFIRMED, D.FINAL):
        for state in (D.INCLUDED, D.CONFIRMED, D.FINAL):
            yield replace(fact, state=state)
        if fact.epoch == 0:
            yield replace(fact, state=D.REVERSED, epoch=1)
        return
    for state in (D.SEEN, D.INVALID):
        yield replace(fact, state=state)
    # A contract may pay another amount in another block; a block's time may lie before the expiry.
    for units, state, in_time in product(
        UNITS, (D.INCLUDED, D.CONFIRMED, D.FINAL), {fact.in_time, True}
    ):
        yield replace(fact, units=units, state=state, in_time=in_time)
    yield None  # Mined, but now paying another invoice's address at the same position.


@cache
def steps() -> dict[Mode, dict[Observed | None, frozenset[Observed | None]]]:
    """What one fact makes of a deposit, as observed, for every state that one can be in."""
    modes = {Mode.OPEN: (Mode.OPEN,), Mode.EXPIRED: tuple(Mode), Mode.CANCELLED: tuple(Mode)}
    found: dict[Mode, dict[Observed | None, frozenset[Observed | None]]] = {}
    for mode, earlier in modes.items():
        reached: set[Fact | None] = {None}
        waiting: list[Fact | None] = [None]
        while waiting:
            fact = waiting.pop()
            for then in earlier:
                for after in after_one_fact(fact, then):
                    if after not in reached:
                        reached.add(after)
                        waiting.append(after)
        ways: dict[Observed | None, set[Observed | None]] = {}
        for fact in reached:
            after_it = {observed(after) for after in after_one_fact(fact, mode)}
            ways.setdefault(observed(fact), set()).update(after_it)
        found[mode] = {key: frozenset(after_it) for key, after_it in ways.items()}
    return found


class Scene(NamedTuple):
    """An invoice with two deposits, in an order of no meaning, and what was refunded."""

    mode: Mode
    one: Observed | None
    two: Observed | None
    refunded: int


@cache
def scene(mode: Mode, one: Observed | None, two: Observed | None, refunded: int) -> Scene:
    first, second = sorted((one, two), key=lambda part: part or ())
    return Scene(mode, first, second, refunded)


@cache
def shown(one: Observed | None) -> Deposit | None:
    """A real deposit that looks like this."""
    if one is None:
        return None
    state = D.INVALID if not one.stands else D.SEEN if not one.mined else D.CONFIRMED
    posted = frozenset({0}) if one.settled else frozenset[int]()
    made = deposit(one.units, state, posted=posted, seen=BEFORE if one.in_time else AFTER)
    assert observed_again(made) == one
    return made


def observed_again(made: Deposit) -> Observed:
    return Observed(made.units, made.stands, made.mined, made.settled, made.in_time(EXPIRES))


@cache
def facts_of(found: Scene, tolerance_bps: int) -> Facts:
    return facts(
        *(made for one in (found.one, found.two) if (made := shown(one)) is not None),
        *([refund(found.refunded)] if found.refunded else []),
        due={"A": WHOLE},
        tolerance_bps=tolerance_bps,
        cancelled_at=BEFORE if found.mode is Mode.CANCELLED else None,
    )


@cache
def status_of(found: Scene, tolerance_bps: int) -> InvoiceStatus:
    now = AFTER if found.mode is Mode.EXPIRED else BEFORE
    return next_status(facts_of(found, tolerance_bps), now)


def following(found: Scene) -> Iterator[Scene]:
    """Every scene that one fact makes of this one; the end may come with it, not yet recorded."""
    _, one, two, _ = found
    for mode in {found.mode, Mode.EXPIRED if found.mode is Mode.OPEN else found.mode}:
        yield scene(mode, one, two, found.refunded)
        for after in steps()[mode][one]:
            yield scene(mode, after, two, found.refunded)
        for after in steps()[mode][two]:
            yield scene(mode, one, after, found.refunded)
        for refunded in range(found.refunded + 1, REFUNDED_MAX + 1):
            yield scene(mode, one, two, refunded)
    if found == scene(Mode.OPEN, None, None, 0):
        yield scene(Mode.CANCELLED, None, None, 0)


@cache
def reachable() -> dict[Scene, frozenset[Scene]]:
    start = scene(Mode.OPEN, None, None, 0)
    ways: dict[Scene, frozenset[Scene]] = {}
    waiting = [start]
    while waiting:
        found = waiting.pop()
        if found not in ways:
            ways[found] = frozenset(following(found))
            waiting += ways[found]
    return ways


def pairs(tolerance_bps: int) -> set[tuple[InvoiceStatus, InvoiceStatus]]:
    return {
        (old, new)
        for found, after_it in reachable().items()
        for after in after_it
        if (old := status_of(found, tolerance_bps)) != (new := status_of(after, tolerance_bps))
    }


def test_the_table_of_transitions_is_exactly_what_facts_can_cause() -> None:
    assert len(reachable()) > 2_500
    found = pairs(0) | pairs(5_000)
    table = {(old, new) for old, after in TRANSITIONS.items() for new in after}
    assert (found - table, table - found) == (set(), set())


def test_every_status_is_reached_and_none_is_an_end() -> None:
    reached = {status_of(found, 0) for found in reachable()}
    assert reached == set(S)
    assert all(TRANSITIONS[status] for status in S)


@pytest.mark.parametrize("tolerance_bps", TOLERANCES)
def test_more_settled_money_in_time_never_leaves_a_merchant_with_a_lesser_status(
    tolerance_bps: int,
) -> None:
    for found in reachable():
        old = status_of(found, tolerance_bps)
        one, two = found.one, found.two
        if old not in (S.SETTLED, S.OVERPAID) or two is None:
            continue
        if not two.settled or two.units > WHOLE:
            continue
        more = scene(found.mode, one, two._replace(units=two.units + 1), found.refunded)
        assert status_of(more, tolerance_bps) in (S.SETTLED, S.OVERPAID)


def test_no_reachable_pair_of_statuses_is_both_refused_and_possible() -> None:
    refused = {pair for pair in product(S, S) if pair[0] != pair[1]} - (pairs(0) | pairs(5_000))
    for old, new in refused:
        with pytest.raises(IllegalTransition):
            check_transition(old, new)


VERSIONS = (
    (1, D.SEEN, 0),
    (2, D.INCLUDED, 0),
    (3, D.REVERSED, 1),
    (4, D.SEEN, 1),
    (5, D.CONFIRMED, 1),
)


def test_facts_of_a_deposit_in_any_order_give_the_same_deposit_and_status() -> None:
    ends = set()
    for order in permutations((*VERSIONS, None)):
        one = replace(deposit(posted=frozenset(), state=D.SEEN), version=0, block_time=None)
        for told in order:
            if told is None:
                one = replace(one, posted_epochs=one.posted_epochs | {1})
                continue
            version, state, epoch = told
            mined = None if state is D.SEEN else AFTER
            news = replace(
                one, version=version, state=state, credit_epoch=epoch, first_seen_at=AFTER
            )
            one = one.told(replace(news, block_time=mined))
        ends.add((one.version, one.state, one.first_seen_at, next_status(facts(one), AFTER)))
    assert ends == {(5, D.CONFIRMED, BEFORE, S.SETTLED)}


def test_a_block_that_comes_again_later_keeps_the_time_of_the_first() -> None:
    first = replace(deposit(seen=AFTER, block=BEFORE), version=1)
    again = first.told(replace(first, version=2, block_time=AFTER))
    assert again.in_time(EXPIRES)
    for version in (0, 1):
        assert first.told(replace(first, version=version, units=9)).units == 2


def test_deposits_and_refunds_in_every_order_end_alike() -> None:
    """Two payments, a third that dies, and a refund: the last status is a matter of the set."""
    found: list[Deposit | Refund] = [
        deposit(1),
        deposit(2, seen=AFTER),
        deposit(1, D.INVALID),
        refund(1),
    ]
    last = {next_status(facts(*order), AFTER) for order in permutations(found)}
    assert len(last) == 1
    for size in range(4):
        for some in combinations(found, size):
            assert len({next_status(facts(*order), AFTER) for order in permutations(some)}) == 1
