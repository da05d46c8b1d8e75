"""What billing's three stores share: a cursor, times and placeholders."""

from collections.abc import Sequence
from datetime import UTC, datetime

from orion.adapters.mysql.session import Cursor


class BillingCursor:
    """The cursor of one transaction."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def _rows(self, sql: str, values: Sequence[object] = ()) -> Sequence[tuple[object, ...]]:
        self._cursor.execute(sql, values)
        return self._cursor.fetchall()


def stored(at: datetime) -> datetime:
    """A UTC moment as a DATETIME column holds it."""
    return at.astimezone(UTC).replace(tzinfo=None)


def read(at: datetime) -> datetime:
    """A DATETIME column as the aware UTC moment it stands for."""
    return at.replace(tzinfo=UTC)


def marks(values: Sequence[object]) -> str:
    """Placeholders for an IN list of at least one value."""
    return ",".join(["%s"] * len(values))
