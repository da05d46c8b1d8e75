"""What payment links need from outside: billing's transaction with rows of their own, and the one
way in which invoices are made.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from orion.billing.payment_links.model import PaymentLink
from orion.billing.ports import Transaction

T = TypeVar("T")


class LinkTransaction(Transaction, Protocol):
    """Billing's transaction with the rows of payment links."""

    def add_link(self, link: PaymentLink) -> None:
        """Store a new link."""
        ...

    def payment_link(self, link_id: bytes) -> PaymentLink | None:
        """The link, not locked."""
        ...

    def lock_link(self, link_id: bytes) -> PaymentLink | None:
        """The link as committed by now; nobody else locks it until the end of this transaction."""
        ...

    def put_link(self, link: PaymentLink) -> None:
        """Replace what may change of a locked link."""
        ...

    def links_before(
        self, merchant_id: bytes, before: bytes | None, limit: int
    ) -> Sequence[PaymentLink]:
        """The merchant's links, newest first, with ids below `before`; at most `limit`."""
        ...

    def take_place(
        self, link_id: bytes, invoice_id: bytes, until: datetime, now: datetime, unpaid_max: int
    ) -> bool:
        """A new invoice, which waits for money until `until`, is counted in its link, and takes a
        place where the link has a limit. False where the link makes no invoice now (switched off,
        ended, used up, or `unpaid_max` wait): the transaction must then be rolled back.

        Last in the transaction: from here on nobody else gets an invoice of the link before its
        end.
        """
        ...

    def lock_visitor(self, link_id: bytes, visitor: bytes) -> bytes | None:
        """The visitor's last invoice of this link. A second transaction of the same visitor waits
        here for the end of the first.
        """
        ...

    def put_visitor(self, link_id: bytes, visitor: bytes, invoice_id: bytes) -> None:
        """Remember a locked visitor's invoice."""
        ...

    def visitor_invoice(self, link_id: bytes, visitor: bytes) -> bytes | None:
        """The visitor's last invoice of this link, not locked."""
        ...


class LinkStore(Protocol):
    """Transactions over billing's schema."""

    def transact(self, work: Callable[[LinkTransaction], T]) -> T:
        """As `BillingStore.transact`."""
        ...
