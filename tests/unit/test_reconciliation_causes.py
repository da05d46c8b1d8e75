"""Each rule of causes, by an entry that it bears and by entries that it does not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orion.ids import fact_id
from orion.ledger.codes import Code, Kind, Purpose
from orion.ledger.model import AccountKey, Leg, Side, Transfer, clearing, leg_cause, leg_id
from orion.log.reconciliation import rules
from orion.log.reconciliation.causes import (
    CausedEntry,
    DepositFact,
    DepositState,
    Facts,
    LegCause,
    Wanted,
    shortfall_id,
)
from orion.log.reconciliation.model import AccountName, Difference
from orion.records import canonical_json

NOW = datetime(2026, 11, 24, 1, tzinfo=UTC)
MERCHANT_ID = bytes.fromhex("1" * 32)
MERCHANT = "merchant:" + "1" * 32
ASSET = "BTC.bitcoin"
CUSTODY = AccountKey("system:bitcoin", Purpose.CUSTODY, ASSET)
SETTLING = AccountKey(MERCHANT, Purpose.SETTLING, ASSET)
AVAILABLE = AccountKey(MERCHANT, Purpose.AVAILABLE, ASSET)
RECEIVABLE = AccountKey(MERCHANT, Purpose.REVERSAL_RECEIVABLE, ASSET)
DEPOSIT = fact_id("deposit", "bitcoin", "tx", "out:0")
SIDES = {
    Code.DEPOSIT_CREDIT: (CUSTODY, SETTLING),
    Code.DEPOSIT_FINAL: (SETTLING, AVAILABLE),
    Code.DEPOSIT_REVERSAL: (SETTLING, CUSTODY),
    Code.DEPOSIT_REVERSAL_FINAL: (AVAILABLE, CUSTODY),
}


def name(key: AccountKey) -> AccountName:
    return AccountName(key.owner, key.purpose.value, key.asset)


def entry(transfer: Transfer, **changes: Any) -> CausedEntry:
    return replace(
        CausedEntry(
            0, 7, 3, transfer.id, transfer.digest, transfer.kind.value, transfer.code.value,
            transfer.linked, transfer.pending_id, name(transfer.debit), name(transfer.credit),
            None, transfer.units, transfer.cause, NOW - timedelta(hours=1),
        ),
        **changes,
    )  # fmt: skip


def asked(code: Code, epoch: int = 0, units: int = 100) -> Transfer:
    debit, credit = SIDES[code]
    cause = {"type": "deposit", "deposit_id": DEPOSIT.hex(), "credit_epoch": epoch}
    return Transfer(
        fact_id(code.value, "bitcoin", "tx", "out:0", epoch), Kind.DIRECT, code, units, debit,
        credit, canonical_json(cause), bytes(16),
    )  # fmt: skip


def deposit(state: str = "included", epoch: int = 0, **changes: Any) -> DepositFact:
    fact = DepositFact(
        DEPOSIT, "bitcoin", ASSET, 100, "tx", "out:0", MERCHANT_ID, MERCHANT_ID, state, 6, epoch,
        (DepositState("included", 0, 100),),
    )  # fmt: skip
    return replace(fact, **changes)


def past(*states: tuple[str, int]) -> tuple[DepositState, ...]:
    return tuple(DepositState(state, epoch, 100) for state, epoch in states)


FINAL = deposit("final", history=past(("included", 0), ("final", 0)))
REVERSED = deposit("reversed", 1, history=past(("included", 0), ("reversed", 1)))
LOST = deposit("reversed", 1, history=past(("included", 0), ("final", 0), ("reversed", 1)))


def judged(caused: CausedEntry, *facts: DepositFact, **more: Any) -> list[Difference]:
    return rules.untrue([caused], Facts(NOW, {fact.id: fact for fact in facts}, **more))


@pytest.mark.parametrize(
    "code, fact",
    [
        (Code.DEPOSIT_CREDIT, deposit()),
        (Code.DEPOSIT_CREDIT, FINAL),
        (Code.DEPOSIT_CREDIT, REVERSED),
        (Code.DEPOSIT_FINAL, FINAL),
        (Code.DEPOSIT_FINAL, LOST),
        (Code.DEPOSIT_REVERSAL, REVERSED),
        (Code.DEPOSIT_REVERSAL_FINAL, LOST),
    ],
)
def test_a_deposit_bears_what_moneyin_says_of_it(code: Code, fact: DepositFact) -> None:
    assert judged(entry(asked(code)), fact) == []


def test_a_counterpart_stands_for_the_account_meant() -> None:
    there = entry(
        asked(Code.DEPOSIT_CREDIT), debit=name(clearing(0, ASSET)), counterpart=name(CUSTODY)
    )
    assert judged(there, deposit()) == []
    elsewhere = replace(there, counterpart=name(AccountKey("system:x", Purpose.CUSTODY, ASSET)))
    assert judged(elsewhere, deposit())[0].kind == "cause_differs"


CREDIT = entry(asked(Code.DEPOSIT_CREDIT))
STALE = NOW - timedelta(days=30)
UNTRUE: dict[str, tuple[CausedEntry, DepositFact | None, str]] = {
    "no deposit": (CREDIT, None, "cause_not_found"),
    "another deposit's id": (replace(CREDIT, id=bytes(16)), deposit(), "cause_differs"),
    "other units": (replace(CREDIT, units=101), deposit(), "cause_differs"),
    "other units asked": (
        entry(asked(Code.DEPOSIT_CREDIT, units=101)), deposit(), "cause_differs",
    ),
    "other digest": (replace(CREDIT, digest=bytes(16)), deposit(), "cause_differs"),
    "linked": (replace(CREDIT, linked=True), deposit(), "cause_differs"),
    "pending id": (replace(CREDIT, pending_id=bytes(16)), deposit(), "cause_differs"),
    "two merchants": (
        entry(
            asked(Code.DEPOSIT_FINAL)._replace(
                credit=AccountKey("merchant:x", Purpose.AVAILABLE, ASSET)
            )
        ),
        FINAL, "cause_differs",
    ),
    "another account moved": (
        replace(
            CREDIT, debit=AccountName("system:x", "custody", ASSET), counterpart=name(CUSTODY)
        ),
        deposit(), "cause_differs",
    ),
    "another shard's clearing": (
        replace(CREDIT, debit=name(clearing(1, ASSET)), counterpart=name(CUSTODY)),
        deposit(), "cause_differs",
    ),
    "clearing of another asset": (
        replace(CREDIT, debit=name(clearing(0, "ETH.ethereum")), counterpart=name(CUSTODY)),
        deposit(), "cause_differs",
    ),
    "another account credited": (
        replace(
            CREDIT, credit=AccountName("system:x", "custody", ASSET), counterpart=name(SETTLING)
        ),
        deposit(), "cause_differs",
    ),
    "no account's name": (replace(CREDIT, credit=None), deposit(), "cause_differs"),
    "unknown kind": (replace(CREDIT, kind="odd"), deposit(), "cause_differs"),
    "asset": (CREDIT, deposit(asset="ETH.ethereum"), "cause_differs"),
    "wallet of nobody": (CREDIT, deposit(assigned_to=None), "cause_differs"),
    "wallet of another": (CREDIT, deposit(assigned_to=bytes(16)), "cause_differs"),
    "deposit of another": (CREDIT, deposit(merchant_id=bytes(16)), "cause_differs"),
    "deposit of nobody": (CREDIT, deposit(merchant_id=None), "cause_differs"),
    "units of the deposit": (CREDIT, deposit(units=99), "cause_differs"),
    "never included": (CREDIT, deposit(history=()), "cause_not_found"),
    "credit of a later epoch": (
        entry(asked(Code.DEPOSIT_CREDIT, 1)),
        deposit(history=past(("included", 0), ("included", 1))),
        "cause_differs",
    ),
    "credit of a reversed one": (
        entry(asked(Code.DEPOSIT_CREDIT, 1)),
        replace(REVERSED, history=past(("included", 1), ("reversed", 1))),
        "cause_differs",
    ),
    "credit never reversed": (
        CREDIT, deposit(epoch=1, history=past(("included", 0), ("included", 1))),
        "cause_not_found",
    ),
    "credit never final": (replace(CREDIT, posted_at=STALE), deposit(), "cause_differs"),
    "final that is not": (entry(asked(Code.DEPOSIT_FINAL)), deposit(), "cause_not_found"),
    "reversal that was none": (
        entry(asked(Code.DEPOSIT_REVERSAL)), deposit(), "cause_not_found",
    ),
    "reversal of a final one": (entry(asked(Code.DEPOSIT_REVERSAL)), LOST, "cause_differs"),
    "final reversal of none": (
        entry(asked(Code.DEPOSIT_REVERSAL_FINAL)), REVERSED, "cause_differs",
    ),
    "reversal in part": (
        entry(asked(Code.DEPOSIT_REVERSAL), units=60), REVERSED, "cause_differs",
    ),
    "another code": (replace(CREDIT, code="payout"), deposit(), "cause_differs"),
    "cause no JSON": (replace(CREDIT, cause=b"{"), deposit(), "cause_differs"),
    "cause without id": (replace(CREDIT, cause=b'{"type":"deposit"}'), deposit(), "cause_differs"),
    "no rule": (replace(CREDIT, cause=b'{"type":"gift"}'), deposit(), "cause_without_rule"),
    "no type": (replace(CREDIT, cause=b"{}"), deposit(), "cause_without_rule"),
    "type no word": (replace(CREDIT, cause=b'{"type":[1]}'), deposit(), "cause_without_rule"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNTRUE)
def test_a_deposit_does_not_bear_what_moneyin_does_not_say(case: str) -> None:
    caused, fact, kind = UNTRUE[case]
    [found] = judged(caused, *([fact] if fact else []))
    assert (str(found.kind), str(found.wrong)) == (kind, "cause")
    assert (found.shard, found.number, found.position) == (0, 7, 3)
    assert found.transfer_id == caused.id
    assert found.asset == ASSET
    if caused.credit is not None and caused.credit.owner == MERCHANT:
        assert found.account == caused.credit.text


def test_a_cause_bears_only_the_codes_of_its_rule() -> None:
    for caused in (replace(CREDIT, code="payout"), replace(CREDIT, code="leg")):
        [found] = judged(caused, deposit())
        assert found.found == f"code {caused.code}"


def test_a_waiting_credit_may_be_as_old_as_its_chain_allows() -> None:
    # Six confirmations of two hours each, and a day.
    assert rules.finality_allowed(deposit()) == timedelta(hours=36)
    assert rules.finality_allowed(deposit(chain="unheard")) == timedelta(hours=36)
    assert rules.finality_allowed(deposit(chain="ethereum")) == timedelta(days=1, seconds=720)
    young = replace(CREDIT, posted_at=NOW - timedelta(hours=36))
    assert judged(young, deposit()) == []
    assert judged(replace(young, posted_at=NOW - timedelta(hours=37)), deposit()) != []


def reversal(covered: int) -> tuple[CausedEntry, CausedEntry]:
    """A reversal of 100 of which `covered` could be taken, and its shortfall."""
    whole = asked(Code.DEPOSIT_REVERSAL)
    rest = Transfer(
        shortfall_id(whole.id), Kind.DIRECT, Code.REVERSAL_SHORTFALL, 100 - covered, RECEIVABLE,
        CUSTODY, canonical_json({"type": "shortfall", "transfer_id": whole.id.hex()}), bytes(16),
    )  # fmt: skip
    return entry(whole, units=covered), entry(rest)


def other(
    rest: CausedEntry, debit: AccountKey = RECEIVABLE, credit: AccountKey = CUSTODY
) -> CausedEntry:
    """A shortfall between other accounts, with the digest of just that."""
    code = Code.REVERSAL_SHORTFALL
    moved = Transfer(rest.id, Kind.DIRECT, code, rest.units, debit, credit, rest.cause, bytes(16))
    return entry(moved)


def test_a_reversal_and_its_shortfall_are_together_what_was_asked() -> None:
    taken, rest = reversal(40)
    assert judged(taken, REVERSED, transfers={rest.id: rest}) == []
    assert judged(rest, transfers={taken.id: taken}) == []
    # With nothing left, the receivable bears all of it in one entry.
    all_owed = entry(asked(Code.DEPOSIT_REVERSAL), debit=name(RECEIVABLE))
    assert judged(all_owed, REVERSED) == []


@pytest.mark.parametrize(
    "spoil, kind",
    [
        (lambda taken, rest: (None, rest), "cause_not_found"),
        (lambda taken, rest: (CREDIT, rest), "cause_not_found"),
        (lambda taken, rest: (taken, replace(rest, id=bytes(16))), "cause_differs"),
        (lambda taken, rest: (taken, replace(rest, units=61)), "cause_differs"),
        (lambda taken, rest: (replace(taken, units=41), rest), "cause_differs"),
        (lambda taken, rest: (taken, replace(rest, digest=bytes(16))), "cause_differs"),
        (lambda taken, rest: (taken, other(rest, debit=SETTLING)), "cause_differs"),
        (
            lambda taken, rest: (
                taken,
                other(
                    rest,
                    debit=AccountKey("merchant:x", Purpose.REVERSAL_RECEIVABLE, ASSET),
                ),
            ),
            "cause_differs",
        ),
        (
            lambda taken, rest: (
                taken, other(rest, credit=AccountKey("system:x", Purpose.CUSTODY, ASSET))
            ),
            "cause_differs",
        ),
        (
            lambda taken, rest: (taken, replace(rest, cause=b'{"type":"shortfall"}')),
            "cause_differs",
        ),
    ],
)  # fmt: skip
def test_a_shortfall_that_is_not_its_reversals_rest_is_told(
    spoil: Callable[..., tuple[CausedEntry | None, CausedEntry]], kind: str
) -> None:
    taken, rest = reversal(40)
    named = taken.id
    found, spoiled = spoil(taken, rest)
    [difference] = judged(spoiled, transfers={named: found} if found else {})
    assert str(difference.kind) == kind


def leg(side: Side = Side.DEBIT) -> CausedEntry:
    made = Leg(leg_id(2, 9), 9, CUSTODY, side, 300, leg_cause(2, 9, (4, 0), (5, 699)), 2, bytes(16))
    transfer = made.as_transfer()
    here = name(clearing(0, ASSET))
    if side is Side.DEBIT:
        return entry(transfer, credit=here)
    return entry(transfer, debit=here)


def test_a_leg_is_the_sum_of_the_entries_that_it_names() -> None:
    for side in Side:
        cause = LegCause(2, 9, (4, 0), (5, 699), CUSTODY.id, side.value)
        assert rules.wanted([leg(side)]) == Wanted(legs=frozenset({cause}))
        assert judged(leg(side), legs={cause: 300}) == []
        for wrong, kind in (({}, "cause_not_found"), ({cause: 299}, "cause_differs")):
            [found] = judged(leg(side), legs=wrong)
            assert str(found.kind) == kind
    cause = LegCause(2, 9, (4, 0), (5, 699), CUSTODY.id, "debit")
    for change in (
        {"id": bytes(16)}, {"digest": bytes(16)}, {"units": 299},
        {"credit": name(clearing(1, ASSET))}, {"credit": None},
        {"cause": b'{"type":"leg"}'},
        {"cause": b'{"first":[1],"last":[2,0],"leg":1,"shard":0,"type":"leg"}'},
        {"code": "deposit_credit"},
    ):  # fmt: skip
        [found] = judged(replace(leg(), **change), legs={cause: 300})
        assert str(found.kind) == "cause_differs"


def test_what_the_rules_look_up_is_named_before() -> None:
    taken, rest = reversal(40)
    needs = rules.wanted([CREDIT, taken, rest, replace(CREDIT, cause=b"{}")])
    assert needs.deposits == {DEPOSIT}
    assert needs.transfers == {rest.id, taken.id}


def test_every_code_that_the_ledger_knows_has_a_rule_or_is_a_payout() -> None:
    ruled = frozenset[str]().union(*(rule.codes for rule in rules.RULES.values()))
    assert {code for code in Code if code not in ruled} == {Code.PAYOUT}
