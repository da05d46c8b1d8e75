"""The status of an invoice as a pure function of its facts. Written down first in
docs/invoices.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from math import prod

from orion.billing.errors import IllegalTransition

WHOLE_BPS = 10_000


class InvoiceStatus(StrEnum):
    """What a merchant may conclude about one invoice."""

    NEW = "new"
    SEEN = "seen"
    PARTIALLY_PAID = "partially_paid"
    CONFIRMING = "confirming"
    SETTLED = "settled"
    OVERPAID = "overpaid"
    UNDERPAID = "underpaid"
    PAID_LATE = "paid_late"
    EXPIRED = "expired"
    INVALID = "invalid"
    CANCELLED = "cancelled"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"


class DepositState(StrEnum):
    """As in the topic `moneyin.deposits`."""

    SEEN = "seen"
    INCLUDED = "included"
    CONFIRMED = "confirmed"
    FINAL = "final"
    REVERSED = "reversed"
    INVALID = "invalid"


# In a block that stands, as far as we know.
IN_A_BLOCK = frozenset({DepositState.INCLUDED, DepositState.CONFIRMED, DepositState.FINAL})


class CauseType(StrEnum):
    """What made a status change."""

    CREATED = "created"
    DEPOSIT = "deposit"
    CREDIT = "credit"
    EXPIRY = "expiry"
    REORG = "reorg"
    INVALID = "invalid"
    CANCELLED = "cancelled"
    REFUND = "refund"


@dataclass(frozen=True, slots=True)
class Deposit:
    """The last known state of one deposit, and which of its credits the ledger has posted. Times
    are aware UTC; `block_time` is of the first block that held it, None as long as none did.
    """

    deposit_id: bytes
    asset: str
    units: int
    state: DepositState
    version: int
    confirmations: int
    confirmations_settled: int
    credit_epoch: int
    block_time: datetime | None
    first_seen_at: datetime
    txid: str
    posted_epochs: frozenset[int] = field(default_factory=frozenset)

    @property
    def stands(self) -> bool:
        """Whether it may still become, or is, a payment."""
        return self.state is not DepositState.INVALID

    @property
    def mined(self) -> bool:
        """A block holds it or held it."""
        return self.stands and self.state is not DepositState.SEEN

    @property
    def credited(self) -> bool:
        """The credit of the present epoch is in the ledger and stands."""
        return self.state in IN_A_BLOCK and self.credit_epoch in self.posted_epochs

    @property
    def settled(self) -> bool:
        """Confirmed by policy and credited: the two facts come in any order."""
        return self.credited and self.state is not DepositState.INCLUDED

    def in_time(self, expires_at: datetime) -> bool:
        """First seen or mined before the expiry; a later re-mining does not make a payment late."""
        mined = self.block_time is not None and self.block_time < expires_at
        return self.first_seen_at < expires_at or mined

    def told(self, later: "Deposit") -> "Deposit":
        """This deposit after an event that says `later`: older versions change nothing, and what
        happened first stays the first.
        """
        if later.version <= self.version:
            return self
        times = [at for at in (self.block_time, later.block_time) if at is not None]
        return replace(
            later,
            first_seen_at=self.first_seen_at,
            block_time=min(times, default=None),
            posted_epochs=self.posted_epochs | later.posted_epochs,
        )


@dataclass(frozen=True, slots=True)
class Refund:
    """What the ledger has posted as paid back; `transfer_id` is its identity."""

    transfer_id: bytes
    refund_id: bytes
    asset: str
    units: int
    posted_at: datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """All that an invoice's status depends on, but the time. Every due is positive."""

    due: Mapping[str, int]
    expires_at: datetime
    deposits: Sequence[Deposit] = ()
    refunds: Sequence[Refund] = ()
    tolerance_bps: int = 0
    cancelled_at: datetime | None = None

    def ended(self, now: datetime) -> bool:
        """From its expiry or its cancellation on."""
        return self.cancelled_at is not None or now >= self.expires_at


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

    def covers(self, tolerance_bps: int) -> bool:
        """Whether no more than `tolerance_bps` basis points of the whole are missing.

        With 41,667 sat due and 100 bps, 41,251 sat cover (412,510,000 >= 41,667 × 9,900), 41,250 do
        not. The customer gains what is missing, the merchant forgoes it.
        """
        return self.numerator * WHOLE_BPS >= self.denominator * (WHOLE_BPS - tolerance_bps)


