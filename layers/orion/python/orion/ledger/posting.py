"""What happens to a batch: the one place where money is decided. Pure and total."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from orion.ids import fact_id
from orion.ledger.model import (
    MAX_COUNTER,
    REVERSALS,
    SIDES,
    AccountKey,
    Code,
    Counters,
    Entry,
    Purpose,
    Reason,
    Refusal,
    Rule,
    Transfer,
)
from orion.records import canonical_json


@dataclass(frozen=True, slots=True)
class Outcome:
    """`accepted` and `refused` in the order of decision; `counters` of every account that moved."""

    accepted: tuple[Entry, ...]
    refused: tuple[Refusal, ...]
    counters: Mapping[AccountKey, Counters]


def touched(batch: Iterable[Transfer]) -> frozenset[AccountKey]:
    """Every account that posting `batch` may read or move."""
    accounts = set()
    for transfer in batch:
        accounts |= {transfer.debit, transfer.credit}
        if transfer.code in REVERSALS:
            accounts.add(_receivable(transfer))
    return frozenset(accounts)


def ids(batch: Iterable[Transfer]) -> frozenset[bytes]:
    """Every id whose earlier meaning decides about `batch`, those of shortfalls included."""
    found = set()
    for transfer in batch:
        found.add(transfer.id)
        if transfer.code in REVERSALS:
            found.add(_shortfall_id(transfer))
    return frozenset(found)


def post_batch(
    batch: Sequence[Transfer],
    accounts: Mapping[AccountKey, Counters],
    known: Mapping[bytes, frozenset[bytes]],
) -> Outcome:
    """Decide `batch` in order. `accounts` holds the counters of `touched(batch)` as far as they
    exist; `known` the digests already posted or refused under `ids(batch)`.
    """
    counters = dict(accounts)
    seen = {identity: set(digests) for identity, digests in known.items()}
    moved: set[AccountKey] = set()
    accepted: list[Entry] = []
    refused: list[Refusal] = []
    for transfer in batch:
        digest = transfer.digest
        digests = seen.setdefault(transfer.id, set())
        if digest in digests:
            continue
        entries = _split(transfer, digest, counters)
        reason = Reason.ID_CONFLICT if digests else _refusal(transfer, entries, counters, seen)
        digests.add(digest)
        if reason is not None:
            refused.append(Refusal(transfer, digest, reason))
            continue
        for entry in entries:
            seen.setdefault(entry.transfer.id, set()).add(entry.digest)
            _move(entry.transfer, counters)
            moved |= {entry.transfer.debit, entry.transfer.credit}
        accepted += entries
    return Outcome(tuple(accepted), tuple(refused), {key: counters[key] for key in moved})


def _split(
    transfer: Transfer, digest: bytes, counters: Mapping[AccountKey, Counters]
) -> list[Entry]:
    """The entries that carry `transfer` out: itself, or a reversal with its shortfall beside it.

    A reversal of 41,234 with 11,234 left takes 11,234 from the account and 30,000 from the
    receivable.
    """
    asked = Entry(transfer, digest)
    if transfer.code not in REVERSALS or not transfer.debit.is_merchant:
        return [asked]
    covered = min(transfer.units, max(0, counters.get(transfer.debit, Counters()).movable))
    if covered == transfer.units:
        return [asked]
    receivable = _receivable(transfer)
    if covered == 0:
        return [Entry(transfer._replace(debit=receivable), digest)]
    shortfall = transfer._replace(
        id=_shortfall_id(transfer),
        code=Code.REVERSAL_SHORTFALL,
        units=transfer.units - covered,
        debit=receivable,
        cause=canonical_json({"type": "shortfall", "transfer_id": transfer.id.hex()}),
    )
    return [Entry(transfer._replace(units=covered), digest), Entry(shortfall, shortfall.digest)]


def _refusal(
    transfer: Transfer,
    entries: Sequence[Entry],
    counters: Mapping[AccountKey, Counters],
    seen: Mapping[bytes, set[bytes]],
) -> Reason | None:
    debit, credit = transfer.debit, transfer.credit
    if any(seen.get(entry.transfer.id) for entry in entries[1:]):
        return Reason.ID_CONFLICT
    if debit == credit:
        return Reason.SAME_ACCOUNT
    if not _allowed(transfer):
        return Reason.CODE_MISMATCH
    limits_debit = debit.rule is Rule.CREDITS_COVER_DEBITS
    limits_credit = credit.rule is Rule.DEBITS_COVER_CREDITS
    if limits_debit and limits_credit and debit.owner != credit.owner:
        return Reason.TWO_LIMITS
    first = entries[0].transfer
    movable = counters.get(first.debit, Counters()).movable
    if first.debit.rule is Rule.CREDITS_COVER_DEBITS and movable < first.units:
        return Reason.EXCEEDS_CREDITS
    if limits_credit:
        held = counters.get(credit, Counters())
        if held.debits_posted - held.credits_posted - held.credits_pending < transfer.units:
            return Reason.EXCEEDS_DEBITS
    return Reason.OVERFLOW if _overflows(entries, counters) else None


def _allowed(transfer: Transfer) -> bool:
    debit, credit = transfer.debit, transfer.credit
    if SIDES.get(transfer.code) != (debit.purpose, credit.purpose) or debit.asset != credit.asset:
        return False
    if any(side.is_merchant == (side.purpose is Purpose.CUSTODY) for side in (debit, credit)):
        return False
    return debit.owner == credit.owner or not (debit.is_merchant and credit.is_merchant)


def _overflows(entries: Sequence[Entry], counters: Mapping[AccountKey, Counters]) -> bool:
    # The entries of one transfer share the credited account and never the debited one.
    credited = counters.get(entries[0].transfer.credit, Counters())
    total = sum(entry.transfer.units for entry in entries)
    if credited.credits_posted + credited.credits_pending + total > MAX_COUNTER:
        return True
    for entry in entries:
        held = counters.get(entry.transfer.debit, Counters())
        if held.debits_posted + held.debits_pending + entry.transfer.units > MAX_COUNTER:
            return True
    return False


def _move(transfer: Transfer, counters: dict[AccountKey, Counters]) -> None:
    held = counters.get(transfer.debit, Counters())
    counters[transfer.debit] = Counters(
        held.debits_posted + transfer.units,
        held.debits_pending,
        held.credits_posted,
        held.credits_pending,
    )
    held = counters.get(transfer.credit, Counters())
    counters[transfer.credit] = Counters(
        held.debits_posted,
        held.debits_pending,
        held.credits_posted + transfer.units,
        held.credits_pending,
    )


def _receivable(transfer: Transfer) -> AccountKey:
    return replace(transfer.debit, purpose=Purpose.REVERSAL_RECEIVABLE)


def _shortfall_id(transfer: Transfer) -> bytes:
    return fact_id("shortfall", transfer.id)
