"""The ledger grows on live data: nothing lost, nothing twice, each account's order kept."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql import ledger_shards
from orion.adapters.mysql.ledger_growth import BucketsMoving, SenderBusy, shard_states
from orion.adapters.mysql.ledger_map import BrokenShardMap
from orion.adapters.mysql.ledger_shards import TooManyHeld
from orion.ledger.buckets import BUCKETS, spread
from orion.ledger.codes import Code
from orion.ledger.model import AccountKey, Counters, Transfer, bucket
from tests.engine.ledger_shards_scene import Ledger, Relay, Sending, emptied, told
from tests.unit.ledger_shards_world import CUSTODY, alone, life, step

pytestmark = pytest.mark.engine

TWO = spread((0,) * BUCKETS, 2)
MERCHANTS = 24
STEPS_MAX = 2_000  # It takes some two hundred.


@pytest.fixture
def ledger(mysql_admin: MariaDb) -> Iterator[Ledger]:
    with emptied(mysql_admin) as admin:
        opened = Ledger(mysql_admin, admin)
        yield opened
        opened.close()


def owner(merchant: int) -> str:
    return f"merchant:{merchant:032x}"


def merchant_of(shard: int) -> int:
    """A merchant whose bucket this shard has under the map of two."""
    return next(n for n in range(1_000) if TWO[bucket(owner(n))] == shard)


MOVED = merchant_of(1)


def named(seen: dict[AccountKey, Counters]) -> dict[tuple[str, str], tuple[int, ...]]:
    return {(key.owner, key.purpose.value): tuple(held) for key, held in seen.items()}


def same_as_one_shard(ledger: Ledger, asked: list[tuple[Transfer, ...]]) -> None:
    """What came of it is what one shard would have made of the same records."""
    posted, refused, seen = alone(asked).outcome()
    assert ledger.outcome() == (posted, refused, named(seen))
    assert ledger.out_of_balance() == 0
    assert ledger.rows("SELECT * FROM leg WHERE applied_at IS NULL") == []
    assert ledger.rows("SELECT * FROM held") == []


def orders_are_kept(ledger: Ledger, merchants: int) -> None:
    """Each merchant's log has the order in which it was asked, and times that rise from shard to
    shard.
    """
    for merchant in range(merchants):
        log = ledger.log_of(owner(merchant))
        places = {transfer.id: n for n, transfer in enumerate(life(merchant))}
        asked = [places[identity] for identity, _, _ in log if identity in places]
        assert asked == sorted(asked)
        for (_, one, before), (_, other, after) in pairwise(log):
            assert one == other or before < after


def counters_are_their_log(ledger: Ledger) -> None:
    wrong = ledger.rows(
        "SELECT a.owner, a.purpose FROM account a LEFT JOIN (SELECT account, SUM(debit) AS debits,"
        " SUM(credit) AS credits FROM (SELECT debit_account AS account, units AS debit, 0 AS credit"
        " FROM transfer WHERE kind IN ('direct', 'post') UNION ALL SELECT credit_account, 0, units"
        " FROM transfer WHERE kind IN ('direct', 'post')) AS sides GROUP BY account) AS sums"
        " ON sums.account = a.id WHERE a.debits_posted <> COALESCE(sums.debits, 0)"
        " OR a.credits_posted <> COALESCE(sums.credits, 0)"
    )
    assert wrong == []


@pytest.mark.parametrize("start, end, seed", [(1, 4, 1), (4, 8, 2), (2, 3, 3)])
def test_growing_while_traffic_flows_gives_what_one_shard_would_have_made_of_it(
    ledger: Ledger, start: int, end: int, seed: int
) -> None:
    dice = random.Random(seed)  # noqa: S311 - a repeatable story, not a secret.
    ledger.grow(start)
    ledger.drain()
    left = {merchant: life(merchant) for merchant in range(MERCHANTS)}
    asked: list[tuple[Transfer, ...]] = []
    late: list[tuple[Relay, Sending]] = []
    step = 0
    while left or ledger.moving():
        step += 1
        assert step < STEPS_MAX, (left, ledger.operator.run(shard_states))
        if left:
            merchant = dice.choice(list(left))
            count = dice.randint(1, 4)
            record, left[merchant] = tuple(left[merchant][:count]), left[merchant][count:]
            ledger.ask(*record)
            asked.append(record)
            if not left[merchant]:
                del left[merchant]
        relay = ledger.relays[dice.choice(["moneyin", "ledger"])]
        if step % 2 == 0:
            relay.run(dice.randint(1, 60))
        elif step % 3 == 0:
            late.append((relay, relay.read(dice.randint(1, 20))))  # It loses its lock.
        elif late and dice.random() < 0.3:
            slow, sending = late.pop(0)
            slow.send(sending)
        if step in (12, 14):
            ledger.grow(end)
        elif step > 14 and step % 10 == 0:
            ledger.carry_on()  # As the watch does, whoever was at it before.
        for shard in dice.sample(range(end), 2):
            if dice.random() < 0.1:
                ledger.restart(shard)
            ledger.work(shard, dice.randint(1, 40), back=dice.randint(0, 5))
        if step % 5 == 0:
            assert ledger.out_of_balance() == 0
    ledger.drain()
    same_as_one_shard(ledger, asked)
    orders_are_kept(ledger, MERCHANTS)
    counters_are_their_log(ledger)
    states = ledger.operator.run(shard_states)
    loads = Counter(spread(spread((0,) * BUCKETS, start), end))
    assert [(s.shard, s.buckets, s.arriving, s.leaving, s.held, s.in_flight) for s in states] == [
        (shard, loads[shard], 0, 0, 0, 0) for shard in range(end)
    ]


def test_what_comes_before_the_takeover_is_held_and_decided_in_order(ledger: Ledger) -> None:
    story = life(MOVED)
    ledger.ask(*story[:2])
    ledger.relays["moneyin"].run()
    ledger.draw_map(2)
    for transfer in story[2:6]:
        ledger.ask(transfer)
    ledger.relays["moneyin"].run()  # To the new shard, before the old one has let go.
    assert ledger.work(1).unchanged == 0
    assert ledger.one("SELECT COUNT(*) FROM held WHERE shard_no = 1") == 4
    assert ledger.rows("SELECT * FROM transfer") == []
    ledger.work(0)
    ledger.pass_barrier()
    ledger.owe_handovers()
    ledger.relays["ledger"].run()
    ledger.work(0)
    ledger.ask(*story[6:])
    ledger.relays["moneyin"].run()  # After the handover, before the takeover.
    ledger.work(1)
    assert ledger.one("SELECT COUNT(*) FROM held WHERE shard_no = 1") == 5
    ledger.drain()
    same_as_one_shard(ledger, [tuple(story[:2]), *[(t,) for t in story[2:6]], tuple(story[6:])])
    orders_are_kept(ledger, MOVED + 1)
    shards = [shard for _, shard, _ in ledger.log_of(owner(MOVED))]
    assert shards == sorted(shards)
    assert set(shards) == {0, 1}


def test_late_records_to_the_old_shard_are_forwarded(ledger: Ledger) -> None:
    story = life(MOVED)
    for transfer in story[:4]:
        ledger.ask(transfer)
    late = ledger.relays["moneyin"].read()  # By the old map; it loses its lock and is late.
    ledger.grow(2)
    ledger.drain()  # The next relay has sent all of it by the new map.
    for _ in range(2):
        ledger.relays["moneyin"].send(late)
        result = ledger.work(0)
        assert (result.posted, result.refused, result.unchanged) == (0, 0, 0)
    owed = ledger.rows(
        "SELECT partition_key FROM outbox WHERE sent_at IS NULL AND destination LIKE '%%transfers'"
    )
    assert owed == [(f"bucket:{bucket(owner(MOVED))}".encode(),)] * 8
    ledger.drain()
    same_as_one_shard(ledger, [(t,) for t in story[:4]])


def test_a_leg_to_the_old_shard_is_forwarded_and_one_before_the_takeover_held(
    ledger: Ledger,
) -> None:
    custody = bucket(CUSTODY.owner)
    # The custody account moves to the shard where this merchant stays not.
    merchant = next(n for n in range(1_000) if TWO[bucket(owner(n))] != TWO[custody])
    story = life(merchant)
    ledger.grow(2)
    ledger.drain()
    ledger.ask(*story)
    ledger.relays["moneyin"].run()
    ledger.work(TWO[bucket(owner(merchant))])
    assert ledger.out_of_balance() == 0
    in_flight = ledger.one("SELECT COUNT(*) FROM leg WHERE applied_at IS NULL")
    assert in_flight > 0
    # A relay with the map of four sends it to the new shard, one with that of two to the old one.
    late = ledger.relays["ledger"].read()
    four = ledger.draw_map(4).newest
    ledger.relays["ledger"].run()
    assert ledger.out_of_balance() == 0
    ledger.pass_barrier()
    ledger.owe_handovers()
    ledger.drain()
    ledger.relays["ledger"].send(late)
    ledger.drain()
    assert len(set(four)) == 4
    same_as_one_shard(ledger, [tuple(story)])


def test_a_shard_that_lets_the_custody_account_go_remembers_nothing_of_it(ledger: Ledger) -> None:
    custody = bucket(CUSTODY.owner)
    two = spread((0,) * BUCKETS, 2)
    shards = next(n for n in range(3, 9) if spread(two, n)[custody] != two[custody])
    giver, after = two[custody], spread(two, shards)
    stays = next(
        n for n in range(1_000) if two[bucket(owner(n))] == after[bucket(owner(n))] == giver
    )
    other = next(n for n in range(1_000) if two[bucket(owner(n))] != giver)
    ledger.grow(2)
    ledger.drain()
    ledger.ask(*life(other))
    ledger.drain()  # Legs arrive: the giver has a clearing account.
    ledger.restart(giver)
    ledger.ask(*life(stays)[:2])
    ledger.relays["moneyin"].run()
    ledger.grow(shards)
    ledger.relays["ledger"].run()
    ledger.work(giver)  # Credits, then the handover, in one batch.
    again = step(stays, 20, Code.DEPOSIT_CREDIT, 5)
    ledger.ask(again)
    ledger.drain()
    same_as_one_shard(ledger, [tuple(life(other)), tuple(life(stays)[:2]), (again,)])


@pytest.mark.parametrize(
    "rows", [[(0, 254, 0)], [(1, 255, 0)], [(0, 99, 0), (101, 255, 1)], [(0, 99, 0), (99, 254, 1)]]
)
def test_a_map_that_leaves_a_bucket_out_or_gives_it_twice_stops_relays_and_writers(
    ledger: Ledger, rows: list[tuple[int, int, int]]
) -> None:
    ledger.ask(*life(MOVED))
    ledger.relays["moneyin"].run()
    for row in rows:
        ledger.rows("INSERT INTO shard_map VALUES (2, %s, %s, %s)", *row)
    with pytest.raises(BrokenShardMap):
        ledger.relays["moneyin"].read()
    with pytest.raises(BrokenShardMap):
        ledger.work(0)
    assert ledger.rows("SELECT * FROM transfer") == []


def test_more_than_may_be_held_stops_the_partition_at_the_record_that_is_too_many(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_shards, "MAX_HELD", 2)
    ledger.draw_map(2)
    for transfer in life(MOVED)[:3]:
        ledger.ask(transfer)
    ledger.relays["moneyin"].run()
    for _ in range(2):
        with pytest.raises(TooManyHeld) as fault:
            ledger.work(1)
        assert fault.value.fields["offset"] == 2
        assert ledger.one("SELECT COUNT(*) FROM held") == 2
        assert ledger.one("SELECT next_offset FROM consumer_offset WHERE partition_no = 1") == 2


def test_what_stands_in_front_of_its_takeover_is_held_beyond_the_limit(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_shards, "MAX_HELD", 2)
    ledger.draw_map(2)
    story = life(MOVED)
    for transfer in story:
        ledger.ask(transfer)
    ledger.relays["moneyin"].run()
    ledger.pass_barrier()
    ledger.owe_handovers()
    with pytest.raises(TooManyHeld):
        ledger.work(1)
    ledger.relays["ledger"].run()
    ledger.work(0)
    ledger.work(1)
    assert ledger.one("SELECT COUNT(*) FROM held") == len(story)
    ledger.drain()
    assert ledger.one("SELECT COUNT(*) FROM held") == 0
    same_as_one_shard(ledger, [(transfer,) for transfer in story])


def test_handover_and_takeover_delivered_again_change_nothing(ledger: Ledger) -> None:
    story = life(MOVED)
    ledger.ask(*story[:3])
    ledger.grow(2)
    ledger.drain()
    ledger.ask(*story[3:])
    ledger.drain()
    before = ledger.outcome()
    for shard, word in ((0, "handover"), (1, "takeover")):
        again = told(ledger.partitions[shard], word)
        assert len(again) == BUCKETS // 2
        for record in again:
            place = len(ledger.partitions[shard])
            ledger.partitions[shard].append(replace(record, offset=place))
    ledger.drain()
    assert ledger.outcome() == before
    assert ledger.moving() == 0
    assert ledger.one("SELECT COUNT(*) FROM bucket WHERE taken = 1 AND map_version = 2") == 128
    same_as_one_shard(ledger, [tuple(story[:3]), tuple(story[3:])])


def test_the_barrier_waits_for_a_relay_that_sends_by_the_old_map(ledger: Ledger) -> None:
    relay = ledger.relays["moneyin"]
    assert relay.lock()
    ledger.draw_map(2)
    with pytest.raises(SenderBusy):
        ledger.pass_barrier()
    relay.unlock()
    ledger.pass_barrier()


def test_a_second_map_waits_until_the_first_is_carried_out(ledger: Ledger) -> None:
    ledger.grow(2)
    with pytest.raises(BucketsMoving):
        ledger.draw_map(4)
    ledger.drain()
    assert ledger.draw_map(4).version == 3


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_growth_that_was_killed_between_two_steps_is_finished_by_the_same_call(
    ledger: Ledger, steps: int
) -> None:
    story = life(MOVED)
    ledger.ask(*story[:3])
    ledger.draw_map(2)
    if steps > 1:
        ledger.pass_barrier()
    if steps > 2:
        ledger.owe_handovers()
    if steps == 3:
        ledger.relays["ledger"].run(40)
        ledger.work(0, 30)
    ledger.grow(2)
    ledger.ask(*story[3:])
    ledger.drain()
    ledger.grow(2)
    assert ledger.moving() == 0
    assert ledger.one("SELECT MAX(map_version) FROM shard_map") == 2
    assert len(told(ledger.partitions[0], "handover")) == BUCKETS // 2
    same_as_one_shard(ledger, [tuple(story[:3]), tuple(story[3:])])
