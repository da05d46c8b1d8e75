"""Asking for money: invoices, payment links, checkout sessions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from orion_client.resources import UNSET, Resource, Unset, at, changed, each, given
from orion_client.shapes import CheckoutSession, Invoice, InvoiceChange, Page, PaymentLink


class Invoices(Resource):
    """`/v1/invoices`"""

    def create(
        self,
        *,
        amount: str,
        currency: str,
        assets: Sequence[str],
        reference: str | None = None,
        expires_in_s: int | None = None,
        metadata: Mapping[str, str] | None = None,
        success_url: str | None = None,
        language: str | None = None,
        idempotency_key: str | None = None,
    ) -> Invoice:
        """A new invoice of `amount` (decimal text) payable in any of `assets`. Raises
        RateUnavailable, which made nothing.
        """
        body = given(
            amount=amount,
            currency=currency,
            assets=list(assets),
            reference=reference,
            expires_in_s=expires_in_s,
            metadata=metadata,
            success_url=success_url,
            language=language,
        )
        made = self._json("POST", "/v1/invoices", body=body, idempotency_key=idempotency_key)
        return cast(Invoice, made)

    def get(self, invoice_id: str) -> Invoice:
        """One invoice. Raises InvoiceNotFound."""
        return cast(Invoice, self._json("GET", at("/v1/invoices/{id}", id=invoice_id)))

    def page(
        self,
        *,
        status: str | None = None,
        reference: str | None = None,
        created_from: str | None = None,
        created_to: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Invoice]:
        """One page, newest first."""
        query = given(
            status=status,
            reference=reference,
            created_from=created_from,
            created_to=created_to,
            limit=limit,
            cursor=cursor,
        )
        return cast(Page[Invoice], self._json("GET", "/v1/invoices", query=query))

    def each(
        self,
        *,
        status: str | None = None,
        reference: str | None = None,
        created_from: str | None = None,
        created_to: str | None = None,
    ) -> Iterator[Invoice]:
        """All of them, newest first, a page of 100 at a time."""
        return each(
            lambda cursor: self.page(
                status=status,
                reference=reference,
                created_from=created_from,
                created_to=created_to,
                limit=100,
                cursor=cursor,
            )
        )

    def changes(
        self, invoice_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[InvoiceChange]:
        """One page of how an invoice came to its status, oldest first."""
        path = at("/v1/invoices/{id}/changes", id=invoice_id)
        query = given(limit=limit, cursor=cursor)
        return cast(Page[InvoiceChange], self._json("GET", path, query=query))

    def each_change(self, invoice_id: str) -> Iterator[InvoiceChange]:
        """All of them, oldest first."""
        return each(lambda cursor: self.changes(invoice_id, limit=100, cursor=cursor))

    def cancel(self, invoice_id: str, *, idempotency_key: str | None = None) -> Invoice:
        """End an invoice for which nothing was seen. Raises InvoiceNotCancellable."""
        path = at("/v1/invoices/{id}/cancel", id=invoice_id)
        return cast(Invoice, self._json("POST", path, idempotency_key=idempotency_key))


class PaymentLinks(Resource):
    """`/v1/payment-links`"""

    def create(
        self,
        *,
        title: str,
        currency: str,
        assets: Sequence[str],
        amount: str | None = None,
        min_amount: str | None = None,
        max_amount: str | None = None,
        expires_in_s: int | None = None,
        use_limit: int | None = None,
        ends_at: str | None = None,
        success_url: str | None = None,
        metadata: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> PaymentLink:
        """A new link; without `amount` the customer types one."""
        body = given(
            title=title,
            currency=currency,
            assets=list(assets),
            amount=amount,
            min_amount=min_amount,
            max_amount=max_amount,
            expires_in_s=expires_in_s,
            use_limit=use_limit,
            ends_at=ends_at,
            success_url=success_url,
            metadata=metadata,
        )
        made = self._json("POST", "/v1/payment-links", body=body, idempotency_key=idempotency_key)
        return cast(PaymentLink, made)

    def get(self, link_id: str) -> PaymentLink:
        """One link."""
        return cast(PaymentLink, self._json("GET", at("/v1/payment-links/{id}", id=link_id)))

    def page(self, *, limit: int | None = None, cursor: str | None = None) -> Page[PaymentLink]:
        """One page, newest first."""
        query = given(limit=limit, cursor=cursor)
        return cast(Page[PaymentLink], self._json("GET", "/v1/payment-links", query=query))

    def each(self) -> Iterator[PaymentLink]:
        """All of them, newest first."""
        return each(lambda cursor: self.page(limit=100, cursor=cursor))

    def change(
        self,
        link_id: str,
        *,
        title: str | Unset = UNSET,
        active: bool | Unset = UNSET,
        use_limit: int | Unset | None = UNSET,
        ends_at: str | Unset | None = UNSET,
        success_url: str | Unset | None = UNSET,
        metadata: Mapping[str, str] | Unset | None = UNSET,
    ) -> PaymentLink:
        """Replace what is named; None clears, what is not named stays."""
        body = changed(
            title=title,
            active=active,
            use_limit=use_limit,
            ends_at=ends_at,
            success_url=success_url,
            metadata=metadata,
        )
        path = at("/v1/payment-links/{id}", id=link_id)
        return cast(PaymentLink, self._json("PATCH", path, body=body))


class CheckoutSessions(Resource):
    """`/v1/checkout-sessions`"""

    def create(
        self,
        *,
        amount: str,
        currency: str,
        assets: Sequence[str],
        success_url: str,
        cancel_url: str | None = None,
        client_reference: str | None = None,
        expires_in_s: int | None = None,
        metadata: Mapping[str, str] | None = None,
        language: str | None = None,
        idempotency_key: str | None = None,
    ) -> CheckoutSession:
        """A purchase: send the customer to `url`. Ship when a webhook or `get` says `complete`, not
        when somebody arrives at `success_url`.
        """
        body = given(
            amount=amount,
            currency=currency,
            assets=list(assets),
            success_url=success_url,
            cancel_url=cancel_url,
            client_reference=client_reference,
            expires_in_s=expires_in_s,
            metadata=metadata,
            language=language,
        )
        path = "/v1/checkout-sessions"
        made = self._json("POST", path, body=body, idempotency_key=idempotency_key)
        return cast(CheckoutSession, made)

    def get(self, session_id: str) -> CheckoutSession:
        """One session."""
        path = at("/v1/checkout-sessions/{id}", id=session_id)
        return cast(CheckoutSession, self._json("GET", path))
