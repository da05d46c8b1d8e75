"""Pending transfers: what they reserve, what ends them, and what a first signature forbids."""

import pytest

from orion.ids import fact_id
from orion.ledger.model import (
    Code,
    Counters,
    Entry,
    Kind,
    Pending,
    PendingState,
    Reason,
    Transfer,
)
from orion.ledger.posting import pending_ids
from tests.unit.ledger_scene import (
    AVAILABLE,
    BTC,
    CUSTODY,
    OTHER,
    RECEIVABLE,
    Books,
    key,
    move,
    reasons,
    then,
)

CHAIN_FINAL = b'{"txid":"ab","type":"chain_final"}'


def opened(units: int = 500) -> tuple[Books, Transfer]:
    books = Books()
    books.available(1_000)
    payout = move(Code.PAYOUT, units)
    assert not books.post(payout).refused
    return books, payout


def test_the_worked_payout_of_30_000_has_the_documented_counters() -> None:
    books = Books()
    books.available(41_234)

    def standing() -> tuple[tuple[int, int, int], int, tuple[int, int]]:
        held, custody = books.counters[AVAILABLE], books.counters[CUSTODY]
        counters = (held.debits_pending, held.debits_posted, held.credits_posted)
        return counters, held.movable, (custody.credits_pending, custody.credits_posted)

    assert standing() == ((0, 0, 41234), 41_234, (0, 0))
    payout = move(Code.PAYOUT, 30_500)
    books.post(payout)
    assert standing() == ((30500, 0, 41234), 10_734, (30500, 0))
    assert reasons(books.post(move(Code.PAYOUT, 10_735, fact=1))) == [Reason.EXCEEDS_CREDITS]
    assert standing() == ((30500, 0, 41234), 10_734, (30500, 0))
    assert reasons(books.post(then(Kind.SIGNED, payout))) == []
    assert standing() == ((30500, 0, 41234), 10_734, (30500, 0))
    assert reasons(books.post(then(Kind.TIMEOUT, payout))) == [Reason.PENDING_SIGNED]
    assert standing() == ((30500, 0, 41234), 10_734, (30500, 0))
    books.post(then(Kind.POST, payout, 30_210))
    assert standing() == ((0, 30210, 41234), 11_024, (0, 30210))
    assert reasons(books.post(then(Kind.VOID, payout))) == [Reason.PENDING_ALREADY_POSTED]
    assert standing() == ((0, 30210, 41234), 11_024, (0, 30210))


def test_a_pending_transfer_is_open_under_its_own_id_with_the_accounts_asked_for() -> None:
    books, payout = opened()
    assert books.pendings == {
        payout.id: Pending(
            payout.id, Code.PAYOUT, AVAILABLE, CUSTODY, 500, PendingState.OPEN, signed=False
        )
    }


@pytest.mark.parametrize("kind", [Kind.VOID, Kind.TIMEOUT])
def test_an_end_without_a_post_gives_everything_back(kind: Kind) -> None:
    books, payout = opened()
    outcome = books.post(then(kind, payout))
    assert outcome.pendings[payout.id].state is PendingState.VOIDED
    assert books.counters[AVAILABLE] == Counters(0, 0, 1_000, 0)
    assert books.counters[CUSTODY] == Counters(1_000, 0, 0, 0)


@pytest.mark.parametrize("units", [1, 499, 500])
def test_a_post_takes_its_own_units_and_gives_the_rest_back(units: int) -> None:
    books, payout = opened()
    outcome = books.post(then(Kind.POST, payout, units))
    assert outcome.pendings[payout.id].state is PendingState.POSTED
    assert books.counters[AVAILABLE] == Counters(units, 0, 1_000, 0)
    assert books.counters[CUSTODY] == Counters(1_000, 0, units, 0)


def test_a_first_signature_moves_nothing_and_a_second_one_changes_nothing() -> None:
    books, payout = opened()
    before = dict(books.counters)
    first = books.post(then(Kind.SIGNED, payout))
    assert first.pendings[payout.id].signed
    assert (len(first.accepted), dict(first.counters)) == (1, {})
    again = books.post(then(Kind.SIGNED, payout, fact="another"))
    assert (len(again.accepted), again.refused, books.counters) == (1, (), before)
    assert books.pendings[payout.id].signed


def test_a_post_needs_no_signature_and_ends_a_signed_transfer_too() -> None:
    for first in ([], [Kind.SIGNED]):
        books, payout = opened()
        outcome = books.post(*(then(k, payout) for k in [*first, Kind.POST]))
        assert not outcome.refused
        assert outcome.pendings[payout.id].signed is bool(first)


def test_after_a_signature_only_what_the_chain_excluded_is_voided() -> None:
    books, payout = opened()
    outcome = books.post(
        then(Kind.SIGNED, payout),
        then(Kind.VOID, payout, fact=1),
        then(Kind.TIMEOUT, payout, fact=2, cause=CHAIN_FINAL),
        then(Kind.VOID, payout, fact=3, cause=CHAIN_FINAL),
    )
    assert reasons(outcome) == [Reason.PENDING_SIGNED, Reason.PENDING_SIGNED]
    assert books.pendings[payout.id].state is PendingState.VOIDED


