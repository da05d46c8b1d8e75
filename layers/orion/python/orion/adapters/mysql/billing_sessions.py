"""Checkout sessions on MySQL, and the store whose transactions make invoices through links and
sessions.
"""

from collections.abc import Callable
from typing import TypeVar

from orion.adapters.mysql.billing import MySqlBillingTransaction
from orion.adapters.mysql.billing_links import BillingLinks
from orion.adapters.mysql.billing_rows import BillingCursor, read, stored
from orion.adapters.mysql.session import Cursor, Database
from orion.billing.sessions.model import CheckoutSession

T = TypeVar("T")


class BillingSessions(BillingCursor):
    """The part of the port `SessionTransaction` that is about sessions."""

    def add_session(self, session: CheckoutSession) -> None:
        self._cursor.execute(
            "INSERT INTO checkout_session (session_id, merchant_id, invoice_id, created_at)"
            " VALUES (%s, %s, %s, %s)",
            (
                session.session_id,
                session.merchant_id,
                session.invoice_id,
                stored(session.created_at),
            ),
        )

    def session(self, session_id: bytes) -> CheckoutSession | None:
        self._cursor.execute(
            "SELECT merchant_id, invoice_id, created_at FROM checkout_session"
            " WHERE session_id = %s",
            (session_id,),
        )
        row = self._cursor.fetchone()
        if row is None:
            return None
        merchant_id, invoice_id, created_at = row
        return CheckoutSession(session_id, merchant_id, invoice_id, read(created_at))


class MySqlSalesTransaction(MySqlBillingTransaction, BillingLinks, BillingSessions):
    """The ports `LinkTransaction` and `SessionTransaction` over the cursor of one transaction."""


class MySqlSalesStore:
    """The ports `LinkStore` and `SessionStore`, repeating as `MySqlBillingStore` does. An invoice
    that is new here has no page open yet, so nobody is told but by its events.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def transact(self, work: Callable[[MySqlSalesTransaction], T]) -> T:
        def whole(cursor: Cursor) -> T:
            tx = MySqlSalesTransaction(cursor)
            found = work(tx)
            tx.settle_places()
            return found

        return self._database.run(whole)
