"""The canonical line of an entry and its leaf, made by PostgreSQL itself (docs/books.md).

SQL text over one row of `external_book.entry`; orion.ledger.book and orion.ledger.merkle say what
both are, and tests hold them equal.
"""

from collections.abc import Sequence

from orion.adapters.postgres.session import Cursor

MAX_NUMBERS = 10_000  # Of one question.

# Of an infinite time to_char gives NULL, which would be a line of nothing.
MOMENT_SQL = """
coalesce(to_char(posted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), posted_at::text)
"""
# A bytea. The cause goes in as its bytes: a tampered one that is no UTF-8 must differ, not fail.
ENTRY_LINE_SQL = f"""
'{{"cause":'::bytea || cause || convert_to(',"code":"' || code
|| CASE WHEN counterpart IS NULL THEN '","counterpart":null'
   ELSE '","counterpart":"' || encode(counterpart, 'hex') || '"' END
|| ',"credit":"' || encode(credit_account, 'hex') || '","debit":"' || encode(debit_account, 'hex')
|| '","digest":"' || encode(digest, 'hex') || '","id":"' || encode(id, 'hex')
|| '","kind":"' || kind || CASE WHEN linked THEN '","linked":true' ELSE '","linked":false' END
|| ',"number":' || number::text
|| CASE WHEN pending_id IS NULL THEN ',"pending_id":null'
   ELSE ',"pending_id":"' || encode(pending_id, 'hex') || '"' END
|| ',"position":' || position::text || ',"posted_at":"'
|| {MOMENT_SQL}
|| '","shard":' || shard_no::text || ',"trace_id":"' || encode(trace_id, 'hex')
|| '","units":"' || units::text || '","v":1}}', 'UTF8')
"""
LEAF_SQL = f"sha256('\\x00'::bytea || {ENTRY_LINE_SQL})"


def lines(cursor: Cursor, shard: int, numbers: Sequence[int]) -> dict[int, list[bytes]]:
    """The lines of each of `numbers` that the book holds, in order. At most MAX_NUMBERS."""
    if len(numbers) > MAX_NUMBERS:
        raise ValueError(f"at most {MAX_NUMBERS} records are read at once")
    found: dict[int, list[bytes]] = {}
    cursor.execute(
        f"SELECT number, {ENTRY_LINE_SQL} FROM external_book.entry"  # noqa: S608 - constants
        " WHERE shard_no = %s AND number = ANY(%s) ORDER BY number, position",
        (shard, list(numbers)),
    )
    for number, line in cursor:
        found.setdefault(number, []).append(line)
    return found
