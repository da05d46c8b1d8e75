"""What the end of a payout gives back pays what its merchant owes, before it can leave again."""

from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.ids import fact_id
from orion.ledger.codes import CODES, ENDS, SECOND_PHASE
from orion.ledger.model import (
    SIDES,
    Code,
    Counters,
    Entry,
    Kind,
    Outcome,
    PendingState,
    Purpose,
    Reason,
    Transfer,
)
from orion.ledger.posting import ids, touched
from orion.records import canonical_json
from tests.unit.ledger_scene import (
    AVAILABLE,
    BTC,
    CUSTODY,
    OTHER,
    RECEIVABLE,
    Books,
    move,
    reasons,
    then,
)

CHAIN_FINAL = b'{"type":"chain_final"}'


def owing(debt: int, reserved: int = 10, left: int = 0) -> tuple[Books, Transfer]:
    """A merchant who owes `debt`, with an open payout and so much beside it."""
    books = Books()
    books.available(reserved + left)
    payout = move(Code.PAYOUT, reserved)
    assert not books.post(payout).refused
    books.counters[RECEIVABLE] = Counters(debt, 0, 0, 0)
    return books, payout


def told(outcome: Outcome) -> Sequence[tuple[Code, int]]:
    return [(entry.transfer.code, entry.transfer.units) for entry in outcome.accepted]


@pytest.mark.parametrize(
    "kind, units, repaid, standing",
    [
        (Kind.POST, 30_210, 290, [(0, 41234, 41234), (9266, 290), (41234, 0, 50210)]),
        (Kind.VOID, 30_500, 9_266, [(0, 20000, 41234), (9266, 9266), (41234, 0, 20000)]),
    ],
)
def test_the_worked_debt_is_paid_back_by_what_the_payout_of_30_000_left(
    kind: Kind, units: int, repaid: int, standing: list[tuple[int, ...]]
) -> None:
    books = Books()
    books.available(41_234)
    payout = move(Code.PAYOUT, 30_500)
    books.post(payout)
    assert told(books.post(move(Code.DEPOSIT_REVERSAL_FINAL, 20_000))) == [
        (Code.DEPOSIT_REVERSAL_FINAL, 10_734), (Code.REVERSAL_SHORTFALL, 9_266),
    ]  # fmt: skip
    assert books.counters[AVAILABLE] == Counters(10_734, 30_500, 41_234, 0)
    assert reasons(books.post(move(Code.PAYOUT, 1, fact=1))) == [Reason.RECEIVABLE_OPEN]
    outcome = books.post(then(kind, payout, units))
    assert told(outcome) == [(Code.PAYOUT, units), (Code.REVERSAL_REPAID, repaid)]
    available, receivable, custody = (
        books.counters[key] for key in (AVAILABLE, RECEIVABLE, CUSTODY)
    )
    assert [
        (available.debits_pending, available.debits_posted, available.credits_posted),
        (receivable.debits_posted, receivable.credits_posted),
        (custody.debits_posted, custody.credits_pending, custody.credits_posted),
    ] == standing
    left = 41_234 - 10_734 - (units if kind is Kind.POST else 0) - repaid
    after = [Reason.RECEIVABLE_OPEN] if kind is Kind.POST else [Reason.EXCEEDS_CREDITS]
    assert reasons(books.post(move(Code.PAYOUT, left + 1, fact=2))) == after
    if kind is Kind.VOID:
        assert left == 21_234
        assert not books.post(move(Code.PAYOUT, left, fact=3)).refused


@pytest.mark.parametrize("kind", sorted(ENDS))
def test_the_repayment_is_named_after_the_end_and_is_a_direct_transfer_of_its_own(
    kind: Kind,
) -> None:
    books, payout = owing(3)
    asked = then(kind, payout, 1 if kind is Kind.POST else None)._replace(trace_id=b"t" * 16)
    ended, repaid = books.post(asked).accepted
    assert ended == Entry(asked, asked.digest)
    assert repaid.transfer == Transfer(
        fact_id("repaid", asked.id), Kind.DIRECT, Code.REVERSAL_REPAID, 3, AVAILABLE, RECEIVABLE,
        canonical_json({"type": "repayment", "transfer_id": asked.id.hex()}), b"t" * 16,
    )  # fmt: skip
    assert (repaid.digest, repaid.counterpart) == (repaid.transfer.digest, None)


