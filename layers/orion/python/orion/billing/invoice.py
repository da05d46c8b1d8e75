"""An invoice with its facts, and the one form in which people and programs outside see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from orion.billing.model import CauseType, Deposit, Facts, InvoiceStatus, Refund, standing
from orion.billing.quote import Rate
from orion.billing.rates.model import RateLock
from orion.billing.sums import NOTHING, SumsByAsset, added, taken
from orion.ids import public_id
from orion.money import Amount, Asset, asset

# Deposits, or refunds, the newest. Dust must not make an invoice too large for its webhook, nor a
# payment dearer than the one before it.
SHOWN = 100


@dataclass(frozen=True, slots=True)
class PaymentOption:
    """One asset that pays the invoice: the locked rate, the amount it makes, and where to
    send it. `rate_lock` says why the rate is this one; None where that was not kept yet.
    """

    due: Amount
    rate: Rate
    address: str
    payment_link: str
    rate_lock: RateLock | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an invoice has its status: `subject` is the deposit or the invoice itself."""

    type: CauseType
    subject: bytes
    at: datetime
    trace_id: str


@dataclass(frozen=True, slots=True)
class Change:
    """Change `number` (from 1, gapless) of one invoice; `old` is None at its creation."""

    number: int
    old: InvoiceStatus | None
    new: InvoiceStatus
    cause: Cause


