"""The delivery log as merchants read it, and the attempts that they ask for themselves."""

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from orion.billing.delivery import Attempt, Delivery, redelivered
from orion.billing.errors import (
    CursorMalformed,
    DeliveryNotFound,
    EndpointDisabled,
    EndpointNotFound,
    LimitOutOfRange,
)
from orion.billing.invoice import moment
from orion.billing.ports import Answer, BillingStore, KeyedRequest, Transaction
from orion.billing.webhook_dispatch import hand_over
from orion.billing.webhooks import maybe_moment
from orion.ids import ID_BYTES, public_id
from orion.records import canonical_json

PAGE_MAX = 100
PAGE_DEFAULT = 20
_CURSOR_VERSION = b"\x03"
_MOMENT_BYTES = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_US = int(timedelta(days=2_932_000) / timedelta(microseconds=1))  # Before the year 9999 ends.


class WebhookLog:
    """Deliveries and their attempts. Each method is one transaction."""

    def __init__(self, store: BillingStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def deliveries(
        self,
        merchant_id: bytes,
        endpoint_id: bytes,
        *,
        limit: int = PAGE_DEFAULT,
        cursor: str | None = None,
    ) -> Mapping[str, object]:
        """One page of an endpoint's deliveries, newest first: `data`, and `next_cursor` (null on
        the last page). Raises EndpointNotFound, LimitOutOfRange, CursorMalformed.
        """
        if not 1 <= limit <= PAGE_MAX:
            raise LimitOutOfRange(f"a page has 1 to {PAGE_MAX} deliveries", limit=limit)
        before = None if cursor is None else _read_cursor(cursor)

        def read(tx: Transaction) -> Mapping[str, object]:
            if all(one.endpoint_id != endpoint_id for one in tx.endpoints(merchant_id)):
                raise EndpointNotFound("no such webhook endpoint")
            rows = tx.deliveries(endpoint_id, before, limit + 1)
            page = rows[:limit]
            types = tx.event_types([row.event_id for row in page])
            return {
                "data": [_view(row, types.get(row.event_id)) for row in page],
                "next_cursor": _cursor(page[-1]) if len(rows) > limit else None,
            }

        return self._store.transact(read)

    def delivery(self, merchant_id: bytes, delivery_id: bytes) -> Mapping[str, object]:
        """One delivery with its `attempts`. Raises DeliveryNotFound, also for another
        merchant's.
        """

        def read(tx: Transaction) -> Mapping[str, object]:
            found = tx.delivery(delivery_id)
            if found is None or tx.merchant_of(delivery_id) != merchant_id:
                raise DeliveryNotFound("no such delivery")
            attempts = [_attempt_view(one) for one in tx.attempts(delivery_id)]
            return {**_whole_view(tx, found), "attempts": attempts}

        return self._store.transact(read)

    def redeliver(self, request: KeyedRequest, delivery_id: bytes) -> Answer:
        """One more attempt of the same event, now.

        Raises DeliveryNotFound, DeliveryUnderWay, AttemptLimit, EndpointDisabled.
        """
        now = self._clock()

        def redeliver(tx: Transaction) -> Answer:
            endpoints = tx.lock_endpoints(request.merchant_id)
            found = tx.lock_delivery(delivery_id)
            if found is None or tx.merchant_of(delivery_id) != request.merchant_id:
                raise DeliveryNotFound("no such delivery")
            if not any(one.open and one.endpoint_id == found.endpoint_id for one in endpoints):
                raise EndpointDisabled("the endpoint is disabled or deleted")
            tx.put_delivery(redelivered(found, now))
            hand_over(tx, endpoints, now)
            body = canonical_json(_whole_view(tx, tx.delivery(delivery_id) or found))
            return Answer(202, body, body)

        return self._store.transact(lambda tx: tx.once(request, now, lambda: redeliver(tx)))


def _whole_view(tx: Transaction, delivery: Delivery) -> dict[str, object]:
    return _view(delivery, tx.event_types([delivery.event_id]).get(delivery.event_id))


def _view(delivery: Delivery, event_type: str | None) -> dict[str, object]:
    return {
        "id": public_id("whd", delivery.delivery_id),
        "event_id": public_id("evt", delivery.event_id),
        "event_type": event_type,
        "endpoint_id": public_id("whe", delivery.endpoint_id),
        "state": delivery.state.value,
        "attempt": delivery.attempt,
        "next_attempt_at": None if delivery.lane else maybe_moment(delivery.due_at),
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
        "created_at": moment(delivery.created_at),
        "finished_at": maybe_moment(delivery.finished_at),
    }


def _attempt_view(attempt: Attempt) -> dict[str, object]:
    return {
        "attempt": attempt.attempt,
        "at": moment(attempt.at),
        "duration_ms": attempt.duration_ms,
        "outcome": attempt.outcome.value,
        "status": attempt.status,
        "error": attempt.error,
        "answer": attempt.answer,
    }


def _cursor(delivery: Delivery) -> str:
    us = (delivery.created_at - _EPOCH) // timedelta(microseconds=1)
    value = _CURSOR_VERSION + us.to_bytes(_MOMENT_BYTES, "big") + delivery.delivery_id
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[datetime, bytes]:
    try:
        padded = text + "=" * (-len(text) % 4)
        value = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise CursorMalformed("no page ended with this cursor") from exc
    if len(value) != 1 + _MOMENT_BYTES + ID_BYTES or value[:1] != _CURSOR_VERSION:
        raise CursorMalformed("no page ended with this cursor")
    us = int.from_bytes(value[1 : 1 + _MOMENT_BYTES], "big")
    if us > _LAST_US:
        raise CursorMalformed("no page ended with this cursor")
    return _EPOCH + timedelta(microseconds=us), value[1 + _MOMENT_BYTES :]
