"""What billing's three stores share: a cursor, times and placeholders."""

from collections.abc import Sequence
from datetime import UTC, datetime

from orion.adapters.mysql.one_trip import Question, Row, ask
from orion.adapters.mysql.session import Cursor
from orion.billing.invoice import Change


class BillingCursor:
    """The cursor of one transaction."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._ahead: dict[tuple[object, ...], Sequence[Row]] = {}

    def _read_ahead(self, questions: Sequence[Question]) -> None:
        """Ask all of these in one round trip. Each answer is given once, to whom asks first."""
        for question, rows in zip(questions, ask(self._cursor, questions), strict=True):
            self._ahead[question.key] = rows

    def _ask(self, question: Question) -> Sequence[Row]:
        rows = self._ahead.pop(question.key, None)
        return ask(self._cursor, [question])[0] if rows is None else rows

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
