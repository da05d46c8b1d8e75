"""The follower of the log: what each posted transfer did to each account, computed by the server.

One transaction enters the next records of one shard: the lock of its row in `statement_cursor` is
the fence, so two followers never enter a record twice, and one that died leaves nothing behind.
Running counters are window sums on top of those that `statement_account` has kept.
"""

from orion.adapters.mysql.session import Cursor, Database
from orion.ledger.following import GapInLog, Step

# Transfers of one transaction, up to the end of the last one's record (at most 700).
CHUNK_TRANSFERS = 10_000
_MAX_CLEARING = 1_000  # Clearing accounts of a shard: one an asset.

_COUNTERS = ("debits_posted", "debits_pending", "credits_posted", "credits_pending")


class MySqlStatementFollower:
    """The port StatementFollower."""

    def __init__(self, database: Database, *, chunk: int = CHUNK_TRANSFERS) -> None:
        self._database = database
        self._chunk = chunk

    def follow(self, shard: int) -> Step:
        return self._database.run(lambda cursor: _follow(cursor, shard, self._chunk))


def _follow(cursor: Cursor, shard: int, chunk: int) -> Step:
    first = _lock_place(cursor, shard)
    # Numbers below this are committed, and with them all that was stored in their transactions.
    end = _one(cursor, "SELECT next_posted FROM shard WHERE shard_no = %s", shard)
    if end is None or first >= end:
        return Step(0, at_end=True)
    last = _last_number(cursor, shard, first, end, chunk)
    barrier = _barrier(cursor, shard, first, last)
    if barrier is not None:
        waits_for, number = barrier
        if number <= first:
            return Step(0, at_end=False, waits_for=waits_for)
        last = number - 1
    _enter(cursor, shard, first, last)
    cursor.execute(
        "UPDATE statement_cursor SET next_number = %s WHERE shard_no = %s", (last + 1, shard)
    )
    return Step(last + 1 - first, at_end=last + 1 == end)


def _lock_place(cursor: Cursor, shard: int) -> int:
    cursor.execute(
        "INSERT INTO statement_cursor (shard_no, next_number) VALUES (%s, 1)"
        " ON DUPLICATE KEY UPDATE next_number = next_number",
        (shard,),
    )
    number = _one(
        cursor, "SELECT next_number FROM statement_cursor WHERE shard_no = %s FOR UPDATE", shard
    )
    if number is None:
        raise RuntimeError("the follower's place vanished inside its own transaction")
    return number


def _last_number(cursor: Cursor, shard: int, first: int, end: int, chunk: int) -> int:
    """The last record of this transaction. Raises GapInLog when one before it is missing."""
    cursor.execute(
        "SELECT MIN(number), MAX(number), COUNT(DISTINCT number) FROM"
        " (SELECT number FROM transfer WHERE shard_no = %s AND number >= %s AND number < %s"
        " ORDER BY shard_no, number, position LIMIT %s) AS chunk",
        (shard, first, end, chunk),
    )
    row = cursor.fetchone()
    if row is None or row[0] != first or row[1] - first + 1 != row[2]:
        raise GapInLog("the log lacks a number", shard=shard, first=first, before=end)
    return int(row[1])


def _barrier(cursor: Cursor, shard: int, first: int, last: int) -> tuple[int, int] | None:
    """The earliest takeover from `first` to `last` of a bucket of which a shard where it was has
    not been followed to its handover: (that shard, the number of this one that waits for it).

    All earlier moves of the bucket count, because a shard between may have posted nothing of it.
    """
    cursor.execute(
        "SELECT earlier.from_shard, m.to_number FROM bucket_move m"
        " JOIN bucket_move earlier ON earlier.bucket = m.bucket"
        " AND earlier.map_version <= m.map_version"
        " LEFT JOIN statement_cursor c ON c.shard_no = earlier.from_shard"
        " WHERE m.to_shard = %s AND m.to_number BETWEEN %s AND %s"
        " AND COALESCE(c.next_number, 1) < earlier.from_number"
        " ORDER BY m.to_number, earlier.map_version LIMIT 1",
        (shard, first, last),
    )
    row = cursor.fetchone()
    return None if row is None else (int(row[0]), int(row[1]))


