"""Webhook deliveries and their attempts on MySQL."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from orion.adapters.mysql.billing_rows import (
    BillingCursor,
    marks,
    maybe_read,
    maybe_stored,
    read,
    stored,
)
from orion.billing.delivery import (
    NO_ANSWER,
    OPEN,
    UNSENT,
    Attempt,
    Delivery,
    DeliveryState,
    Outcome,
)
from orion.billing.webhook_pace import Lane

_DELIVERY = (
    "SELECT delivery_id, event_id, endpoint_id, object_id, number, state, attempt, due_at,"
    " trace_id, created_at, schedule_from, lane, last_status, last_error, finished_at, closing"
    " FROM webhook_delivery"
)
# One endpoint's deliveries in one state: a range of the index `next_of_endpoint`. With a list of
# states in one EXISTS, MariaDB reads all that the endpoint ever got.
_SOME = "EXISTS (SELECT 1 FROM webhook_delivery d WHERE d.endpoint_id = {endpoint} AND d.state = %s"
_OPEN, _UNSENT = tuple(sorted(OPEN)), tuple(sorted(UNSENT))


class BillingDeliveries(BillingCursor):
    """The port `DeliveryTransaction`."""

    def busy_endpoints(self, object_id: bytes) -> frozenset[bytes]:
        self._cursor.execute(
            "SELECT endpoint_id FROM webhook_delivery"  # noqa: S608 - only placeholders
            f" WHERE object_id = %s AND schedule_from = 0 AND state IN ({marks(_OPEN)}) FOR UPDATE",
            (object_id, *_OPEN),
        )
        return frozenset(row[0] for row in self._cursor.fetchall())

    def merchant_of(self, delivery_id: bytes) -> bytes | None:
        self._cursor.execute(
            "SELECT e.merchant_id FROM webhook_delivery d JOIN webhook_event e"
            " ON e.event_id = d.event_id WHERE d.delivery_id = %s",
            (delivery_id,),
        )
        row = self._cursor.fetchone()
        return None if row is None else row[0]

    def delivery(self, delivery_id: bytes) -> Delivery | None:
        return self._one_delivery(f"{_DELIVERY} WHERE delivery_id = %s", (delivery_id,))

    def lock_delivery(self, delivery_id: bytes) -> Delivery | None:
        return self._one_delivery(f"{_DELIVERY} WHERE delivery_id = %s FOR UPDATE", (delivery_id,))

    def next_held(self, endpoint_id: bytes, object_id: bytes) -> Delivery | None:
        return self._one_delivery(
            f"{_DELIVERY} WHERE object_id = %s AND endpoint_id = %s AND state = %s"
            " ORDER BY number LIMIT 1 FOR UPDATE",
            (object_id, endpoint_id, DeliveryState.HELD.value),
        )

    def put_delivery(self, delivery: Delivery) -> None:
        self._cursor.execute(
            "UPDATE webhook_delivery SET state = %s, attempt = %s, due_at = %s, schedule_from = %s,"
            " lane = %s, last_status = %s, last_error = %s, finished_at = %s, closing = %s"
            " WHERE delivery_id = %s",
            (
                delivery.state.value,
                delivery.attempt,
                maybe_stored(delivery.due_at),
                delivery.schedule_from,
                None if delivery.lane is None else delivery.lane.value,
                delivery.last_status,
                delivery.last_error,
                maybe_stored(delivery.finished_at),
                delivery.closing,
                delivery.delivery_id,
            ),
        )

    def queued(self, endpoint_ids: Sequence[bytes]) -> Mapping[tuple[bytes, Lane], int]:
        if not endpoint_ids:
            return {}
        self._cursor.execute(
            "SELECT endpoint_id, lane, COUNT(*) FROM webhook_delivery"  # noqa: S608
            f" WHERE endpoint_id IN ({marks(endpoint_ids)}) AND state = %s"
            " GROUP BY endpoint_id, lane",
            (*endpoint_ids, DeliveryState.QUEUED.value),
        )
        # What was queued before there were lanes is with the senders that are the fast ones now.
        return {(row[0], Lane(row[1] or Lane.FAST)): int(row[2]) for row in self._cursor.fetchall()}

    def due(self, endpoint_id: bytes, now: datetime, limit: int) -> Sequence[Delivery]:
        return self._deliveries(
            f"{_DELIVERY} WHERE endpoint_id = %s AND state = %s AND due_at <= %s"
            " ORDER BY due_at, delivery_id LIMIT %s FOR UPDATE SKIP LOCKED",
            (endpoint_id, DeliveryState.WAITING.value, stored(now), limit),
        )

    def overdue(self, endpoint_id: bytes, now: datetime, limit: int) -> Sequence[Delivery]:
        return self._deliveries(
            f"{_DELIVERY} WHERE endpoint_id = %s AND state = %s AND due_at <= %s"
            " ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED",
            (endpoint_id, DeliveryState.QUEUED.value, stored(now), limit),
        )

    def give_up_unsent(self, endpoint_id: bytes, reason: str, now: datetime, limit: int) -> int:
        # The index is named: MariaDB may take the endpoint's other one, which this does not change,
        # and read all that the endpoint ever got.
        return self._cursor.execute(
            "UPDATE webhook_delivery FORCE INDEX (next_of_endpoint)"  # noqa: S608
            " SET state = %s, due_at = NULL, finished_at = %s, last_error = %s"
            f" WHERE endpoint_id = %s AND state IN ({marks(_UNSENT)}) LIMIT %s",
            (DeliveryState.GIVEN_UP.value, stored(now), reason, endpoint_id, *_UNSENT, limit),
        )

    def unmarked(self, endpoint_id: bytes, limit: int) -> Sequence[Delivery]:
        return self._deliveries(
            f"{_DELIVERY} WHERE endpoint_id = %s AND state = %s AND closing IS NULL"
            " LIMIT %s FOR UPDATE",
            (endpoint_id, DeliveryState.QUEUED.value, limit),
        )

    def any_left(self, endpoint_id: bytes, states: Collection[DeliveryState]) -> bool:
        self._cursor.execute(
            "SELECT 1 FROM webhook_delivery"  # noqa: S608 - only placeholders
            f" WHERE endpoint_id = %s AND state IN ({marks(tuple(states))}) LIMIT 1 FOR UPDATE",
            (endpoint_id, *sorted(states)),
        )
        return self._cursor.fetchone() is not None

    def orphaned(self, now: datetime, after: bytes, limit: int) -> Sequence[tuple[bytes, bool]]:
        some = _SOME.format(endpoint="known.endpoint_id")
        # The inner read leaps from one endpoint to the next in its index, past all deliveries.
        self._cursor.execute(
            "SELECT known.endpoint_id, e.endpoint_id IS NULL"  # noqa: S608 - only placeholders
            f" AND ({some}) OR {some}) OR {some} AND d.due_at <= %s))"
            " FROM (SELECT endpoint_id FROM webhook_delivery WHERE endpoint_id > %s"
            " GROUP BY endpoint_id ORDER BY endpoint_id LIMIT %s) known"
            " LEFT JOIN webhook_endpoint e ON e.endpoint_id = known.endpoint_id"
            " ORDER BY known.endpoint_id",
            (*_UNSENT, DeliveryState.QUEUED.value, stored(now), after, limit),
        )
        return [(row[0], bool(row[1])) for row in self._cursor.fetchall()]

    def merchants_due(
        self, now: datetime, after: bytes, limit: int
    ) -> Sequence[tuple[bytes, bytes]]:
        some = _SOME.format(endpoint="e.endpoint_id")
        self._cursor.execute(
            "SELECT e.endpoint_id, e.merchant_id FROM webhook_endpoint e"  # noqa: S608
            f" WHERE e.endpoint_id > %s AND ({some} AND d.due_at <= %s)"
            f" OR {some} AND d.due_at <= %s)"
            f" OR (e.disabled_reason IS NOT NULL AND ({some}) OR {some})))"
            " OR e.slot IS NULL) ORDER BY e.endpoint_id LIMIT %s",
            (
                after,
                DeliveryState.WAITING.value,
                stored(now),
                DeliveryState.QUEUED.value,
                stored(now),
                *_UNSENT,
                limit,
            ),
        )
        return [(row[0], row[1]) for row in self._cursor.fetchall()]

    def add_attempt(self, delivery_id: bytes, attempt: Attempt) -> None:
        self._cursor.execute(
            "DELETE FROM webhook_attempt WHERE delivery_id = %s AND attempt = %s"
            " AND (error = %s OR outcome <> %s AND %s)",
            (
                delivery_id,
                attempt.attempt,
                NO_ANSWER,
                Outcome.DELIVERED.value,
                attempt.outcome == Outcome.DELIVERED,
            ),
        )
        self._cursor.execute(
            "INSERT INTO webhook_attempt (delivery_id, attempt, at, duration_ms, outcome, status,"
            " error, answer) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
            " ON DUPLICATE KEY UPDATE attempt = attempt",
            (
                delivery_id,
                attempt.attempt,
                stored(attempt.at),
                attempt.duration_ms,
                attempt.outcome.value,
                attempt.status,
                attempt.error,
                attempt.answer,
            ),
        )

    def attempts(self, delivery_id: bytes) -> Sequence[Attempt]:
        self._cursor.execute(
            "SELECT attempt, at, outcome, status, error, duration_ms, answer FROM webhook_attempt"
            " WHERE delivery_id = %s ORDER BY attempt",
            (delivery_id,),
        )
        return [
            Attempt(row[0], read(row[1]), Outcome(row[2]), row[3], row[4], row[5], row[6])
            for row in self._cursor.fetchall()
        ]

    def deliveries(
        self, endpoint_id: bytes, before: tuple[datetime, bytes] | None, limit: int
    ) -> Sequence[Delivery]:
        older: tuple[object, ...] = ()
        if before is not None:
            older = (stored(before[0]), stored(before[0]), before[1])
        below = " AND (created_at < %s OR (created_at = %s AND delivery_id < %s))" if older else ""
        return self._deliveries(
            f"{_DELIVERY} WHERE endpoint_id = %s{below}"
            " ORDER BY created_at DESC, delivery_id DESC LIMIT %s",
            (endpoint_id, *older, limit),
        )

    def event_types(self, event_ids: Sequence[bytes]) -> Mapping[bytes, str]:
        if not event_ids:
            return {}
        self._cursor.execute(
            "SELECT event_id, type FROM webhook_event"  # noqa: S608 - only placeholders
            f" WHERE event_id IN ({marks(event_ids)})",
            tuple(event_ids),
        )
        return {row[0]: row[1] for row in self._cursor.fetchall()}

    def forget_attempts(self, before: datetime, limit: int) -> int:
        return self._cursor.execute(
            "DELETE FROM webhook_attempt WHERE at < %s ORDER BY at LIMIT %s",
            (stored(before), limit),
        )

    def _one_delivery(self, sql: str, values: Sequence[object]) -> Delivery | None:
        self._cursor.execute(sql, values)
        row = self._cursor.fetchone()
        return None if row is None else _delivery(row)

    def _deliveries(self, sql: str, values: Sequence[object]) -> Sequence[Delivery]:
        self._cursor.execute(sql, values)
        return [_delivery(row) for row in self._cursor.fetchall()]


def _delivery(row: tuple[Any, ...]) -> Delivery:
    return Delivery(
        delivery_id=row[0],
        event_id=row[1],
        endpoint_id=row[2],
        object_id=row[3],
        number=int(row[4]),
        state=DeliveryState(row[5]),
        attempt=int(row[6]),
        due_at=maybe_read(row[7]),
        trace_id=row[8],
        created_at=read(row[9]),
        schedule_from=int(row[10]),
        lane=None if row[11] is None else Lane(row[11]),
        last_status=row[12],
        last_error=row[13],
        finished_at=maybe_read(row[14]),
        closing=row[15],
    )
