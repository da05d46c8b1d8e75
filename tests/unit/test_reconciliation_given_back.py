"""The rule of repayments behind the end of a payout: what bears one, and what does not."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from orion.ids import fact_id
from orion.ledger.codes import ENDS, Code, Kind, Purpose
from orion.ledger.model import AccountKey, Counters, Transfer, clearing
from orion.log.reconciliation import rules
from orion.log.reconciliation.causes import CausedEntry, Facts, PlacedAccount, Wanted
from orion.log.reconciliation.model import Difference
from tests.unit.ledger_scene import (
    AVAILABLE,
    BTC,
    CUSTODY,
    FEE_INCOME,
    RECEIVABLE,
    SETTLING,
    Books,
    move,
    then,
)
from tests.unit.test_reconciliation_repayments import AT, NOW, OTHER, entry, name

PAYOUT = move(Code.PAYOUT, 9)
HERE = clearing(0, BTC)
THEIRS = AccountKey(OTHER, Purpose.AVAILABLE, BTC)
THEIR_DEBT = AccountKey(OTHER, Purpose.REVERSAL_RECEIVABLE, BTC)
ETHER = AccountKey(AVAILABLE.owner, Purpose.AVAILABLE, "ETH.ethereum")
ACCOUNTS = (
    AVAILABLE, RECEIVABLE, SETTLING, CUSTODY, FEE_INCOME, HERE, THEIRS, THEIR_DEBT, ETHER,
    AccountKey("system:ethereum", Purpose.CUSTODY, BTC),
)  # fmt: skip


def posted(kind: Kind, *, far: bool = False) -> tuple[CausedEntry, CausedEntry]:
    """What the ledger makes of the end of a payout of 9 whose merchant owes 3, in the place of its
    record that the entries of PLACE have.
    """
    books = Books(local=lambda owner: not far or owner.startswith("merchant:"))
    books.available(9)
    books.post(PAYOUT)
    books.counters[RECEIVABLE] = Counters(3, 0, 0, 0)
    ended, repaid = books.post(then(kind, PAYOUT, 4 if kind is Kind.POST else None)).accepted
    meant = name(ended.counterpart) if ended.counterpart else None
    return (
        entry(ended.transfer, ended.digest, position=3, counterpart=meant),
        entry(repaid.transfer, repaid.digest),
    )


END, REPAID = posted(Kind.VOID)
PLACE = PlacedAccount(RECEIVABLE.id, AT, 0, 7, 4)


def judged(
    repaid: CausedEntry = REPAID, end: CausedEntry | None = END, left: int | None = 0
) -> list[Difference]:
    place = replace(
        PLACE,
        shard=repaid.shard,
        number=repaid.number,
        position=repaid.position,
        account=repaid.credit.id if repaid.credit else b"",
    )
    debts = {} if left is None else {place: left}
    return rules.untrue([repaid], Facts(NOW, transfers={END.id: end} if end else {}, debts=debts))


def moved(**changes: Any) -> CausedEntry:
    """Another repayment, with the digest of just that."""
    asked = Transfer(
        REPAID.id, Kind.DIRECT, Code.REVERSAL_REPAID, 3, AVAILABLE, RECEIVABLE, REPAID.cause,
        bytes(16),
    )._replace(**changes)  # fmt: skip
    return entry(asked)


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("kind", sorted(ENDS))
def test_what_the_ledger_makes_of_an_end_is_borne_by_it(kind: Kind, far: bool) -> None:
    end, repaid = posted(kind, far=far)
    assert (end.counterpart is not None) is far
    found = rules.untrue([repaid], Facts(NOW, transfers={end.id: end}, debts={PLACE: 0}))
    assert found == []
    last = replace(end, number=6, position=699)
    first = replace(repaid, number=7, position=0)
    assert rules.untrue([first], Facts(NOW, transfers={end.id: last})) == []


UNTRUE: dict[str, tuple[CausedEntry, CausedEntry | None, str]] = {
    "no such end": (REPAID, None, "cause_not_found"),
    "only a signature": (REPAID, replace(END, kind="signed"), "cause_not_found"),
    "only a beginning": (
        REPAID, replace(END, kind="pending", pending_id=None), "cause_not_found",
    ),
    "a payout at once": (
        REPAID, replace(END, kind="direct", pending_id=None), "cause_not_found",
    ),
    "the end of no payout": (REPAID, replace(END, code="fee"), "cause_not_found"),
    "the end of nothing": (REPAID, replace(END, pending_id=None), "cause_differs"),
    "a linked end": (REPAID, replace(END, linked=True), "cause_differs"),
    "another merchant's end": (REPAID, replace(END, debit=name(THEIRS)), "cause_differs"),
    "an end without a name": (REPAID, replace(END, debit=None), "cause_differs"),
    "named after the beginning": (moved(id=fact_id("repaid", PAYOUT.id)), END, "cause_differs"),
    "another id": (moved(id=bytes(16)), END, "cause_differs"),
    "other units": (replace(REPAID, units=2), END, "cause_differs"),
    "other digest": (replace(REPAID, digest=bytes(16)), END, "cause_differs"),
    "the end's kind": (
        moved(kind=Kind.VOID, pending_id=PAYOUT.id), END, "cause_differs",
    ),
    "the end's pending transfer": (moved(pending_id=PAYOUT.id), END, "cause_differs"),
    "linked": (moved(linked=True), END, "cause_differs"),
    "to another merchant": (moved(credit=THEIR_DEBT), END, "cause_differs"),
    "to custody": (moved(credit=CUSTODY), END, "cause_differs"),
    "both of another merchant": (
        moved(debit=THEIRS, credit=THEIR_DEBT), END, "cause_differs",
    ),
    "before its end": (replace(REPAID, position=2), END, "cause_differs"),
    "not right behind": (replace(REPAID, position=5), END, "cause_differs"),
    "a record later": (replace(REPAID, number=8, position=0), END, "cause_differs"),
    "another shard": (replace(REPAID, shard=1), END, "cause_differs"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNTRUE)
def test_a_repayment_that_no_end_bears_is_told(case: str) -> None:
    repaid, end, kind = UNTRUE[case]
    [found] = judged(repaid, end)
    assert (str(found.kind), str(found.wrong)) == (kind, "cause")


def test_only_a_payout_of_the_merchant_to_the_chain_bears_his_repayment() -> None:
    true = [
        (debit, credit)
        for debit, credit in product(ACCOUNTS, ACCOUNTS)
        if not judged(end=replace(END, debit=name(debit), credit=name(credit)))
    ]
    assert true == [(AVAILABLE, CUSTODY)]


def test_custody_alone_may_stand_in_clearing_and_must_be_named() -> None:
    away = replace(END, credit=name(HERE))
    true = [
        meant
        for meant in (None, *ACCOUNTS)
        if not judged(end=replace(away, counterpart=name(meant) if meant else None))
    ]
    assert true == [CUSTODY]
    assert judged(end=replace(END, counterpart=name(CUSTODY)))
    there = name(clearing(1, BTC))
    assert judged(end=replace(END, counterpart=name(CUSTODY), credit=there))


def test_only_the_same_merchants_accounts_are_those_of_the_repayment() -> None:
    true = [
        (debit, credit)
        for debit, credit in product(ACCOUNTS, ACCOUNTS)
        if not judged(moved(debit=debit, credit=credit))
    ]
    assert true == [(AVAILABLE, RECEIVABLE)]


def test_nobody_pays_back_more_than_is_owed() -> None:
    [found] = judged(left=-1)
    assert (found.found, found.expected) == ("units 3", "units 2, which were owed")
    assert judged(left=None) == [] == judged(left=90)


def test_the_end_and_what_is_left_of_the_debt_are_looked_up() -> None:
    needs = Wanted(transfers=frozenset({END.id}), debts=frozenset({PLACE}))
    assert rules.wanted([REPAID]) == needs