def _enter(cursor: Cursor, shard: int, first: int, last: int) -> None:
    moved = _moved(_clearing(cursor, shard))
    place = (shard, first, last)
    names = ", ".join(_COUNTERS)
    after = ", ".join(
        f"COALESCE(reached.{name}, 0) + SUM(moved.{name}) OVER running" for name in _COUNTERS
    )
    cursor.execute(
        "INSERT INTO entry (account, posted_at, shard_no, number, position, side, kind, code,"  # noqa: S608
        f" units, other, {names})"
        " SELECT moved.account, moved.posted_at, moved.shard_no, moved.number, moved.position,"
        f" moved.side, moved.kind, moved.code, moved.units, moved.other, {after}"
        f" FROM ({moved}) AS moved"
        " LEFT JOIN statement_account reached ON reached.account = moved.account"
        " WINDOW running AS (PARTITION BY moved.account ORDER BY moved.number, moved.position"
        " ROWS UNBOUNDED PRECEDING)",
        place * 2,
    )
    sums = ", ".join(f"SUM(moved.{name})" for name in _COUNTERS)
    raised = ", ".join(f"{name} = statement_account.{name} + VALUES({name})" for name in _COUNTERS)
    cursor.execute(
        f"INSERT INTO statement_account (account, {names})"  # noqa: S608
        f" SELECT moved.account, {sums} FROM ({moved}) AS moved GROUP BY moved.account"
        f" ON DUPLICATE KEY UPDATE {raised}",
        place * 2,
    )


def _moved(clearing: list[bytes]) -> str:
    """What each transfer of (shard, first number, last number) did to its two accounts; each side
    takes the three as parameters. Text and constants only.
    """
    return f"{_side('debit', 'credit', clearing)} UNION ALL {_side('credit', 'debit', clearing)}"


def _side(side: str, opposite: str, clearing: list[bytes]) -> str:
    other = f"t.{opposite}_account"
    if clearing:
        # Where a clearing account stands for one of another shard, that one was meant.
        listed = ",".join(f"x'{identity.hex()}'" for identity in clearing)
        other = f"IF(t.counterpart IS NOT NULL AND {other} IN ({listed}), t.counterpart, {other})"
    posted = "CASE t.kind WHEN 'direct' THEN t.units WHEN 'post' THEN t.units ELSE 0 END"
    pending = "CASE t.kind WHEN 'direct' THEN 0 WHEN 'pending' THEN t.units ELSE -p.units END"
    counters = dict.fromkeys(_COUNTERS, "0") | {
        f"{side}s_posted": posted,
        f"{side}s_pending": pending,
    }
    columns = ", ".join(f"{counters[name]} AS {name}" for name in _COUNTERS)
    # `signed` moves nothing. What ends a pending transfer takes back all of that one's units.
    return (
        f"SELECT t.{side}_account AS account, t.posted_at, t.shard_no, t.number, t.position,"  # noqa: S608
        f" '{side}' AS side, t.kind, t.code, t.units, {other} AS other, {columns}"
        " FROM transfer t LEFT JOIN transfer p ON p.id = t.pending_id AND p.kind = 'pending'"
        " WHERE t.shard_no = %s AND t.number BETWEEN %s AND %s AND t.kind <> 'signed'"
    )


def _clearing(cursor: Cursor, shard: int) -> list[bytes]:
    cursor.execute(
        "SELECT id FROM account WHERE owner = %s ORDER BY asset, purpose LIMIT %s",
        (f"shard:{shard}", _MAX_CLEARING),
    )
    return [bytes(identity) for (identity,) in cursor.fetchall()]


def _one(cursor: Cursor, statement: str, shard: int) -> int | None:
    cursor.execute(statement, (shard,))
    row = cursor.fetchone()
    return None if row is None else int(row[0])
