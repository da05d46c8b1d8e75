"""What billing's three stores share: a cursor, times and placeholders."""

from collections.abc import Sequence
from datetime import UTC, datetime

from orion.adapters.mysql.session import Cursor
from orion.billing.invoice import Change


class BillingCursor:
    """The cursor of one transaction."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def _rows(self, sql: str, values: Sequence[object] = ()) -> Sequence[tuple[object, ...]]:
        self._cursor.execute(sql, values)
        return self._cursor.fetchall()

    def _insert_change(self, invoice_id: bytes, change: Change) -> None:
        self._cursor.execute(
            "INSERT INTO invoice_change (invoice_id, number, from_status, to_status, cause_type,"
            " cause_subject, at, trace_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            (
                invoice_id,
                change.number,
                None if change.old is None else change.old.value,
                change.new.value,
                change.cause.type.value,
                change.cause.subject,
                stored(change.cause.at),
                change.cause.trace_id,
            ),
        )


def stored(at: datetime) -> datetime:
    """A UTC moment as a DATETIME column holds it."""
    return at.astimezone(UTC).replace(tzinfo=None)


def maybe_stored(at: datetime | None) -> datetime | None:
    """As `stored`; None is NULL."""
    return None if at is None else stored(at)


def read(at: datetime) -> datetime:
    """A DATETIME column as the aware UTC moment it stands for."""
    return at.replace(tzinfo=UTC)


def maybe_read(at: datetime | None) -> datetime | None:
    """As `read`; NULL is None."""
    return None if at is None else read(at)


def marks(values: Sequence[object]) -> str:
    """Placeholders for an IN list of at least one value."""
    return ",".join(["%s"] * len(values))
