"""What of the ledger should have arrived by now and has not."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orion.adapters.mysql.session import Cursor

# A leg takes two relays and two writers; what is older is stuck (docs/ledger.md, "One decider").
LEG_LATE_AFTER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Late:
    """Legs in flight for longer than they may, records held for a takeover, and records that the
    ledger posted and the statements do not show yet.
    """

    legs_late: int
    transfers_held: int
    statements_behind: int


def late(cursor: Cursor, now: datetime) -> Late:
    """Counted in one transaction."""
    before = (now - LEG_LATE_AFTER).astimezone(UTC).replace(tzinfo=None)
    return Late(
        legs_late=_number(
            cursor, "SELECT COUNT(*) FROM leg WHERE applied_at IS NULL AND sent_at < %s", before
        ),
        transfers_held=_number(cursor, "SELECT COUNT(*) FROM held"),
        statements_behind=_number(
            cursor,
            "SELECT COALESCE(SUM(s.next_posted - COALESCE(c.next_number, 1)), 0) FROM shard s"
            " LEFT JOIN statement_cursor c ON c.shard_no = s.shard_no",
        ),
    )


def _number(cursor: Cursor, statement: str, *values: object) -> int:
    cursor.execute(statement, values)
    row = cursor.fetchone()
    if row is None:
        raise RuntimeError("a count without a row")
    return int(row[0])
