"""Moving deliveries on: what is handed to the senders, what their answers change, who is disabled.

Whoever moves a delivery first locks the endpoint rows of its merchant, so that shares are counted
by one at a time. Every state is in the store before anything is sent.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from orion.billing.delivery import (
    ENDPOINT_DELETED,
    ENDPOINT_DISABLED,
    FINISHED,
    NO_ANSWER,
    OPEN,
    Attempt,
    Delivery,
    Endpoint,
    Outcome,
    Result,
    answered,
    enqueue,
    last_attempt,
    released,
    unanswered,
)
from orion.billing.errors import UnknownDelivery
from orion.billing.moments import read_moment
from orion.billing.ports import BillingStore, Message, Transaction
from orion.billing.reading import Fields
from orion.billing.webhook_notices import disable
from orion.billing.webhook_pace import (
    Claim,
    Lane,
    after_answer,
    disabling,
    grants,
)
from orion.billing.webhook_pace import unanswered as unanswered_pace
from orion.billing.webhooks import sender_message
from orion.errors import OrionError

T = TypeVar("T")

ANSWER_MAX = 1_024
DUE_PAGE = 200
DUE_PAGES = 50
# Deliveries of all closed endpoints of a merchant that one transaction gives up, and how often a
# pass repeats it.
CLOSED_AT_ONCE = 2_000
CLOSING_ROUNDS = 10
# More than a merchant has places in both lanes.
MARKED_AT_ONCE = 100
# Endpoints, gone ones too, of which one pass looks for forgotten deliveries.
ORPHAN_PAGE, ORPHAN_PAGES = 1_000, 10
# Merchants whose failure one pass outlives: with more, the database itself is in trouble.
FAILURES_AT_ONCE = 5
OVERDUE_AT_ONCE = 100
KEEP_ATTEMPTS = timedelta(days=30)
FORGET_AT_ONCE = 500
FORGET_ROUNDS = 20
# What went wrong on our side is not the endpoint's failure.
_OURS = frozenset({NO_ANSWER, "secret_unusable"})


def read_result(body: Mapping[str, object]) -> Result:
    """The sender's answer. Raises MalformedRecord, MomentMalformed."""
    fields = Fields(body)
    at = fields.optional_text("at", max_length=40)
    return Result(
        delivery_id=fields.id("delivery_id"),
        attempt=fields.integer("attempt", maximum=1_000),
        outcome=fields.choice("outcome", Outcome),
        status=fields.optional_integer("status", maximum=999),
        error=fields.optional_text("error", max_length=64),
        at=None if at is None else read_moment(at, "at"),
        duration_ms=fields.optional_integer("duration_ms", maximum=2**31),
        answer=fields.optional_text("answer", max_length=ANSWER_MAX),
    )


