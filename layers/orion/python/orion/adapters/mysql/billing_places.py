"""Places of payment links on MySQL: a row an invoice, and in the link's row the counters of these
rows.
"""

from collections.abc import Sequence
from datetime import datetime

from orion.adapters.mysql.billing_rows import BillingCursor, maybe_read, maybe_stored, stored
from orion.adapters.mysql.session import Cursor
from orion.billing.payment_links.model import LinkPlace


class BillingPlaces(BillingCursor):
    """Who adds to `held` and `unpaid` of a link, and who takes away: `take_place` for a new
    invoice, `follow_place` for one that moves; nobody else. A row is written by who made or locked
    its invoice, so what it says is what was counted.

    Links are locked after everything else that anybody waits for: deposits, invoices, volumes. So
    nobody holds a link and waits for an invoice.
    """

    def __init__(self, cursor: Cursor) -> None:
        super().__init__(cursor)
        self._counted: dict[bytes, tuple[int, int]] = {}

    def take_place(
        self, link_id: bytes, invoice_id: bytes, until: datetime, now: datetime, unpaid_max: int
    ) -> bool:
        # The condition is judged on the row as it is when its lock is had, so two that come at once
        # never both take the last place.
        counted = self._cursor.execute(
            "UPDATE payment_link SET held = held + IF(use_limit IS NULL, 0, 1), unpaid = unpaid + 1"
            " WHERE link_id = %s AND active = 1 AND (ends_at IS NULL OR ends_at > %s)"
            " AND (use_limit IS NULL OR held < use_limit) AND unpaid < %s",
            (link_id, stored(now), unpaid_max),
        )
        if not counted:
            return False
        self._cursor.execute(
            "INSERT INTO payment_link_invoice (link_id, invoice_id, held, until)"
            " SELECT link_id, %s, IF(use_limit IS NULL, NULL, 1), %s FROM payment_link"
            " WHERE link_id = %s",
            (invoice_id, stored(until), link_id),
        )
        return True

    def follow_place(self, link_id: bytes, invoice_id: bytes, place: LinkPlace) -> None:
        rows = self._rows(
            "SELECT held, until FROM payment_link_invoice WHERE link_id = %s AND invoice_id = %s",
            (link_id, invoice_id),
        )
        if not rows:
            return  # Made by code that knew no places of links without a limit.
        was_held, was_until = rows[0]
        old = LinkPlace(bool(was_held), maybe_read(was_until))  # type: ignore[arg-type]
        new = place if was_held is not None else LinkPlace(False, place.until)
        if new == old:
            return
        self._cursor.execute(
            "UPDATE payment_link_invoice SET held = %s, until = %s"
            " WHERE link_id = %s AND invoice_id = %s",
            (
                None if was_held is None else new.held,
                maybe_stored(new.until),
                link_id,
                invoice_id,
            ),
        )
        held, unpaid = self._counted.get(link_id, (0, 0))
        self._counted[link_id] = (
            held + new.held - old.held,
            unpaid + (new.until is not None) - (old.until is not None),
        )

    def settle_places(self) -> None:
        """Change the counters by what the rows were changed: the last locks of a transaction, in
        ascending order.
        """
        for link_id, (held, unpaid) in sorted(self._counted.items()):
            if held or unpaid:
                self._cursor.execute(
                    "UPDATE payment_link SET held = held + %s, unpaid = unpaid + %s"
                    " WHERE link_id = %s",
                    (held, unpaid, link_id),
                )
        self._counted = {}

    def places_over(self, now: datetime, limit: int) -> Sequence[bytes]:
        self._cursor.execute(
            "SELECT invoice_id FROM payment_link_invoice WHERE until <= %s ORDER BY until LIMIT %s",
            (stored(now), limit),
        )
        return [row[0] for row in self._cursor.fetchall()]
