"""Telling merchants: an event for each change, a delivery for each endpoint, answers, retries."""

import base64
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

from orion.billing.delivery import (
    FINISHED,
    Delivery,
    DeliveryState,
    Endpoint,
    Outcome,
    Result,
    WebhookEvent,
    answered,
    due,
    enqueue,
    event_id,
    new_delivery,
)
from orion.billing.errors import UnknownDelivery
from orion.billing.invoice import Change, Invoice, merchant_view, moment
from orion.billing.model import event_type
from orion.billing.ports import BillingStore, Message, Transaction
from orion.billing.reading import Fields
from orion.ids import fact_id
from orion.records import canonical_json

DUE_BATCH = 100
DUE_BATCHES = 5
SENDER_QUEUE = "sqs:webhooks"


def announce(
    tx: Transaction, invoice: Invoice, change: Change, checkout_urls: Mapping[str, str]
) -> None:
    """Store the event of `change` and start a delivery to each endpoint that wants it.

    `invoice` is locked or new, and already shows the change.
    """
    kind = event_type(change.old, change.new)
    endpoints = [e for e in tx.endpoints(invoice.merchant_id) if e.wants(kind)]
    if not endpoints:
        return
    body = {
        "type": kind,
        "timestamp": moment(change.cause.at),
        "data": merchant_view(invoice, checkout_urls[invoice.lane]),
    }
    event = WebhookEvent(
        event_id=event_id(invoice.invoice_id, change.number),
        invoice_id=invoice.invoice_id,
        merchant_id=invoice.merchant_id,
        number=change.number,
        type=kind,
        body=canonical_json(body).decode(),
        created_at=change.cause.at,
        trace_id=change.cause.trace_id,
    )
    busy = tx.busy_endpoints(invoice.invoice_id)
    deliveries, messages = [], []
    for endpoint in endpoints:
        delivery = new_delivery(event, endpoint.endpoint_id, held=endpoint.endpoint_id in busy)
        if delivery.state != DeliveryState.HELD:
            delivery = enqueue(delivery, change.cause.at)
            messages.append(sender_message(delivery, endpoint, event.body))
        deliveries.append(delivery)
    tx.add_event(event, deliveries)
    tx.tell(messages, change.cause.at)


def sender_message(delivery: Delivery, endpoint: Endpoint, body: str) -> Message:
    """One attempt, for the sender outside the network. Its id is the delivery's and the
    attempt's.
    """
    return Message(
        destination=SENDER_QUEUE,
        key=(delivery.endpoint_id + delivery.invoice_id).hex(),
        body={
            "v": 1,
            "trace_id": delivery.trace_id,
            "delivery_id": delivery.delivery_id.hex(),
            "event_id": delivery.event_id.hex(),
            "endpoint_id": endpoint.endpoint_id.hex(),
            "merchant_id": endpoint.merchant_id.hex(),
            "url": endpoint.url,
            "secret_ciphertext": base64.b64encode(endpoint.secret_ciphertext).decode(),
            "body": body,
            "attempt": delivery.attempt,
        },
        event_id=fact_id("webhook_attempt", delivery.delivery_id, delivery.attempt),
    )


def read_result(body: Mapping[str, object]) -> Result:
    """The sender's answer. Raises MalformedRecord."""
    fields = Fields(body)
    return Result(
        delivery_id=fields.id("delivery_id"),
        attempt=fields.integer("attempt", maximum=1_000),
        outcome=fields.choice("outcome", Outcome),
        status=fields.optional_integer("status", maximum=999),
        error=fields.optional_text("error", max_length=64),
    )


class WebhookDeliveries:
    """Moves deliveries on by answers and by time. Every state is in the store before anything is
    sent.
    """

    def __init__(self, store: BillingStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def apply(self, result: Result) -> bool:
        """Record one answer; False when it changed nothing. Raises UnknownDelivery."""
        return self._store.transact(lambda tx: self._apply(tx, result))

    def _apply(self, tx: Transaction, result: Result) -> bool:
        now = self._clock()
        found = tx.lock_deliveries([result.delivery_id])
        if not found:
            raise UnknownDelivery("no such delivery", delivery=result.delivery_id.hex())
        after = answered(found[0], result, now)
        if after is found[0]:
            return False
        tx.put_delivery(after)
        _release_next(tx, found[0], after, now)
        return True

    def enqueue_due(self) -> int:
        """Hand over what is due, at most DUE_BATCH × DUE_BATCHES deliveries; how many moved."""
        moved = 0
        for _ in range(DUE_BATCHES):
            ids = self._store.transact(lambda tx: tx.due_deliveries(self._clock(), DUE_BATCH))
            if ids:
                moved += self._store.transact(partial(self._enqueue, ids=ids))
            if len(ids) < DUE_BATCH:
                break
        return moved

    def _enqueue(self, tx: Transaction, ids: Sequence[bytes]) -> int:
        now = self._clock()
        moved = 0
        for delivery in tx.lock_deliveries(ids):
            if delivery.due_at is None or delivery.due_at > now:
                continue  # Another pass or an answer came first.
            after = due(delivery, now)
            tx.put_delivery(after)
            if after.state == DeliveryState.QUEUED:
                _send(tx, after, now)
            _release_next(tx, delivery, after, now)
            moved += 1
        return moved


def _release_next(tx: Transaction, before: Delivery, after: Delivery, now: datetime) -> None:
    if before.state in FINISHED or after.state not in FINISHED:
        return
    held = tx.next_held(after.endpoint_id, after.invoice_id)
    if held is not None:
        released = enqueue(held, now)
        tx.put_delivery(released)
        _send(tx, released, now)


def _send(tx: Transaction, delivery: Delivery, now: datetime) -> None:
    endpoint = tx.endpoint(delivery.endpoint_id)
    tx.tell([sender_message(delivery, endpoint, tx.event_body(delivery.event_id))], now)
