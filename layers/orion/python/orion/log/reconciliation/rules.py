"""What must stand behind an entry, by the type of its cause: one row of RULES a type.

A cause of a type without a row is a difference: nothing is believed because nobody looked.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from orion.errors import OrionError
from orion.ids import fact_id
from orion.ledger.codes import Code, Kind, Purpose
from orion.ledger.model import AccountKey, Transfer, account_key, clearing, leg_id
from orion.log.reconciliation.causes import (
    CausedEntry,
    DepositFact,
    Facts,
    LegCause,
    Wanted,
    shortfall_id,
)
from orion.log.reconciliation.model import (
    AccountName,
    Difference,
    DifferenceKind,
    Wrong,
    clipped,
)
from orion.records import parse_object

_NO_ID = bytes(16)
_MERCHANT = "merchant:"
_REVERSALS = {
    Code.DEPOSIT_REVERSAL: Purpose.SETTLING,
    Code.DEPOSIT_REVERSAL_FINAL: Purpose.AVAILABLE,
}
# How long a chain may take for one block at its worst, in seconds; with it, how old a credit that
# is not final may be. A day more covers an outage of a node.
_SLOWEST_BLOCK_S: Mapping[str, int] = MappingProxyType(
    {"bitcoin": 7_200, "ethereum": 120, "tron": 60, "solana": 60}
)
_OUTAGE = timedelta(days=1)

Cause = Mapping[str, object]


class Untrue(Exception):
    """What a rule found. Never leaves this module."""

    def __init__(self, kind: DifferenceKind, found: str, expected: str) -> None:
        super().__init__(found)
        self.kind = kind
        self.found = found
        self.expected = expected


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
    for entry in entries:
        try:
            cause, rule = _rule(entry)
            needs = rule.wanted(entry, cause)
        except Untrue:
            continue
        deposits |= needs.deposits
        transfers |= needs.transfers
        legs |= needs.legs
    return Wanted(frozenset(deposits), frozenset(transfers), frozenset(legs))


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
        raise _differs("the cause is no JSON object", "a canonical JSON object") from None
    word = cause.get("type")
    rule = RULES.get(word) if isinstance(word, str) else None
    if rule is None:
        raise Untrue(
            DifferenceKind.CAUSE_WITHOUT_RULE,
            f"cause of type {word!s}",
            "one of " + ", ".join(sorted(RULES)),
        )
    if entry.code not in rule.codes:
        raise _differs(f"code {entry.code}", "one of " + ", ".join(sorted(rule.codes)))
    return cause, rule


def _differs(found: str, expected: str) -> Untrue:
    return Untrue(DifferenceKind.CAUSE_DIFFERS, found, expected)


def _not_found(what: str) -> Untrue:
    return Untrue(DifferenceKind.CAUSE_NOT_FOUND, "nothing", what)


def _must(name: str, found: object, expected: object) -> None:
    if found != expected:
        raise _differs(f"{name} {_word(found)}", f"{name} {_word(expected)}")


def _word(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


# Deposits


def _deposit_cause(cause: Cause) -> tuple[bytes, int]:
    deposit, epoch = cause.get("deposit_id"), cause.get("credit_epoch")
    if type(epoch) is not int or epoch < 0:
        raise _differs("a credit epoch of another form", "a whole number")
    return _id(deposit, "deposit_id"), epoch


def _id(value: object, name: str) -> bytes:
    if isinstance(value, str) and len(value) == 32:
        try:
            return bytes.fromhex(value)
        except ValueError:
            pass
    raise _differs(f"{name} of another form", f"{name} of 32 hexadecimal digits")


def _deposit_wants(entry: CausedEntry, cause: Cause) -> Wanted:
    deposit, _ = _deposit_cause(cause)
    beside = frozenset({shortfall_id(entry.id)} if entry.code in _REVERSALS else ())
    return Wanted(deposits=frozenset({deposit}), transfers=beside)


def _check_deposit(entry: CausedEntry, cause: Cause, facts: Facts) -> None:
    identity, epoch = _deposit_cause(cause)
    deposit = facts.deposits.get(identity)
    if deposit is None:
        raise _not_found(f"deposit {identity.hex()}")
    asked = fact_id(entry.code, deposit.chain, deposit.txid, deposit.tx_position, epoch)
    _must("transfer id", entry.id, asked)
    merchant, account = _merchant_side(entry)
    _must("asset", account.asset, deposit.asset)
    assigned = deposit.assigned_to
    owner = _MERCHANT + assigned.hex() if assigned else "nobody"
    _must("merchant of the wallet", merchant, owner)
    of_deposit = deposit.merchant_id
    _must("merchant of the deposit", of_deposit.hex() if of_deposit else "nobody",
          merchant.removeprefix(_MERCHANT))  # fmt: skip
    credited = deposit.ever("included", epoch)
    if credited is None:
        raise _not_found(f"inclusion of the deposit under epoch {epoch}")
    if epoch == deposit.epoch and deposit.state != "reversed":
        _must("units of the deposit", deposit.units, credited.units)
    units = entry.units
    if entry.code in _REVERSALS:
        shortfall = facts.transfers.get(shortfall_id(entry.id))
        units += shortfall.units if shortfall else 0
    _must("units", units, credited.units)
    _check_digest(entry, units, account)
    _check_state(entry, deposit, epoch, facts)


def _check_state(entry: CausedEntry, deposit: DepositFact, epoch: int, facts: Facts) -> None:
    if entry.code in _REVERSALS:
        # The reversal raises the epoch in its own change.
        if deposit.ever("reversed", epoch + 1) is None:
            raise _not_found(f"reversal of the deposit's epoch {epoch}")
        was_final = deposit.ever("final", epoch) is not None
        _must("final before the reversal", entry.code == Code.DEPOSIT_REVERSAL_FINAL, was_final)
        return
    if entry.code == Code.DEPOSIT_FINAL:
        if deposit.ever("final", epoch) is None:
            raise _not_found(f"finality of the deposit under epoch {epoch}")
        return
    if epoch > deposit.epoch or (epoch == deposit.epoch and deposit.state == "reversed"):
        raise _differs(f"credit under epoch {epoch}", f"none, the deposit is {deposit.state}")
    if epoch < deposit.epoch:
        if deposit.ever("reversed", epoch + 1) is None:
            raise _not_found(f"reversal of the deposit's epoch {epoch}")
        return
    allowed = finality_allowed(deposit)
    if deposit.state != "final" and facts.now - entry.posted_at > allowed:
        raise _differs(
            f"{deposit.state} since {entry.posted_at:%Y-%m-%d %H:%M} UTC",
            f"final within {int(allowed.total_seconds() // 3600)} hours",
        )


def finality_allowed(deposit: DepositFact) -> timedelta:
    """How old a credit may become that is not final: 6 confirmations of Bitcoin, 36 hours."""
    slowest = _SLOWEST_BLOCK_S.get(deposit.chain, 7_200)
    return _OUTAGE + timedelta(seconds=slowest * deposit.confirmations_final)


def _merchant_side(entry: CausedEntry) -> tuple[str, AccountName]:
    """The merchant's account as it was asked for; deposits have one merchant in each entry."""
    sides = [side for side in (entry.debit, entry.credit, entry.counterpart) if side is not None]
    merchants = [side for side in sides if side.owner.startswith(_MERCHANT)]
    if not merchants or len({side.owner for side in merchants}) != 1:
        raise _differs("an account that no merchant has", "an account of the deposit's merchant")
    return merchants[0].owner, merchants[0]


