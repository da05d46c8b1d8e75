"""Who decides a record while buckets move: nothing lost, nothing twice, every order kept."""

from dataclasses import replace
from itertools import chain as joined

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.ledger.buckets import BUCKETS, spread
from orion.ledger.codes import Code
from orion.ledger.model import Handover, Takeover, bucket, clearing
from orion.ledger.posting import decider
from orion.ledger.sharding import (
    Home,
    MisplacedControl,
    Place,
    ShardView,
    lets_go,
    sort_records,
    takes,
)
from tests.unit.ledger_shards_world import (
    ASSET,
    CUSTODY,
    THEN,
    TRACE,
    Outbox,
    World,
    alone,
    life,
    step,
)

TWO = spread((0,) * BUCKETS, 2)
MERCHANTS = 6


def owner(merchant: int) -> str:
    return f"merchant:{merchant:032x}"


def merchant_of(shard: int) -> int:
    """A merchant whose bucket shard 0 or 1 has under the map of two."""
    return next(n for n in range(1_000) if TWO[bucket(owner(n))] == shard)


HERE, AWAY = merchant_of(0), merchant_of(1)
AWAY_BUCKET = bucket(owner(AWAY))


def view(shard: int, *, lives: tuple[int, ...], taken: bool = True) -> ShardView:
    flags = [taken or n != AWAY_BUCKET for n in range(BUCKETS)]
    return ShardView(shard, lives=lives, taken=flags, newest=TWO)


@pytest.mark.parametrize(
    "shard, lives, taken, place",
    [
        (0, (0,) * BUCKETS, True, Place.DECIDE),  # Not handed over yet.
        (1, (0,) * BUCKETS, True, Place.HOLD),
        (0, TWO, False, Place.FORWARD),  # Handed over, not taken over.
        (1, TWO, False, Place.HOLD),
        (0, TWO, True, Place.FORWARD),  # Taken over.
        (1, TWO, True, Place.DECIDE),
        (2, TWO, True, Place.FORWARD),
        (2, TWO, False, Place.FORWARD),
    ],
)
def test_one_shard_decides_a_bucket_at_any_time(
    shard: int, lives: tuple[int, ...], taken: bool, place: Place
) -> None:
    seen = view(shard, lives=lives, taken=taken)
    assert seen.place(AWAY_BUCKET) is place
    assert seen.local(owner(AWAY)) is (place is Place.DECIDE)
    assert view(1, lives=TWO, taken=False).taking(AWAY_BUCKET).local(owner(AWAY))


def test_a_record_is_parted_by_bucket_in_order_and_its_chains_stay_whole() -> None:
    mine, theirs = life(HERE), life(AWAY)
    linked = [transfer._replace(linked=True) for transfer in theirs[:2]]
    record = (mine[0], theirs[3], *linked, theirs[2], mine[1], theirs[4])
    parted = sort_records([record, (mine[2],), (theirs[5],)], view(0, lives=TWO))
    assert parted.decide == ((mine[0], mine[1]), (mine[2],))
    assert parted.hold == ()
    assert parted.forward == (
        (AWAY_BUCKET, (theirs[3], *linked, theirs[2], theirs[4])),
        (AWAY_BUCKET, (theirs[5],)),
    )
    held = sort_records([record], view(1, lives=TWO, taken=False))
    assert (held.decide, held.hold) == ((), (parted.forward[0],))
    assert [number for number, _ in held.forward] == [bucket(owner(HERE))]


def test_a_chain_of_two_deciders_goes_where_its_first_member_does() -> None:
    mine, theirs = life(HERE)[0], life(AWAY)[0]
    for first, last, here in ((mine, theirs, True), (theirs, mine, False)):
        chain = (first._replace(linked=True), last)
        parted = sort_records([chain], view(0, lives=TWO))
        assert (parted.decide == (chain,)) is here
        assert [transfers for _, transfers in parted.forward] == ([] if here else [chain])


def test_what_a_record_ends_inside_of_stays_together_and_last() -> None:
    first, second, third = life(AWAY)[:3]
    record = (first, second._replace(linked=True), third._replace(linked=True))
    parted = sort_records([record], view(1, lives=TWO))
    assert parted.decide == (record,)


def test_a_leg_belongs_where_its_account_lives_on_either_side() -> None:
    sent = step(AWAY, 0, Code.DEPOSIT_CREDIT, 5)._replace(code=Code.LEG)
    for leg in (
        sent._replace(debit=CUSTODY, credit=clearing(0, ASSET)),
        sent._replace(debit=clearing(0, ASSET), credit=CUSTODY),
    ):
        assert decider(leg) == CUSTODY.owner


def test_a_bucket_is_handed_over_once_and_only_by_its_own_shard() -> None:
    order = Handover(AWAY_BUCKET, 2, TRACE)
    home = Home(0, 1, taken=True)
    assert lets_go(home, order, 0, 1)
    assert not lets_go(Home(1, 2, taken=False), order, 0, 1)
    assert not lets_go(Home(0, 3, taken=False), order, 0, 1)
    for bad, shard, shall in (
        (home, 1, 1),
        (home, 0, 0),
        (home, 0, None),
        (replace(home, taken=False), 0, 1),
        (Home(2, 1, taken=True), 0, 1),
    ):
        with pytest.raises(MisplacedControl):
            lets_go(bad, order, shard, shall)


