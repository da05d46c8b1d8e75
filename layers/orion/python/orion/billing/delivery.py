"""Webhook events and their deliveries: who gets one, when it is tried again or given up."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from orion.ids import fact_id

MAX_ENDPOINTS = 16
ALL_TYPES = "*"
# Standard Webhooks, "Deliverability and reliability": delay of attempt n+1 after the failure of
# attempt n.
RETRY_AFTER_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
MAX_ATTEMPTS = len(RETRY_AFTER_S) + 1
# Longer than the sender's attempt, its queue's visibility time-out (6 minutes) and two redeliveries
# together: what still waits in the queue must not count as failed.
ANSWER_WITHIN = timedelta(minutes=30)


class DeliveryState(StrEnum):
    """Where a delivery is."""

    HELD = "held"  # An earlier one of the same invoice to the same endpoint is not finished.
    QUEUED = "queued"  # With the sender; `due_at` is when a missing answer counts as a failure.
    WAITING = "waiting"  # For its next attempt at `due_at`.
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


FINISHED = frozenset({DeliveryState.DELIVERED, DeliveryState.GIVEN_UP})


class Outcome(StrEnum):
    """What the sender answers. `refused` is an address or a secret that must not be used; it may be
    mended later.
    """

    DELIVERED = "delivered"
    FAILED = "failed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a merchant wants to be told. `event_types` may be ALL_TYPES alone."""

    endpoint_id: bytes
    merchant_id: bytes
    url: str
    event_types: frozenset[str]
    secret_ciphertext: bytes

    def wants(self, event_type: str) -> bool:
        return ALL_TYPES in self.event_types or event_type in self.event_types


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """One event about an invoice; `body` is sent as it stands, byte for byte, at every attempt."""

    event_id: bytes
    invoice_id: bytes
    merchant_id: bytes
    number: int
    type: str
    body: str
    created_at: datetime
    trace_id: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint. `number` is the event's, so it orders an invoice's
    deliveries.
    """

    delivery_id: bytes
    event_id: bytes
    endpoint_id: bytes
    invoice_id: bytes
    number: int
    state: DeliveryState
    attempt: int
    due_at: datetime | None
    trace_id: str
    last_status: int | None = None
    last_error: str | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The sender's answer about one attempt."""

    delivery_id: bytes
    attempt: int
    outcome: Outcome
    status: int | None
    error: str | None


def event_id(invoice_id: bytes, number: int) -> bytes:
    """The identity of change `number`'s event: the same at every replay, endpoint and attempt."""
    return fact_id("webhook_event", invoice_id, number)


def new_delivery(event: WebhookEvent, endpoint_id: bytes, *, held: bool) -> Delivery:
    """A delivery that is held, or that `enqueue` takes next."""
    return Delivery(
        delivery_id=fact_id("webhook_delivery", event.event_id, endpoint_id),
        event_id=event.event_id,
        endpoint_id=endpoint_id,
        invoice_id=event.invoice_id,
        number=event.number,
        state=DeliveryState.HELD if held else DeliveryState.WAITING,
        attempt=0,
        due_at=None if held else event.created_at,
        trace_id=event.trace_id,
    )


def enqueue(delivery: Delivery, now: datetime) -> Delivery:
    """The next attempt is handed to the sender."""
    return replace(
        delivery,
        state=DeliveryState.QUEUED,
        attempt=delivery.attempt + 1,
        due_at=now + ANSWER_WITHIN,
    )


def due(delivery: Delivery, now: datetime) -> Delivery:
    """What becomes of a delivery whose `due_at` has come: the next attempt, or after a lost answer
    the wait that any failed attempt is followed by.
    """
    if delivery.state == DeliveryState.QUEUED:
        return _failed(replace(delivery, last_status=None, last_error="no_answer"), now)
    return enqueue(delivery, now)


def answered(delivery: Delivery, result: Result, now: datetime) -> Delivery:
    """The delivery after one answer. The same object when the answer changes nothing (late,
    repeated).

    A success is believed whichever attempt it was, because the merchant has the event. A failure
    counts for the present
    attempt only.
    """
    if result.outcome == Outcome.DELIVERED:
        if delivery.state == DeliveryState.DELIVERED:
            return delivery
        noted = replace(delivery, last_status=result.status, last_error=None)
        return _finish(noted, DeliveryState.DELIVERED, now)
    if delivery.state != DeliveryState.QUEUED or result.attempt != delivery.attempt:
        return delivery
    noted = replace(delivery, last_status=result.status, last_error=result.error)
    return _failed(noted, now)


def _failed(delivery: Delivery, now: datetime) -> Delivery:
    if delivery.attempt >= MAX_ATTEMPTS:
        return _finish(delivery, DeliveryState.GIVEN_UP, now)
    wait = timedelta(seconds=RETRY_AFTER_S[delivery.attempt - 1])
    return replace(delivery, state=DeliveryState.WAITING, due_at=now + wait)


def _finish(delivery: Delivery, state: DeliveryState, now: datetime) -> Delivery:
    return replace(delivery, state=state, due_at=None, finished_at=now)
