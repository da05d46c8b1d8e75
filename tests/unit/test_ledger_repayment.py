"""What a merchant owes is paid back by the next deposit that becomes final."""

from collections.abc import Sequence

import pytest

from orion.ids import fact_id
from orion.ledger.codes import CODES
from orion.ledger.model import Code, Counters, Entry, Kind, Outcome, Reason, Transfer
from orion.ledger.posting import ids, touched
from orion.records import canonical_json
from tests.unit.ledger_scene import (
    AVAILABLE,
    CUSTODY,
    OTHER,
    RECEIVABLE,
    SETTLING,
    Books,
    move,
    reasons,
)


def owing(debt: int, settling: int = 0, available: Counters | None = None) -> Books:
    """A merchant who owes `debt`, with so much to become final."""
    books = Books()
    books.counters[RECEIVABLE] = Counters(debt, 0, 0, 0)
    books.counters[SETTLING] = Counters(0, 0, settling, 0)
    if available is not None:
        books.counters[AVAILABLE] = available
    return books


def final(units: int, **how: object) -> Transfer:
    return move(Code.DEPOSIT_FINAL, units, **how)  # type: ignore[arg-type]


def told(outcome: Outcome) -> Sequence[tuple[Code, int]]:
    return [(entry.transfer.code, entry.transfer.units) for entry in outcome.accepted]


def test_the_worked_debt_of_30_000_satoshi_is_paid_back_by_two_deposits() -> None:
    books = Books()
    books.counters |= {
        CUSTODY: Counters(41_234, 0, 71_234, 0),
        SETTLING: Counters(41_234, 0, 41_234, 0),
        AVAILABLE: Counters(41_234, 0, 41_234, 0),
        RECEIVABLE: Counters(30_000, 0, 0, 0),
    }

    def standing() -> list[tuple[int, int]]:
        held = [books.counters[k] for k in (CUSTODY, SETTLING, AVAILABLE, RECEIVABLE)]
        return [(counters.debits_posted, counters.credits_posted) for counters in held]

    books.post(move(Code.DEPOSIT_CREDIT, 20_000, fact=1))
    outcome = books.post(final(20_000, fact=1))
    assert told(outcome) == [(Code.DEPOSIT_FINAL, 20_000), (Code.REVERSAL_REPAID, 20_000)]
    assert standing() == [(61234, 71234), (61234, 61234), (61234, 61234), (30000, 20000)]
    assert reasons(books.post(move(Code.PAYOUT, 1, fact=1))) == [Reason.RECEIVABLE_OPEN]
    books.post(move(Code.DEPOSIT_CREDIT, 15_000, fact=2))
    outcome = books.post(final(15_000, fact=2))
    assert told(outcome) == [(Code.DEPOSIT_FINAL, 15_000), (Code.REVERSAL_REPAID, 10_000)]
    assert standing() == [(76234, 71234), (76234, 76234), (71234, 76234), (30000, 30000)]
    assert reasons(books.post(move(Code.PAYOUT, 5_001, fact=2))) == [Reason.EXCEEDS_CREDITS]
    assert reasons(books.post(move(Code.PAYOUT, 5_000, fact=3))) == []


def test_a_repayment_is_named_after_its_deposit_and_has_a_digest_of_its_own() -> None:
    books, asked = owing(3, settling=5), final(5)._replace(trace_id=b"t" * 16)
    posted, repaid = books.post(asked).accepted
    assert posted == Entry(asked, asked.digest)
    assert repaid.transfer == Transfer(
        fact_id("repaid", asked.id), Kind.DIRECT, Code.REVERSAL_REPAID, 3, AVAILABLE, RECEIVABLE,
        canonical_json({"type": "repayment", "transfer_id": asked.id.hex()}), b"t" * 16,
    )  # fmt: skip
    assert (repaid.digest, repaid.counterpart) == (repaid.transfer.digest, None)


