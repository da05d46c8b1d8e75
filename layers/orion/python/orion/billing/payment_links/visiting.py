"""What visitors do with a payment link: look at its page, and get an invoice."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from orion.billing.audit import Origin
from orion.billing.creation import Asked
from orion.billing.invoice import Invoice
from orion.billing.model import InvoiceStatus
from orion.billing.payment_links.errors import PaymentLinkNotFound, PaymentLinkUsedUp
from orion.billing.payment_links.model import (
    UNPAID_MAX,
    LinkStatus,
    PaymentLink,
    asked_amount,
    check_open,
    keeps_place,
    link_status,
)
from orion.billing.payment_links.ports import LinkStore, LinkTransaction
from orion.billing.sessions.ports import Invoices
from orion.ids import ID_BYTES
from orion.money import Amount

VISITOR_BYTES = ID_BYTES
# A visitor whose invoice is one of these is still to pay, or is paying.
OPEN = frozenset(
    {
        InvoiceStatus.NEW,
        InvoiceStatus.SEEN,
        InvoiceStatus.PARTIALLY_PAID,
        InvoiceStatus.CONFIRMING,
        InvoiceStatus.INVALID,
    }
)


@dataclass(frozen=True, slots=True)
class Visit:
    """A link as a visitor finds it: `visitor` is the token that the page's form carries, `waiting`
    an invoice that this visitor has still to pay.
    """

    link: PaymentLink
    status: LinkStatus
    visitor: bytes
    waiting: bytes | None


class LinkVisits:
    """The visitor's side of payment links. Each method is one transaction."""

    def __init__(
        self,
        store: LinkStore,
        invoices: Invoices,
        clock: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
        unpaid_max: int = UNPAID_MAX,
    ) -> None:
        self._store = store
        self._invoices = invoices
        self._clock = clock
        self._random_bytes = random_bytes
        self._unpaid_max = unpaid_max

    def look(self, link_id: bytes, visitor: bytes | None) -> Visit:
        """The page of a link. A token whose invoice was paid is used up: the next form is another
        purchase. Raises PaymentLinkNotFound.
        """
        now = self._clock()

        def read(tx: LinkTransaction) -> Visit:
            link = _found(tx, link_id)
            last = self._last(tx, link_id, visitor)
            kept = last is not None and keeps_place(last.status, last.expires_at, now)
            waiting = last if kept and last is not None and last.status in OPEN else None
            paid = kept and waiting is None
            return Visit(
                link,
                link_status(link, now),
                self._random_bytes(VISITOR_BYTES) if visitor is None or paid else visitor,
                None if waiting is None else waiting.invoice_id,
            )

        return self._store.transact(read)

    def _last(self, tx: LinkTransaction, link_id: bytes, visitor: bytes | None) -> Invoice | None:
        known = None if visitor is None else tx.visitor_invoice(link_id, visitor)
        return None if known is None else tx.invoice(known)

    def pay(
        self, link_id: bytes, visitor: bytes, typed: str, *, language: str, trace_id: str
    ) -> bytes:
        """The invoice of this visitor: the one that the same form made before, or a new one.

        Refuses, with nothing written: PaymentLinkNotFound, PaymentLinkInactive, PaymentLinkEnded,
        PaymentLinkUsedUp, PaymentLinkBusy, AmountOutOfBounds, what amounts refuse, and what making
        an invoice refuses (RateUnavailable, UnknownAsset, NoAddressAvailable).
        """
        now = self._clock()

        def work(tx: LinkTransaction) -> bytes:
            link = _found(tx, link_id)
            price = asked_amount(link.price, typed)
            last = tx.lock_visitor(link_id, visitor)
            before = None if last is None else tx.invoice(last)
            if before is not None and _still_good(before, price, now):
                return before.invoice_id
            check_open(link, now, self._unpaid_max)
            origin = Origin(link.merchant_id, link.lane, trace_id, now)
            invoice = self._invoices.new_invoice(tx, origin, _asked(link, price, language))
            tx.put_visitor(link_id, visitor, invoice.invoice_id)
            taken = tx.take_place(
                link_id, invoice.invoice_id, invoice.expires_at, now, self._unpaid_max
            )
            if not taken:
                # Somebody was faster since the link was read.
                check_open(_found(tx, link_id), now, self._unpaid_max)
                raise PaymentLinkUsedUp("the last place was taken at this moment")
            return invoice.invoice_id

        return self._store.transact(work)


def _found(tx: LinkTransaction, link_id: bytes) -> PaymentLink:
    link = tx.payment_link(link_id)
    if link is None:
        raise PaymentLinkNotFound("no such payment link")
    return link


def _still_good(invoice: Invoice, price: Amount, now: datetime) -> bool:
    return invoice.price == price and keeps_place(invoice.status, invoice.expires_at, now)


def _asked(link: PaymentLink, price: Amount, language: str) -> Asked:
    return Asked(
        amount=price.text(),
        currency=price.asset.code,
        assets=link.assets,
        expires_in_s=link.expires_in_s,
        metadata=link.metadata,
        payment_link_id=link.link_id,
        success_url=link.success_url,
        language=language,
    )