@pytest.mark.parametrize("cause", [b"{}", b'{"type":["chain_final"]}', b'{"type":"chain"}'])
def test_another_cause_is_none_of_the_chain(cause: bytes) -> None:
    books, payout = opened()
    books.post(then(Kind.SIGNED, payout))
    assert reasons(books.post(then(Kind.VOID, payout, cause=cause))) == [Reason.PENDING_SIGNED]


ENDS = [Kind.POST, Kind.VOID, Kind.TIMEOUT]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("late", [Kind.SIGNED, *ENDS])
def test_what_has_ended_stays_ended(end: Kind, late: Kind) -> None:
    books, payout = opened()
    books.post(then(end, payout))
    held = dict(books.counters)
    outcome = books.post(then(late, payout, fact="late", cause=CHAIN_FINAL))
    ended = Reason.PENDING_ALREADY_POSTED if end is Kind.POST else Reason.PENDING_ALREADY_VOIDED
    assert (reasons(outcome), dict(outcome.pendings)) == ([ended], {})
    assert books.counters == held


@pytest.mark.parametrize("kind", [Kind.SIGNED, *ENDS])
@pytest.mark.parametrize(
    "change",
    [
        {"units": 499},
        {"debit": key(AVAILABLE.purpose, OTHER)},
        {"debit": key(AVAILABLE.purpose, asset="ETH.ethereum"),
         "credit": key(CUSTODY.purpose, asset="ETH.ethereum")},
    ],
    ids=["units", "debit", "asset"],
)  # fmt: skip
def test_the_second_phase_repeats_what_was_opened(kind: Kind, change: dict[str, object]) -> None:
    books, payout = opened()
    asked = Transfer(**(then(kind, payout)._asdict() | change))
    expected = [] if kind is Kind.POST and "units" in change else [Reason.PENDING_DIFFERS]
    assert reasons(books.post(asked)) == expected


def test_a_refused_payout_opens_nothing() -> None:
    books = Books()
    payout = move(Code.PAYOUT, 5)
    outcome = books.post(payout, then(Kind.POST, payout))
    assert reasons(outcome) == [Reason.EXCEEDS_CREDITS, Reason.PENDING_NOT_FOUND]
    assert books.pendings == {}


def test_a_direct_transfer_is_nothing_to_post() -> None:
    books = Books()
    credit = move(Code.DEPOSIT_CREDIT, 5)
    books.post(credit)
    asked = then(Kind.POST, move(Code.PAYOUT, 5))._replace(pending_id=credit.id)
    assert reasons(books.post(asked)) == [Reason.PENDING_NOT_FOUND]


def test_pending_credits_cover_nothing() -> None:
    books = Books()
    books.counters[AVAILABLE] = Counters(0, 0, 5, 100)
    assert reasons(books.post(move(Code.PAYOUT, 6))) == [Reason.EXCEEDS_CREDITS]
    assert reasons(books.post(move(Code.PAYOUT, 5, fact=1))) == []


def test_everything_that_is_left_can_be_paid_out_and_not_a_unit_more() -> None:
    books, _ = opened(400)
    assert reasons(books.post(move(Code.PAYOUT, 601, fact=1))) == [Reason.EXCEEDS_CREDITS]
    assert reasons(books.post(move(Code.PAYOUT, 600, fact=2))) == []


def test_what_is_under_way_goes_on_while_its_asset_is_frozen_or_its_merchant_owes() -> None:
    for kind in (Kind.SIGNED, *ENDS):
        books, payout = opened()
        books.frozen = frozenset({BTC})
        books.counters[RECEIVABLE] = Counters(1, 0, 0, 0)
        assert reasons(books.post(then(kind, payout))) == []


def test_deposits_go_on_while_their_asset_is_frozen() -> None:
    books = Books()
    books.frozen = frozenset({BTC})
    books.available(5)
    assert reasons(books.post(move(Code.DEPOSIT_REVERSAL_FINAL, 9, fact="before"))) == []


def test_a_debt_of_another_asset_or_merchant_stops_no_payout() -> None:
    for owing in (
        key(RECEIVABLE.purpose, OTHER),
        key(RECEIVABLE.purpose, asset="ETH.ethereum"),
    ):
        books = Books()
        books.available(5)
        books.counters[owing] = Counters(1, 0, 0, 0)
        assert reasons(books.post(move(Code.PAYOUT, 5))) == []


def test_an_entry_of_the_second_phase_is_what_was_asked_for() -> None:
    books, payout = opened()
    asked = then(Kind.POST, payout, 1)
    assert books.post(asked).accepted == (Entry(asked, asked.digest, None),)


def test_the_core_asks_for_the_pending_transfers_that_are_named() -> None:
    payout = move(Code.PAYOUT, 5)
    assert pending_ids([[payout]]) == frozenset()
    assert pending_ids([[payout], [then(Kind.POST, payout)]]) == {payout.id}


def test_the_digest_of_the_second_phase_covers_what_it_acts_on() -> None:
    payout = move(Code.PAYOUT, 5)
    ends = [then(kind, payout) for kind in ENDS]
    ends.append(ends[0]._replace(pending_id=fact_id("another")))
    assert len({end.digest for end in [payout, *ends]}) == 5


def test_a_replayed_end_changes_nothing() -> None:
    books, payout = opened()
    end = then(Kind.POST, payout, 7)
    books.post(end)
    outcome = books.post(payout, end)
    assert (outcome.accepted, outcome.refused, dict(outcome.counters)) == ((), (), {})
