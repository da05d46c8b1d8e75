"""The canonical line of an entry and its leaf, made by PostgreSQL itself (docs/books.md).

SQL text over one row of `external_book.entry`; orion.ledger.book and orion.ledger.merkle say what
both are, and tests hold them equal.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from orion.adapters.postgres.session import Cursor

MAX_NUMBERS = 10_000  # Of one question.

# A bytea. The cause goes in as its bytes: a tampered one that is no UTF-8 must differ, not fail.
ENTRY_LINE_SQL = """
'{"cause":'::bytea || cause || convert_to(',"code":"' || code
|| CASE WHEN counterpart IS NULL THEN '","counterpart":null'
   ELSE '","counterpart":"' || encode(counterpart, 'hex') || '"' END
|| ',"credit":"' || encode(credit_account, 'hex') || '","debit":"' || encode(debit_account, 'hex')
|| '","digest":"' || encode(digest, 'hex') || '","id":"' || encode(id, 'hex')
|| '","kind":"' || kind || CASE WHEN linked THEN '","linked":true' ELSE '","linked":false' END
|| ',"number":' || number::text
|| CASE WHEN pending_id IS NULL THEN ',"pending_id":null'
   ELSE ',"pending_id":"' || encode(pending_id, 'hex') || '"' END
|| ',"position":' || position::text || ',"posted_at":"'
|| to_char(posted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
|| '","shard":' || shard_no::text || ',"trace_id":"' || encode(trace_id, 'hex')
|| '","units":"' || units::text || '","v":1}', 'UTF8')
"""
LEAF_SQL = f"sha256('\\x00'::bytea || {ENTRY_LINE_SQL})"


@dataclass(frozen=True, slots=True)
class RecordLeaves:
    """One record's leaves, 32 bytes each, joined in the order of position."""

    number: int
    posted_at: datetime
    entries: int
    leaves: bytes


def lines(cursor: Cursor, shard: int, numbers: list[int]) -> dict[int, list[bytes]]:
    """The lines of each of `numbers` that the book holds, in order. At most MAX_NUMBERS."""
    if len(numbers) > MAX_NUMBERS:
        raise ValueError(f"at most {MAX_NUMBERS} records are read at once")
    found: dict[int, list[bytes]] = {}
    cursor.execute(
        f"SELECT number, {ENTRY_LINE_SQL} FROM external_book.entry"  # noqa: S608 - constants
        " WHERE shard_no = %s AND number = ANY(%s) ORDER BY number, position",
        (shard, numbers),
    )
    for number, line in cursor:
        found.setdefault(number, []).append(line)
    return found


def record_leaves(cursor: Cursor, shard: int, first: int, last: int) -> Iterator[RecordLeaves]:
    """The leaves of every record that the book holds from `first` to `last`, both included, by
    rising number. The server hashes; a record of several moments (a tampered one) shows its first.
    """
    if last - first >= MAX_NUMBERS:
        raise ValueError(f"at most {MAX_NUMBERS} records are read at once")
    cursor.execute(
        "SELECT number, min(posted_at), count(*),"  # noqa: S608 - constants
        f" string_agg({LEAF_SQL}, ''::bytea ORDER BY position)"
        " FROM external_book.entry WHERE shard_no = %s AND number BETWEEN %s AND %s"
        " GROUP BY number ORDER BY number",
        (shard, first, last),
    )
    for number, posted_at, entries, leaves in cursor:
        yield RecordLeaves(number, posted_at, entries, leaves)
