"""Which numbers of a shard come after which of another one, because a bucket moved between them.

Written by the writers in the transactions of handover and takeover, read by the statements'
follower: the log of an account must be followed in the order in which it was posted.
"""

from orion.adapters.mysql.session import Cursor


def handed_over(
    cursor: Cursor, bucket: int, map_version: int, from_shard: int, to_shard: int
) -> None:
    """In the transaction of the handover."""
    cursor.execute(
        "INSERT INTO bucket_move (bucket, map_version, from_shard, to_shard)"
        " VALUES (%s, %s, %s, %s) ON DUPLICATE KEY UPDATE from_shard = VALUES(from_shard),"
        " to_shard = VALUES(to_shard), from_number = NULL, to_number = NULL",
        (bucket, map_version, from_shard, to_shard),
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
