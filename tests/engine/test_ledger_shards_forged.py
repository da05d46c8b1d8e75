"""Control records that nobody ordered: whoever can write the topic moves no bucket and no clock."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql.ledger_store import MySqlLedgerStore
from orion.adapters.mysql.session import Database
from orion.errors import OrionError
from orion.ledger.model import bucket
from orion.ledger.service import post_partition
from orion.ledger.transfer_record import MalformedTransfer
from orion.records import Record
from tests.engine.ledger_shards_scene import Ledger, config, emptied
from tests.engine.test_ledger_shards import MOVED, orders_are_kept, owner, same_as_one_shard
from tests.unit.ledger_shards_world import life

pytestmark = pytest.mark.engine

BUCKET = bucket(owner(MOVED))
STORY = life(MOVED)
FAR = "9999-12-31T23:59:59.999999Z"
PAST = "1970-01-01T00:00:00.000000Z"


@pytest.fixture
def ledger(mysql_admin: MariaDb) -> Iterator[Ledger]:
    with emptied(mysql_admin) as admin:
        opened = Ledger(mysql_admin, admin)
        yield opened
        opened.close()


def forge(ledger: Ledger, shard: int, name: str, **more: object) -> None:
    """A control record of whoever can write the topic."""
    records = ledger.partitions[shard]
    body = {"v": 1, "trace_id": "ef" * 16, name: {"bucket": BUCKET, "map_version": 2, **more}}
    value = json.dumps(body).encode()
    records.append(Record("ledger.transfers", shard, len(records), b"k", value))


def homes(ledger: Ledger) -> list[tuple[object, ...]]:
    return ledger.rows("SELECT shard_no, map_version, taken FROM bucket WHERE bucket = %s", BUCKET)


def test_a_handover_before_the_barrier_is_passed_by_and_the_ordered_one_moves_the_bucket(
    ledger: Ledger,
) -> None:
    relay = ledger.relays["moneyin"]
    ledger.ask(STORY[0])
    assert relay.lock()
    sending = relay.read()  # By the map of one shard.
    ledger.draw_map(2)
    ledger.ask(STORY[1])
    forge(ledger, 0, "handover")
    ledger.work(0)
    assert homes(ledger) == [(0, 1, 1)]
    relay.send(sending)
    relay.mark(sending)
    relay.unlock()
    ledger.grow(2)
    ledger.drain()
    assert homes(ledger) == [(1, 2, 1)]
    assert ledger.rows("SELECT * FROM refusal") == []
    same_as_one_shard(ledger, [(STORY[0],), (STORY[1],)])


def test_a_takeover_before_its_handover_is_passed_by_and_what_is_held_stays_held(
    ledger: Ledger,
) -> None:
    ledger.ask(STORY[0])
    ledger.grow(2)
    ledger.relays["moneyin"].run()
    forge(ledger, 1, "takeover", posted_at=FAR)
    ledger.work(1)
    assert homes(ledger) == [(0, 1, 1)]
    assert ledger.one("SELECT COUNT(*) FROM held") == 1
    ledger.drain()
    assert ledger.one("SELECT MAX(last_posted_at) FROM shard").year == 2026
    same_as_one_shard(ledger, [(STORY[0],)])


@pytest.mark.parametrize("moment", [FAR, PAST])
def test_the_time_of_a_takeover_is_what_the_earlier_shard_stored_not_what_the_record_says(
    ledger: Ledger, moment: str
) -> None:
    ledger.ask(STORY[0])
    ledger.relays["moneyin"].run()
    ledger.now += timedelta(hours=1)  # The first shard's clock is ahead.
    ledger.work(0)
    ledger.now -= timedelta(hours=1)
    ledger.grow(2)
    ledger.relays["ledger"].run()
    ledger.work(0)
    forge(ledger, 1, "takeover", posted_at=moment)  # Before the ledger's own.
    ledger.work(1)
    ledger.ask(STORY[1])
    ledger.drain()
    orders_are_kept(ledger, MOVED + 1)
    assert ledger.one("SELECT MAX(last_posted_at) FROM shard").year == 2026
    same_as_one_shard(ledger, [(STORY[0],), (STORY[1],)])


@pytest.mark.parametrize(
    "name, shard, version",
    [("handover", 1, 2), ("handover", 0, 7), ("takeover", 0, 2), ("takeover", 1, 7)],
)
def test_a_control_record_for_another_shard_or_another_map_is_told_and_passed_by(
    ledger: Ledger,
    name: str,
    shard: int,
    version: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ledger.grow(2)
    ledger.relays["ledger"].run()
    ledger.work(0)
    before = homes(ledger)
    more = {"map_version": version} | ({"posted_at": FAR} if name == "takeover" else {})
    records = ledger.partitions[shard]
    forge(ledger, shard, name, **more)
    told: list[OrionError] = []
    store = MySqlLedgerStore(Database(config(ledger.server, "ledger")), skipped=told.append)
    for _ in range(2):  # Delivered again it is behind the fence.
        post_partition(store, records[-1:], ledger.now)
    assert [fault.code for fault in told] == ["misplaced_control"]
    assert [r.levelname for r in caplog.records if r.message == "control record skipped"] == [
        "ERROR"
    ]
    assert homes(ledger) == before == [(1, 2, 0)]
    done = ledger.one("SELECT next_offset FROM consumer_offset WHERE partition_no = %s", shard)
    assert done == len(records)


def test_a_control_record_that_changes_nothing_stands_in_the_way_of_no_transfer(
    ledger: Ledger,
) -> None:
    ledger.ask(STORY[0])
    ledger.relays["moneyin"].run()
    forge(ledger, 0, "handover")
    ledger.ask(STORY[1])
    ledger.relays["moneyin"].run()
    assert ledger.work(0).posted == 2


def test_a_malformed_control_record_stops_the_partition(ledger: Ledger) -> None:
    forge(ledger, 0, "handover", bucket=256)
    with pytest.raises(MalformedTransfer):
        ledger.work(0)
