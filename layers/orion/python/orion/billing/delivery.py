"""Webhook events and their deliveries: who gets one, when it is tried again or given up
(docs/webhooks.md, "Order", "Retries").
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from orion.billing.errors import AttemptLimit, DeliveryUnderWay
from orion.billing.webhook_pace import BEGINNING, DisabledReason, Lane, Pace
from orion.ids import fact_id

MAX_ENDPOINTS = 16
ALL_TYPES = "*"
# Standard Webhooks, "Deliverability and reliability": delay of attempt n+1 after the failure of
# attempt n.
RETRY_AFTER_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
MAX_ATTEMPTS = len(RETRY_AFTER_S) + 1
# A merchant's own redeliveries end here.
ATTEMPTS_OF_ONE_DELIVERY = 100
# Longer than five receives of a sender's queue, two minutes apart: what still waits there must not
# count as failed.
ANSWER_WITHIN = timedelta(minutes=15)
NO_ANSWER = "no_answer"
ENDPOINT_DELETED, ENDPOINT_DISABLED = "endpoint_deleted", "endpoint_disabled"


class DeliveryState(StrEnum):
    """Where a delivery is. `docs/webhooks.md`, "Closing", says what becomes of each when its
    endpoint is closed.
    """

    HELD = "held"  # An earlier one of the same object to the same endpoint is not finished.
    QUEUED = "queued"  # With the sender; `due_at` is when a missing answer counts as a failure.
    WAITING = "waiting"  # For its next attempt at `due_at`, and for a place.
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


FINISHED = frozenset({DeliveryState.DELIVERED, DeliveryState.GIVEN_UP})
UNSENT = frozenset({DeliveryState.HELD, DeliveryState.WAITING})
OPEN = frozenset(DeliveryState) - FINISHED


class Outcome(StrEnum):
    """What the sender answers. `refused` is an address or a secret that must not be used; it may be
    mended later.
    """

    DELIVERED = "delivered"
    FAILED = "failed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a merchant wants to be told. `event_types` may be ALL_TYPES alone.

    `changes` counts what became an event of the endpoint itself. `previous_secret` signs too until
    `previous_secret_until`. A deleted one stays until its last delivery is given up.
    """

    endpoint_id: bytes
    merchant_id: bytes
    url: str
    event_types: frozenset[str]
    secret_ciphertext: bytes
    created_at: datetime | None = None
    changes: int = 0
    disabled_reason: DisabledReason | None = None
    disabled_at: datetime | None = None
    previous_secret: bytes | None = None
    previous_secret_until: datetime | None = None
    pace: Pace = BEGINNING
    deleted: bool = False

    @property
    def open(self) -> bool:
        """Whether anything may be sent there."""
        return not self.deleted and self.disabled_reason is None

    @property
    def wants_all(self) -> bool:
        return ALL_TYPES in self.event_types

    def wants(self, event_type: str) -> bool:
        return self.wants_all or event_type in self.event_types

    def secrets(self, now: datetime) -> tuple[bytes, ...]:
        """Ciphertexts of the secrets that sign now, the newest first."""
        until = self.previous_secret_until
        if self.previous_secret is None or until is None or until <= now:
            return (self.secret_ciphertext,)
        return (self.secret_ciphertext, self.previous_secret)


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """Change `number` of one object; `body` is sent as it stands, byte for byte, at every attempt.

    `position` is its place in the merchant's stream, None until the sequencer has given it one.
    """

    event_id: bytes
    object_id: bytes
    merchant_id: bytes
    number: int
    type: str
    body: str
    created_at: datetime
    trace_id: str
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint. `number` is the event's, so it orders an object's
    deliveries. `schedule_from` is how many attempts came before the present schedule. `closing` is
    why its endpoint was closed while it was with a sender, None otherwise and once it is finished.
    """

    delivery_id: bytes
    event_id: bytes
    endpoint_id: bytes
    object_id: bytes
    number: int
    state: DeliveryState
    attempt: int
    due_at: datetime | None
    trace_id: str
    created_at: datetime
    schedule_from: int = 0
    lane: Lane | None = None
    last_status: int | None = None
    last_error: str | None = None
    finished_at: datetime | None = None
    closing: str | None = None

    @property
    def ordinary(self) -> bool:
        """Others of its object wait for it. A redelivery stands outside that order."""
        return self.schedule_from == 0


@dataclass(frozen=True, slots=True)
class Result:
    """The sender's answer about one attempt; `answer` is the beginning of the receiver's body."""

    delivery_id: bytes
    attempt: int
    outcome: Outcome
    status: int | None
    error: str | None
    at: datetime | None = None
    duration_ms: int | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One logged attempt. `answer` is what the receiver said, never what we sent."""

    attempt: int
    at: datetime
    outcome: Outcome
    status: int | None = None
    error: str | None = None
    duration_ms: int | None = None
    answer: str | None = None


