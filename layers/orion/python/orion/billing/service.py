"""What merchants ask of billing: invoices, rates, balances, webhook endpoints; and what a
customer's page shows.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from orion.billing.audit import Origin, audit
from orion.billing.creation import Asked, InvoiceMaker, expected, judge
from orion.billing.errors import (
    InvoiceNotCancellable,
    InvoiceNotFound,
    LimitOutOfRange,
)
from orion.billing.invoice import Cause, Invoice, merchant_view, public_view
from orion.billing.listing import Wanted, cursor_of, read_cursor
from orion.billing.merchant_settings import MerchantSettings
from orion.billing.model import CauseType, InvoiceStatus, cancellable
from orion.billing.moving import follow_facts
from orion.billing.payment_link import Networks
from orion.billing.ports import Answer, BillingStore, KeyedAnswer, KeyedRequest, Transaction
from orion.billing.rates.source import RateSource
from orion.ids import public_id
from orion.money import Amount, asset
from orion.records import canonical_json

PAGE_MAX = 100
PAGE_DEFAULT = 20


@dataclass(frozen=True, slots=True)
class PublicStatus:
    """What the customer's page shows; `etag` is quoted and changes exactly when `body` does."""

    fields: Mapping[str, object]
    body: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What billing must know of its stage: base URL of each lane, networks, and where rates come
    from.
    """

    checkout_urls: Mapping[str, str]
    places: Networks
    rates: RateSource = field(default_factory=RateSource)


class Billing:
    """The merchant's side of billing. Each method is one transaction."""

    def __init__(
        self,
        store: BillingStore,
        surroundings: Surroundings,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._around = surroundings
        self._clock = clock
        self._maker = InvoiceMaker(
            surroundings.places, surroundings.checkout_urls, surroundings.rates
        )

    def create_invoice(
        self, request: KeyedRequest, asked: Asked, *, lane: str, trace_id: str
    ) -> Answer:
        """Create an invoice once for the request's key.

        Refuses, with nothing written: MalformedAmount, InexactAmount, AmountNotPositive,
        AmountTooLarge, UnknownCurrency, UnknownAsset, RateUnavailable, RateStale, RateDisputed,
        NoAddressAvailable, `idempotency_key_reused`, `idempotency_key_in_flight`.
        """
        judged = judge(asked, self._around.places)
        origin = Origin(request.merchant_id, lane, trace_id, self._clock())

        def drafted(tx: Transaction) -> tuple[Answer, Callable[[KeyedAnswer], None]]:
            draft = self._maker.draft(tx, origin, judged)
            return _answer(201, draft.view), partial(self._maker.store, tx, origin, draft)

        return self._store.transact(
            lambda tx: tx.once_expecting(request, expected(origin, judged), lambda: drafted(tx))
        )

    def new_invoice(self, tx: Transaction, origin: Origin, asked: Asked) -> Invoice:
        """Make an invoice inside the transaction of a payment link or a checkout session.

        Refuses as `create_invoice` does; the caller's transaction must then be rolled back.
        """
        judged = judge(asked, self._around.places)
        tx.expect(expected(origin, judged))
        draft = self._maker.draft(tx, origin, judged)
        self._maker.store(tx, origin, draft)
        return draft.invoice

    def cancel_invoice(self, request: KeyedRequest, invoice_id: bytes, *, trace_id: str) -> Answer:
        """End the invoice's time, once for the request's key; a cancelled one stays so.

        Refuses: InvoiceNotFound, InvoiceNotCancellable (something was seen, or its time is over),
        `idempotency_key_reused`, `idempotency_key_in_flight`.
        """
        origin = Origin(request.merchant_id, "", trace_id, self._clock())

        def cancel(tx: Transaction) -> Answer:
            invoice = self._cancelled(tx, origin, invoice_id)
            return _answer(200, merchant_view(invoice, self._around.checkout_urls[invoice.lane]))

        return self._store.transact(lambda tx: tx.once(request, origin.at, lambda: cancel(tx)))

    def _cancelled(self, tx: Transaction, origin: Origin, invoice_id: bytes) -> Invoice:
        locked = tx.lock_invoices([invoice_id])
        if not locked or locked[0].merchant_id != origin.merchant_id:
            raise InvoiceNotFound("no such invoice")
        (invoice,) = locked
        if invoice.status is InvoiceStatus.CANCELLED:
            return invoice
        # It may have expired while this call waited for the lock.
        at = max(origin.at, invoice.cause.at)
        if not cancellable(invoice.facts(), at):
            raise InvoiceNotCancellable(
                "only an invoice to which nothing was paid can be cancelled, before it expires",
                invoice_status=invoice.status.value,
            )
        ended = replace(invoice, cancelled_at=at)
        cause = Cause(CauseType.CANCELLED, invoice_id, at, origin.trace_id)
        moved = follow_facts(tx, ended, cause, self._around.checkout_urls)
        subject = public_id("inv", invoice_id)
        tx.tell([audit("invoice.cancelled", origin, subject, {})], origin.at)
        return moved

    def settings(self, merchant_id: bytes) -> Mapping[str, object]:
        """What new invoices take where their request says nothing."""
        return self._store.transact(lambda tx: tx.settings(merchant_id)).shown()

    def put_settings(
        self, merchant_id: bytes, settings: MerchantSettings, *, trace_id: str
    ) -> Mapping[str, object]:
        """Replace the settings; repeating it changes nothing. Invoices that exist keep theirs."""
        origin = Origin(merchant_id, "", trace_id, self._clock())

        def put(tx: Transaction) -> None:
            if tx.put_settings(merchant_id, settings, origin.at):
                subject = public_id("mer", merchant_id)
                tx.tell([audit("settings.set", origin, subject, settings.shown())], origin.at)

        self._store.transact(put)
        return settings.shown()

    def invoice(self, merchant_id: bytes, invoice_id: bytes) -> Mapping[str, object]:
        """The merchant's invoice. Raises InvoiceNotFound, also for another merchant's."""
        found = self._store.transact(lambda tx: tx.invoice(invoice_id))
        if found is None or found.merchant_id != merchant_id:
            raise InvoiceNotFound("no such invoice")
        return merchant_view(found, self._around.checkout_urls[found.lane])

    def public_status(self, invoice_id: bytes) -> PublicStatus:
        """What the customer's page shows. Knowing the id is the permission. Raises
        InvoiceNotFound.
        """
        found = self._store.transact(lambda tx: tx.invoice(invoice_id))
        if found is None:
            raise InvoiceNotFound("no such invoice")
        fields = public_view(found, self._around.checkout_urls[found.lane])
        body = canonical_json(fields)
        return PublicStatus(fields, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')

    def invoices(
        self,
        merchant_id: bytes,
        wanted: Wanted | None = None,
        *,
        limit: int = PAGE_DEFAULT,
        cursor: str | None = None,
    ) -> Mapping[str, object]:
        """One page, newest first: `data`, and `next_cursor` (null on the last page).

        Raises LimitOutOfRange (1 to PAGE_MAX), CursorMalformed.
        """
        if not 1 <= limit <= PAGE_MAX:
            raise LimitOutOfRange(f"a page has 1 to {PAGE_MAX} invoices", limit=limit)
        before = None if cursor is None else read_cursor(cursor)
        found = replace(wanted or Wanted(), before=before)
        rows = self._store.transact(lambda tx: tx.invoices(merchant_id, found, limit + 1))
        page = rows[:limit]
        return {
            "data": [merchant_view(row, self._around.checkout_urls[row.lane]) for row in page],
            "next_cursor": cursor_of(page[-1].invoice_id) if len(rows) > limit else None,
        }

    def balances(self, merchant_id: bytes) -> Mapping[str, object]:
        """The merchant's ledger balances by asset. An asset never credited is absent: unknown is
        not zero.

        `total` is settling + available - what a reversal of spent money left the merchant owing.
        """
        rows = self._store.transact(lambda tx: tx.balances(merchant_id))
        by_asset: dict[str, dict[str, int]] = {}
        for row in rows:
            by_asset.setdefault(row.asset, {})[row.purpose] = row.units
        return {"data": [_balance(code, found) for code, found in sorted(by_asset.items())]}


def _answer(status: int, view: Mapping[str, object]) -> Answer:
    body = canonical_json(view)
    return Answer(status, body, body)


def _balance(code: str, found: Mapping[str, int]) -> Mapping[str, object]:
    coin = asset(code)
    settling, available = found.get("settling", 0), found.get("available", 0)
    # The receivable is what the merchant owes: its debits exceed its credits.
    total = settling + available + found.get("reversal_receivable", 0)
    return {
        "asset": code,
        "settling": Amount(settling, coin).text(),
        "available": Amount(available, coin).text(),
        "total": Amount(total, coin).text(),
    }