@pytest.mark.parametrize(
    "debt, available, repaid",
    [
        (10, None, 5),
        (5, None, 5),
        (4, None, 4),
        (10, Counters(0, 0, 2, 0), 7),  # What an end gave back whose repayment's id was taken.
        (10, Counters(3, 0, 5, 0), 7),
        (10, Counters(0, 20, 20, 0), 5),  # What is pending is not his to pay with.
        (10, Counters(0, 18, 20, 0), 7),
        (10, Counters(0, 0, 20, 90), 10),
        (10, Counters(8, 0, 0, 0), 0),
        (0, None, 0),
    ],
)
def test_as_much_is_paid_back_as_is_owed_and_can_be_moved(
    debt: int, available: Counters | None, repaid: int
) -> None:
    books = owing(debt, settling=5, available=available)
    before = books.counters.get(AVAILABLE, Counters())
    outcome = books.post(final(5))
    assert told(outcome)[1:] == ([(Code.REVERSAL_REPAID, repaid)] if repaid else [])
    assert books.counters[RECEIVABLE] == Counters(debt, 0, repaid, 0)
    assert books.counters[AVAILABLE] == before._replace(
        debits_posted=before.debits_posted + repaid, credits_posted=before.credits_posted + 5
    )


def test_only_a_debit_balance_is_a_debt() -> None:
    for receivable in (Counters(9, 0, 9, 0), Counters(8, 0, 9, 0), Counters(0, 0, 0, 0)):
        books = owing(0, settling=5)
        books.counters[RECEIVABLE] = receivable
        assert told(books.post(final(5))) == [(Code.DEPOSIT_FINAL, 5)]
        assert books.counters[RECEIVABLE] == receivable


def test_nobody_pays_for_another_merchant_or_in_another_asset() -> None:
    for how in ({"merchant": OTHER}, {"asset": "ETH.ethereum"}):
        books = owing(3)
        books.post(move(Code.DEPOSIT_CREDIT, 5, **how))  # type: ignore[arg-type]
        assert told(books.post(final(5, **how))) == [(Code.DEPOSIT_FINAL, 5)]
        assert books.counters[RECEIVABLE] == Counters(3, 0, 0, 0)


def test_one_merchants_debt_is_found_beside_others_who_owe_nothing() -> None:
    books = owing(3, settling=5)
    books.post(move(Code.DEPOSIT_CREDIT, 2, merchant=OTHER))
    outcome = books.post(final(1, merchant=OTHER), final(1, merchant=OTHER, fact=1), final(5))
    assert told(outcome)[-1] == (Code.REVERSAL_REPAID, 3)


def test_a_debt_made_in_the_same_batch_is_paid_back_in_it() -> None:
    books = Books()
    asked = [
        move(Code.DEPOSIT_CREDIT, 5),
        move(Code.DEPOSIT_REVERSAL, 8, fact="gone"),
        move(Code.DEPOSIT_CREDIT, 7, fact=1),
        final(7, fact=1),
        move(Code.PAYOUT, 4),
    ]
    outcome = books.post(*asked)
    assert told(outcome)[-3:] == [
        (Code.DEPOSIT_FINAL, 7), (Code.REVERSAL_REPAID, 3), (Code.PAYOUT, 4),
    ]  # fmt: skip
    assert books.counters[RECEIVABLE] == Counters(3, 0, 3, 0)


def test_a_deposit_that_paid_back_is_reversed_as_before() -> None:
    books = owing(30, settling=41)
    books.post(final(41))
    outcome = books.post(move(Code.DEPOSIT_REVERSAL_FINAL, 41))
    assert told(outcome) == [(Code.DEPOSIT_REVERSAL_FINAL, 11), (Code.REVERSAL_SHORTFALL, 30)]
    assert books.counters[RECEIVABLE] == Counters(60, 0, 30, 0)


