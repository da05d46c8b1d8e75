"""The newest shard map, as every sender of transfers reads it."""

from typing import ClassVar

from orion.adapters.mysql.session import Cursor
from orion.errors import OrionError
from orion.ledger.buckets import BUCKETS


class BrokenShardMap(OrionError):
    """The newest shard map does not give every bucket to one shard."""

    code: ClassVar[str] = "broken_shard_map"


def newest_map(cursor: Cursor) -> tuple[int, ...]:
    """The shard of each bucket under the newest map. Raises BrokenShardMap."""
    return newest_version(cursor)[1]


def newest_version(cursor: Cursor) -> tuple[int, tuple[int, ...]]:
    """The newest version and its shard of each bucket. One statement, so one version.

    Raises BrokenShardMap.
    """
    cursor.execute(
        "SELECT map_version, bucket_from, bucket_to, shard_no FROM orion_ledger.shard_map"
        " WHERE map_version = (SELECT MAX(map_version) FROM orion_ledger.shard_map)"
        " ORDER BY bucket_from LIMIT %s",
        (BUCKETS + 1,),
    )
    rows = [tuple(int(value) for value in row) for row in cursor.fetchall()]
    shards: list[int] = []
    for _, first, last, shard in rows:
        if first != len(shards) or not first <= last < BUCKETS:
            raise BrokenShardMap("ranges of the shard map leave gaps or overlap", bucket=first)
        shards += [shard] * (last - first + 1)
    if len(shards) != BUCKETS:
        raise BrokenShardMap("the shard map does not reach the last bucket", bucket=len(shards))
    return rows[0][0], tuple(shards)