@dataclass(frozen=True, slots=True)
class Made:
    """What the merchant said when the invoice was made, and through what it was made. Nothing here
    has a say in its status. `metadata` is the merchant's own, names and texts.
    """

    reference: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    payment_link_id: bytes | None = None
    session_id: bytes | None = None
    success_url: str | None = None
    cancel_url: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Invoice:
    """One invoice with the newest SHOWN deposits and refunds, in the order in which they were first
    seen, and the sums of all.

    `wakes_at` is when time alone changes its status; None where it does not. The options ask for
    the price and `customer_fee_units` of its currency.
    """

    invoice_id: bytes
    merchant_id: bytes
    lane: str
    status: InvoiceStatus
    price: Amount
    created_at: datetime
    expires_at: datetime
    changes: int
    cause: Cause
    options: tuple[PaymentOption, ...]
    made: Made = field(default_factory=Made)
    customer_fee_units: int = 0
    tolerance_bps: int = 0
    wakes_at: datetime | None = None
    cancelled_at: datetime | None = None
    deposits: tuple[Deposit, ...] = ()
    refunds: tuple[Refund, ...] = ()
    sums: SumsByAsset = field(default_factory=dict)

    def due(self) -> Mapping[str, int]:
        """Units that pay the invoice in full, by asset code."""
        return {option.due.asset.code: option.due.units for option in self.options}

    def facts(self) -> Facts:
        """All that its status depends on, but the time."""
        return Facts(
            due=self.due(),
            expires_at=self.expires_at,
            sums=self.sums,
            tolerance_bps=self.tolerance_bps,
            cancelled_at=self.cancelled_at,
        )

    def with_deposit(self, before: Deposit | None, after: Deposit) -> "Invoice":
        """A deposit of this invoice is `after`; it was `before`, or None where it is new here."""
        left = self if before is None else self.without_deposit(before)
        shown = sorted((*left.deposits, after), key=_seen)
        return replace(
            left,
            deposits=tuple(shown[-SHOWN:]),
            sums=added(left.sums, after.asset, after.sums(self.expires_at)),
        )

    def without_deposit(self, deposit: Deposit) -> "Invoice":
        """A deposit, as it was last, is this invoice's no longer. Until it is read again an invoice
        of more deposits than are shown shows one fewer.
        """
        kept = tuple(one for one in self.deposits if one.deposit_id != deposit.deposit_id)
        sums = taken(self.sums, deposit.asset, deposit.sums(self.expires_at))
        return replace(self, deposits=kept, sums=sums)

    def with_refund(self, refund: Refund) -> "Invoice":
        """A refund that this invoice did not have yet."""
        shown = (*self.refunds, refund)[-SHOWN:]
        return replace(self, refunds=shown, sums=added(self.sums, refund.asset, refund.sums()))

    @property
    def deposits_count(self) -> int:
        """How many deposits it has, shown or not."""
        return sum(sums.deposits for sums in self.sums.values())

    @property
    def refunds_count(self) -> int:
        """How many refunds it has, shown or not."""
        return sum(sums.refunds for sums in self.sums.values())

    def paid(self, coin: Asset) -> Amount:
        """What has arrived in one asset and is in a block."""
        return Amount(self.sums.get(coin.code, NOTHING).in_a_block, coin)

    def unconfirmed(self, coin: Asset) -> Amount:
        """What was seen of one asset and is in no block yet."""
        return Amount(self.sums.get(coin.code, NOTHING).unconfirmed, coin)

    def remaining(self, coin: Asset) -> Amount:
        """What one asset alone must still bring to make the whole, rounded up to what is displayed:
        the merchant gains less than one displayed step. Nothing while what was seen is enough.

        Due 41,667 sat or 0.01 ETH, seen 0.0052 ETH: 0.48 × 41,667 = 20,000.16, so 20,001 sat.
        """
        seen, due = standing(self.facts()), self.due()[coin.code]
        if seen.covers(self.tolerance_bps):
            return Amount(0, coin)
        step = 10 ** (coin.decimals - coin.display_decimals)
        missing = (seen.denominator - seen.numerator) * due
        return Amount(-(-missing // (seen.denominator * step)) * step, coin)


def _seen(deposit: Deposit) -> tuple[datetime, bytes]:
    return deposit.first_seen_at, deposit.deposit_id


def moment(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def public_view(invoice: Invoice, checkout_url: str) -> dict[str, object]:
    """What anyone who knows the invoice's id may see: nothing that is between the merchant and us,
    and not the tolerance, which would become everybody's discount.
    """
    return {
        "id": public_id("inv", invoice.invoice_id),
        "status": invoice.status.value,
        "amount": invoice.price.text(),
        "currency": invoice.price.asset.code,
        "customer_fee": Amount(invoice.customer_fee_units, invoice.price.asset).text(),
        "created_at": moment(invoice.created_at),
        "expires_at": moment(invoice.expires_at),
        "cancelled_at": None if invoice.cancelled_at is None else moment(invoice.cancelled_at),
        "success_url": invoice.made.success_url,
        "cancel_url": invoice.made.cancel_url,
        "language": invoice.made.language,
        "checkout_url": f"{checkout_url}/checkout/{public_id('inv', invoice.invoice_id)}",
        "payment_options": [_option(invoice, option) for option in invoice.options],
        "deposits": [_deposit(deposit) for deposit in invoice.deposits],
        "deposits_count": invoice.deposits_count,
        "refunds": [_refund(refund) for refund in invoice.refunds],
        "refunds_count": invoice.refunds_count,
        "cause": {
            "type": invoice.cause.type.value,
            "at": moment(invoice.cause.at),
            "trace_id": invoice.cause.trace_id,
        },
    }


def merchant_view(invoice: Invoice, checkout_url: str) -> dict[str, object]:
    """What the merchant sees, in the API and in webhooks."""
    made = invoice.made
    return {
        **public_view(invoice, checkout_url),
        "reference": made.reference,
        "metadata": dict(made.metadata),
        "tolerance_bps": invoice.tolerance_bps,
        "payment_link_id": made.payment_link_id and public_id("pl", made.payment_link_id),
        "session_id": made.session_id and public_id("cs", made.session_id),
    }


def _option(invoice: Invoice, option: PaymentOption) -> dict[str, object]:
    coin = option.due.asset
    return {
        "asset": coin.code,
        "chain": coin.chain,
        "address": option.address,
        "amount": option.due.text(),
        "paid": invoice.paid(coin).text(),
        "unconfirmed": invoice.unconfirmed(coin).text(),
        "remaining": invoice.remaining(coin).text(),
        "rate": option.rate.text(),
        "rate_lock": option.rate_lock and lock_view(option.rate_lock),
        "payment_link": option.payment_link,
    }


def lock_view(lock: RateLock) -> dict[str, object]:
    """Why a rate is this one, as merchants and customers see it."""
    return {
        "source": lock.source.value,
        "providers": list(lock.providers),
        "path": list(lock.path),
        "spread_bps": lock.spread_bps,
        "observed_at": moment(lock.observed_at),
    }


def _deposit(deposit: Deposit) -> dict[str, object]:
    return {
        "id": public_id("dep", deposit.deposit_id),
        "asset": deposit.asset,
        "amount": Amount(deposit.units, asset(deposit.asset)).text(),
        "txid": deposit.txid,
        "state": deposit.state.value,
        "confirmations": deposit.confirmations,
        "confirmations_required": deposit.confirmations_settled,
        "credited": deposit.credited,
    }


def _refund(refund: Refund) -> dict[str, object]:
    return {
        "id": public_id("ref", refund.refund_id),
        "asset": refund.asset,
        "amount": Amount(refund.units, asset(refund.asset)).text(),
        "at": moment(refund.posted_at),
    }
