"""What the pass of every minute looks for on MySQL besides what is due: rows that code older than a
migration wrote, and deposits whose block stays gone (docs/invoices.md, "Old rows", "Lost blocks").
Each is a range of an index that is empty on an ordinary day.
"""

from collections.abc import Sequence
from datetime import datetime

from orion.adapters.mysql.billing_rows import BillingCursor, marks, read, stored
from orion.billing.model import ALWAYS_WAKING
from orion.billing.ports import LostDeposit

_ALWAYS_WAKING = sorted(status.value for status in ALWAYS_WAKING)


class BillingMending(BillingCursor):
    """The part of the port `Transaction` that mends."""

    def sleeping(self, limit: int) -> Sequence[bytes]:
        self._cursor.execute(
            f"SELECT invoice_id FROM invoice WHERE status IN ({marks(_ALWAYS_WAKING)})"  # noqa: S608
            " AND wakes_at IS NULL LIMIT %s",
            (*_ALWAYS_WAKING, limit),
        )
        return [row[0] for row in self._cursor.fetchall()]

    def adopt_deposits(self, limit: int) -> int:
        # Where only the credit has come, nothing is seen yet, and there is no invoice either.
        self._cursor.execute(
            "SELECT deposit_id FROM deposit WHERE merchant_id IS NULL"
            " AND first_seen_at >= '1970-01-01' LIMIT %s",
            (limit,),
        )
        found = [row[0] for row in self._cursor.fetchall()]
        if not found:
            return 0
        return self._cursor.execute(
            "UPDATE deposit d JOIN invoice i ON i.invoice_id = d.invoice_id"  # noqa: S608
            " SET d.merchant_id = i.merchant_id WHERE d.merchant_id IS NULL"
            f" AND d.deposit_id IN ({marks(found)})",
            found,
        )

    def reversed_since(self, before: datetime, now: datetime, limit: int) -> Sequence[LostDeposit]:
        self._cursor.execute(
            "UPDATE deposit SET reversed_at = %s WHERE state = 'reversed' AND reversed_at IS NULL"
            " LIMIT %s",
            (stored(now), limit),
        )
        self._cursor.execute(
            "SELECT deposit_id, invoice_id, asset, txid, reversed_at FROM deposit"
            " WHERE state = 'reversed' AND reversed_at < %s ORDER BY reversed_at LIMIT %s",
            (stored(before), limit),
        )
        return [
            LostDeposit(deposit_id, invoice_id, asset, txid, read(since))
            for deposit_id, invoice_id, asset, txid, since in self._cursor.fetchall()
        ]
