"""How an invoice came to its state, on MySQL: a range of its changes' primary key."""

from collections.abc import Sequence

from orion.adapters.mysql.billing_rows import read
from orion.adapters.mysql.session import Cursor, Database
from orion.billing.invoice import Cause, Change
from orion.billing.model import CauseType, InvoiceStatus


class MySqlInvoiceHistory:
    """The port `InvoiceHistory`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def changes(
        self, merchant_id: bytes, invoice_id: bytes, *, after: int, limit: int
    ) -> Sequence[Change] | None:
        def work(cursor: Cursor) -> Sequence[Change] | None:
            cursor.execute(
                "SELECT 1 FROM invoice WHERE invoice_id = %s AND merchant_id = %s",
                (invoice_id, merchant_id),
            )
            if cursor.fetchone() is None:
                return None
            cursor.execute(
                "SELECT number, from_status, to_status, cause_type, cause_subject, at, trace_id"
                " FROM invoice_change WHERE invoice_id = %s AND number > %s"
                " ORDER BY number LIMIT %s",
                (invoice_id, after, limit),
            )
            return [
                Change(
                    int(number),
                    None if old is None else InvoiceStatus(old),
                    InvoiceStatus(new),
                    Cause(CauseType(kind), subject, read(at), trace_id),
                )
                for number, old, new, kind, subject, at, trace_id in cursor.fetchall()
            ]

        return self._database.run(work)
