"""The rule of repayments, by one that it bears and by those that it does not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orion.ids import fact_id
from orion.ledger.codes import Code, Kind, Purpose
from orion.ledger.model import AccountKey, Counters, Transfer
from orion.log.reconciliation import rules
from orion.log.reconciliation.causes import CausedEntry, Facts, PlacedAccount, Wanted
from orion.log.reconciliation.model import AccountName, Difference
from tests.unit.ledger_scene import AVAILABLE, BTC, CUSTODY, RECEIVABLE, SETTLING, Books, move
from tests.unit.test_reconciliation_causes import LOST, asked
from tests.unit.test_reconciliation_causes import entry as deposited

NOW = datetime(2026, 11, 24, 1, tzinfo=UTC)
AT = NOW - timedelta(hours=1)
OTHER = "merchant:" + "0f" * 16


def name(key: AccountKey) -> AccountName:
    return AccountName(key.owner, key.purpose.value, key.asset)


def entry(transfer: Transfer, digest: bytes | None = None, **changes: Any) -> CausedEntry:
    return replace(
        CausedEntry(
            0, 7, 4, transfer.id, digest or transfer.digest, transfer.kind.value,
            transfer.code.value, transfer.linked, transfer.pending_id, name(transfer.debit),
            name(transfer.credit), None, transfer.units, transfer.cause, AT,
        ),
        **changes,
    )  # fmt: skip


def posted() -> tuple[CausedEntry, CausedEntry]:
    """What the ledger makes of a deposit of 5 whose merchant owes 3."""
    books = Books()
    books.counters[SETTLING] = Counters(0, 0, 5, 0)
    books.counters[RECEIVABLE] = Counters(3, 0, 0, 0)
    final, repaid = books.post(move(Code.DEPOSIT_FINAL, 5)).accepted
    return (
        entry(final.transfer, final.digest, position=3),
        entry(repaid.transfer, repaid.digest),
    )


FINAL, REPAID = posted()
PLACE = PlacedAccount(RECEIVABLE.id, AT, 0, 7, 4)


def judged(
    repaid: CausedEntry, final: CausedEntry | None = FINAL, left: int | None = 0
) -> list[Difference]:
    place = replace(PLACE, shard=repaid.shard, number=repaid.number, position=repaid.position)
    debts = {} if left is None else {place: left}
    return rules.untrue(
        [repaid], Facts(NOW, transfers={FINAL.id: final} if final else {}, debts=debts)
    )


def moved(**changes: Any) -> CausedEntry:
    """Another repayment, with the digest of just that."""
    asked = Transfer(
        REPAID.id, Kind.DIRECT, Code.REVERSAL_REPAID, 3, AVAILABLE, RECEIVABLE, REPAID.cause,
        bytes(16),
    )._replace(**changes)  # fmt: skip
    return entry(asked)


def test_a_repayment_stands_right_behind_the_deposit_that_it_names() -> None:
    assert judged(REPAID) == []
    assert judged(moved()) == []
    last = replace(FINAL, number=6, position=699)
    assert judged(replace(REPAID, number=7, position=0), last) == []
    # The statements have not come so far, or more is owed still.
    assert judged(REPAID, left=None) == []
    assert judged(REPAID, left=90) == []


THEIRS = AccountKey(OTHER, Purpose.REVERSAL_RECEIVABLE, BTC)
ETHER = AccountKey(AVAILABLE.owner, Purpose.REVERSAL_RECEIVABLE, "ETH.ethereum")
UNTRUE: dict[str, tuple[CausedEntry, CausedEntry | None, str]] = {
    "no such deposit": (REPAID, None, "cause_not_found"),
    "no final deposit": (REPAID, replace(FINAL, code="deposit_credit"), "cause_not_found"),
    "another id": (moved(id=bytes(16)), FINAL, "cause_differs"),
    "the id of a shortfall": (
        moved(id=fact_id("shortfall", FINAL.id)), FINAL, "cause_differs",
    ),
    "other units": (replace(REPAID, units=2), FINAL, "cause_differs"),
    "other digest": (replace(REPAID, digest=bytes(16)), FINAL, "cause_differs"),
    "linked": (replace(REPAID, linked=True), FINAL, "cause_differs"),
    "from settling": (moved(debit=SETTLING), FINAL, "cause_differs"),
    "to custody": (moved(credit=CUSTODY), FINAL, "cause_differs"),
    "to another merchant": (moved(credit=THEIRS), FINAL, "cause_differs"),
    "to another asset": (moved(credit=ETHER), FINAL, "cause_differs"),
    "both of another merchant": (
        moved(debit=AccountKey(OTHER, Purpose.AVAILABLE, BTC), credit=THEIRS),
        FINAL, "cause_differs",
    ),
    "before its deposit": (replace(REPAID, position=2), FINAL, "cause_differs"),
    "in its place": (replace(REPAID, position=3), FINAL, "cause_differs"),
    "not right behind": (replace(REPAID, position=5), FINAL, "cause_differs"),
    "a record later": (replace(REPAID, number=8), FINAL, "cause_differs"),
    "a record later, first": (replace(REPAID, number=8, position=0), FINAL, "cause_differs"),
    "two records later": (
        replace(REPAID, number=8, position=0), replace(FINAL, number=6, position=699),
        "cause_differs",
    ),
    "another shard": (replace(REPAID, shard=1), FINAL, "cause_differs"),
    "another code": (replace(REPAID, code="payout"), FINAL, "cause_differs"),
    "no account's name": (replace(REPAID, credit=None), FINAL, "cause_differs"),
    "no id": (replace(REPAID, cause=b'{"type":"repayment"}'), FINAL, "cause_differs"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNTRUE)
def test_a_repayment_that_its_deposit_does_not_bear_is_told(case: str) -> None:
    repaid, final, kind = UNTRUE[case]
    [found] = judged(repaid, final)
    assert (str(found.kind), str(found.wrong)) == (kind, "cause")


def test_nobody_pays_back_more_than_is_owed() -> None:
    [found] = judged(REPAID, left=-1)
    assert (found.found, found.expected) == ("units 3", "units 2, which were owed")


def test_the_deposit_and_what_is_left_of_the_debt_are_looked_up() -> None:
    needs = Wanted(transfers=frozenset({FINAL.id}), debts=frozenset({PLACE}))
    assert rules.wanted([REPAID]) == needs
    assert Wanted() | needs == needs | Wanted() == needs


def test_a_reversal_does_not_count_what_stands_under_the_id_of_its_shortfall() -> None:
    reversal = asked(Code.DEPOSIT_REVERSAL_FINAL)
    owing = replace(
        deposited(reversal),
        debit=AccountName("merchant:" + "1" * 32, "reversal_receivable", BTC),
    )
    taken = fact_id("shortfall", reversal.id)
    other = replace(FINAL, id=taken)
    facts = Facts(NOW, {LOST.id: LOST}, transfers={taken: other})
    assert rules.untrue([owing], facts) == []
    shortfall = replace(other, code="reversal_shortfall")
    assert rules.untrue([owing], replace(facts, transfers={taken: shortfall})) != []
