"""What payment links need from outside: billing's transaction with rows of their own, and the one
way in which invoices are made.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from orion.billing.payment_links.model import PaymentLink
from orion.billing.ports import Transaction

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Places:
    """The places of one link: how many are held, and the invoices that ended without money since
    somebody last looked.
    """

    held: int
    ended: Sequence[bytes]


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

    def places(self, link_id: bytes, now: datetime) -> Places:
        """The places of a locked link."""
        ...

    def give_back(self, link_id: bytes, invoice_ids: Sequence[bytes]) -> None:
        """These invoices of a locked link hold their places no longer."""
        ...

    def take_place(self, link_id: bytes, invoice_id: bytes) -> None:
        """A new invoice takes a place of a locked link."""
        ...

    def places_held(self, link_ids: Sequence[bytes], now: datetime) -> Mapping[bytes, int]:
        """How many places of these links are held, not locked; links without any are absent."""
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
