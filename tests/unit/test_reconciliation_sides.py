"""An entry whose digest fits itself is still untrue where code and deposit give other accounts."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from orion.ledger.codes import CODES, Code, Kind, Purpose
from orion.ledger.model import AccountKey, Leg, Side, Transfer, clearing, leg_cause, leg_id
from orion.log.reconciliation import rules
from orion.log.reconciliation.causes import CausedEntry, Facts, LegCause, repayment_id
from orion.records import canonical_json
from tests.unit.test_reconciliation_causes import (
    ASSET,
    AVAILABLE,
    CUSTODY,
    FINAL,
    LOST,
    MERCHANT,
    NOW,
    RECEIVABLE,
    REVERSED,
    SETTLING,
    SIDES,
    asked,
    deposit,
    entry,
    judged,
    name,
    reversal,
)

FACTS = {
    Code.DEPOSIT_CREDIT: deposit(),
    Code.DEPOSIT_FINAL: FINAL,
    Code.DEPOSIT_REVERSAL: REVERSED,
    Code.DEPOSIT_REVERSAL_FINAL: LOST,
}
HERE = clearing(0, ASSET)
ETHER = AccountKey("system:ethereum", Purpose.CUSTODY, "ETH.ethereum")
OTHERS = (
    CUSTODY, SETTLING, AVAILABLE, RECEIVABLE, HERE, ETHER,
    AccountKey("system:ethereum", Purpose.CUSTODY, ASSET),
    AccountKey("system:bitcoin", Purpose.SETTLING, ASSET),
    AccountKey("merchant:" + "2" * 32, Purpose.SETTLING, ASSET),
    AccountKey("merchant:" + "2" * 32, Purpose.AVAILABLE, ASSET),
    AccountKey(MERCHANT, Purpose.SETTLING, "ETH.ethereum"),
    AccountKey(MERCHANT, Purpose.AVAILABLE, "ETH.ethereum"),
)  # fmt: skip


def changed(caused: CausedEntry, **changes: Any) -> CausedEntry:
    return replace(caused, **changes)


def told(caused: CausedEntry, code: Code) -> list[str]:
    return [str(found.kind) for found in judged(caused, FACTS[code])]


@pytest.mark.parametrize("code", FACTS)
def test_only_the_two_accounts_of_the_code_are_true_whatever_the_digest_says(code: Code) -> None:
    true = []
    for debit, credit in product(OTHERS, OTHERS):
        moved = entry(asked(code)._replace(debit=debit, credit=credit))
        if not told(moved, code):
            true.append((debit, credit))
    assert true == [SIDES[code]]


@pytest.mark.parametrize("code", FACTS)
def test_only_the_side_of_another_shard_may_stand_in_clearing(code: Code) -> None:
    """The digest is always of the accounts meant: a counterpart is what could be forged."""
    whole = entry(asked(code))
    debit, credit = SIDES[code]
    true = []
    for here in (HERE, clearing(1, ASSET), clearing(0, "ETH.ethereum")):
        for meant in (None, *OTHERS):
            there = name(meant) if meant else None
            for change in ({"debit": name(here)}, {"credit": name(here)}):
                moved = changed(whole, counterpart=there, **change)
                if not told(moved, code):
                    true.append((set(change), here, meant))
    custody = {Code.DEPOSIT_CREDIT: {"debit"}, Code.DEPOSIT_FINAL: None}.get(code, {"credit"})
    assert true == ([(custody, HERE, CUSTODY)] if custody else [])
    if custody:
        [side] = custody
        for shard, here in ((3, clearing(3, ASSET)), (0, clearing(3, ASSET)), (3, HERE)):
            placed = changed(whole, shard=shard, counterpart=name(CUSTODY), **{side: name(here)})
            assert bool(told(placed, code)) is (here != clearing(shard, ASSET))
    # Without a clearing account, nothing is meant beside what moved.
    for meant in (debit, credit):
        assert told(changed(whole, counterpart=name(meant)), code) == ["cause_differs"]


@pytest.mark.parametrize("code", FACTS)
def test_a_deposit_moves_posted_money_at_once(code: Code) -> None:
    for kind in Kind:
        moved = entry(asked(code)._replace(kind=kind))
        assert told(moved, code) == ([] if kind is Kind.DIRECT else ["cause_differs"])
    for forged in (
        asked(code)._replace(linked=True),
        asked(code)._replace(pending_id=bytes(16)),
    ):
        assert told(entry(forged), code) == ["cause_differs"]


@pytest.mark.parametrize("code", FACTS)
def test_an_entry_that_says_another_code_than_its_digest_is_untrue(code: Code) -> None:
    for other in FACTS:
        if other is not code:
            caused = replace(entry(asked(code)), digest=asked(code)._replace(code=other).digest)
            assert told(caused, code) == ["cause_differs"]


def test_a_deposit_of_a_chain_that_its_asset_does_not_have_bears_nothing() -> None:
    ether = deposit(asset="ETH.ethereum")
    settling = AccountKey(MERCHANT, Purpose.SETTLING, "ETH.ethereum")
    caused = entry(asked(Code.DEPOSIT_CREDIT)._replace(debit=ETHER, credit=settling))
    [found] = judged(caused, ether)
    assert found.expected == "chain of the asset system:ethereum"
    [found] = judged(caused, deposit(asset="EUR"))
    assert found.expected == "an asset that a chain has"


def test_a_shortfall_goes_from_its_merchants_debt_to_the_chain_and_nowhere_else() -> None:
    taken, rest = reversal(40)
    true = []
    for debit, credit in product(OTHERS, OTHERS):
        moved = Transfer(
            rest.id, Kind.DIRECT, Code.REVERSAL_SHORTFALL, rest.units, debit, credit, rest.cause,
            bytes(16),
        )  # fmt: skip
        if not judged(entry(moved), transfers={taken.id: taken}):
            true.append((debit, credit))
    assert true == [(RECEIVABLE, CUSTODY)]
    for change in (
        {"debit": name(SETTLING), "credit": name(SETTLING)},
        {"debit": name(RECEIVABLE)},
        {"debit": None},
        {"kind": "pending"},
        {"shard": 1},
    ):
        wrong = changed(taken, **change)
        [found] = judged(rest, transfers={taken.id: wrong})
        assert str(found.kind) == "cause_differs"
    away = {"credit": name(HERE), "counterpart": name(CUSTODY)}
    assert judged(changed(rest, **away), transfers={taken.id: changed(taken, **away)}) == []


def test_the_other_side_of_a_reversal_is_the_chain_also_where_all_is_owed() -> None:
    whole = asked(Code.DEPOSIT_REVERSAL)
    for credit in OTHERS:
        # Whoever planted it gave it the digest of what it says.
        digest = whole._replace(credit=credit).digest
        owing = entry(whole, debit=name(RECEIVABLE), credit=name(credit), digest=digest)
        assert bool(judged(owing, REVERSED)) is (credit != CUSTODY)


def test_a_repayment_pays_the_debt_of_the_merchant_of_its_deposit() -> None:
    final = entry(asked(Code.DEPOSIT_FINAL))
    cause = canonical_json({"type": "repayment", "transfer_id": final.id.hex()})
    true = []
    for debit, credit in product(OTHERS, OTHERS):
        moved = Transfer(
            repayment_id(final.id), Kind.DIRECT, Code.REVERSAL_REPAID, 3, debit, credit, cause,
            bytes(16),
        )  # fmt: skip
        caused = entry(moved, position=4)
        if not rules.untrue([caused], Facts(NOW, transfers={final.id: final})):
            true.append((debit, credit))
    assert true == [(AVAILABLE, RECEIVABLE)]
    sides = (AVAILABLE, RECEIVABLE)
    repaid = Transfer(
        repayment_id(final.id), Kind.DIRECT, Code.REVERSAL_REPAID, 3, *sides, cause, bytes(16)
    )
    for wrong in (changed(final, debit=name(CUSTODY)), changed(final, kind="pending")):
        [found] = rules.untrue([entry(repaid, position=4)], Facts(NOW, transfers={final.id: wrong}))
        assert str(found.kind) == "cause_differs"


def planted(account: AccountKey, side: Side, here: AccountKey) -> CausedEntry:
    """A leg of shard 2 with a digest that fits what it says."""
    made = Leg(leg_id(2, 9), 9, account, side, 300, leg_cause(2, 9, (4, 0), (5, 699)), 2, bytes(16))
    return entry(made.as_transfer(), **{"credit" if side is Side.DEBIT else "debit": name(here)})


@pytest.mark.parametrize("side", Side)
def test_a_leg_is_between_custody_of_the_assets_chain_and_its_shards_clearing(side: Side) -> None:
    true = []
    clearings = (HERE, clearing(1, ASSET), clearing(2, ASSET), clearing(0, "ETH.ethereum"))
    for account, here in product(OTHERS, clearings):
        if account == HERE:
            continue
        caused = planted(account, side, here)
        legs = {LegCause(2, 9, (4, 0), (5, 699), account.id, side.value): 300}
        if not judged(caused, legs=legs):
            true.append((account, here))
    assert true == [(CUSTODY, HERE), (ETHER, clearing(0, "ETH.ethereum"))]
    legs = {LegCause(2, 9, (4, 0), (5, 699), CUSTODY.id, side.value): 300}
    caused = planted(CUSTODY, side, HERE)
    for change in (
        {"kind": "pending"}, {"linked": True}, {"pending_id": bytes(16)},
        {"counterpart": name(CUSTODY)}, {"counterpart": name(HERE)},
    ):  # fmt: skip
        [found] = judged(changed(caused, **change), legs=legs)
        assert str(found.kind) == "cause_differs"


def test_every_code_that_has_a_rule_moves_posted_money_at_once() -> None:
    ruled = frozenset[str]().union(*(rule.codes for rule in rules.RULES.values()))
    for code in ruled:
        assert CODES[Code(code)].kinds == {Kind.DIRECT}