def _check_digest(entry: CausedEntry, units: int, account: AccountName) -> None:
    """Whether the digest is that of what was asked for: of all units, from the account whose code
    it is, whatever the ledger made of it.
    """
    debit, credit = _meant(entry)
    if entry.code in _REVERSALS:
        purpose = _REVERSALS[Code(entry.code)].value
        debit = AccountName(account.owner, purpose, account.asset)
    _must("digest", entry.digest, _digest(entry, units, debit, credit))


def _meant(entry: CausedEntry) -> tuple[AccountName, AccountName]:
    """Both accounts as asked for: the counterpart in the place of the shard's clearing account."""
    debit, credit = entry.debit, entry.credit
    if debit is None or credit is None:
        raise _differs("an account without a name", "accounts that the books name")
    if entry.counterpart is None:
        return debit, credit
    debits = debit.purpose == Purpose.CLEARING
    place = debit if debits else credit
    here = AccountName(f"shard:{entry.shard}", Purpose.CLEARING.value, entry.counterpart.asset)
    _must("account in the counterpart's place", place.text, here.text)
    return (entry.counterpart, credit) if debits else (debit, entry.counterpart)


def _digest(
    entry: CausedEntry, units: int, debit: AccountName, credit: AccountName
) -> bytes | None:
    try:
        transfer = Transfer(
            id=entry.id,
            kind=Kind(entry.kind),
            code=Code(entry.code),
            units=units,
            debit=_key(debit),
            credit=_key(credit),
            cause=entry.cause,
            trace_id=_NO_ID,
            linked=entry.linked,
            pending_id=entry.pending_id,
        )
    except ValueError:
        raise _differs("words that no transfer has", "those of the ledger's closed sets") from None
    return transfer.digest


