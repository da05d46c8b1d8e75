"""What checkout sessions need from outside: billing's transaction with rows of their own, and the
one way in which invoices are made.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from orion.billing.audit import Origin
from orion.billing.creation import Asked
from orion.billing.invoice import Invoice
from orion.billing.ports import Transaction
from orion.billing.sessions.model import CheckoutSession

T = TypeVar("T")


class SessionTransaction(Transaction, Protocol):
    """Billing's transaction with the rows of checkout sessions."""

    def add_session(self, session: CheckoutSession) -> None:
        """Store a new session."""
        ...

    def session(self, session_id: bytes) -> CheckoutSession | None:
        """The session, not locked."""
        ...


class SessionStore(Protocol):
    """Transactions over billing's schema."""

    def transact(self, work: Callable[[SessionTransaction], T]) -> T:
        """As `BillingStore.transact`."""
        ...


class Invoices(Protocol):
    """The one way in which invoices are made."""

    def new_invoice(self, tx: Transaction, origin: Origin, asked: Asked) -> Invoice:
        """Make an invoice inside a transaction, which must be rolled back when this raises."""
        ...
