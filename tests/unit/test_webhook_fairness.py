"""One slow endpoint or merchant never delays another: the dispatcher's rules in virtual time."""

import heapq
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from orion.billing.webhook_pace import (
    BEGINNING,
    DISABLED_AFTER,
    DISABLED_AFTER_FAILURES,
    PLACES,
    QUICK_MS,
    Claim,
    DisabledReason,
    Lane,
    Pace,
    after_answer,
    disabling,
    enabled_again,
    grants,
    unanswered,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SENDERS = {Lane.FAST: 100, Lane.SLOW: 50}  # infra/cloud/function_table_billing.py
HANGS_S = 8.0  # orion.adapters.webhook.sender, TOTAL_TIMEOUT_S
QUICK_S = 0.1


@dataclass
class Shop:
    """An endpoint of a merchant of its own, and when each of its events came."""

    takes_s: float
    delivers: bool
    events: deque[float]
    pace: Pace = BEGINNING
    queued: int = 0
    waits: list[float] = field(default_factory=list)


def run(shops: Mapping[bytes, Shop], *, shares: bool) -> None:
    """All events handed over, sent and answered; `waits` are from event to answer, in seconds.
    Without `shares` all go into one queue as they come.
    """
    queues: dict[Lane, deque[tuple[bytes, float]]] = {lane: deque() for lane in Lane}
    free = dict(SENDERS)
    happenings: list[tuple[float, int, str, bytes, float, Lane]] = []
    turn = 0
    for name, shop in shops.items():
        for at in shop.events:
            turn += 1
            heapq.heappush(happenings, (at, turn, "event", name, at, Lane.FAST))
        shop.events = deque()
    while happenings:
        now, _, kind, name, came, lane = heapq.heappop(happenings)
        shop = shops[name]
        if kind == "event":
            shop.events.append(came)
        else:
            free[lane] += 1
            shop.queued -= 1
            shop.waits.append(now - came)
            shop.pace = after_answer(
                shop.pace, delivered=shop.delivers, duration_ms=int(shop.takes_s * 1000), now=NOW
            )
        room = len(shop.events)
        if shares:
            claim = Claim(name, shop.pace, shop.queued, len(shop.events))
            room = grants([claim], {shop.pace.lane: shop.queued}).get(name, 0)
        for _ in range(room):
            queues[shop.pace.lane if shares else Lane.FAST].append((name, shop.events.popleft()))
            shop.queued += 1
        for one in Lane:
            while free[one] and queues[one]:
                free[one] -= 1
                turn += 1
                who, then = queues[one].popleft()
                ends = now + shops[who].takes_s
                heapq.heappush(happenings, (ends, turn, "answer", who, then, one))


def scene(hanging: int) -> dict[bytes, Shop]:
    """A quick shop with 10 events/s for 30 s, and one that hangs with events at once."""
    healthy = Shop(QUICK_S, True, deque(n / 10 for n in range(300)))
    dead = Shop(HANGS_S, False, deque([0.0] * hanging))
    return {b"healthy": healthy, b"dead": dead}


def worst(shops: Mapping[bytes, Shop]) -> float:
    return max(shops[b"healthy"].waits)


def test_without_shares_one_endpoint_that_hangs_delays_everybody() -> None:
    shops = scene(hanging=1_000)
    run(shops, shares=False)
    assert worst(shops) > 60


def test_with_shares_it_delays_nobody() -> None:
    quiet, shops = scene(hanging=0), scene(hanging=1_000)
    run(quiet, shares=True)
    run(shops, shares=True)
    assert shops[b"healthy"].waits == quiet[b"healthy"].waits
    assert len(shops[b"dead"].waits) == 1_000, "and every one of its own events had its turn"


def test_a_thousand_dead_endpoints_leave_the_fast_lane_to_the_others() -> None:
    shops = scene(hanging=0)
    for number in range(1_000):
        dead = Shop(HANGS_S, False, deque([0.0] * 3), replace(BEGINNING, lane=Lane.SLOW))
        shops[number.to_bytes(2, "big")] = dead
    run(shops, shares=True)
    quiet = scene(hanging=0)
    run(quiet, shares=True)
    assert worst(shops) == worst(quiet)


def test_a_proven_endpoint_that_begins_to_hang_takes_a_fifth_of_the_lane_once() -> None:
    shops = scene(hanging=1_000)
    shops[b"dead"].pace = replace(BEGINNING, share=PLACES[Lane.FAST])
    run(shops, shares=True)
    assert PLACES[Lane.FAST] * 5 == SENDERS[Lane.FAST]
    assert worst(shops) < 1


claims = st.lists(
    st.builds(
        Claim,
        st.binary(min_size=2, max_size=2),
        st.builds(Pace, st.sampled_from(Lane), st.integers(1, 20)),
        st.integers(0, 25),
        st.integers(0, 200),
    ),
    max_size=16,
    unique_by=lambda claim: claim.endpoint_id,
)


@given(claims, st.dictionaries(st.sampled_from(Lane), st.integers(0, 30)))
def test_no_share_and_no_lane_is_ever_exceeded(
    found: Sequence[Claim], queued: Mapping[Lane, int]
) -> None:
    given_ = grants(found, queued)
    for claim in found:
        count = given_.get(claim.endpoint_id, 0)
        assert count <= max(claim.due, 0)
        assert count == 0 or claim.queued + count <= claim.pace.share
    for lane in Lane:
        inside = sum(given_.get(c.endpoint_id, 0) for c in found if c.pace.lane == lane)
        assert inside == 0 or inside + queued.get(lane, 0) <= PLACES[lane]


@given(claims)
def test_no_place_stays_empty_that_somebody_waits_for(found: Sequence[Claim]) -> None:
    given_ = grants(found, {})
    for lane in Lane:
        inside = [claim for claim in found if claim.pace.lane == lane]
        used = sum(given_.get(claim.endpoint_id, 0) for claim in inside)
        wanted = sum(max(min(c.due, c.pace.share - c.queued), 0) for c in inside)
        assert used == min(wanted, PLACES[lane])


def test_the_endpoint_that_was_served_longest_ago_is_the_first() -> None:
    paces = [Pace(Lane.SLOW, 1, last_sent_at=NOW + timedelta(seconds=n)) for n in range(6)]
    found = [Claim(bytes([9 - n]), pace, 0, 1) for n, pace in enumerate(paces)]
    fresh = Claim(b"\xff", Pace(Lane.SLOW), 0, 1)
    assert set(grants([*found, fresh], {})) == {b"\xff", b"\x09", b"\x08", b"\x07"}


def answer(pace: Pace, delivered: bool, duration_ms: int | None = 10) -> Pace:
    return after_answer(pace, delivered=delivered, duration_ms=duration_ms, now=NOW)


def test_a_share_grows_with_successes_and_falls_with_failures() -> None:
    pace = BEGINNING
    for _ in range(30):
        pace = answer(pace, True)
    assert pace.share == PLACES[Lane.FAST]
    assert answer(pace, False).share == PLACES[Lane.FAST] // 2
    assert answer(pace, False, QUICK_MS + 1) == Pace(Lane.SLOW, 1, 1, NOW)
    assert answer(BEGINNING, False).share == 1
    assert unanswered(pace) == replace(pace, share=1)


def test_the_lane_follows_the_last_answer() -> None:
    slow = answer(Pace(share=9), True, QUICK_MS + 1)
    assert (slow.lane, slow.share) == (Lane.SLOW, 1)
    for _ in range(9):
        slow = answer(slow, True, QUICK_MS + 1)
    assert slow.share == PLACES[Lane.SLOW]
    assert answer(slow, True, QUICK_MS) == BEGINNING


def test_an_endpoint_is_disabled_after_enough_failures_over_enough_days() -> None:
    pace = BEGINNING
    for _ in range(DISABLED_AFTER_FAILURES):
        pace = answer(pace, False)
    late = NOW + DISABLED_AFTER
    assert disabling(pace, 500, late) == DisabledReason.FAILING
    assert disabling(pace, 500, late - timedelta(seconds=1)) is None
    few = replace(pace, failures=DISABLED_AFTER_FAILURES - 1)
    assert disabling(few, 500, late) is None
    assert disabling(answer(pace, True), 500, late) is None
    assert disabling(BEGINNING, 410, NOW) == DisabledReason.GONE


def test_an_endpoint_that_is_enabled_again_has_neither_blame_nor_share_and_keeps_its_lane() -> None:
    served = NOW + timedelta(seconds=1)
    slow = Pace(Lane.SLOW, 4, 12, NOW - DISABLED_AFTER, served)
    assert enabled_again(slow) == Pace(Lane.SLOW, 1, 0, None, served)
    assert disabling(answer(enabled_again(slow), False), 500, NOW) is None
