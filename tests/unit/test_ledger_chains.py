"""Linked transfers: all or nothing, whatever of them was known, and wherever the record ends."""

import pytest

from orion.ledger.model import Code, Counters, Kind, PendingState, Reason, Transfer
from tests.unit.ledger_scene import (
    AVAILABLE,
    CUSTODY,
    OTHER,
    RECEIVABLE,
    SETTLING,
    Books,
    move,
    reasons,
    then,
)


def linked(*transfers: Transfer) -> list[Transfer]:
    """Each but the last is chained to the next."""
    return [t._replace(linked=True) for t in transfers[:-1]] + [transfers[-1]]


CREDIT = move(Code.DEPOSIT_CREDIT, 5)
FINAL = move(Code.DEPOSIT_FINAL, 5)
TOO_MUCH = move(Code.DEPOSIT_FINAL, 6)


def test_a_chain_is_decided_on_what_its_earlier_members_leave() -> None:
    books = Books()
    outcome = books.post(*linked(CREDIT, FINAL))
    assert [entry.transfer.code for entry in outcome.accepted] == [CREDIT.code, FINAL.code]
    assert books.counters[AVAILABLE] == Counters(0, 0, 5, 0)


def test_a_chain_that_fails_moves_nothing_and_names_its_first_failure() -> None:
    books = Books()
    outcome = books.post(*linked(CREDIT, TOO_MUCH, move(Code.DEPOSIT_CREDIT, 9, fact=1)))
    assert reasons(outcome) == [
        Reason.LINKED_FAILED, Reason.EXCEEDS_CREDITS, Reason.LINKED_FAILED,
    ]  # fmt: skip
    assert (outcome.accepted, dict(outcome.counters), books.counters) == ((), {}, {})


def test_a_failed_chain_leaves_what_stood_before_it_in_the_batch() -> None:
    books = Books()
    books.counters[SETTLING] = Counters(1, 2, 30, 4)
    first, last = move(Code.DEPOSIT_CREDIT, 3, fact=1), move(Code.DEPOSIT_CREDIT, 4, fact=2)
    again = move(Code.DEPOSIT_CREDIT, 6, fact=3)
    outcome = books.post(first, *linked(CREDIT, again, move(Code.DEPOSIT_FINAL, 99, fact=2)), last)
    assert [entry.transfer for entry in outcome.accepted] == [first, last]
    assert dict(outcome.counters) == {
        CUSTODY: Counters(7, 0, 0, 0), SETTLING: Counters(1, 2, 37, 4),
    }  # fmt: skip


def test_a_failed_chain_leaves_accounts_that_only_it_touched_unmoved() -> None:
    outcome = Books().post(
        *linked(CREDIT, FINAL, move(Code.DEPOSIT_FINAL, 1, fact=1)),
        move(Code.DEPOSIT_CREDIT, 2, fact=1),
    )
    assert set(outcome.counters) == {CUSTODY, SETTLING}


def test_a_failed_chain_takes_back_pending_transfers_and_their_ends() -> None:
    books = Books()
    books.available(100)
    old = move(Code.PAYOUT, 10, fact="old")
    books.post(old)
    new = move(Code.PAYOUT, 20, fact="new")
    outcome = books.post(
        then(Kind.SIGNED, old),
        *linked(new, then(Kind.POST, new), then(Kind.POST, old), move(Code.PAYOUT, 99, fact=3)),
    )
    assert reasons(outcome)[-1] is Reason.EXCEEDS_CREDITS
    assert {k: (p.state, p.signed) for k, p in outcome.pendings.items()} == {
        old.id: (PendingState.OPEN, True)
    }
    assert reasons(books.post(then(Kind.POST, new, fact=1))) == [Reason.PENDING_NOT_FOUND]
    assert reasons(books.post(then(Kind.POST, old, fact=1))) == []


def test_a_chain_that_holds_keeps_its_pending_transfers() -> None:
    books = Books()
    books.available(100)
    payout = move(Code.PAYOUT, 20)
    outcome = books.post(*linked(payout, then(Kind.SIGNED, payout), then(Kind.POST, payout)))
    assert outcome.refused == ()
    assert [pending.state for pending in outcome.pendings.values()] == [PendingState.POSTED]


def test_a_failed_chain_takes_back_the_id_of_a_shortfall() -> None:
    books = Books()
    books.post(move(Code.DEPOSIT_CREDIT, 3, fact="before"))
    back = move(Code.DEPOSIT_REVERSAL, 5, fact=1)
    books.post(*linked(back, move(Code.DEPOSIT_FINAL, 99)))
    assert set(books.counters) == {CUSTODY, SETTLING}
    again = back._replace(id=b"r" * 16)
    outcome = books.post(again, move(Code.DEPOSIT_CREDIT, 1, fact=2))
    assert [entry.transfer.debit for entry in outcome.accepted] == [SETTLING, RECEIVABLE, CUSTODY]


