"""What exports need from outside."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from orion.billing.exports.tables import InvoiceRow
from orion.billing.moments import Period
from orion.billing.payments.ports import PaymentTransaction
from orion.billing.places import Place

T = TypeVar("T")


class ExportTransaction(PaymentTransaction, Protocol):
    """Reads of one READ COMMITTED transaction."""

    def invoice_rows(
        self, merchant_id: bytes, period: Period, after: Place | None, limit: int
    ) -> Sequence[InvoiceRow]:
        """At most `limit` of the merchant's invoices whose identities were made in the period (in
        milliseconds), oldest first, behind `after`.
        """
        ...


class ExportStore(Protocol):
    """Transactions over billing's schema."""

    def transact(self, work: Callable[[ExportTransaction], T]) -> T:
        """As `BillingStore.transact`."""
        ...
