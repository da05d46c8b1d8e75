"""The status of an invoice as a pure function of its facts. Written down first in
docs/invoices.md.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from math import prod

from orion.billing.errors import IllegalTransition
from orion.billing.sums import Sums, SumsByAsset, total

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

    def sums(self, expires_at: datetime) -> Sums:
        """What it adds to the sums of its invoice, which expires then."""
        return Sums(
            deposits=1,
            standing=self.units if self.stands else 0,
            mined=self.units if self.mined else 0,
            settled=self.units if self.settled else 0,
            in_time=self.units if self.stands and self.in_time(expires_at) else 0,
            in_a_block=self.units if self.state in IN_A_BLOCK else 0,
        )

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

    def sums(self) -> Sums:
        """What it adds to the sums of its invoice."""
        return Sums(refunds=1, refunded=self.units)


def sums_of(
    deposits: Iterable[Deposit], refunds: Iterable[Refund], expires_at: datetime
) -> SumsByAsset:
    """The sums of an invoice that expires then: the same in whatever order its facts come."""
    return total(
        [
            *((one.asset, one.sums(expires_at)) for one in deposits),
            *((one.asset, one.sums()) for one in refunds),
        ]
    )


@dataclass(frozen=True, slots=True)
class Facts:
    """All that an invoice's status depends on, but the time. Every due is positive. `sums` are of
    all its deposits and refunds, also in assets that were not offered (`sums_of`).
    """

    due: Mapping[str, int]
    expires_at: datetime
    sums: SumsByAsset = field(default_factory=dict)
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


def share(due: Mapping[str, int], paid: Mapping[str, int]) -> Share:
    """The part of the invoice that `paid` is: the sum of units / due over their assets.

    With due {"A": 3, "B": 2}, one unit of each is 1×2 + 1×3 = 5 of 6: not paid. Assets without a
    due count for nothing, because no rate was agreed for them.
    """
    whole = prod(due.values())
    return Share(sum(paid.get(asset, 0) * (whole // units) for asset, units in due.items()), whole)


def _share(facts: Facts, units: Callable[[Sums], int]) -> Share:
    return share(facts.due, {asset: units(sums) for asset, sums in facts.sums.items()})


def standing(facts: Facts) -> Share:
    """What was seen and may be, or become, a payment."""
    return _share(facts, lambda sums: sums.standing)


def next_status(facts: Facts, now: datetime) -> InvoiceStatus:
    """Status implied by all facts so far. A reorg needs no path of its own: call again with what is
    left.
    """
    refunded = _share(facts, lambda sums: sums.refunded)
    settled = _share(facts, lambda sums: sums.settled)
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
    return _share(facts, lambda sums: 0 if facts.cancelled_at else sums.in_time)


def _unsettled(facts: Facts, now: datetime) -> InvoiceStatus:
    stands, ended = standing(facts), facts.ended(now)
    in_a_block = _share(facts, lambda sums: sums.mined).numerator > 0
    if stands.covers(facts.tolerance_bps):
        return InvoiceStatus.CONFIRMING if in_a_block else InvoiceStatus.SEEN
    if stands.numerator > 0:
        if ended:
            return InvoiceStatus.UNDERPAID
        return InvoiceStatus.PARTIALLY_PAID if in_a_block else InvoiceStatus.SEEN
    if facts.cancelled_at is not None:
        return InvoiceStatus.CANCELLED
    if _share(facts, lambda sums: sums.deposits).numerator > 0:
        return InvoiceStatus.INVALID
    return InvoiceStatus.EXPIRED if ended else InvoiceStatus.NEW


def next_moment(facts: Facts, now: datetime) -> datetime | None:
    """When time alone will change the status; None where it will not."""
    if facts.ended(now) or next_status(facts, now) is next_status(facts, facts.expires_at):
        return None
    return facts.expires_at


def cancellable(facts: Facts, now: datetime) -> bool:
    """Only while its time lasts and nothing was seen, not even in an asset that was not offered."""
    seen = any(sums.deposits for sums in facts.sums.values())
    return not seen and not facts.ended(now)


# The statuses that time alone may end, and those of them in which it always does: an invoice of
# these has a moment at which it wakes.
WAKING = frozenset({InvoiceStatus.NEW, InvoiceStatus.SEEN, InvoiceStatus.PARTIALLY_PAID})
ALWAYS_WAKING = WAKING - {InvoiceStatus.SEEN}

# What merely adds to a status is a change of its own up to so many changes of one invoice, and a
# payment of some weight up to so many: whoever sends dust must not fill a merchant's events.
REPORTED_CHANGES = 100
REPORTED_CHANGES_OF_WEIGHT = 1_000
WEIGHT = 100


def reported(due: Mapping[str, int], deposit: Deposit, changes: int) -> bool:
    """Whether the first sight of `deposit` is a change although the status stays, of an invoice
    that has had `changes`. A payment of weight brings at least a hundredth of the whole: of 41,667
    sat due, 417 sat.
    """
    whole = due.get(deposit.asset)
    weighs = whole is not None and deposit.units * WEIGHT >= whole
    return changes < (REPORTED_CHANGES_OF_WEIGHT if weighs else REPORTED_CHANGES)


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