def event_id(object_id: bytes, number: int) -> bytes:
    """The identity of change `number`'s event: the same at every replay, endpoint and attempt."""
    return fact_id("webhook_event", object_id, number)


def new_delivery(event: WebhookEvent, endpoint_id: bytes, *, held: bool) -> Delivery:
    """A delivery that is held, or that may be handed over at once."""
    return Delivery(
        delivery_id=fact_id("webhook_delivery", event.event_id, endpoint_id),
        event_id=event.event_id,
        endpoint_id=endpoint_id,
        object_id=event.object_id,
        number=event.number,
        state=DeliveryState.HELD if held else DeliveryState.WAITING,
        attempt=0,
        due_at=None if held else event.created_at,
        trace_id=event.trace_id,
        created_at=event.created_at,
    )


def enqueue(delivery: Delivery, lane: Lane, now: datetime) -> Delivery:
    """The next attempt is handed to the senders of `lane`."""
    return replace(
        delivery,
        state=DeliveryState.QUEUED,
        lane=lane,
        attempt=delivery.attempt + 1,
        due_at=now + ANSWER_WITHIN,
    )


def released(delivery: Delivery, now: datetime) -> Delivery:
    """A held one whose predecessor is finished."""
    return replace(delivery, state=DeliveryState.WAITING, due_at=now)


def unanswered(delivery: Delivery, now: datetime) -> Delivery:
    """A queued one whose answer did not come in time: as after a failed attempt. Late answers are
    still read; only `delivered` changes anything then.
    """
    return _failed(replace(delivery, last_status=None, last_error=NO_ANSWER), now)


def answered(delivery: Delivery, result: Result, now: datetime) -> Delivery:
    """The delivery after one answer. The same object when the answer changes nothing (late,
    repeated).

    A success is believed whichever attempt it was, because the merchant has the event. A failure
    counts for the present attempt only.
    """
    if result.outcome == Outcome.DELIVERED:
        if delivery.state == DeliveryState.DELIVERED:
            return delivery
        if delivery.state not in FINISHED and result.attempt <= delivery.schedule_from:
            return delivery  # Not the redelivery that was asked for, which comes after it.
        noted = replace(delivery, last_status=result.status, last_error=None)
        return _finish(noted, DeliveryState.DELIVERED, now)
    if delivery.state != DeliveryState.QUEUED or result.attempt != delivery.attempt:
        return delivery
    noted = replace(delivery, last_status=result.status, last_error=result.error)
    return _failed(noted, now)


def redelivered(delivery: Delivery, now: datetime) -> Delivery:
    """One more attempt, now. Raises DeliveryUnderWay, AttemptLimit."""
    if delivery.attempt >= ATTEMPTS_OF_ONE_DELIVERY:
        raise AttemptLimit("this delivery was tried often enough", limit=ATTEMPTS_OF_ONE_DELIVERY)
    match delivery.state:
        case DeliveryState.WAITING:
            return replace(delivery, due_at=now)
        case DeliveryState.DELIVERED | DeliveryState.GIVEN_UP:
            return replace(
                delivery,
                state=DeliveryState.WAITING,
                due_at=now,
                finished_at=None,
                # At least 1, so that it never counts as ordinary again.
                schedule_from=max(delivery.attempt, 1),
                attempt=max(delivery.attempt, 1),
            )
        case DeliveryState.HELD | DeliveryState.QUEUED:
            raise DeliveryUnderWay("this delivery is on its way", state=delivery.state.value)


def last_attempt(delivery: Delivery, reason: str) -> Delivery:
    """A queued one whose endpoint was closed: it keeps its place, and its turn among those of its
    object, until its answer, and is not tried again. The first reason stays.
    """
    return replace(delivery, closing=delivery.closing or reason)


def _failed(delivery: Delivery, now: datetime) -> Delivery:
    if delivery.closing is not None:
        ended = replace(delivery, last_error=delivery.closing)
        return _finish(ended, DeliveryState.GIVEN_UP, now)
    tried = delivery.attempt - delivery.schedule_from
    if tried >= MAX_ATTEMPTS or delivery.attempt >= ATTEMPTS_OF_ONE_DELIVERY:
        return _finish(delivery, DeliveryState.GIVEN_UP, now)
    wait = timedelta(seconds=RETRY_AFTER_S[tried - 1])
    return replace(delivery, state=DeliveryState.WAITING, lane=None, due_at=now + wait)


def _finish(delivery: Delivery, state: DeliveryState, now: datetime) -> Delivery:
    return replace(delivery, state=state, lane=None, due_at=None, finished_at=now, closing=None)