def test_a_shortfall_in_a_chain_that_failed_in_this_batch_can_be_made_again() -> None:
    books = Books()
    books.post(move(Code.DEPOSIT_CREDIT, 3, fact="before"))
    back = move(Code.DEPOSIT_REVERSAL, 5, fact=1)
    other = back._replace(cause=b'{"type":"other"}', id=back.id)
    outcome = books.post(*linked(back, move(Code.DEPOSIT_FINAL, 99)), other)
    assert reasons(outcome) == [
        Reason.LINKED_FAILED, Reason.EXCEEDS_CREDITS, Reason.ID_CONFLICT,
    ]  # fmt: skip


def test_a_record_that_ends_inside_a_chain_refuses_all_of_it() -> None:
    books = Books()
    outcome = books.post(
        move(Code.DEPOSIT_CREDIT, 1, fact=1),
        CREDIT._replace(linked=True),
        FINAL._replace(linked=True),
    )
    assert reasons(outcome) == [Reason.LINKED_OPEN, Reason.LINKED_OPEN]
    assert books.counters[SETTLING] == Counters(0, 0, 1, 0)


def test_a_chain_does_not_go_on_in_the_next_record() -> None:
    outcome = Books().post_records([[CREDIT._replace(linked=True)], [FINAL]])
    assert reasons(outcome) == [Reason.LINKED_OPEN, Reason.EXCEEDS_CREDITS]


def test_two_chains_of_a_record_stand_and_fall_by_themselves() -> None:
    outcome = Books().post(
        *linked(CREDIT, TOO_MUCH),
        *linked(move(Code.DEPOSIT_CREDIT, 7, fact=1), move(Code.DEPOSIT_FINAL, 7, fact=1)),
    )
    assert len(outcome.accepted) == len(outcome.refused) == 2


@pytest.mark.parametrize("chain", [linked(CREDIT, FINAL), linked(CREDIT, TOO_MUCH)])
def test_a_replayed_chain_changes_nothing(chain: list[Transfer]) -> None:
    books = Books()
    books.post(*chain)
    before = dict(books.counters)
    outcome = books.post_records([chain, chain])
    assert (outcome.accepted, outcome.refused, books.counters) == ((), (), before)


def test_a_replayed_open_chain_stays_refused() -> None:
    books = Books()
    asked = CREDIT._replace(linked=True)
    books.post(asked)
    assert books.post(asked).refused == ()


def test_a_chain_of_which_some_ids_are_known_refuses_the_others() -> None:
    books = Books()
    chain = linked(CREDIT, FINAL)
    books.post(chain[1])
    outcome = books.post(*chain)
    assert [(r.transfer.id, r.reason) for r in outcome.refused] == [
        (CREDIT.id, Reason.LINKED_FAILED)
    ]
    assert outcome.accepted == ()


def test_an_id_of_a_chain_that_stands_for_other_content_is_a_conflict() -> None:
    books = Books()
    books.post(move(Code.DEPOSIT_CREDIT, 4))
    outcome = books.post(*linked(CREDIT, FINAL))
    assert reasons(outcome) == [Reason.ID_CONFLICT, Reason.LINKED_FAILED]
    assert reasons(books.post(FINAL._replace(linked=True))) == [Reason.ID_CONFLICT]


def test_an_id_twice_in_a_chain_is_a_conflict_or_a_replay() -> None:
    chain = linked(CREDIT, CREDIT, FINAL)
    assert [e.transfer.code for e in Books().post(*chain).accepted] == [CREDIT.code, FINAL.code]
    outcome = Books().post(*linked(CREDIT, CREDIT._replace(units=6), FINAL))
    assert reasons(outcome) == [Reason.LINKED_FAILED, Reason.ID_CONFLICT, Reason.LINKED_FAILED]
    outcome = Books().post(*linked(TOO_MUCH, CREDIT, CREDIT._replace(units=6), FINAL))
    assert reasons(outcome) == [
        Reason.EXCEEDS_CREDITS, Reason.LINKED_FAILED, Reason.ID_CONFLICT, Reason.ID_CONFLICT,
    ]  # fmt: skip


def test_a_chain_has_one_decider() -> None:
    foreign = move(Code.DEPOSIT_CREDIT, 5, merchant=OTHER)
    outcome = Books().post(*linked(CREDIT, foreign, FINAL))
    assert reasons(outcome) == [Reason.LINKED_FAILED, Reason.TWO_LIMITS, Reason.LINKED_FAILED]
    assert Books().post(CREDIT, foreign).refused == ()


def test_a_chain_of_other_deciders_is_refused_where_the_first_lives() -> None:
    books = Books(local=lambda owner: owner != OTHER)
    outcome = books.post(*linked(CREDIT, move(Code.DEPOSIT_CREDIT, 5, merchant=OTHER)))
    assert reasons(outcome) == [Reason.LINKED_FAILED, Reason.TWO_LIMITS]


def test_linked_is_part_of_what_an_id_stands_for() -> None:
    assert CREDIT.digest != CREDIT._replace(linked=True).digest
