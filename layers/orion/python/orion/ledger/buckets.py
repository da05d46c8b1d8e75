"""The shard map: which shard shall have which bucket, and how it grows. Pure.

docs/ledger.md, "Buckets, shards, numbers".
"""

from collections.abc import Sequence
from typing import ClassVar

from orion.errors import OrionError

BUCKETS = 256
# Far more than one database writer can commit for; a bound on what an operator may ask.
MAX_SHARDS = 64


class ShardsOutOfRange(OrionError):
    """A map cannot have so many shards."""

    code: ClassVar[str] = "shards_out_of_range"


def spread(newest: Sequence[int], shards: int) -> tuple[int, ...]:
    """A map over shards 0 to `shards - 1` whose loads differ by one bucket at most, and that moves
    as few buckets as possible.

    From 4 to 8 shards each of the four keeps the first 32 of its 64. Raises ShardsOutOfRange when
    `shards` is above MAX_SHARDS or below what the map has: shards do not shrink.
    """
    if not max(newest) < shards <= MAX_SHARDS:
        raise ShardsOutOfRange(
            f"a map has at most {MAX_SHARDS} shards and never fewer than before",
            shards=shards,
            shards_now=max(newest) + 1,
        )
    loads = [list[int]() for _ in range(shards)]
    for number, shard in enumerate(newest):
        loads[shard].append(number)
    fewest, larger = divmod(BUCKETS, shards)
    # The fullest keep one more than the others, so that nothing moves for the remainder's sake.
    by_load = sorted(range(shards), key=lambda shard: (-len(loads[shard]), shard))
    quota = {shard: fewest + (rank < larger) for rank, shard in enumerate(by_load)}
    given = sorted(number for shard, load in enumerate(loads) for number in load[quota[shard] :])
    found = list(newest)
    for shard, load in enumerate(loads):
        for _ in range(quota[shard] - len(load)):
            found[given.pop(0)] = shard
    return tuple(found)


def ranges(shards: Sequence[int]) -> tuple[tuple[int, int, int], ...]:
    """A map as rows of (first bucket, last bucket, shard), adjoining ones of a shard joined."""
    rows: list[tuple[int, int, int]] = []
    for number, shard in enumerate(shards):
        if rows and rows[-1][2] == shard:
            rows[-1] = (rows[-1][0], number, shard)
        else:
            rows.append((number, number, shard))
    return tuple(rows)
