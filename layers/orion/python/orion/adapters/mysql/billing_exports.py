"""Invoices for files on MySQL: ranges of a merchant's identities, which carry their moment."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from orion.adapters.mysql.billing_payments import BillingPayments
from orion.adapters.mysql.billing_rows import read
from orion.billing.exports.tables import InvoiceRow
from orion.billing.moments import Period
from orion.billing.places import Place
from orion.money import Amount, asset

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LAST_MS = 2**48 - 1


class BillingExports(BillingPayments):
    """The port `ExportTransaction`."""

    def invoice_rows(
        self, merchant_id: bytes, period: Period, after: Place | None, limit: int
    ) -> Sequence[InvoiceRow]:
        clauses, values = ["merchant_id = %s"], [merchant_id]
        if period.since is not None:
            clauses.append("invoice_id >= %s")
            values.append(_first_identity(period.since))
        if period.until is not None:
            clauses.append("invoice_id < %s")
            values.append(_first_identity(period.until))
        if after is not None:
            clauses.append("invoice_id > %s")
            values.append(after.identity)
        rows = self._rows(
            "SELECT invoice_id, created_at, expires_at, status, price_units, currency, reference,"  # noqa: S608
            f" payment_link_id, session_id FROM invoice WHERE {' AND '.join(clauses)}"
            " ORDER BY invoice_id LIMIT %s",
            (*values, limit),
        )
        return [_row(row) for row in rows]


def _first_identity(at: datetime) -> bytes:
    """The lowest identity of a moment's millisecond (RFC 9562 section 5.7: the first 48 bits)."""
    milliseconds = min(max((at - _EPOCH) // _MILLISECOND, 0), _LAST_MS)
    return milliseconds.to_bytes(6, "big") + bytes(10)


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