def _key(name: AccountName) -> AccountKey:
    return account_key(name.owner, Purpose(name.purpose), name.asset)


# Shortfalls


def _shortfall_wants(_entry: CausedEntry, cause: Cause) -> Wanted:
    return Wanted(transfers=frozenset({_id(cause.get("transfer_id"), "transfer_id")}))


def _check_shortfall(entry: CausedEntry, cause: Cause, facts: Facts) -> None:
    named = _id(cause.get("transfer_id"), "transfer_id")
    reversal = facts.transfers.get(named)
    if reversal is None or reversal.code not in _REVERSALS:
        raise _not_found(f"reversal {named.hex()}")
    _must("transfer id", entry.id, shortfall_id(named))
    debit, credit = _meant(entry)
    _must("purpose", debit.purpose, Purpose.REVERSAL_RECEIVABLE.value)
    merchant, account = _merchant_side(reversal)
    _must("merchant", debit.owner, merchant)
    _must("asset", debit.asset, account.asset)
    _must("credited account", credit.text, _meant(reversal)[1].text)
    # The reversal's digest is of all that was asked for: what it took and this together.
    _check_digest(reversal, reversal.units + entry.units, account)
    _must("digest", entry.digest, _digest(entry, entry.units, debit, credit))


# Legs


def _leg(entry: CausedEntry, cause: Cause) -> LegCause:
    shard, leg = cause.get("shard"), cause.get("leg")
    if type(shard) is not int or type(leg) is not int:
        raise _differs("a leg of another form", "a shard's number and a leg's")
    debit, credit = entry.debit, entry.credit
    if debit is None or credit is None:
        raise _differs("an account without a name", "accounts that the books name")
    debits = credit.purpose == Purpose.CLEARING
    account = debit if debits else credit
    side = "debit" if debits else "credit"
    first, last = _place(cause.get("first")), _place(cause.get("last"))
    return LegCause(shard, leg, first, last, account.id, side)


def _place(value: object) -> tuple[int, int]:
    if isinstance(value, list) and len(value) == 2 and all(type(part) is int for part in value):
        return value[0], value[1]
    raise _differs("a place of another form", "a record's number and a place")


def _leg_wants(entry: CausedEntry, cause: Cause) -> Wanted:
    return Wanted(legs=frozenset({_leg(entry, cause)}))


def _check_leg(entry: CausedEntry, cause: Cause, facts: Facts) -> None:
    leg = _leg(entry, cause)
    _must("transfer id", entry.id, leg_id(leg.shard, leg.leg))
    debit, credit = _meant(entry)
    here, meant = (credit, debit) if leg.side == "debit" else (debit, credit)
    _must("clearing account", here.owner, f"shard:{entry.shard}")
    _must("asset", here.asset, meant.asset)
    units = facts.legs.get(leg)
    if units is None:
        raise _not_found(f"entries of shard {leg.shard} that name this account")
    _must("units", entry.units, units)
    # It was asked for with the sender's clearing account in the place of this shard's.
    sender = clearing(leg.shard, meant.asset)
    there = AccountName(sender.owner, sender.purpose.value, sender.asset)
    sides = (meant, there) if leg.side == "debit" else (there, meant)
    _must("digest", entry.digest, _digest(entry, entry.units, *sides))


RULES: Mapping[str, CauseRule] = MappingProxyType(
    {
        "deposit": CauseRule(
            codes=frozenset({Code.DEPOSIT_CREDIT, Code.DEPOSIT_FINAL, *_REVERSALS}),
            wanted=_deposit_wants,
            check=_check_deposit,
        ),
        "shortfall": CauseRule(
            codes=frozenset({Code.REVERSAL_SHORTFALL}),
            wanted=_shortfall_wants,
            check=_check_shortfall,
        ),
        "leg": CauseRule(codes=frozenset({Code.LEG}), wanted=_leg_wants, check=_check_leg),
    }
)


def _difference(entry: CausedEntry, reason: Untrue) -> Difference:
    sides = [side for side in (entry.counterpart, entry.credit, entry.debit) if side is not None]
    sides.sort(key=lambda side: not side.owner.startswith(_MERCHANT))
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
