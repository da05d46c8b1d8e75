"""The moves of buckets: who ordered them, and which numbers of a shard come after which of another.

Ordered by whoever draws the map, in the commit that owes the control records; completed by the
writers in the transactions of handover and takeover. The writers believe this table, because
whoever can write the topic can send a control record. The statements' follower reads it as well:
the log of an account must be followed in the order in which it was posted.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from orion.adapters.mysql.session import Cursor


@dataclass(frozen=True, slots=True)
class Move:
    """An order. `posted_at` is the latest that `from_shard` had posted when it let the bucket go;
    None before.
    """

    from_shard: int
    to_shard: int
    posted_at: datetime | None


def order(
    cursor: Cursor, map_version: int, moves: Iterable[tuple[int, int, int]], now: datetime
) -> None:
    """Order that each (bucket, from its shard, to another) moves; what is ordered already stays."""
    cursor.executemany(
        "INSERT INTO bucket_move (bucket, map_version, from_shard, to_shard, ordered_at)"
        " VALUES (%s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE ordered_at = ordered_at",
        [(bucket, map_version, old, new, _stored(now)) for bucket, old, new in moves],
    )


def ordered(cursor: Cursor, bucket: int, map_version: int) -> Move | None:
    """The order that the bucket moves with this version of the map."""
    cursor.execute(
        "SELECT from_shard, to_shard, posted_at FROM bucket_move"
        " WHERE bucket = %s AND map_version = %s",
        (bucket, map_version),
    )
    row = cursor.fetchone()
    if row is None:
        return None
    posted_at = None if row[2] is None else row[2].replace(tzinfo=UTC)
    return Move(int(row[0]), int(row[1]), posted_at)


def handed_over(cursor: Cursor, bucket: int, map_version: int, posted_at: datetime) -> None:
    """In the transaction of the handover."""
    cursor.execute(
        "UPDATE bucket_move SET posted_at = %s WHERE bucket = %s AND map_version = %s",
        (_stored(posted_at), bucket, map_version),
    )


def taken_over(cursor: Cursor, bucket: int, map_version: int) -> None:
    """In the transaction that begins the takeover, before it posts anything of the bucket, with the
    lock of the taking shard's row.

    What the earlier shard posted meanwhile is waited for as well, which does no harm.
    """
    cursor.execute(
        "SELECT old.next_posted, new.next_posted FROM bucket_move m"
        " JOIN shard old ON old.shard_no = m.from_shard JOIN shard new ON new.shard_no = m.to_shard"
        " WHERE m.bucket = %s AND m.map_version = %s",
        (bucket, map_version),
    )
    row = cursor.fetchone()
    if row is None:
        raise RuntimeError("a takeover without its handover")
    cursor.execute(
        "UPDATE bucket_move SET from_number = %s, to_number = %s"
        " WHERE bucket = %s AND map_version = %s AND to_number IS NULL",
        (*row, bucket, map_version),
    )


def _stored(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
