"""What must stand behind an entry, by the type of its cause: one row of RULES a type.

A cause of a type without a row is a difference: nothing is believed because nobody looked.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from orion.errors import OrionError
from orion.ids import fact_id
from orion.ledger.codes import CODES, OF_THE_CHAIN, Code, Purpose
from orion.ledger.legs import MAX_ANSWERED
from orion.ledger.model import REVERSALS, SHORTFALLS, Side, clearing, leg_id
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
    deposit_cause,
    differs,
    identity_of,
    must,
    not_found,
)
from orion.log.reconciliation.fee_rules import (
    CODES_OF_FEES,
    check_fee,
    check_taken,
    fee_wants,
    taken_with,
)
from orion.log.reconciliation.fees import FeeKey
from orion.log.reconciliation.model import (
    AccountName,
    Difference,
    DifferenceKind,
    Wrong,
    clipped,
)
from orion.log.reconciliation.sides import (
    chains_account,
    digest_asked,
    must_be_asked,
    must_end,
    must_move,
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
    fees: set[FeeKey] = set()
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
        fees |= needs.fees
    return Wanted(
        frozenset(deposits),
        frozenset(transfers),
        frozenset(legs),
        frozenset(debts),
        frozenset(fees),
    )


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


def _deposit_wants(entry: CausedEntry, cause: Cause) -> Wanted:
    deposit, epoch = deposit_cause(cause)
    beside = frozenset({shortfall_id(entry.id)} if entry.code in REVERSALS else ())
    wants = Wanted(deposits=frozenset({deposit}), transfers=beside)
    return wants | taken_with(deposit, epoch) if entry.code == Code.DEPOSIT_FINAL else wants


def _check_deposit(entry: CausedEntry, cause: Cause, facts: Facts) -> None:
    identity, epoch = deposit_cause(cause)
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
    must(
        "chain of the asset",
        SYSTEM + deposit.chain,
        chains_account(Purpose.CUSTODY, deposit.asset).owner,
    )
    credited = deposit.ever("included", epoch)
    if credited is None:
        raise not_found(f"inclusion of the deposit under epoch {epoch}")
    if epoch == deposit.epoch and deposit.state != "reversed":
        must("units of the deposit", deposit.units, credited.units)
    must("units", must_be_asked(entry, merchant, deposit.asset, facts), credited.units)
    _check_state(entry, deposit, epoch, facts)


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
        check_taken(entry, deposit, epoch, facts)
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
    code = None if reversal is None else _code(reversal)
    if reversal is None or code is None or SHORTFALLS.get(code) != entry.code:
        raise not_found(f"transfer {named.hex()} that may be short")
    must("transfer id", entry.id, shortfall_id(named))
    must("shard", entry.shard, reversal.shard)
    taken = _named(reversal.debit)
    # Its digest is of all that was asked for: what it took and this together.
    asked = sides_of(code, taken.owner, taken.asset)
    must_move(reversal, *asked)
    units = reversal.units + entry.units
    must("digest of what was short", reversal.digest, digest_asked(reversal, units, *asked))
    _check_beside(entry, taken)


def _check_beside(entry: CausedEntry, merchant: AccountName) -> None:
    """An entry that the ledger makes by itself, for the merchant and the asset of another one."""
    sides = sides_of(Code(entry.code), merchant.owner, merchant.asset)
    must_move(entry, *sides)
    must("digest", entry.digest, digest_asked(entry, entry.units, *sides))


def _code(entry: CausedEntry) -> Code | None:
    return next((code for code in Code if code == entry.code), None)


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
    before = facts.transfers.get(named)
    code = None if before is None else _code(before)
    if before is None or code is None or not CODES[code].pays_back(before.kind):
        raise not_found(f"credit or end of a payout {named.hex()} that repays")
    must("transfer id", entry.id, repayment_id(named))
    credits_ = CODES[code].credit == Purpose.AVAILABLE
    merchant = _named(before.credit if credits_ else before.debit)
    stands = must_move if credits_ else must_end
    stands(before, *sides_of(code, merchant.owner, merchant.asset))
    _check_beside(entry, merchant)
    whole = before.position == MAX_ANSWERED - 1
    behind = (before.number + 1, 0) if whole else (before.number, before.position + 1)
    must("place", (entry.shard, entry.number, entry.position), (before.shard, *behind))
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
    side = _named(entry.debit if debits else entry.credit)
    asset = side.asset
    # What it sums, below, names the account: its purpose may be taken from the entry.
    purpose = next((one for one in OF_THE_CHAIN if one == side.purpose), Purpose.CUSTODY)
    account, here = chains_account(purpose, asset), clearing(entry.shard, asset)
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
            codes=frozenset(SHORTFALLS.values()),
            wanted=_shortfall_wants,
            check=_check_shortfall,
        ),
        "repayment": CauseRule(
            codes=frozenset({Code.REVERSAL_REPAID}),
            wanted=_repayment_wants,
            check=_check_repayment,
        ),
        "fee": CauseRule(codes=CODES_OF_FEES, wanted=fee_wants, check=check_fee),
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
