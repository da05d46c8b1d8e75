"""Invoices for files on MySQL: ranges of a merchant's identities, which carry their moment."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from orion.adapters.mysql.billing_payments import BillingPayments
from orion.adapters.mysql.billing_rows import read
from orion.adapters.mysql.session import Database
from orion.billing.exports.tables import InvoiceRow
from orion.billing.listing import Wanted
from orion.billing.moments import Period
from orion.billing.places import Place
from orion.money import Amount, asset

T = TypeVar("T")


class BillingExports(BillingPayments):
    """The port `ExportTransaction`."""

    def invoice_rows(
        self, merchant_id: bytes, period: Period, after: Place | None, limit: int
    ) -> Sequence[InvoiceRow]:
        lowest, above = Wanted(created_from=period.since, created_to=period.until).ids()
        sign, bound = ">=", lowest
        if after is not None and after.identity >= lowest:
            sign, bound = ">", after.identity
        rows = self._rows(
            "SELECT invoice_id, created_at, expires_at, status, price_units, currency, reference,"  # noqa: S608
            " payment_link_id, session_id FROM invoice"
            f" WHERE merchant_id = %s AND invoice_id {sign} %s AND invoice_id < %s"
            " ORDER BY invoice_id LIMIT %s",
            (merchant_id, bound, above, limit),
        )
        return [_row(row) for row in rows]


def _row(row: Sequence[Any]) -> InvoiceRow:
    invoice_id, created_at, expires_at, status, units, code, reference, link_id, session_id = row
    return InvoiceRow(
        invoice_id=invoice_id,
        created_at=read(created_at),
        expires_at=read(expires_at),
        status=status,
        price=Amount(int(units), asset(code)),
        reference=reference,
        payment_link_id=link_id,
        session_id=session_id,
    )


class MySqlExportStore:
    """The ports `ExportStore` and `PaymentStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def transact(self, work: Callable[[BillingExports], T]) -> T:
        return self._database.run(lambda cursor: work(BillingExports(cursor)))
