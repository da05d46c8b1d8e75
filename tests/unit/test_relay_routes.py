"""Where a row of the outbox goes whose topic has a partition for each shard."""

import tomllib
from pathlib import Path

import pytest

from orion.ledger.buckets import BUCKETS, MAX_SHARDS, spread
from orion.ledger.model import bucket
from orion.runtime.relay_routes import SENDERS, Unroutable, partition_of

TOPICS = Path(__file__).parents[2] / "infra" / "topics.toml"
FOUR = spread((0,) * BUCKETS, 4)


def test_a_bucket_goes_where_the_newest_map_says_and_a_shard_is_its_partition() -> None:
    for number in (0, 7, 100, 255):
        key = f"bucket:{number}".encode()
        assert partition_of("ledger.transfers", key, FOUR) == FOUR[number]
    assert {partition_of("ledger.transfers", b"shard:%d" % n, FOUR) for n in range(9)} == {
        *range(9)
    }


def test_what_the_ledger_answers_goes_to_its_shards_partition_and_other_keys_are_hashed() -> None:
    assert partition_of("ledger.posted", b"5", ()) == 5
    assert partition_of("ledger.refused", b"0", ()) == 0
    assert partition_of("moneyin.deposits", b"bucket:7", ()) is None


@pytest.mark.parametrize(
    "topic, key",
    [
        ("ledger.transfers", b"0"),
        ("ledger.transfers", b"bucket:256"),
        ("ledger.transfers", b"bucket:-1"),
        ("ledger.transfers", b"bucket:07"),
        ("ledger.transfers", b"shard:%d" % MAX_SHARDS),
        ("ledger.transfers", b"bucket:7 "),
        ("ledger.transfers", b"merchant:7"),
        ("ledger.posted", b"bucket:7"),
        ("ledger.posted", b""),
    ],
)
def test_a_key_that_names_no_place_is_refused(topic: str, key: bytes) -> None:
    with pytest.raises(Unroutable):
        partition_of(topic, key, FOUR)


def test_the_barrier_knows_every_module_that_sends_transfers() -> None:
    topics = tomllib.loads(TOPICS.read_text())["topic"]
    (producers,) = (row["producers"] for row in topics if row["name"] == "ledger.transfers")
    assert sorted(producers) == sorted(SENDERS)


def test_an_owner_has_one_bucket_of_those_that_the_map_has() -> None:
    owners = [f"merchant:{n:032x}" for n in range(2_000)]
    assert {bucket(owner) for owner in owners} == set(range(BUCKETS))
