"""Events on MySQL, and their positions in each merchant's stream (docs/webhooks.md, "The
stream").
"""

from collections.abc import Sequence
from typing import Any

from orion.adapters.mysql.billing_rows import BillingCursor, marks, maybe_stored, read, stored
from orion.billing.delivery import Delivery, WebhookEvent
from orion.billing.errors import UnknownDelivery

_EVENT = (
    "SELECT event_id, object_id, merchant_id, number, type, body, created_at, trace_id, position"
    " FROM webhook_event"
)
_PLACED_AT_ONCE = 100


class BillingEvents(BillingCursor):
    """The port `EventTransaction`."""

    def add_event(self, event: WebhookEvent) -> None:
        self._cursor.execute(
            "INSERT INTO webhook_event (event_id, object_id, number, merchant_id, type, body,"
            " created_at, trace_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            (
                event.event_id,
                event.object_id,
                event.number,
                event.merchant_id,
                event.type,
                event.body,
                stored(event.created_at),
                event.trace_id,
            ),
        )

    def add_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        self._cursor.executemany(
            "INSERT INTO webhook_delivery (delivery_id, event_id, endpoint_id, object_id, number,"
            " state, attempt, due_at, trace_id, created_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    delivery.delivery_id,
                    delivery.event_id,
                    delivery.endpoint_id,
                    delivery.object_id,
                    delivery.number,
                    delivery.state.value,
                    delivery.attempt,
                    maybe_stored(delivery.due_at),
                    delivery.trace_id,
                    stored(delivery.created_at),
                )
                for delivery in deliveries
            ],
        )

    def event(self, merchant_id: bytes, event_id: bytes) -> WebhookEvent | None:
        self._cursor.execute(
            f"{_EVENT} WHERE event_id = %s AND merchant_id = %s", (event_id, merchant_id)
        )
        row = self._cursor.fetchone()
        return None if row is None else _event(row)

    def event_body(self, event_id: bytes) -> str:
        self._cursor.execute("SELECT body FROM webhook_event WHERE event_id = %s", (event_id,))
        row = self._cursor.fetchone()
        if row is None:
            raise UnknownDelivery("the event is gone", event=event_id.hex())
        return str(row[0])

    def place_events(self, merchant_id: bytes, limit: int) -> int:
        self._cursor.execute(
            "INSERT INTO event_stream (merchant_id, last_position) VALUES (%s, 0)"
            " ON DUPLICATE KEY UPDATE last_position = last_position",
            (merchant_id,),
        )
        self._cursor.execute(
            "SELECT last_position FROM event_stream WHERE merchant_id = %s FOR UPDATE",
            (merchant_id,),
        )
        row = self._cursor.fetchone()
        last = int(row[0]) if row else 0
        # A plain read, after the lock: what is committed by now, and nothing that is under way.
        self._cursor.execute(
            "SELECT event_id FROM webhook_event WHERE merchant_id = %s AND position IS NULL"
            " ORDER BY written LIMIT %s",
            (merchant_id, limit),
        )
        found = [row[0] for row in self._cursor.fetchall()]
        for start in range(0, len(found), _PLACED_AT_ONCE):
            self._place(found[start : start + _PLACED_AT_ONCE], last + start)
        if found:
            self._cursor.execute(
                "UPDATE event_stream SET last_position = %s WHERE merchant_id = %s",
                (last + len(found), merchant_id),
            )
        return len(found)

    def _place(self, event_ids: Sequence[bytes], last: int) -> None:
        numbered = [part for n, one in enumerate(event_ids, last + 1) for part in (one, n)]
        self._cursor.execute(
            "UPDATE webhook_event SET position = CASE event_id"  # noqa: S608 - only placeholders
            f"{' WHEN %s THEN %s' * len(event_ids)} END WHERE event_id IN ({marks(event_ids)})",
            (*numbered, *event_ids),
        )

    def unplaced(self, merchant_id: bytes) -> bool:
        self._cursor.execute(
            "SELECT 1 FROM webhook_event WHERE merchant_id = %s AND position IS NULL LIMIT 1",
            (merchant_id,),
        )
        return self._cursor.fetchone() is not None

    def unplaced_merchants(self, limit: int) -> Sequence[bytes]:
        self._cursor.execute(
            "SELECT DISTINCT merchant_id FROM webhook_event WHERE position IS NULL LIMIT %s",
            (limit,),
        )
        return [row[0] for row in self._cursor.fetchall()]

    def last_position(self, merchant_id: bytes) -> int:
        self._cursor.execute(
            "SELECT last_position FROM event_stream WHERE merchant_id = %s", (merchant_id,)
        )
        row = self._cursor.fetchone()
        return 0 if row is None else int(row[0])

    def events_between(
        self, merchant_id: bytes, after: int, last: int, types: Sequence[str], limit: int
    ) -> Sequence[WebhookEvent]:
        among = f" AND type IN ({marks(types)})" if types else ""
        self._cursor.execute(
            f"{_EVENT} WHERE merchant_id = %s AND position > %s AND position <= %s{among}"
            " ORDER BY position LIMIT %s",
            (merchant_id, after, last, *types, limit),
        )
        return [_event(row) for row in self._cursor.fetchall()]


def _event(row: tuple[Any, ...]) -> WebhookEvent:
    return WebhookEvent(
        event_id=row[0],
        object_id=row[1],
        merchant_id=row[2],
        number=int(row[3]),
        type=row[4],
        body=row[5],
        created_at=read(row[6]),
        trace_id=row[7],
        position=None if row[8] is None else int(row[8]),
    )
