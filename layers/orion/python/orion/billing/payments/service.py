"""The merchant's list of payments."""

from collections.abc import Mapping

from orion.billing.moments import Period
from orion.billing.payments.model import SCAN_MAX, Wanted, choose, payment_view
from orion.billing.payments.ports import PaymentStore, PaymentTransaction
from orion.billing.places import place_cursor, read_place


class Payments:
    """Reads one merchant's payments; `limit` is 1 to 100, as the API has checked."""

    def __init__(self, store: PaymentStore) -> None:
        self._store = store

    def page(
        self, merchant_id: bytes, wanted: Wanted, period: Period, *, limit: int, cursor: str | None
    ) -> Mapping[str, object]:
        """One page, newest first: `data`, and `next_cursor` (null at the end). With filters a page
        may hold fewer than `limit` and still have a next one. Raises CursorMalformed.
        """
        after = None if cursor is None else read_place(cursor)
        filtered = wanted.asset is not None or wanted.state is not None

        def read(tx: PaymentTransaction) -> Mapping[str, object]:
            seen = tx.scan_payments(
                merchant_id,
                period,
                after,
                invoice_id=wanted.invoice_id,
                newest_first=True,
                limit=SCAN_MAX if filtered else limit + 1,
            )
            chosen = choose(seen, wanted, limit)
            following = chosen.next_place
            return {
                "data": [payment_view(row) for row in tx.payments(chosen.identities)],
                "next_cursor": None if following is None else place_cursor(following),
            }

        return self._store.transact(read)