def share(due: Mapping[str, int], paid: Iterable[Deposit | Refund]) -> Share:
    """The part of the invoice that `paid` is: the sum of units / due over their assets.

    With due {"A": 3, "B": 2}, one unit of each is 1×2 + 1×3 = 5 of 6: not paid. Assets without a
    due count for nothing, because no rate was agreed for them.
    """
    whole = prod(due.values())
    return Share(
        sum(one.units * (whole // due[one.asset]) for one in paid if one.asset in due), whole
    )


def standing(facts: Facts) -> Share:
    """What was seen and may be, or become, a payment."""
    return share(facts.due, [deposit for deposit in facts.deposits if deposit.stands])


def next_status(facts: Facts, now: datetime) -> InvoiceStatus:
    """Status implied by all facts so far. A reorg needs no path of its own: call again with what is
    left.
    """
    refunded = share(facts.due, facts.refunds)
    settled = share(facts.due, [deposit for deposit in facts.deposits if deposit.settled])
    net = Share(settled.numerator - refunded.numerator, settled.denominator)
    if refunded.numerator > 0 and net.numerator <= 0:
        return InvoiceStatus.REFUNDED
    if net.covers(facts.tolerance_bps):
        return _paid(facts, net, now)
    if refunded.numerator > 0:
        return InvoiceStatus.PARTIALLY_REFUNDED
    return _unsettled(facts, now)


def _paid(facts: Facts, net: Share, now: datetime) -> InvoiceStatus:
    if facts.ended(now) and not _in_time(facts).covers(facts.tolerance_bps):
        return InvoiceStatus.PAID_LATE
    return InvoiceStatus.OVERPAID if net.compare() > 0 else InvoiceStatus.SETTLED


def _in_time(facts: Facts) -> Share:
    # Cancelled only while nothing was seen: what comes afterwards is late, whatever its block says.
    kept = [] if facts.cancelled_at else facts.deposits
    return share(facts.due, [d for d in kept if d.stands and d.in_time(facts.expires_at)])


def _unsettled(facts: Facts, now: datetime) -> InvoiceStatus:
    stands, ended = standing(facts), facts.ended(now)
    in_a_block = any(deposit.mined and deposit.asset in facts.due for deposit in facts.deposits)
    if stands.covers(facts.tolerance_bps):
        return InvoiceStatus.CONFIRMING if in_a_block else InvoiceStatus.SEEN
    if stands.numerator > 0:
        if ended:
            return InvoiceStatus.UNDERPAID
        return InvoiceStatus.PARTIALLY_PAID if in_a_block else InvoiceStatus.SEEN
    if facts.cancelled_at is not None:
        return InvoiceStatus.CANCELLED
    if any(deposit.asset in facts.due for deposit in facts.deposits):
        return InvoiceStatus.INVALID
    return InvoiceStatus.EXPIRED if ended else InvoiceStatus.NEW


def next_moment(facts: Facts, now: datetime) -> datetime | None:
    """When time alone will change the status; None where it will not."""
    if facts.ended(now) or next_status(facts, now) is next_status(facts, facts.expires_at):
        return None
    return facts.expires_at


def cancellable(facts: Facts, now: datetime) -> bool:
    """Only while its time lasts and nothing was seen, not even in an asset that was not offered."""
    return not facts.deposits and not facts.ended(now)


_S = InvoiceStatus
_ALL = frozenset(_S)
PAID = frozenset({_S.SETTLED, _S.OVERPAID, _S.PAID_LATE})
REFUNDS = frozenset({_S.PARTIALLY_REFUNDED, _S.REFUNDED})
# A paid invoice never falls to unpaid at once: a reversed payment is waited for, as `confirming`.
# From there it may fall, when the transaction is mined again with another effect (a contract may
# decide by the block) or can never confirm. What was refunded is never unpaid again. One fact alone
# never both settles something and refunds a part of it.
_TOO_MUCH_AT_ONCE = frozenset({_S.PARTIALLY_REFUNDED})
TRANSITIONS: Mapping[InvoiceStatus, frozenset[InvoiceStatus]] = {
    _S.NEW: _ALL - _TOO_MUCH_AT_ONCE - {_S.NEW},
    _S.SEEN: _ALL - _TOO_MUCH_AT_ONCE - {_S.SEEN},
    _S.PARTIALLY_PAID: _ALL - {_S.PARTIALLY_PAID, _S.CANCELLED},
    _S.CONFIRMING: _ALL - {_S.CONFIRMING},
    _S.UNDERPAID: _ALL - {_S.UNDERPAID, _S.NEW, _S.PARTIALLY_PAID},
    _S.EXPIRED: _ALL - _TOO_MUCH_AT_ONCE - {_S.EXPIRED, _S.NEW, _S.PARTIALLY_PAID, _S.CANCELLED},
    _S.INVALID: _ALL - _TOO_MUCH_AT_ONCE - {_S.INVALID, _S.CANCELLED},
    _S.CANCELLED: frozenset({_S.SEEN, _S.CONFIRMING, _S.UNDERPAID, _S.PAID_LATE, _S.REFUNDED}),
    **{old: (PAID | REFUNDS | {_S.CONFIRMING}) - {old} for old in PAID},
    **{old: (PAID | REFUNDS) - {old} for old in REFUNDS},
}


def check_transition(old: InvoiceStatus, new: InvoiceStatus) -> None:
    """Raise IllegalTransition for a change that no sequence of facts can cause."""
    if new not in TRANSITIONS[old]:
        raise IllegalTransition("no facts lead there", old=old.value, new=new.value)


EVENT_TYPES = frozenset(
    {"invoice.created", "invoice.reorged", "invoice.deposit_received", "invoice.refund_posted"}
    | {f"invoice.{status.value}" for status in InvoiceStatus}
)


def event_type(
    old: InvoiceStatus | None, new: InvoiceStatus, cause: CauseType = CauseType.DEPOSIT
) -> str:
    """The webhook's type for a change."""
    if old is None:
        return "invoice.created"
    if old is new:
        refund = cause is CauseType.REFUND
        return "invoice.refund_posted" if refund else "invoice.deposit_received"
    if old in PAID and new not in PAID | REFUNDS:
        return "invoice.reorged"
    return f"invoice.{new.value}"
