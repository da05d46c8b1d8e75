"""Fees and referral shares in the ledger: the worked numbers of docs/fees.md, and their rules."""

import pytest

from orion.ids import fact_id
from orion.ledger.model import AccountKey, Code, Counters, Kind, Purpose, Reason
from orion.ledger.posting import decider, touched
from orion.records import canonical_json
from tests.unit.ledger_scene import (
    AVAILABLE,
    CUSTODY,
    FEE_INCOME,
    MERCHANT,
    OTHER,
    RECEIVABLE,
    SETTLING,
    Books,
    key,
    move,
    reasons,
    then,
)

THEIRS = key(Purpose.AVAILABLE, OTHER)
FEES = (Code.FEE, Code.REFERRAL_RETURNED)
CREDITS = (Code.FEE_RETURNED, Code.REFERRAL_SHARE)


def posted(books: Books, account: AccountKey) -> tuple[int, int]:
    found = books.counters.get(account, Counters())
    return found.debits_posted, found.credits_posted


def paid_out(books: Books, units: int) -> None:
    payout = move(Code.PAYOUT, units)
    assert not books.post(payout, then(Kind.POST, payout)).refused


def test_the_worked_fee_of_too_little_is_taken_and_owed_and_paid_back() -> None:
    books = Books()
    books.available(41_667)
    paid_out(books, 41_500)
    outcome = books.post(move(Code.FEE, 582))
    assert [(e.transfer.code, e.transfer.debit, e.transfer.units) for e in outcome.accepted] == [
        (Code.FEE, AVAILABLE, 167),
        (Code.FEE_SHORTFALL, RECEIVABLE, 415),
    ]
    books.post(move(Code.REFERRAL_SHARE, 116, merchant=OTHER))
    books.post(move(Code.DEPOSIT_CREDIT, 1_000, fact=2), move(Code.DEPOSIT_FINAL, 1_000, fact=2))
    expected = {
        SETTLING: (42_667, 42_667),
        AVAILABLE: (42_082, 42_667),
        RECEIVABLE: (415, 415),
        FEE_INCOME: (116, 582),
        CUSTODY: (42_667, 41_500),
        THEIRS: (0, 116),
    }
    assert {account: posted(books, account) for account in expected} == expected
    assert sum(debits for debits, _ in expected.values()) == 127_947
    assert sum(credited for _, credited in expected.values()) == 127_947


@pytest.mark.parametrize("code", FEES)
def test_a_shortfall_says_what_it_is_of(code: Code) -> None:
    books = Books()
    books.available(3)
    asked = move(code, 5)
    taken, owed = books.post(asked).accepted
    assert (taken.transfer, taken.digest) == (asked._replace(units=3), asked.digest)
    assert owed.transfer == asked._replace(
        id=fact_id("shortfall", asked.id),
        code=Code.FEE_SHORTFALL,
        units=2,
        debit=RECEIVABLE,
        cause=canonical_json({"type": "shortfall", "transfer_id": asked.id.hex()}),
    )
    assert not books.post(asked).accepted


@pytest.mark.parametrize("code", FEES)
def test_where_nothing_is_left_all_of_it_is_owed_in_one_entry(code: Code) -> None:
    books = Books()
    (entry,) = books.post(move(code, 5)).accepted
    assert (entry.transfer.code, entry.transfer.debit) == (code, RECEIVABLE)
    assert posted(books, RECEIVABLE) == (5, 0)
    assert posted(books, FEE_INCOME) == (0, 5)


@pytest.mark.parametrize("code", FEES)
def test_a_fee_waits_for_no_debt_and_for_no_freeze(code: Code) -> None:
    books = Books()
    books.available(9)
    books.counters[RECEIVABLE] = Counters(7, 0, 0, 0)
    books.frozen = frozenset({"BTC.bitcoin"})
    assert not books.post(move(code, 5)).refused
    assert books.counters[AVAILABLE].movable == 4


@pytest.mark.parametrize("code", CREDITS)
def test_what_comes_back_pays_the_debt_first(code: Code) -> None:
    books = Books()
    books.counters[RECEIVABLE] = Counters(7, 0, 0, 0)
    asked = move(code, 10)
    credit, repaid = books.post(asked).accepted
    assert (credit.transfer, repaid.transfer.code) == (asked, Code.REVERSAL_REPAID)
    assert repaid.transfer.id == fact_id("repaid", asked.id)
    assert posted(books, AVAILABLE) == (7, 10)
    assert posted(books, RECEIVABLE) == (7, 7)


def test_a_reversed_deposit_whose_fee_is_returned_leaves_nothing_and_no_debt() -> None:
    books = Books()
    books.available(41_667)
    books.post(move(Code.FEE, 582))
    books.post(move(Code.DEPOSIT_REVERSAL_FINAL, 41_667))
    assert posted(books, RECEIVABLE) == (582, 0)
    books.post(move(Code.FEE_RETURNED, 582))
    assert posted(books, RECEIVABLE) == (582, 582)
    assert books.counters[AVAILABLE].movable == 0
    assert posted(books, FEE_INCOME) == (582, 582)


@pytest.mark.parametrize("code", FEES + CREDITS)
def test_the_merchant_of_a_fee_decides_and_what_he_owes_is_read_before(code: Code) -> None:
    asked = move(code, 5)
    assert decider(asked) == MERCHANT
    assert touched([[asked]], 0, Books().local) == {AVAILABLE, FEE_INCOME, RECEIVABLE}


@pytest.mark.parametrize("code", FEES + CREDITS)
def test_the_chains_side_of_a_fee_is_told_to_its_shard_by_a_leg(code: Code) -> None:
    here = Books(0, lambda owner: owner.startswith("merchant:"))
    there = Books(1, lambda owner: owner.startswith("system:"))
    here.available(9)
    legs = here.post(move(code, 5)).legs
    assert [leg.account for leg in legs] == [FEE_INCOME]
    assert not there.post(*(leg.as_transfer() for leg in legs)).refused
    assert posted(there, FEE_INCOME) == ((0, 5) if code in FEES else (5, 0))


def test_a_share_goes_from_the_house_and_never_from_merchant_to_merchant() -> None:
    asked = move(Code.REFERRAL_SHARE, 5)._replace(debit=key(Purpose.AVAILABLE, OTHER))
    assert reasons(Books().post(asked)) == [Reason.CODE_MISMATCH]


def test_a_fees_shortfall_is_never_asked_for() -> None:
    asked = move(Code.FEE, 5)._replace(code=Code.FEE_SHORTFALL, debit=RECEIVABLE)
    assert reasons(Books().post(asked)) == [Reason.CODE_MISMATCH]
