"""What the list of payments needs from outside."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from orion.billing.moments import Period
from orion.billing.payments.model import Payment, Seen
from orion.billing.places import Place

T = TypeVar("T")


class PaymentTransaction(Protocol):
    """Reads of one READ COMMITTED transaction."""

    def scan_payments(
        self,
        merchant_id: bytes,
        period: Period,
        after: Place | None,
        *,
        invoice_id: bytes | None,
        newest_first: bool,
        limit: int,
    ) -> Sequence[Seen]:
        """At most `limit` of the merchant's payments first seen in the period, behind `after` in
        the asked order; of one invoice where it is named.
        """
        ...

    def payments(self, identities: Sequence[bytes]) -> Sequence[Payment]:
        """These payments, in the order of `identities`; those that exist."""
        ...


class PaymentStore(Protocol):
    """Transactions over billing's schema."""

    def transact(self, work: Callable[[PaymentTransaction], T]) -> T:
        """As `BillingStore.transact`."""
        ...
