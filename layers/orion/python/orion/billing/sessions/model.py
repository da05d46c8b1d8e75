"""A checkout session and its status. Pure; docs/payment-links.md is the specification."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from orion.billing.invoice import Invoice, moment
from orion.billing.model import InvoiceStatus
from orion.ids import public_id


class SessionStatus(StrEnum):
    """An invoice's status in three words."""

    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class CheckoutSession:
    """One purchase. All but its identity is its invoice's."""

    session_id: bytes
    merchant_id: bytes
    invoice_id: bytes
    created_at: datetime


_I = InvoiceStatus
_COMPLETE = frozenset({_I.SETTLED, _I.OVERPAID, _I.PAID_LATE, _I.PARTIALLY_REFUNDED, _I.REFUNDED})
_OVER = frozenset({_I.EXPIRED, _I.UNDERPAID, _I.CANCELLED})


def session_status(status: InvoiceStatus, expires_at: datetime, now: datetime) -> SessionStatus:
    """What the status of its invoice means for a purchase."""
    if status in _COMPLETE:
        return SessionStatus.COMPLETE
    if status in _OVER or (status == _I.INVALID and now >= expires_at):
        return SessionStatus.EXPIRED
    return SessionStatus.OPEN


def session_view(
    session: CheckoutSession, invoice: Invoice, lane_url: str, now: datetime
) -> Mapping[str, object]:
    """A session as the merchant sees it."""
    invoice_id = public_id("inv", invoice.invoice_id)
    return {
        "id": public_id("cs", session.session_id),
        "status": session_status(invoice.status, invoice.expires_at, now).value,
        "url": f"{lane_url}/checkout/{invoice_id}",
        "invoice_id": invoice_id,
        "invoice_status": invoice.status.value,
        "amount": invoice.price.text(),
        "currency": invoice.price.asset.code,
        "assets": [option.due.asset.code for option in invoice.options],
        "success_url": invoice.made.success_url,
        "cancel_url": invoice.made.cancel_url,
        "client_reference": invoice.made.reference,
        "metadata": dict(invoice.made.metadata),
        "created_at": moment(session.created_at),
        "expires_at": moment(invoice.expires_at),
    }
