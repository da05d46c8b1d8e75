"""The columns of each file, and the cells of each row. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from orion.billing.exports.csv import Cell, Words
from orion.billing.invoice import moment
from orion.billing.places import Place
from orion.ids import public_id
from orion.money import Amount

INVOICE_COLUMNS = (
    "id", "created_at", "expires_at", "status", "amount", "currency", "reference",
    "payment_link_id", "session_id",
)  # fmt: skip
PAYMENT_COLUMNS = (
    "id", "first_seen_at", "block_time", "invoice_id", "reference", "asset", "amount", "currency",
    "rate", "txid", "state", "confirmations", "confirmations_required", "credited",
)  # fmt: skip
STATEMENT_COLUMNS = (
    "posted_at", "transfer_id", "asset", "account", "code", "kind", "direction", "amount",
    "balance_before", "balance_after", "movable_after", "cause", "payment_id", "invoice_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class InvoiceRow:
    """What a file has of one invoice."""

    invoice_id: bytes
    created_at: datetime
    expires_at: datetime
    status: str
    price: Amount
    reference: str | None
    payment_link_id: bytes | None
    session_id: bytes | None

    @property
    def place(self) -> Place:
        return Place(self.created_at, self.invoice_id)


def invoice_cells(row: InvoiceRow) -> list[Cell]:
    """In the order of INVOICE_COLUMNS."""
    return [
        public_id("inv", row.invoice_id),
        moment(row.created_at),
        moment(row.expires_at),
        row.status,
        row.price.text(),
        row.price.asset.code,
        _words(row.reference),
        None if row.payment_link_id is None else public_id("pl", row.payment_link_id),
        None if row.session_id is None else public_id("cs", row.session_id),
    ]


def payment_cells(view: Mapping[str, object]) -> list[Cell]:
    """In the order of PAYMENT_COLUMNS; `view` is what the API shows of a payment."""
    return [_words(view[n]) if n == "reference" else _plain(view[n]) for n in PAYMENT_COLUMNS]


def statement_cells(line: Mapping[str, object], asset: str, account: str) -> list[Cell]:
    """In the order of STATEMENT_COLUMNS; `line` is what the API shows of one line."""
    cause = line["cause"]
    known = cause if isinstance(cause, Mapping) else {}
    own = {
        "asset": asset,
        "account": account,
        "cause": known.get("type"),
        "payment_id": known.get("payment_id"),
        "invoice_id": known.get("invoice_id"),
    }
    return [_plain({**line, **own}[name]) for name in STATEMENT_COLUMNS]


def _words(value: object) -> Cell:
    return None if value is None else Words(str(value))


def _plain(value: object) -> Cell:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, int) else None if value is None else str(value)
