"""Open pages on MySQL: their connections, and telling them in the transaction of a change."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from orion.adapters.mysql.billing_rows import BillingCursor, marks, stored
from orion.billing.ports import Message
from orion.billing.sockets import Connection, look_again


class BillingSockets(BillingCursor):
    """The port `SocketTransaction`, and who is connected to an invoice."""

    def lock_for_sockets(self, invoice_id: bytes) -> bool:
        sql = "SELECT 1 FROM invoice WHERE invoice_id = %s FOR UPDATE"
        return bool(self._rows(sql, (invoice_id,)))

    def count_sockets(self, invoice_id: bytes, now: datetime) -> int:
        self._cursor.execute(
            "SELECT COUNT(*) FROM socket_connection WHERE invoice_id = %s AND expires_at > %s",
            (invoice_id, stored(now)),
        )
        row = self._cursor.fetchone()
        return 0 if row is None else int(row[0])

    def add_socket(self, connection: Connection) -> None:
        self._cursor.execute(
            "REPLACE INTO socket_connection (connection_id, invoice_id, opened_at, expires_at)"
            " VALUES (%s, %s, %s, %s)",
            (
                connection.connection_id,
                connection.invoice_id,
                stored(connection.opened_at),
                stored(connection.expires_at),
            ),
        )

    def drop_sockets(self, connection_ids: Sequence[str]) -> int:
        if not connection_ids:
            return 0
        return self._cursor.execute(
            "DELETE FROM socket_connection"  # noqa: S608 - only placeholders
            f" WHERE connection_id IN ({marks(connection_ids)})",
            tuple(connection_ids),
        )

    def drop_expired_sockets(self, now: datetime, limit: int) -> int:
        return self._cursor.execute(
            "DELETE FROM socket_connection WHERE expires_at <= %s ORDER BY expires_at LIMIT %s",
            (stored(now), limit),
        )

    def tell_pages(self, invoice_ids: Iterable[bytes], now: datetime) -> Sequence[Message]:
        """What to tell the pages that are open on these invoices: nothing where none is."""
        asked = sorted(invoice_ids)
        if not asked:
            return ()
        self._cursor.execute(
            "SELECT invoice_id, connection_id FROM socket_connection"  # noqa: S608 - placeholders
            f" WHERE invoice_id IN ({marks(asked)}) AND expires_at > %s"
            " ORDER BY invoice_id, opened_at",
            (*asked, stored(now)),
        )
        pages: dict[bytes, list[str]] = {}
        for invoice_id, connection_id in self._cursor.fetchall():
            pages.setdefault(invoice_id, []).append(connection_id)
        return [look_again(invoice_id, ids) for invoice_id, ids in pages.items()]