def test_a_bucket_is_taken_over_once_and_only_by_the_shard_that_it_was_handed_to() -> None:
    order = Takeover(AWAY_BUCKET, 2, THEN, TRACE)
    assert takes(Home(1, 2, taken=False), order, 1)
    assert not takes(Home(1, 2, taken=True), order, 1)
    assert not takes(Home(0, 3, taken=False), order, 1)
    for bad, shard in ((Home(0, 1, taken=True), 1), (Home(1, 2, taken=False), 0)):
        with pytest.raises(MisplacedControl):
            takes(bad, order, shard)


def moved_world() -> World:
    """One shard with a credit decided; its relay has read the next record under the old map."""
    world = World()
    credit, final = life(AWAY)[:2]
    world.ask(credit)
    world.read(world.moneyin, 1)
    world.draw_map(2)
    world.ask(final)
    return world


def bring(world: World, outbox: Outbox) -> None:
    world.read(outbox, 500)
    world.finish(outbox)


def hand_over(world: World) -> None:
    """Both control records arrive and are carried out."""
    for shard in (0, 1):
        bring(world, world.ledger)
        world.work(shard, 1_000)


def test_without_the_barrier_a_causally_later_transfer_is_refused_wrongly() -> None:
    """The hazard: a handover passes what a relay still sends by the old map."""
    world = moved_world()
    assert world.owe_handovers(barrier=False)
    hand_over(world)
    world.finish(world.moneyin)  # The credit, to the old shard, and marked.
    bring(world, world.moneyin)  # The final, to the new shard.
    world.drain()
    assert list(world.refused.values()) == ["exceeds_credits"]


def test_with_the_barrier_the_handover_waits_for_what_is_sent_by_the_old_map() -> None:
    world = moved_world()
    assert not world.owe_handovers()
    world.finish(world.moneyin)
    assert world.owe_handovers()
    hand_over(world)
    bring(world, world.moneyin)
    world.drain()
    assert world.refused == {}


@pytest.mark.parametrize("marks", [True, False])
def test_what_is_sent_without_the_lock_may_be_late_only_as_long_as_it_is_not_marked(
    marks: bool,
) -> None:
    world = moved_world()
    world.lose(world.moneyin)  # Now the barrier passes.
    assert world.owe_handovers()
    hand_over(world)
    world.finish_late(world.moneyin, marks=marks)
    bring(world, world.moneyin)
    world.drain()
    assert list(world.refused.values()) == (["exceeds_credits"] if marks else [])


def test_late_legs_and_legs_before_a_takeover_are_applied_once() -> None:
    world = World()
    custody = bucket(CUSTODY.owner)
    world.draw_map(2)
    moved = next(n for n in range(1_000) if TWO[bucket(owner(n))] != TWO[custody])
    for transfer in life(moved):
        world.ask(transfer)
        bring(world, world.moneyin)
        world.work(0, 1)
        world.work(1, 1)
        world.read(world.ledger, 1)
        world.lose(world.ledger)
        world.owe_handovers()
        assert world.out_of_balance() == 0
    world.drain()
    assert world.in_flight == {}
    assert world.outcome() == alone([(t,) for t in life(moved)]).outcome()


ACTIONS = st.one_of(
    st.tuples(st.sampled_from(["ask", "tell"]), st.integers(0, MERCHANTS - 1), st.integers(1, 3)),
    st.tuples(
        st.sampled_from(["read", "finish", "lose", "late", "bring", "repeat"]),
        st.integers(0, 1),
        st.integers(1, 9),
    ),
    st.tuples(st.just("work"), st.integers(0, 3), st.integers(1, 6)),
    st.tuples(st.sampled_from(["map", "handovers"]), st.integers(2, 4), st.just(0)),
)


def act(world: World, name: str, which: int, amount: int) -> None:
    """One step of somebody."""
    outbox = world.outboxes[which % 2]
    match name:
        case "read":
            world.read(outbox, amount)
        case "finish":
            world.finish(outbox)
        case "lose":
            world.lose(outbox)
        case "late":
            world.finish_late(outbox)
        case "bring":
            bring(world, outbox)
        case "repeat":
            world.read(outbox, amount)
            world.lose(outbox)
            world.finish_late(outbox)
        case "work":
            world.work(which, amount)
        case "map":
            world.draw_map(which)
        case "handovers":
            world.owe_handovers()


@settings(max_examples=35, deadline=None)
@given(st.lists(ACTIONS, min_size=20, max_size=100))
def test_any_redelivery_that_keeps_each_partitions_order_gives_the_same_state(
    actions: list[tuple[str, int, int]],
) -> None:
    world = World()
    left = [life(merchant) for merchant in range(MERCHANTS)]
    asked = []
    for name, which, amount in actions:
        if name in ("ask", "tell"):
            record, left[which] = tuple(left[which][:amount]), left[which][amount:]
            if record:
                asked.append(record)
                world.ask(*record)
            if name == "tell":
                bring(world, world.moneyin)
        else:
            act(world, name, which, amount)
        assert world.out_of_balance() == 0
    world.drain()
    assert world.out_of_balance() == 0
    assert (world.in_flight, dict(world.held)) == ({}, {})
    assert world.outcome() == alone(asked).outcome()
    assert len(set(world.posted)) == len(world.posted)
    sent = {transfer.id for transfer in joined.from_iterable(asked)}
    assert sent <= {*world.posted, *world.refused}