@pytest.mark.parametrize(
    "debt, reserved, left, posted, repaid",
    [
        (3, 10, 0, 0, 3),
        (10, 10, 0, 0, 10),
        (11, 10, 0, 0, 10),
        (11, 10, 2, 0, 11),
        (3, 10, 0, 9, 1),
        (3, 10, 0, 7, 3),
        (3, 10, 0, 10, 0),
        (3, 10, 2, 10, 2),  # It gave nothing back, but what was there is not his to keep.
        (0, 10, 5, 0, 0),
    ],
)
def test_as_much_is_paid_back_as_is_owed_and_can_be_moved_after_the_end(
    debt: int, reserved: int, left: int, posted: int, repaid: int
) -> None:
    for kind in (Kind.POST,) if posted else (Kind.VOID, Kind.TIMEOUT):
        books, payout = owing(debt, reserved, left)
        outcome = books.post(then(kind, payout, posted or None))
        assert told(outcome)[1:] == ([(Code.REVERSAL_REPAID, repaid)] if repaid else [])
        assert books.counters[RECEIVABLE] == Counters(debt, 0, repaid, 0)
        total = reserved + left
        assert books.counters[AVAILABLE] == Counters(posted + repaid, 0, total, 0)


def test_what_another_payout_still_reserves_pays_nothing_back() -> None:
    books, payout = owing(30, reserved=10, left=5)
    books.counters[RECEIVABLE] = Counters()
    other = move(Code.PAYOUT, 5, fact="other")
    assert not books.post(other).refused
    books.counters[RECEIVABLE] = Counters(30, 0, 0, 0)
    assert told(books.post(then(Kind.VOID, payout)))[1:] == [(Code.REVERSAL_REPAID, 10)]
    assert told(books.post(then(Kind.TIMEOUT, other)))[1:] == [(Code.REVERSAL_REPAID, 5)]
    assert books.counters[AVAILABLE] == Counters(15, 0, 15, 0)


def test_only_an_end_gives_back() -> None:
    books, payout = owing(3, left=4)
    before = dict(books.counters)
    assert told(books.post(then(Kind.SIGNED, payout))) == [(Code.PAYOUT, 10)]
    for refused in (
        then(Kind.TIMEOUT, payout),
        then(Kind.VOID, payout),
        then(Kind.POST, payout, 11),
        then(Kind.VOID, payout, 9, cause=CHAIN_FINAL),
        move(Code.PAYOUT, 1, fact="more"),
    ):
        assert told(books.post(refused)) == []
    assert books.counters == before


@pytest.mark.parametrize("kind", sorted(ENDS))
def test_an_end_that_is_delivered_again_or_comes_too_late_pays_nothing_more(kind: Kind) -> None:
    books, payout = owing(30)
    end = then(kind, payout, 4 if kind is Kind.POST else None)
    books.post_records([[end], [end]])
    held = dict(books.counters)
    for late in ENDS:
        outcome = books.post(end, then(late, payout, fact="late", cause=CHAIN_FINAL))
        assert told(outcome) == []
    assert books.counters == held
    assert held[RECEIVABLE].credits_posted == (6 if kind is Kind.POST else 10)


def test_a_repayment_whose_id_is_taken_waits_and_nothing_leaves_meanwhile() -> None:
    books, payout = owing(3)
    end = then(Kind.VOID, payout)
    books.post(move(Code.DEPOSIT_CREDIT, 1)._replace(id=fact_id("repaid", end.id)))
    assert told(books.post(end)) == [(Code.PAYOUT, 10)]
    assert books.pendings[payout.id].state is PendingState.VOIDED
    assert reasons(books.post(move(Code.PAYOUT, 1, fact=1))) == [Reason.RECEIVABLE_OPEN]
    books.post(move(Code.DEPOSIT_FINAL, 1, fact="next"))
    assert books.counters[RECEIVABLE] == Counters(3, 0, 3, 0)


def test_an_id_that_was_refused_is_taken_too() -> None:
    books, payout = owing(3)
    end = then(Kind.VOID, payout)
    refused = move(Code.DEPOSIT_FINAL, 99)._replace(id=fact_id("repaid", end.id))
    assert reasons(books.post(refused)) == [Reason.EXCEEDS_CREDITS]
    assert told(books.post(end)) == [(Code.PAYOUT, 10)]