def test_a_repayment_whose_id_is_taken_waits_for_the_next_deposit() -> None:
    books, asked = owing(3), final(5)
    books.post(move(Code.DEPOSIT_CREDIT, 12)._replace(id=fact_id("repaid", asked.id)))
    assert told(books.post(asked)) == [(Code.DEPOSIT_FINAL, 5)]
    assert books.counters[RECEIVABLE] == Counters(3, 0, 0, 0)
    assert told(books.post(final(1, fact="next")))[1:] == [(Code.REVERSAL_REPAID, 3)]


def test_an_id_that_was_refused_is_taken_too() -> None:
    books, asked = owing(3, settling=5), final(5)
    books.post(final(99, fact="too much")._replace(id=fact_id("repaid", asked.id)))
    assert told(books.post(asked)) == [(Code.DEPOSIT_FINAL, 5)]


def test_the_id_of_a_repayment_is_taken_once_it_is_made() -> None:
    books, asked = owing(3, settling=9), final(5)
    books.post(asked)
    other = final(1, fact="other")._replace(id=fact_id("repaid", asked.id))
    assert reasons(books.post(other)) == [Reason.ID_CONFLICT]


def test_a_deposit_that_is_refused_or_delivered_again_pays_nothing_back() -> None:
    books = owing(9, settling=5)
    assert reasons(books.post(final(6, fact="more"))) == [Reason.EXCEEDS_CREDITS]
    assert books.counters[RECEIVABLE].credits_posted == 0
    books.post(final(5))
    assert books.post(final(5)).accepted == ()
    assert books.counters[RECEIVABLE] == Counters(9, 0, 5, 0)


@pytest.mark.parametrize("holds", [True, False])
def test_a_repayment_stands_and_falls_with_the_chain_of_its_deposit(*, holds: bool) -> None:
    books, asked = owing(3, settling=5), final(5, linked=True)
    before = dict(books.counters)
    last = move(Code.DEPOSIT_CREDIT, 1) if holds else final(99, fact="last")
    outcome = books.post(asked, last)
    repaid = fact_id("repaid", asked.id)
    assert (told(outcome)[1:2] == [(Code.REVERSAL_REPAID, 3)]) is holds
    assert (repaid in books.known) is holds
    if holds:
        assert outcome.accepted[1].transfer.linked
    else:
        assert books.counters == before
        # In the same batch too: nothing of the failed chain has the id.
        books = owing(3, settling=5)
        books.post_records([[asked, last], [final(1, fact="id")._replace(id=repaid)]])
        assert books.known[repaid]
        assert books.counters[SETTLING].debits_posted == 1


def test_a_repayment_is_never_asked_for() -> None:
    books = owing(3, available=Counters(0, 0, 5, 0))
    asked = final(3)._replace(code=Code.REVERSAL_REPAID, debit=AVAILABLE, credit=RECEIVABLE)
    for made in (asked, asked._replace(id=fact_id("repaid", final(3).id))):
        assert reasons(books.post(made)) == [Reason.CODE_MISMATCH]
    assert books.counters[RECEIVABLE].credits_posted == 0


def test_the_receivable_and_the_second_id_of_a_final_deposit_are_read_before() -> None:
    asked = final(5)
    assert touched([[asked]], 0, Books().local) == {SETTLING, AVAILABLE, RECEIVABLE}
    assert ids([[asked]]) == {asked.id, fact_id("repaid", asked.id)}


def test_the_codes_that_look_at_a_third_account_are_told_by_their_rules() -> None:
    assert {code for code, rule in CODES.items() if rule.owing} == {
        Code.DEPOSIT_FINAL, Code.DEPOSIT_REVERSAL, Code.DEPOSIT_REVERSAL_FINAL, Code.PAYOUT,
        Code.FEE, Code.FEE_RETURNED, Code.REFERRAL_SHARE, Code.REFERRAL_RETURNED,
    }  # fmt: skip
