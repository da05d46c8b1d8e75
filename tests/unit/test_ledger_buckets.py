"""The shard map grows by moving as little as it can, and reads as ranges."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.ledger.buckets import BUCKETS, MAX_SHARDS, ShardsOutOfRange, ranges, spread

ONE = (0,) * BUCKETS


def grown(*steps: int) -> tuple[int, ...]:
    """The map after growing from one shard through `steps`."""
    shards: Sequence[int] = ONE
    for step in steps:
        shards = spread(shards, step)
    return tuple(shards)


def fewest_moves(before: Sequence[int], shards: int) -> int:
    """What the new shards must get at least, whoever gives it."""
    loads = sorted(Counter(before).values(), reverse=True)
    fewest, larger = divmod(BUCKETS, shards)
    quotas = [fewest + (rank < larger) for rank in range(len(loads))]
    return sum(max(0, load - quota) for load, quota in zip(loads, quotas, strict=True))


def test_from_four_to_eight_shards_each_of_the_four_keeps_half_of_its_buckets() -> None:
    four, eight = grown(4), grown(4, 8)
    assert sorted(Counter(eight).values()) == [32] * 8
    assert sum(a != b for a, b in zip(four, eight, strict=True)) == 128
    assert all(now in (before, 4, 5, 6, 7) for before, now in zip(four, eight, strict=True))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, MAX_SHARDS), min_size=1, max_size=5))
def test_a_map_is_level_and_moves_no_bucket_more_than_it_must(steps: list[int]) -> None:
    before: tuple[int, ...] = ONE
    for step in sorted(set(steps)):
        after = spread(before, step)
        loads = Counter(after)
        assert set(loads) == set(range(step))
        assert max(loads.values()) - min(loads.values()) <= 1
        moved = sum(a != b for a, b in zip(before, after, strict=True))
        assert moved == fewest_moves(before, step)
        before = after


def test_nothing_moves_for_the_sake_of_the_remainder() -> None:
    uneven = (0,) * 85 + (1,) * 86 + (2,) * 85
    assert spread(uneven, 3) == uneven


@pytest.mark.parametrize("shards", [0, 3, MAX_SHARDS + 1])
def test_a_map_neither_shrinks_nor_passes_its_limit(shards: int) -> None:
    with pytest.raises(ShardsOutOfRange):
        spread(grown(4), shards)


def test_ranges_join_neighbours_and_give_the_map_back() -> None:
    assert ranges(ONE) == ((0, 255, 0),)
    shards = grown(3, 5, 7)
    rows = ranges(shards)
    back = [shard for first, last, shard in rows for _ in range(first, last + 1)]
    assert tuple(back) == shards
    assert all(a[2] != b[2] for a, b in pairwise(rows))