def test_the_id_of_a_repayment_is_taken_once_it_is_made() -> None:
    books, payout = owing(3)
    end = then(Kind.VOID, payout)
    books.post(end)
    other = move(Code.DEPOSIT_CREDIT, 1)._replace(id=fact_id("repaid", end.id))
    assert reasons(books.post(other)) == [Reason.ID_CONFLICT]


@pytest.mark.parametrize("units, holds", [(7, True), (8, False)])
def test_a_payout_chained_behind_an_end_finds_what_the_debt_left_or_takes_both_back(
    units: int, *, holds: bool
) -> None:
    books, payout = owing(3)
    before = dict(books.counters)
    end = then(Kind.VOID, payout, linked=True)
    outcome = books.post(end, move(Code.PAYOUT, units, fact="next"))
    repaid = fact_id("repaid", end.id)
    assert (repaid in books.known) is holds
    if holds:
        expected = [(Code.PAYOUT, 10), (Code.REVERSAL_REPAID, 3), (Code.PAYOUT, 7)]
        assert told(outcome) == expected
        assert books.counters[AVAILABLE] == Counters(3, 7, 10, 0)
    else:
        assert reasons(outcome) == [Reason.LINKED_FAILED, Reason.EXCEEDS_CREDITS]
        assert books.counters == before
        assert books.pendings[payout.id].state is PendingState.OPEN
        # Nothing of the failed chain keeps the payout from ending, and from paying back then.
        again = then(Kind.VOID, payout, fact="again")
        assert told(books.post(again))[1:] == [(Code.REVERSAL_REPAID, 3)]


def test_where_custody_lives_elsewhere_only_what_was_paid_out_is_sent_there() -> None:
    for kind, units in ((Kind.POST, 6), (Kind.VOID, 10)):
        books = Books(local=lambda owner: owner.startswith("merchant:"))
        books.available(10)
        payout = move(Code.PAYOUT, 10)
        books.post(payout)
        books.counters[RECEIVABLE] = Counters(3, 0, 0, 0)
        outcome = books.post(then(kind, payout, units))
        ended, repaid = outcome.accepted
        assert (ended.counterpart, repaid.counterpart) == (CUSTODY, None)
        assert (repaid.transfer.debit, repaid.transfer.credit) == (AVAILABLE, RECEIVABLE)
        assert repaid.transfer.units == 3
        sent = [(leg.account, leg.units) for leg in outcome.legs]
        assert sent == ([(CUSTODY, 6)] if kind is Kind.POST else [])


def test_a_payout_whose_merchant_moved_pays_back_in_the_shard_where_it_ends() -> None:
    first, payout = owing(3)
    second = Books(1, local=lambda owner: owner.startswith("merchant:"))
    # The bucket came with its accounts; what custody reserved stays in the first shard.
    merchants = {key: held for key, held in first.counters.items() if key.is_merchant}
    second.counters |= merchants
    second.known, second.pendings = first.known, first.pendings
    outcome = second.post(then(Kind.POST, payout, 9))
    assert told(outcome) == [(Code.PAYOUT, 9), (Code.REVERSAL_REPAID, 1)]
    assert [(leg.account, leg.units) for leg in outcome.legs] == [(CUSTODY, 9)]
    assert second.counters[AVAILABLE] == Counters(10, 0, 10, 0)


def test_a_debt_is_paid_back_while_its_asset_is_frozen() -> None:
    books, payout = owing(3)
    books.frozen = frozenset({BTC})
    assert told(books.post(then(Kind.VOID, payout)))[1:] == [(Code.REVERSAL_REPAID, 3)]


def test_an_owed_fee_is_paid_by_what_comes_back_before_the_next_one_is_taken() -> None:
    books = Books()
    books.available(10)
    payout = move(Code.PAYOUT, 10)
    outcome = books.post(
        payout, move(Code.FEE, 4), then(Kind.VOID, payout), move(Code.FEE, 9, fact=1)
    )
    assert told(outcome) == [
        (Code.PAYOUT, 10), (Code.FEE, 4), (Code.PAYOUT, 10), (Code.REVERSAL_REPAID, 4),
        (Code.FEE, 6), (Code.FEE_SHORTFALL, 3),
    ]  # fmt: skip
    assert books.counters[RECEIVABLE] == Counters(7, 0, 4, 0)


def test_nobody_pays_for_another_merchant() -> None:
    books = Books()
    books.available(10, merchant=OTHER)
    theirs = move(Code.PAYOUT, 10, merchant=OTHER)
    books.post(theirs)
    books.counters[RECEIVABLE] = Counters(3, 0, 0, 0)
    assert told(books.post(then(Kind.VOID, theirs))) == [(Code.PAYOUT, 10)]
    assert books.counters[RECEIVABLE] == Counters(3, 0, 0, 0)


