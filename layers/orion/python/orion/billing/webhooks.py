"""Telling merchants: an event for each change, and a delivery for each endpoint that wants it."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime

from orion.billing.delivery import (
    ALL_TYPES,
    Delivery,
    DeliveryState,
    Endpoint,
    WebhookEvent,
    event_id,
    new_delivery,
)
from orion.billing.invoice import Change, Invoice, moment
from orion.billing.model import EVENT_TYPES as INVOICE_EVENT_TYPES
from orion.billing.model import event_type
from orion.billing.ports import Message, Transaction
from orion.billing.webhook_pace import Lane
from orion.ids import fact_id, public_id
from orion.records import canonical_json

ENDPOINT_DISABLED = "webhook_endpoint.disabled"
ENDPOINT_ENABLED = "webhook_endpoint.enabled"
ENDPOINT_TEST = "webhook_endpoint.test"
EVENT_TYPES = INVOICE_EVENT_TYPES | {ENDPOINT_DISABLED, ENDPOINT_ENABLED, ENDPOINT_TEST}
SENDER_QUEUES: Mapping[Lane, str] = {Lane.FAST: "sqs:webhooks", Lane.SLOW: "sqs:webhooks-slow"}
DISPATCH_QUEUE = "sqs:webhook-dispatch"


def announce(tx: Transaction, invoice: Invoice, change: Change, view: Mapping[str, object]) -> None:
    """Store the event of `change`, and a delivery to each endpoint that wants it.

    `invoice` is locked and already shows the change; so does `view`, the merchant's.
    """
    event = event_of(invoice, change, view)
    publish(tx, event, wanting(tx, event))


def event_of(invoice: Invoice, change: Change, view: Mapping[str, object]) -> WebhookEvent:
    """The event of an invoice's change."""
    return new_event(
        (invoice.merchant_id, invoice.invoice_id, change.number),
        event_type(change.old, change.new, change.cause.type),
        view,
        change.cause.at,
        change.cause.trace_id,
    )


def wanting(tx: Transaction, event: WebhookEvent) -> Sequence[Endpoint]:
    """The merchant's endpoints that get this event."""
    return [one for one in tx.endpoints(event.merchant_id) if one.open and one.wants(event.type)]


def new_event(
    whose: tuple[bytes, bytes, int],
    kind: str,
    data: Mapping[str, object],
    at: datetime,
    trace_id: str,
) -> WebhookEvent:
    """The event of change `number` of an object: `whose` is (merchant, object, number)."""
    merchant_id, object_id, number = whose
    return WebhookEvent(
        event_id=event_id(object_id, number),
        object_id=object_id,
        merchant_id=merchant_id,
        number=number,
        type=kind,
        body=canonical_json({"type": kind, "timestamp": moment(at), "data": data}).decode(),
        created_at=at,
        trace_id=trace_id,
    )


def publish(
    tx: Transaction, event: WebhookEvent, endpoints: Sequence[Endpoint]
) -> Sequence[Delivery]:
    """Store `event` of a locked or new object, and a delivery to each of these endpoints."""
    tx.add_event(event)
    return deliver(tx, event, endpoints)


def deliver(
    tx: Transaction, event: WebhookEvent, endpoints: Sequence[Endpoint]
) -> Sequence[Delivery]:
    """Store a delivery of a stored event to each of these endpoints. What may leave at once is left
    to the dispatcher, who is told.
    """
    if not endpoints:
        return ()
    # A first event has none before it.
    busy = tx.busy_endpoints(event.object_id) if event.number > 1 else frozenset()
    deliveries = [
        new_delivery(event, one.endpoint_id, held=one.endpoint_id in busy) for one in endpoints
    ]
    tx.add_deliveries(deliveries)
    if any(delivery.state == DeliveryState.WAITING for delivery in deliveries):
        tx.tell([_dispatch_message(event)], event.created_at)
    return deliveries


def _dispatch_message(event: WebhookEvent) -> Message:
    return Message(
        destination=DISPATCH_QUEUE,
        key=event.merchant_id.hex(),
        body={"v": 1, "trace_id": event.trace_id, "merchant_id": event.merchant_id.hex()},
        event_id=fact_id("webhook_dispatch", event.event_id),
    )


def sender_message(
    delivery: Delivery, lane: Lane, endpoint: Endpoint, body: str, now: datetime
) -> Message:
    """One attempt, for the senders outside the network. Its id is the delivery's and the
    attempt's.
    """
    return Message(
        destination=SENDER_QUEUES[lane],
        key=(delivery.endpoint_id + delivery.object_id).hex(),
        body={
            "v": 1,
            "trace_id": delivery.trace_id,
            "delivery_id": delivery.delivery_id.hex(),
            "event_id": delivery.event_id.hex(),
            "endpoint_id": endpoint.endpoint_id.hex(),
            "merchant_id": endpoint.merchant_id.hex(),
            "url": endpoint.url,
            "secrets": [base64.b64encode(one).decode() for one in endpoint.secrets(now)],
            "body": body,
            "attempt": delivery.attempt,
        },
        event_id=fact_id("webhook_attempt", delivery.delivery_id, delivery.attempt),
    )


def endpoint_view(endpoint: Endpoint, now: datetime) -> dict[str, object]:
    """An endpoint as its merchant sees it; never a secret."""
    reason, until = endpoint.disabled_reason, endpoint.previous_secret_until
    overlap = endpoint.previous_secret is not None and until is not None and until > now
    return {
        "id": public_id("whe", endpoint.endpoint_id),
        "url": endpoint.url,
        "events": [ALL_TYPES] if endpoint.wants_all else sorted(endpoint.event_types),
        "enabled": reason is None,
        "disabled_reason": None if reason is None else reason.value,
        "disabled_at": maybe_moment(endpoint.disabled_at),
        "failing_since": maybe_moment(endpoint.pace.failing_since),
        "lane": endpoint.pace.lane.value,
        "previous_secret_expires_at": maybe_moment(until) if overlap else None,
        "created_at": maybe_moment(endpoint.created_at),
    }


def maybe_moment(at: datetime | None) -> str | None:
    """RFC 3339, or None."""
    return None if at is None else moment(at)