class WebhookDeliveries:
    """Moves deliveries on by answers, by time, and as far as their endpoints' shares allow."""

    def __init__(self, store: BillingStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def apply(self, result: Result) -> bool:
        """Record one answer, and hand over what it made room for; False when it changed nothing.
        Raises UnknownDelivery.
        """
        return self._store.transact(lambda tx: self._apply(tx, result))

    def dispatch(self, merchant_id: bytes) -> int:
        """Hand over what this merchant's endpoints may have now; how many deliveries moved."""
        return self._store.transact(lambda tx: self._dispatch(tx, merchant_id))

    def dispatch_due(self, start: bytes) -> int:
        """As `dispatch` for every merchant with something due, and give up what waits for closed
        endpoints; at most DUE_PAGE × DUE_PAGES endpoints, from the endpoint id `start` on and then
        from the first; how many deliveries moved. A random `start` lets nobody be the last at every
        pass. A merchant whose turn fails does not take the others' from them; what failed is raised
        at the end.
        """
        moved, seen = 0, set[bytes]()
        failed: list[OrionError] = []
        for _, merchant_id in _around(self._due_page, start, DUE_PAGE, DUE_PAGES):
            if merchant_id in seen:
                continue
            seen.add(merchant_id)
            try:
                moved += self._dispatch_all(merchant_id)
            except OrionError as exc:
                failed.append(exc)
                if len(failed) > FAILURES_AT_ONCE:
                    raise
        if failed:
            raise failed[0]
        return moved

    def give_up_orphans(self, start: bytes) -> int:
        """Give up what was stored beside the deletion of its endpoint, by transactions that had
        still seen it; how many. Looks at ORPHAN_PAGE × ORPHAN_PAGES endpoints at most, from `start`
        on and then from the first.
        """
        ended = 0
        known = _around(self._orphan_page, start, ORPHAN_PAGE, ORPHAN_PAGES)
        for endpoint_id in (one for one, orphaned in known if orphaned):
            ended += self._store.transact(partial(self._end_orphans, endpoint_id=endpoint_id))
        return ended

    def forget_attempts(self) -> int:
        """Delete attempts logged longer ago than KEEP_ATTEMPTS; how many."""
        forgotten = 0
        for _ in range(FORGET_ROUNDS):
            before = self._clock() - KEEP_ATTEMPTS
            count = self._store.transact(
                lambda tx, old=before: tx.forget_attempts(old, FORGET_AT_ONCE)  # type: ignore[misc]
            )
            forgotten += count
            if count < FORGET_AT_ONCE:
                break
        return forgotten

    def _due_page(self, after: bytes) -> Sequence[tuple[bytes, bytes]]:
        return self._store.transact(lambda tx: tx.merchants_due(self._clock(), after, DUE_PAGE))

    def _orphan_page(self, after: bytes) -> Sequence[tuple[bytes, bool]]:
        return self._store.transact(lambda tx: tx.orphaned(self._clock(), after, ORPHAN_PAGE))

    def _end_orphans(self, tx: Transaction, endpoint_id: bytes) -> int:
        now = self._clock()
        silent = tx.overdue(endpoint_id, now, OVERDUE_AT_ONCE)
        for delivery in silent:
            tx.put_delivery(unanswered(last_attempt(delivery, ENDPOINT_DELETED), now))
        ended = tx.give_up_unsent(endpoint_id, ENDPOINT_DELETED, now, CLOSED_AT_ONCE)
        return ended + len(silent)

    def _dispatch_all(self, merchant_id: bytes) -> int:
        """As `dispatch`, and gives up what waits for closed endpoints, again while they have more
        than one transaction gives up.
        """
        moved = 0
        for _ in range(CLOSING_ROUNDS):
            count = self._store.transact(
                lambda tx: close_and_hand_over(tx, tx.lock_endpoints(merchant_id), self._clock())
            )
            moved += count
            if count < CLOSED_AT_ONCE:
                break
        return moved

    def _dispatch(self, tx: Transaction, merchant_id: bytes) -> int:
        return hand_over(tx, tx.lock_endpoints(merchant_id), self._clock())

    def _apply(self, tx: Transaction, result: Result) -> bool:
        now = self._clock()
        merchant_id = tx.merchant_of(result.delivery_id)
        if merchant_id is None:
            raise UnknownDelivery("no such delivery", delivery=result.delivery_id.hex())
        endpoints = {one.endpoint_id: one for one in tx.lock_endpoints(merchant_id)}
        before = tx.lock_delivery(result.delivery_id)
        if before is None:
            raise UnknownDelivery("no such delivery", delivery=result.delivery_id.hex())
        if before.endpoint_id not in endpoints:
            before = last_attempt(before, ENDPOINT_DELETED)
        tx.add_attempt(result.delivery_id, _attempt(result, now))
        after = answered(before, result, now)
        if after is before:
            return False
        known = endpoints.get(before.endpoint_id)
        if known is not None:
            judged = _judge(tx, list(endpoints.values()), before, result, now)
            endpoints[judged.endpoint_id] = judged
            if known.open and not judged.open:
                after = answered(last_attempt(before, _reason(judged)), result, now)
        tx.put_delivery(after)
        _release_next(tx, before, after, now)
        hand_over(tx, list(endpoints.values()), now)
        return True


def _around(
    read: Callable[[bytes], Sequence[tuple[bytes, T]]], start: bytes, size: int, pages: int
) -> Iterator[tuple[bytes, T]]:
    """What `read` pages through by ascending ids: from `start` on, and then from the first up to
    it, each once; at most `pages` pages of `size`.
    """
    after, turned = start, False
    for _ in range(pages):
        found = read(after)
        yield from (one for one in found if not turned or one[0] <= start)
        if len(found) == size and not (turned and found[-1][0] >= start):
            after = found[-1][0]
        elif turned or not start:
            return
        else:
            after, turned = b"", True


def hand_over(tx: Transaction, endpoints: Sequence[Endpoint], now: datetime) -> int:
    """End silent attempts, mark what is out to closed endpoints, and hand to the senders what
    shares allow. `endpoints` are all of one merchant, deleted ones too, locked. How many deliveries
    moved. What waits for closed endpoints is left: other merchants may be waiting for this.
    """
    heard = [_end_silence(tx, one, now) for one in endpoints]
    moved = sum(count for _, count in heard)
    taken = tx.queued([one.endpoint_id for one in endpoints])
    out = {endpoint_id for endpoint_id, _ in taken}
    for one in endpoints:
        if not one.open and one.endpoint_id in out:
            _mark(tx, one)
    return moved + _grant(tx, [one for one, _ in heard if one.open], taken, now)


def close_and_hand_over(tx: Transaction, endpoints: Sequence[Endpoint], now: datetime) -> int:
    """As `hand_over`, and give up what waits for closed endpoints: CLOSED_AT_ONCE deliveries at
    most, of all of them together.
    """
    moved, left = hand_over(tx, endpoints, now), CLOSED_AT_ONCE
    for one in endpoints:
        if not one.open:
            left -= _give_up(tx, one, now, left)
    return moved + CLOSED_AT_ONCE - left


def _grant(
    tx: Transaction,
    endpoints: Sequence[Endpoint],
    taken: Mapping[tuple[bytes, Lane], int],
    now: datetime,
) -> int:
    """`endpoints` are the open ones; `taken` counts what all of the merchant's have out."""
    by_endpoint = {
        one.endpoint_id: sum(taken.get((one.endpoint_id, lane), 0) for lane in Lane)
        for one in endpoints
    }
    due: dict[bytes, Sequence[Delivery]] = {}
    for one in endpoints:
        room = one.pace.share - by_endpoint[one.endpoint_id]
        if room > 0:
            due[one.endpoint_id] = tx.due(one.endpoint_id, now, room)
    claims = [
        Claim(one.endpoint_id, one.pace, by_endpoint[one.endpoint_id], len(due[one.endpoint_id]))
        for one in endpoints
        if due.get(one.endpoint_id)
    ]
    queued = {lane: sum(n for (_, in_lane), n in taken.items() if in_lane == lane) for lane in Lane}
    given = grants(claims, queued)
    messages: list[Message] = []
    for one in endpoints:
        for delivery in due.get(one.endpoint_id, ())[: given.get(one.endpoint_id, 0)]:
            sent = enqueue(delivery, one.pace.lane, now)
            tx.put_delivery(sent)
            body = tx.event_body(sent.event_id)
            messages.append(sender_message(sent, one.pace.lane, one, body, now))
        if given.get(one.endpoint_id):
            tx.put_pace(one.endpoint_id, replace(one.pace, last_sent_at=now))
    tx.tell(messages, now)
    return len(messages)


def _reason(endpoint: Endpoint) -> str:
    return ENDPOINT_DELETED if endpoint.deleted else ENDPOINT_DISABLED


def _mark(tx: Transaction, endpoint: Endpoint) -> None:
    """What is out when its endpoint closes keeps its place and its turn until its answer."""
    for delivery in tx.unmarked(endpoint.endpoint_id, MARKED_AT_ONCE):
        tx.put_delivery(last_attempt(delivery, _reason(endpoint)))


def _give_up(tx: Transaction, endpoint: Endpoint, now: datetime, limit: int) -> int:
    ended = tx.give_up_unsent(endpoint.endpoint_id, _reason(endpoint), now, limit)
    if endpoint.deleted and not tx.any_left(endpoint.endpoint_id, OPEN):
        tx.forget_endpoint(endpoint.endpoint_id)
    return ended


def _end_silence(tx: Transaction, endpoint: Endpoint, now: datetime) -> tuple[Endpoint, int]:
    silent = tx.overdue(endpoint.endpoint_id, now, OVERDUE_AT_ONCE)
    for delivery in silent:
        ended = unanswered(delivery, now)
        tx.put_delivery(ended)
        tx.add_attempt(
            delivery.delivery_id, Attempt(delivery.attempt, now, Outcome.FAILED, error=NO_ANSWER)
        )
        _release_next(tx, delivery, ended, now)
    if not silent:
        return endpoint, 0
    slower = replace(endpoint, pace=unanswered_pace(endpoint.pace))
    tx.put_pace(endpoint.endpoint_id, slower.pace)
    return slower, len(silent)


def _judge(
    tx: Transaction,
    endpoints: Sequence[Endpoint],
    delivery: Delivery,
    result: Result,
    now: datetime,
) -> Endpoint:
    """The delivery's endpoint after this answer; perhaps disabled, of which the others are told.
    What was out when the endpoint was closed is no reason to disable it, should it be enabled again
    by now.
    """
    [endpoint] = [one for one in endpoints if one.endpoint_id == delivery.endpoint_id]
    if result.error in _OURS:
        return endpoint
    delivered = result.outcome == Outcome.DELIVERED
    pace = after_answer(endpoint.pace, delivered=delivered, duration_ms=result.duration_ms, now=now)
    endpoint = replace(endpoint, pace=pace)
    reason = None if delivered else disabling(pace, result.status, now)
    if reason is None or not endpoint.open or delivery.closing is not None:
        tx.put_pace(endpoint.endpoint_id, pace)
        return endpoint
    return disable(tx, endpoints, endpoint, reason, (now, delivery.trace_id))


def _release_next(tx: Transaction, before: Delivery, after: Delivery, now: datetime) -> None:
    if before.state in FINISHED or after.state not in FINISHED or not before.ordinary:
        return
    held = tx.next_held(after.endpoint_id, after.object_id)
    if held is not None:
        tx.put_delivery(released(held, now))


def _attempt(result: Result, now: datetime) -> Attempt:
    return Attempt(
        attempt=result.attempt,
        at=result.at or now,
        outcome=result.outcome,
        status=result.status,
        error=result.error,
        duration_ms=result.duration_ms,
        answer=result.answer,
    )
