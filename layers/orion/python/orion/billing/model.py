"""The status of an invoice as a pure function of its facts. Written down first in
docs/invoices.md.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from math import prod

from orion.billing.errors import IllegalTransition


class InvoiceStatus(StrEnum):
    """What a merchant may conclude about one invoice."""

    NEW = "new"
    PARTIALLY_PAID = "partially_paid"
    CONFIRMING = "confirming"
    SETTLED = "settled"
    OVERPAID = "overpaid"
    EXPIRED = "expired"
    UNDERPAID = "underpaid"
    PAID_LATE = "paid_late"


class DepositState(StrEnum):
    """As in the topic `moneyin.deposits`."""

    INCLUDED = "included"
    CONFIRMED = "confirmed"
    FINAL = "final"
    REVERSED = "reversed"


class CauseType(StrEnum):
    """What made a status change."""

    CREATED = "created"
    DEPOSIT = "deposit"
    CREDIT = "credit"
    EXPIRY = "expiry"
    REORG = "reorg"


@dataclass(frozen=True, slots=True)
class Deposit:
    """The last known state of one deposit, and which of its credits the ledger has posted. Times
    are aware UTC.
    """

    deposit_id: bytes
    asset: str
    units: int
    state: DepositState
    version: int
    confirmations: int
    confirmations_settled: int
    credit_epoch: int
    block_time: datetime
    first_seen_at: datetime
    txid: str
    posted_epochs: frozenset[int] = field(default_factory=frozenset)

    @property
    def credited(self) -> bool:
        """The credit of the present epoch is in the ledger and stands."""
        return self.state != DepositState.REVERSED and self.credit_epoch in self.posted_epochs

    @property
    def settled(self) -> bool:
        """Confirmed by policy and credited: the two facts come in any order."""
        return self.credited and self.state in (DepositState.CONFIRMED, DepositState.FINAL)

    def in_time(self, expires_at: datetime) -> bool:
        """First seen or mined before the expiry; a later re-mining does not make a payment late."""
        return min(self.block_time, self.first_seen_at) < expires_at


@dataclass(frozen=True, slots=True)
class Share:
    """A sum of fractions over one common denominator, the product of all dues: exact, never
    rounded.
    """

    numerator: int
    denominator: int

    def compare(self) -> int:
        """-1, 0 or 1: less than, exactly, or more than the whole."""
        return (self.numerator > self.denominator) - (self.numerator < self.denominator)


def share(due: Mapping[str, int], deposits: Collection[Deposit]) -> Share:
    """The part of the invoice that `deposits` pay: the sum of units / due over their assets.

    With due {"A": 3, "B": 2}, one unit of each is 1×2 + 1×3 = 5 of 6: not paid. Deposits of assets
    without a due count for nothing, because no rate was agreed for them. Every due is positive.
    """
    whole = prod(due.values())
    paid = sum(
        deposit.units * (whole // due[deposit.asset])
        for deposit in deposits
        if deposit.asset in due
    )
    return Share(paid, whole)


def next_status(
    due: Mapping[str, int],
    deposits: Collection[Deposit],
    *,
    expires_at: datetime,
    now: datetime,
) -> InvoiceStatus:
    """Status implied by all deposits seen so far. A reorg needs no path of its own: call again with
    what is left.
    """
    seen = share(due, deposits)
    settled = share(due, [deposit for deposit in deposits if deposit.settled])
    expired = now >= expires_at
    if settled.compare() >= 0:
        in_time = share(due, [deposit for deposit in deposits if deposit.in_time(expires_at)])
        if expired and in_time.compare() < 0:
            return InvoiceStatus.PAID_LATE
        return InvoiceStatus.OVERPAID if settled.compare() > 0 else InvoiceStatus.SETTLED
    if seen.compare() >= 0:
        return InvoiceStatus.CONFIRMING
    if seen.numerator > 0:
        return InvoiceStatus.UNDERPAID if expired else InvoiceStatus.PARTIALLY_PAID
    return InvoiceStatus.EXPIRED if expired else InvoiceStatus.NEW


_S = InvoiceStatus
# A paid invoice never falls to unpaid at once: a reversed payment is waited for, as `confirming`.
# From there it may fall,
# when the transaction is mined again with another effect (a contract may decide by the block).
TRANSITIONS: Mapping[InvoiceStatus, frozenset[InvoiceStatus]] = {
    _S.NEW: frozenset(_S) - {_S.NEW},
    _S.PARTIALLY_PAID: frozenset(_S) - {_S.PARTIALLY_PAID},
    _S.CONFIRMING: frozenset(_S) - {_S.CONFIRMING},
    _S.SETTLED: frozenset({_S.CONFIRMING, _S.OVERPAID, _S.PAID_LATE}),
    _S.OVERPAID: frozenset({_S.CONFIRMING, _S.SETTLED, _S.PAID_LATE}),
    _S.PAID_LATE: frozenset({_S.CONFIRMING, _S.SETTLED, _S.OVERPAID}),
    _S.EXPIRED: frozenset(_S) - {_S.NEW, _S.PARTIALLY_PAID, _S.EXPIRED},
    _S.UNDERPAID: frozenset(_S) - {_S.NEW, _S.PARTIALLY_PAID, _S.UNDERPAID},
}
PAID = frozenset({_S.SETTLED, _S.OVERPAID, _S.PAID_LATE})


def check_transition(old: InvoiceStatus, new: InvoiceStatus) -> None:
    """Raise IllegalTransition for a change that no sequence of facts can cause."""
    if new not in TRANSITIONS[old]:
        raise IllegalTransition("no facts lead there", old=old.value, new=new.value)


EVENT_TYPES = frozenset(
    {"invoice.created", "invoice.reorged", "invoice.deposit_received"}
    | {f"invoice.{status.value}" for status in InvoiceStatus}
)


def event_type(old: InvoiceStatus | None, new: InvoiceStatus) -> str:
    """The webhook's type for a change."""
    if old is None:
        return "invoice.created"
    if old == new:
        return "invoice.deposit_received"
    if old in PAID and new not in PAID:
        return "invoice.reorged"
    return f"invoice.{new.value}"