def test_the_second_id_is_read_before_where_there_may_be_one() -> None:
    payout = move(Code.PAYOUT, 5)
    for kind in SECOND_PHASE:
        asked = then(kind, payout)
        repaid = {fact_id("repaid", asked.id)} if kind in ENDS else set()
        assert ids([[asked]]) == {asked.id} | repaid
        assert touched([[asked]], 0, Books().local) == {AVAILABLE, CUSTODY, RECEIVABLE}
    assert ids([[payout]]) == {payout.id}


def test_whatever_makes_money_available_pays_back_and_whatever_reserves_it_pays_out() -> None:
    for code, (debit, credit) in SIDES.items():
        rule = CODES[code]
        assert rule.repays is (credit is Purpose.AVAILABLE)
        reserves = debit is Purpose.AVAILABLE and Kind.PENDING in rule.kinds
        assert rule.pays_out is reserves
        for kind in Kind:
            assert rule.pays_back(kind) is (rule.repays or (reserves and kind in ENDS))


STEPS = st.one_of(
    st.builds(
        move,
        st.sampled_from([
            Code.FEE, Code.FEE_RETURNED, Code.REFERRAL_SHARE, Code.REFERRAL_RETURNED,
            Code.DEPOSIT_CREDIT, Code.DEPOSIT_FINAL, Code.DEPOSIT_REVERSAL_FINAL,
        ]),
        st.integers(1, 40),
        fact=st.integers(0, 20),
    ),
    st.builds(move, st.just(Code.PAYOUT), st.integers(1, 30), fact=st.integers(0, 3)),
    st.builds(
        then,
        st.sampled_from(sorted(SECOND_PHASE)),
        st.builds(move, st.just(Code.PAYOUT), st.integers(1, 30), fact=st.integers(0, 3)),
        cause=st.just(CHAIN_FINAL),
    ),
)  # fmt: skip


@given(st.lists(STEPS, max_size=25), st.booleans())
@settings(max_examples=60, deadline=None)
def test_who_owes_has_nothing_that_he_could_move(history: list[Transfer], chained: bool) -> None:
    """Where no id is taken by others and settling covers its reversals."""
    books = Books()
    books.available(60)
    opened: dict[bytes, Transfer] = {}
    for asked in history:
        if asked.pending_id in opened:
            # Acts on the payout of that fact as it was opened.
            start = opened[asked.pending_id]
            asked = asked._replace(units=min(asked.units, start.units))  # noqa: PLW2901
            if asked.kind is not Kind.POST:
                asked = asked._replace(units=start.units)  # noqa: PLW2901
        record = [asked]
        if chained:
            behind = move(Code.PAYOUT, 1, fact=("behind", asked.id, asked.units))
            record = [asked._replace(linked=True), behind]
        outcome = books.post(*record)
        for entry in outcome.accepted:
            if entry.transfer.kind is Kind.PENDING:
                opened[entry.transfer.id] = entry.transfer
        owed = books.counters.get(RECEIVABLE, Counters())
        assert owed.credits_posted <= owed.debits_posted
        available = books.counters[AVAILABLE]
        assert available.movable >= 0
        assert available.movable == 0 or owed.debits_posted == owed.credits_posted


def test_every_order_of_two_ends_and_a_deposit_leaves_the_same_debt() -> None:
    left = set()
    for first, second in product(ENDS, ENDS):
        books = Books()
        books.available(20)
        one, other = move(Code.PAYOUT, 12, fact=1), move(Code.PAYOUT, 8, fact=2)
        books.post(one, other, move(Code.DEPOSIT_REVERSAL_FINAL, 9, fact="gone"))
        ends = [
            then(kind, payout, payout.units - 2 if kind is Kind.POST else None)
            for kind, payout in ((first, one), (second, other))
        ]
        for order in (ends, ends[::-1]):
            again = Books()
            again.counters, again.known = dict(books.counters), dict(books.known)
            again.pendings = dict(books.pendings)
            again.post(*order)
            again.post(move(Code.DEPOSIT_CREDIT, 5), move(Code.DEPOSIT_FINAL, 5))
            held = again.counters[AVAILABLE], again.counters[RECEIVABLE]
            left.add((first, second, held))
    assert len(left) == 9
