"""An invoice with its facts, and the one form in which people and programs outside see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from orion.billing.model import CauseType, Deposit, DepositState, InvoiceStatus
from orion.billing.quote import Rate
from orion.ids import public_id
from orion.money import Amount, Asset, asset

SHOWN_DEPOSITS = 100  # Dust must not make an invoice too large for its webhook.


@dataclass(frozen=True, slots=True)
class PaymentOption:
    """One asset that pays the invoice: the locked rate, the amount it makes, and where to
    send it.
    """

    due: Amount
    rate: Rate
    address: str
    payment_link: str


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
class Invoice:
    """One invoice with all deposits assigned to it, in the order in which they were first seen."""

    invoice_id: bytes
    merchant_id: bytes
    lane: str
    status: InvoiceStatus
    price: Amount
    reference: str | None
    created_at: datetime
    expires_at: datetime
    changes: int
    cause: Cause
    options: tuple[PaymentOption, ...]
    deposits: tuple[Deposit, ...] = ()

    def due(self) -> Mapping[str, int]:
        """Units that pay the invoice in full, by asset code."""
        return {option.due.asset.code: option.due.units for option in self.options}

    def paid(self, coin: Asset) -> Amount:
        """What has arrived in one asset and is in a block."""
        return Amount(
            sum(
                deposit.units
                for deposit in self.deposits
                if deposit.asset == coin.code and deposit.state != DepositState.REVERSED
            ),
            coin,
        )


def moment(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def public_view(invoice: Invoice, checkout_url: str) -> dict[str, object]:
    """What anyone who knows the invoice's id may see: everything but the merchant's reference."""
    return {
        "id": public_id("inv", invoice.invoice_id),
        "status": invoice.status.value,
        "amount": invoice.price.text(),
        "currency": invoice.price.asset.code,
        "created_at": moment(invoice.created_at),
        "expires_at": moment(invoice.expires_at),
        "checkout_url": f"{checkout_url}/checkout/{public_id('inv', invoice.invoice_id)}",
        "payment_options": [_option(invoice, option) for option in invoice.options],
        "deposits": [_deposit(deposit) for deposit in invoice.deposits[-SHOWN_DEPOSITS:]],
        "cause": {
            "type": invoice.cause.type.value,
            "at": moment(invoice.cause.at),
            "trace_id": invoice.cause.trace_id,
        },
    }


def merchant_view(invoice: Invoice, checkout_url: str) -> dict[str, object]:
    """What the merchant sees, in the API and in webhooks."""
    return {**public_view(invoice, checkout_url), "reference": invoice.reference}


def _option(invoice: Invoice, option: PaymentOption) -> dict[str, object]:
    coin = option.due.asset
    return {
        "asset": coin.code,
        "chain": coin.chain,
        "address": option.address,
        "amount": option.due.text(),
        "paid": invoice.paid(coin).text(),
        "rate": option.rate.text(),
        "payment_link": option.payment_link,
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
