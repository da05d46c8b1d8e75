"""What must stand behind an entry, by the type of its cause: one row of RULES a type.

A cause of a type without a row is a difference: nothing is believed because nobody looked.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from orion.errors import OrionError
from orion.ids import fact_id
from orion.ledger.codes import Code, Purpose
from orion.ledger.legs import MAX_ANSWERED
from orion.ledger.model import REVERSALS, Side, clearing, leg_id
from orion.log.reconciliation.causes import (
    CausedEntry,
    DepositFact,
    Facts,
    LegCause,
    PlacedAccount,
    Wanted,
    repayment_id,
    shortfall_id,
)
from orion.log.reconciliation.evidence import (
    MERCHANT,
    SYSTEM,
    Cause,
    Untrue,
    differs,
    identity_of,
    must,
    not_found,
)
from orion.log.reconciliation.model import (
    AccountName,
    Difference,
    DifferenceKind,
    Wrong,
    clipped,
)
from orion.log.reconciliation.sides import (
    custody_of,
    digest_asked,
    must_move,
    receivable_of,
    sides_of,
)
from orion.records import parse_object

# How long a chain may take for one block at its worst, in seconds; with it, how old a credit that
# is not final may be. A day more covers an outage of a node.
_SLOWEST_BLOCK_S: Mapping[str, int] = MappingProxyType(
    {"bitcoin": 7_200, "ethereum": 120, "tron": 60, "solana": 60}
)
_OUTAGE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CauseRule:
    """`wanted` names the facts that `check` looks at; `check` raises Untrue, or all is well.

    Both raise Untrue for a cause that is not of the type's form.
    """

    codes: frozenset[str]
    wanted: Callable[[CausedEntry, Cause], Wanted]
    check: Callable[[CausedEntry, Cause, Facts], None]


def wanted(entries: Iterable[CausedEntry]) -> Wanted:
    """Every fact that `untrue` needs to judge `entries`."""
    deposits: set[bytes] = set()
    transfers: set[bytes] = set()
    legs: set[LegCause] = set()
    debts: set[PlacedAccount] = set()
    for entry in entries:
        try:
            cause, rule = _rule(entry)
            needs = rule.wanted(entry, cause)
        except Untrue:
            continue
        deposits |= needs.deposits
        transfers |= needs.transfers
        legs |= needs.legs
        debts |= needs.debts
    return Wanted(frozenset(deposits), frozenset(transfers), frozenset(legs), frozenset(debts))


def untrue(entries: Sequence[CausedEntry], facts: Facts) -> list[Difference]:
    """The entries whose cause does not bear them, each with what was found."""
    found = []
    for entry in entries:
        try:
            cause, rule = _rule(entry)
            rule.check(entry, cause, facts)
        except Untrue as reason:
            found.append(_difference(entry, reason))
    return found


def _rule(entry: CausedEntry) -> tuple[Cause, CauseRule]:
    try:
        cause = parse_object(entry.cause)
    except OrionError:
        raise differs("the cause is no JSON object", "a canonical JSON object") from None
    word = cause.get("type")
    rule = RULES.get(word) if isinstance(word, str) else None
    if rule is None:
        raise Untrue(
            DifferenceKind.CAUSE_WITHOUT_RULE,
            f"cause of type {word!s}",
            "one of " + ", ".join(sorted(RULES)),
        )
    if entry.code not in rule.codes:
        raise differs(f"code {entry.code}", "one of " + ", ".join(sorted(rule.codes)))
    return cause, rule


# Deposits


def _deposit_cause(cause: Cause) -> tuple[bytes, int]:
    deposit, epoch = cause.get("deposit_id"), cause.get("credit_epoch")
    if type(epoch) is not int or epoch < 0:
        raise differs("a credit epoch of another form", "a whole number")
    return identity_of(deposit, "deposit_id"), epoch


def _deposit_wants(entry: CausedEntry, cause: Cause) -> Wanted:
    deposit, _ = _deposit_cause(cause)
    beside = frozenset({shortfall_id(entry.id)} if entry.code in REVERSALS else ())
    return Wanted(deposits=frozenset({deposit}), transfers=beside)


def _check_deposit(entry: CausedEntry, cause: Cause, facts: Facts) -> None:
    identity, epoch = _deposit_cause(cause)
    deposit = facts.deposits.get(identity)
    if deposit is None:
        raise not_found(f"deposit {identity.hex()}")
    asked = fact_id(entry.code, deposit.chain, deposit.txid, deposit.tx_position, epoch)
    must("transfer id", entry.id, asked)
    if deposit.assigned_to is None:
        raise differs("wallet of nobody", "a wallet of the deposit's merchant")
    merchant = MERCHANT + deposit.assigned_to.hex()
    of_deposit = MERCHANT + deposit.merchant_id.hex() if deposit.merchant_id else "nobody"
    must("merchant of the deposit", of_deposit, merchant)
    must("chain of the asset", SYSTEM + deposit.chain, custody_of(deposit.asset).owner)
    credited = deposit.ever("included", epoch)
    if credited is None:
        raise not_found(f"inclusion of the deposit under epoch {epoch}")
    if epoch == deposit.epoch and deposit.state != "reversed":
        must("units of the deposit", deposit.units, credited.units)
    must("units", _check_moved(entry, merchant, deposit.asset, facts), credited.units)
    _check_state(entry, deposit, epoch, facts)


def _check_moved(entry: CausedEntry, merchant: str, asset: str, facts: Facts) -> int:
    """Whether the accounts and the digest are those of the code for this merchant and asset; the
    units that were asked for.
    """
    code = Code(entry.code)
    asked, credit = sides_of(code, merchant, asset)
    debit, units = asked, entry.units
    if code in REVERSALS:
        owed = receivable_of(merchant, asset)
        shortfall = facts.transfers.get(shortfall_id(entry.id))
        if entry.debit is not None and entry.debit.id == owed.id:
            # One entry for all: nothing was left, or the shortfall's id stands for something else.
            debit = owed
        if shortfall is not None and shortfall.code == Code.REVERSAL_SHORTFALL:
            units += shortfall.units
    must_move(entry, debit, credit)
    must("digest", entry.digest, digest_asked(entry, units, asked, credit))
    return units


def _check_state(entry: CausedEntry, deposit: DepositFact, epoch: int, facts: Facts) -> None:
    if entry.code in REVERSALS:
        # The reversal raises the epoch in its own change.
        if deposit.ever("reversed", epoch + 1) is None:
            raise not_found(f"reversal of the deposit's epoch {epoch}")
        was_final = deposit.ever("final", epoch) is not None
        must("final before the reversal", entry.code == Code.DEPOSIT_REVERSAL_FINAL, was_final)
        return
    if entry.code == Code.DEPOSIT_FINAL:
        if deposit.ever("final", epoch) is None:
            raise not_found(f"finality of the deposit under epoch {epoch}")
        return
    if epoch > deposit.epoch or (epoch == deposit.epoch and deposit.state == "reversed"):
        raise differs(f"credit under epoch {epoch}", f"none, the deposit is {deposit.state}")
    if epoch < deposit.epoch:
        if deposit.ever("reversed", epoch + 1) is None:
            raise not_found(f"reversal of the deposit's epoch {epoch}")
        return
    allowed = finality_allowed(deposit)
    if deposit.state != "final" and facts.now - entry.posted_at > allowed:
        raise differs(
            f"{deposit.state} since {entry.posted_at:%Y-%m-%d %H:%M} UTC",
            f"final within {int(allowed.total_seconds() // 3600)} hours",
        )


def finality_allowed(deposit: DepositFact) -> timedelta:
    """How old a credit may become that is not final: 6 confirmations of Bitcoin, 36 hours."""
    slowest = _SLOWEST_BLOCK_S.get(deposit.chain, 7_200)
    return _OUTAGE + timedelta(seconds=slowest * deposit.confirmations_final)


# Shortfalls


def _shortfall_wants(_entry: CausedEntry, cause: Cause) -> Wanted:
    return Wanted(transfers=frozenset({identity_of(cause.get("transfer_id"), "transfer_id")}))


def _check_shortfall(entry: CausedEntry, cause: Cause, facts: Facts) -> None:
    named = identity_of(cause.get("transfer_id"), "transfer_id")
    reversal = facts.transfers.get(named)
    if reversal is None or reversal.code not in REVERSALS:
        raise not_found(f"reversal {named.hex()}")
    must("transfer id", entry.id, shortfall_id(named))
    must("shard", entry.shard, reversal.shard)
    taken = _named(reversal.debit)
    # The reversal's digest is of all that was asked for: what it took and this together.
    asked = sides_of(Code(reversal.code), taken.owner, taken.asset)
    must_move(reversal, *asked)
    units = reversal.units + entry.units
    must("digest of the reversal", reversal.digest, digest_asked(reversal, units, *asked))
    _check_beside(entry, taken)


def _check_beside(entry: CausedEntry, merchant: AccountName) -> None:
    """An entry that the ledger makes by itself, for the merchant and the asset of another one."""
    sides = sides_of(Code(entry.code), merchant.owner, merchant.asset)
    must_move(entry, *sides)
    must("digest", entry.digest, digest_asked(entry, entry.units, *sides))


def _named(side: AccountName | None) -> AccountName:
    if side is None:
        raise differs("an account without a name", "accounts that the books name")
    return side


# Repayments


def _owed(entry: CausedEntry) -> PlacedAccount:
    return PlacedAccount(
        _named(entry.credit).id, entry.posted_at, entry.shard, entry.number, entry.position
    )


def _repayment_wants(entry: CausedEntry, cause: Cause) -> Wanted:
    named = identity_of(cause.get("transfer_id"), "transfer_id")
    return Wanted(transfers=frozenset({named}), debts=frozenset({_owed(entry)}))


def _check_repayment(entry: CausedEntry, cause: Cause, facts: Facts) -> None:
    named = identity_of(cause.get("transfer_id"), "transfer_id")
    final = facts.transfers.get(named)
    if final is None or final.code != Code.DEPOSIT_FINAL:
        raise not_found(f"final deposit {named.hex()}")
    must("transfer id", entry.id, repayment_id(named))
    credited = _named(final.credit)
    must_move(final, *sides_of(Code.DEPOSIT_FINAL, credited.owner, credited.asset))
    _check_beside(entry, credited)
    whole = final.position == MAX_ANSWERED - 1
    behind = (final.number + 1, 0) if whole else (final.number, final.position + 1)
    must("place", (entry.shard, entry.number, entry.position), (final.shard, *behind))
    # The statements may be behind: then a later run, which reads this again, will know.
    left = facts.debts.get(_owed(entry))
    if left is not None and left < 0:
        raise differs(f"units {entry.units}", f"units {entry.units + left}, which were owed")


# Legs


def _leg(entry: CausedEntry, cause: Cause) -> LegCause:
    shard, leg = cause.get("shard"), cause.get("leg")
    if type(shard) is not int or type(leg) is not int:
        raise differs("a leg of another form", "a shard's number and a leg's")
    debit, credit = _named(entry.debit), _named(entry.credit)
    debits = credit.purpose == Purpose.CLEARING
    account = debit if debits else credit
    side = "debit" if debits else "credit"
    first, last = _place(cause.get("first")), _place(cause.get("last"))
    return LegCause(shard, leg, first, last, account.id, side)


def _place(value: object) -> tuple[int, int]:
    if isinstance(value, list) and len(value) == 2 and all(type(part) is int for part in value):
        return value[0], value[1]
    raise differs("a place of another form", "a record's number and a place")


def _leg_wants(entry: CausedEntry, cause: Cause) -> Wanted:
    return Wanted(legs=frozenset({_leg(entry, cause)}))


def _check_leg(entry: CausedEntry, cause: Cause, facts: Facts) -> None:
    leg = _leg(entry, cause)
    must("transfer id", entry.id, leg_id(leg.shard, leg.leg))
    must("counterpart", entry.counterpart, None)
    debits = leg.side == Side.DEBIT
    asset = _named(entry.debit if debits else entry.credit).asset
    account, here = custody_of(asset), clearing(entry.shard, asset)
    must_move(entry, *((account, here) if debits else (here, account)))
    units = facts.legs.get(leg)
    if units is None:
        raise not_found(f"entries of shard {leg.shard} that name this account")
    must("units", entry.units, units)
    # It was asked for with the sender's clearing account in the place of this shard's.
    there = clearing(leg.shard, asset)
    asked = (account, there) if debits else (there, account)
    must("digest", entry.digest, digest_asked(entry, entry.units, *asked))


RULES: Mapping[str, CauseRule] = MappingProxyType(
    {
        "deposit": CauseRule(
            codes=frozenset({Code.DEPOSIT_CREDIT, Code.DEPOSIT_FINAL, *REVERSALS}),
            wanted=_deposit_wants,
            check=_check_deposit,
        ),
        "shortfall": CauseRule(
            codes=frozenset({Code.REVERSAL_SHORTFALL}),
            wanted=_shortfall_wants,
            check=_check_shortfall,
        ),
        "repayment": CauseRule(
            codes=frozenset({Code.REVERSAL_REPAID}),
            wanted=_repayment_wants,
            check=_check_repayment,
        ),
        "leg": CauseRule(codes=frozenset({Code.LEG}), wanted=_leg_wants, check=_check_leg),
    }
)


def _difference(entry: CausedEntry, reason: Untrue) -> Difference:
    sides = [side for side in (entry.counterpart, entry.credit, entry.debit) if side is not None]
    sides.sort(key=lambda side: not side.owner.startswith(MERCHANT))
    return Difference(
        reason.kind,
        Wrong.CAUSE,
        shard=entry.shard,
        number=entry.number,
        position=entry.position,
        transfer_id=entry.id,
        account=sides[0].text if sides else None,
        asset=sides[0].asset if sides else None,
        found=clipped(reason.found),
        expected=clipped(reason.expected),
    )
