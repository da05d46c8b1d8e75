"""What merchants ask of checkout sessions: to make and to read them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from orion.billing.audit import Origin, audit
from orion.billing.creation import Asked
from orion.billing.ports import Answer, KeyedRequest
from orion.billing.sessions.errors import CheckoutSessionNotFound
from orion.billing.sessions.model import CheckoutSession, session_view
from orion.billing.sessions.ports import Invoices, SessionStore, SessionTransaction
from orion.billing.sessions.return_url import check_return_url, with_session
from orion.ids import public_id, random_id
from orion.records import canonical_json


@dataclass(frozen=True, slots=True)
class SessionAsked:
    """A session as a merchant asks for it, of the right types and lengths but not yet judged."""

    amount: str
    currency: str
    assets: tuple[str, ...]
    success_url: str
    cancel_url: str | None = None
    client_reference: str | None = None
    expires_in_s: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    language: str | None = None


class CheckoutSessions:
    """Each method is one transaction. `lane_urls` is the public base URL of each lane."""

    def __init__(
        self,
        store: SessionStore,
        invoices: Invoices,
        lane_urls: Mapping[str, str],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._invoices = invoices
        self._lane_urls = lane_urls
        self._clock = clock

    def create(
        self, request: KeyedRequest, asked: SessionAsked, *, lane: str, trace_id: str
    ) -> Answer:
        """Make a session and its invoice once for the request's key.

        Refuses, with nothing written: ReturnUrlRefused, `idempotency_key_reused`,
        `idempotency_key_in_flight`, and what making an invoice refuses.
        """
        origin = Origin(request.merchant_id, lane, trace_id, self._clock())
        session_id = random_id(origin.at)
        name = public_id("cs", session_id)
        wanted = _invoice_asked(asked, session_id)

        def make(tx: SessionTransaction) -> Answer:
            invoice = self._invoices.new_invoice(tx, origin, wanted)
            session = CheckoutSession(
                session_id, request.merchant_id, invoice.invoice_id, origin.at
            )
            tx.add_session(session)
            details = {"invoice": public_id("inv", invoice.invoice_id)}
            tx.tell([audit("checkout_session.created", origin, name, details)], origin.at)
            view = session_view(session, invoice, self._lane_urls[lane], origin.at)
            body = canonical_json(view)
            return Answer(201, body, body)

        return self._store.transact(lambda tx: tx.once(request, origin.at, lambda: make(tx)))

    def session(self, merchant_id: bytes, session_id: bytes) -> Mapping[str, object]:
        """The merchant's session. Raises CheckoutSessionNotFound, also for another merchant's."""

        def read(tx: SessionTransaction) -> Mapping[str, object]:
            session = tx.session(session_id)
            if session is None or session.merchant_id != merchant_id:
                raise CheckoutSessionNotFound("no such checkout session")
            invoice = tx.invoice(session.invoice_id)
            if invoice is None:
                raise RuntimeError("a session without its invoice")
            return session_view(session, invoice, self._lane_urls[invoice.lane], self._clock())

        return self._store.transact(read)


def _invoice_asked(asked: SessionAsked, session_id: bytes) -> Asked:
    """Raises ReturnUrlRefused."""
    name = public_id("cs", session_id)
    cancel_url = asked.cancel_url
    return Asked(
        amount=asked.amount,
        currency=asked.currency,
        assets=asked.assets,
        reference=asked.client_reference,
        expires_in_s=asked.expires_in_s,
        metadata=asked.metadata,
        session_id=session_id,
        success_url=_return_url(asked.success_url, "success_url", name),
        cancel_url=cancel_url and _return_url(cancel_url, "cancel_url", name),
        language=asked.language,
    )


def _return_url(url: str, field_name: str, session: str) -> str:
    return with_session(check_return_url(url, field_name, may_name_session=True), session)
