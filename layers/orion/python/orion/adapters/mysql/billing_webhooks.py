"""Webhook endpoints, events and deliveries on MySQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pymysql

from orion.adapters.mysql.billing_rows import BillingCursor, marks, read, stored
from orion.billing.delivery import (
    FINISHED,
    MAX_ENDPOINTS,
    Delivery,
    DeliveryState,
    Endpoint,
    WebhookEvent,
)
from orion.billing.errors import TooManyEndpoints, UnknownDelivery

_DUPLICATE = 1062
_ENDPOINT = (
    "SELECT endpoint_id, merchant_id, url, event_types, secret_ciphertext FROM webhook_endpoint"
)
_DELIVERY = (
    "SELECT delivery_id, event_id, endpoint_id, invoice_id, number, state, attempt, due_at,"
    " trace_id, last_status, last_error, finished_at FROM webhook_delivery"
)
_DONE = tuple(sorted(state.value for state in FINISHED))


class BillingWebhooks(BillingCursor):
    """The part of the port `Transaction` that tells merchants."""

    def endpoints(self, merchant_id: bytes) -> Sequence[Endpoint]:
        self._cursor.execute(f"{_ENDPOINT} WHERE merchant_id = %s ORDER BY slot", (merchant_id,))
        return [_endpoint(row) for row in self._cursor.fetchall()]

    def endpoint(self, endpoint_id: bytes) -> Endpoint:
        self._cursor.execute(f"{_ENDPOINT} WHERE endpoint_id = %s", (endpoint_id,))
        row = self._cursor.fetchone()
        if row is None:
            raise UnknownDelivery("the endpoint is gone", endpoint=endpoint_id.hex())
        return _endpoint(row)

    def add_endpoint(self, endpoint: Endpoint, now: datetime) -> None:
        self._cursor.execute(
            "SELECT COUNT(*) FROM webhook_endpoint WHERE merchant_id = %s", (endpoint.merchant_id,)
        )
        count = self._cursor.fetchone()
        for slot in range(int(count[0]) if count else 0, MAX_ENDPOINTS):
            if self._insert_endpoint(endpoint, slot, now):
                return
        raise TooManyEndpoints(f"a merchant has at most {MAX_ENDPOINTS} endpoints")

    def _insert_endpoint(self, endpoint: Endpoint, slot: int, now: datetime) -> bool:
        """False when a concurrent request took the slot."""
        try:
            self._cursor.execute(
                "INSERT INTO webhook_endpoint (endpoint_id, merchant_id, slot, url, event_types,"
                " secret_ciphertext, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s)",
                (
                    endpoint.endpoint_id,
                    endpoint.merchant_id,
                    slot,
                    endpoint.url,
                    " ".join(sorted(endpoint.event_types)),
                    endpoint.secret_ciphertext,
                    stored(now),
                ),
            )
        except pymysql.err.IntegrityError as exc:
            if exc.args[0] != _DUPLICATE:
                raise
            return False
        return True

    def busy_endpoints(self, invoice_id: bytes) -> frozenset[bytes]:
        self._cursor.execute(
            "SELECT DISTINCT endpoint_id FROM webhook_delivery"  # noqa: S608 - only placeholders
            f" WHERE invoice_id = %s AND state NOT IN ({marks(_DONE)})",
            (invoice_id, *_DONE),
        )
        return frozenset(row[0] for row in self._cursor.fetchall())

    def add_event(self, event: WebhookEvent, deliveries: Sequence[Delivery]) -> None:
        self._cursor.execute(
            "INSERT INTO webhook_event (event_id, invoice_id, number, merchant_id, type, body,"
            " created_at, trace_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            (
                event.event_id,
                event.invoice_id,
                event.number,
                event.merchant_id,
                event.type,
                event.body,
                stored(event.created_at),
                event.trace_id,
            ),
        )
        self._cursor.executemany(
            "INSERT INTO webhook_delivery (delivery_id, event_id, endpoint_id, invoice_id, number,"
            " state, attempt, due_at, trace_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    delivery.delivery_id,
                    delivery.event_id,
                    delivery.endpoint_id,
                    delivery.invoice_id,
                    delivery.number,
                    delivery.state.value,
                    delivery.attempt,
                    _maybe(delivery.due_at),
                    delivery.trace_id,
                )
                for delivery in deliveries
            ],
        )

    def event_body(self, event_id: bytes) -> str:
        self._cursor.execute("SELECT body FROM webhook_event WHERE event_id = %s", (event_id,))
        row = self._cursor.fetchone()
        if row is None:
            raise UnknownDelivery("the event is gone", event=event_id.hex())
        return str(row[0])

    def lock_deliveries(self, delivery_ids: Sequence[bytes]) -> Sequence[Delivery]:
        if not delivery_ids:
            return []
        among = f"delivery_id IN ({marks(delivery_ids)})"
        self._cursor.execute(
            f"SELECT DISTINCT invoice_id FROM webhook_delivery WHERE {among}",  # noqa: S608
            delivery_ids,
        )
        about = [row[0] for row in self._cursor.fetchall()]
        if not about:
            return []
        self._cursor.execute(
            f"SELECT invoice_id FROM invoice WHERE invoice_id IN ({marks(about)})"  # noqa: S608
            " ORDER BY invoice_id FOR UPDATE",
            about,
        )
        self._cursor.execute(
            f"{_DELIVERY} WHERE {among} ORDER BY delivery_id FOR UPDATE", delivery_ids
        )
        return [_delivery(row) for row in self._cursor.fetchall()]

    def next_held(self, endpoint_id: bytes, invoice_id: bytes) -> Delivery | None:
        self._cursor.execute(
            f"{_DELIVERY} WHERE invoice_id = %s AND endpoint_id = %s AND state = %s"
            " ORDER BY number LIMIT 1 FOR UPDATE",
            (invoice_id, endpoint_id, DeliveryState.HELD.value),
        )
        row = self._cursor.fetchone()
        return None if row is None else _delivery(row)

    def due_deliveries(self, now: datetime, limit: int) -> Sequence[bytes]:
        self._cursor.execute(
            "SELECT delivery_id FROM webhook_delivery WHERE due_at <= %s ORDER BY due_at LIMIT %s",
            (stored(now), limit),
        )
        return [row[0] for row in self._cursor.fetchall()]

    def put_delivery(self, delivery: Delivery) -> None:
        self._cursor.execute(
            "UPDATE webhook_delivery SET state = %s, attempt = %s, due_at = %s, last_status = %s,"
            " last_error = %s, finished_at = %s WHERE delivery_id = %s",
            (
                delivery.state.value,
                delivery.attempt,
                _maybe(delivery.due_at),
                delivery.last_status,
                delivery.last_error,
                _maybe(delivery.finished_at),
                delivery.delivery_id,
            ),
        )


def _maybe(at: datetime | None) -> datetime | None:
    return None if at is None else stored(at)


def _endpoint(row: tuple[Any, ...]) -> Endpoint:
    return Endpoint(row[0], row[1], row[2], frozenset(row[3].split()), row[4])


def _delivery(row: tuple[Any, ...]) -> Delivery:
    return Delivery(
        delivery_id=row[0],
        event_id=row[1],
        endpoint_id=row[2],
        invoice_id=row[3],
        number=int(row[4]),
        state=DeliveryState(row[5]),
        attempt=int(row[6]),
        due_at=None if row[7] is None else read(row[7]),
        trace_id=row[8],
        last_status=row[9],
        last_error=row[10],
        finished_at=None if row[11] is None else read(row[11]),
    )
