"""How much of the senders one endpoint, and one merchant, may take: pure rules
(docs/webhooks.md, "Fairness", "Disabling").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

QUICK_MS = 1_000
DISABLED_AFTER = timedelta(days=5)
DISABLED_AFTER_FAILURES = 10
GONE = 410
_NEVER = datetime.min.replace(tzinfo=UTC)


class Lane(StrEnum):
    """Which senders serve an endpoint: those for quick ones, or those for all others."""

    FAST = "fast"
    SLOW = "slow"


class DisabledReason(StrEnum):
    """Why nothing is sent to an endpoint."""

    FAILING = "failing"
    GONE = "gone"
    MERCHANT = "merchant"


# Of the senders of a lane, what one endpoint and all endpoints of one merchant may have at once.
PLACES: Mapping[Lane, int] = {Lane.FAST: 20, Lane.SLOW: 4}


@dataclass(frozen=True, slots=True)
class Pace:
    """How an endpoint answered so far. `failures` and `failing_since` are since its last
    success.
    """

    lane: Lane = Lane.FAST
    share: int = 1
    failures: int = 0
    failing_since: datetime | None = None
    last_sent_at: datetime | None = None


BEGINNING = Pace()


@dataclass(frozen=True, slots=True)
class Claim:
    """One endpoint that has `due` deliveries to hand over, and `queued` ones that are handed over
    already.
    """

    endpoint_id: bytes
    pace: Pace
    queued: int
    due: int


def after_answer(pace: Pace, *, delivered: bool, duration_ms: int | None, now: datetime) -> Pace:
    """The pace after one answer of the endpoint. Without a duration the lane stays as it is."""
    lane = pace.lane
    if duration_ms is not None:
        lane = Lane.FAST if duration_ms <= QUICK_MS else Lane.SLOW
    if lane != pace.lane:
        share = 1
    elif delivered:
        share = min(pace.share + 1, PLACES[lane])
    else:
        share = max(pace.share // 2, 1) if lane == Lane.FAST else 1
    if delivered:
        return replace(pace, lane=lane, share=share, failures=0, failing_since=None)
    return replace(
        pace,
        lane=lane,
        share=share,
        failures=pace.failures + 1,
        failing_since=pace.failing_since or now,
    )


def unanswered(pace: Pace) -> Pace:
    """Nobody knows what the endpoint did: it gets one place, and no blame."""
    return replace(pace, share=1)


def enabled_again(pace: Pace) -> Pace:
    """Nothing is held against it, but it has to show anew how much it can take; the lane is what
    its answers made it, so that nobody leaves the slow one by disabling.
    """
    return replace(pace, share=1, failures=0, failing_since=None)


def disabling(pace: Pace, status: int | None, now: datetime) -> DisabledReason | None:
    """Whether a failed attempt, counted in `pace` already, disables the endpoint."""
    if status == GONE:
        return DisabledReason.GONE
    since = pace.failing_since
    if since is None or pace.failures < DISABLED_AFTER_FAILURES or now - since < DISABLED_AFTER:
        return None
    return DisabledReason.FAILING


def grants(claims: Sequence[Claim], queued: Mapping[Lane, int]) -> Mapping[bytes, int]:
    """How many of each endpoint's due deliveries may be handed over now; absent is none.

    `claims` are of one merchant, `queued` is what all its endpoints have in each lane. Places go
    round, one at a time, beginning with the endpoint that was served longest ago.
    """
    given: dict[bytes, int] = {}
    for lane in Lane:
        free = PLACES[lane] - queued.get(lane, 0)
        waiting = sorted(
            (claim for claim in claims if claim.pace.lane == lane),
            key=lambda claim: (claim.pace.last_sent_at or _NEVER, claim.endpoint_id),
        )
        room = {c.endpoint_id: min(c.due, c.pace.share - c.queued) for c in waiting}
        while free > 0 and any(left > 0 for left in room.values()):
            for claim in waiting:
                if free > 0 and room[claim.endpoint_id] > 0:
                    room[claim.endpoint_id] -= 1
                    free -= 1
                    given[claim.endpoint_id] = given.get(claim.endpoint_id, 0) + 1
    return given
