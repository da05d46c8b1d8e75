"""Files of a merchant's invoices, payments and statements, a part at a time.

Rows are read PAGE at a time, each page a transaction of its own, and written as they are read: what
is held in memory is one part and one page, however long the file is.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, TypeVar

from orion.billing.exports.csv import Part, csv_line, fill
from orion.billing.exports.ports import ExportStore, ExportTransaction
from orion.billing.exports.tables import (
    INVOICE_COLUMNS,
    PAYMENT_COLUMNS,
    STATEMENT_COLUMNS,
    InvoiceRow,
    invoice_cells,
    payment_cells,
    statement_cells,
)
from orion.billing.moments import Period
from orion.billing.payments.model import Payment, payment_view
from orion.billing.places import Place, place_cursor, read_place
from orion.billing.statements.model import Asked, line_view, lines_of, lines_question
from orion.ledger.statement import Page, Statements, cursor_text

R = TypeVar("R", InvoiceRow, Payment)

PAGE = 500


@dataclass(frozen=True, slots=True)
class StatementPart:
    """A part of a statement, and through which moment the account's log is complete."""

    part: Part
    complete_through: datetime | None


class Exports:
    """Every method gives one part: with the header line where there is no cursor."""

    def __init__(self, store: ExportStore, statements: Statements) -> None:
        self._store = store
        self._statements = statements

    def invoices(self, merchant_id: bytes, period: Period, cursor: str | None) -> Part:
        """Invoices made in the period, oldest first. Raises CursorMalformed."""

        def page(after: Place | None) -> _Read[InvoiceRow]:
            rows = self._store.transact(
                lambda tx: tx.invoice_rows(merchant_id, period, after, PAGE)
            )
            return _Read(rows, [row.place for row in rows])

        after = _place(cursor)
        rows = ((csv_line(invoice_cells(row)), _behind(row)) for row in _walk(page, after))
        return fill(_header(INVOICE_COLUMNS, cursor), rows)

    def payments(self, merchant_id: bytes, period: Period, cursor: str | None) -> Part:
        """Payments first seen in the period, oldest first. Raises CursorMalformed."""

        def read(tx: ExportTransaction, after: Place | None) -> _Read[Payment]:
            seen = tx.scan_payments(
                merchant_id, period, after, invoice_id=None, newest_first=False, limit=PAGE
            )
            places = [row.place for row in seen]
            return _Read(tx.payments([place.identity for place in places]), places)

        def page(after: Place | None) -> _Read[Payment]:
            return self._store.transact(lambda tx: read(tx, after))

        after = _place(cursor)
        rows = (
            (csv_line(payment_cells(payment_view(row))), _behind(row)) for row in _walk(page, after)
        )
        return fill(_header(PAYMENT_COLUMNS, cursor), rows)

    def statement(self, asked: Asked, *, continued: bool) -> StatementPart:
        """An account's lines in the order that was asked for; `limit` counts for nothing.

        Raises UnknownAccount.
        """
        first = replace(asked, limit=PAGE)
        page = self._statements.page(lines_question(first))
        rows = self._statement_rows(first, page)
        part = fill(None if continued else csv_line(STATEMENT_COLUMNS), rows)
        return StatementPart(part, page.complete_through)

    def _statement_rows(self, asked: Asked, page: Page) -> Iterator[tuple[str, str]]:
        account = asked.key.purpose.value
        while True:
            lines, following = lines_of(asked, page)
            for line in lines:
                cells = statement_cells(line_view(line, asked.coin), asked.coin.code, account)
                yield csv_line(cells), cursor_text(asked.key.id, line.place)
            if following is None:
                return
            asked = replace(asked, after=following)
            page = self._statements.page(lines_question(asked))


@dataclass(frozen=True, slots=True)
class _Read(Generic[R]):
    """A page of rows, and the places of all that were looked at: a page with fewer is the last."""

    rows: Sequence[R]
    places: Sequence[Place]


def _walk(page: Callable[[Place | None], _Read[R]], after: Place | None) -> Iterator[R]:
    """All rows behind `after`, page by page."""
    while True:
        read = page(after)
        yield from read.rows
        if len(read.places) < PAGE:
            return
        after = read.places[-1]


def _behind(row: InvoiceRow | Payment) -> str:
    return place_cursor(row.place)


def _header(columns: Sequence[str], cursor: str | None) -> str | None:
    return csv_line(columns) if cursor is None else None


def _place(cursor: str | None) -> Place | None:
    return None if cursor is None else read_place(cursor)
