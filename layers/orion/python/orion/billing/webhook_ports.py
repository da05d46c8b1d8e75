"""What events, webhook endpoints and deliveries need from the transaction that they take part
in.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from orion.billing.delivery import Attempt, Delivery, DeliveryState, Endpoint, WebhookEvent
from orion.billing.webhook_pace import Lane, Pace


class EventTransaction(Protocol):
    """Events and the merchant's stream of them."""

    def add_event(self, event: WebhookEvent) -> None:
        """Store an event, without a position."""
        ...

    def add_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Store at least one delivery of a stored event."""
        ...

    def event(self, merchant_id: bytes, event_id: bytes) -> WebhookEvent | None:
        """The merchant's event, not locked."""
        ...

    def event_body(self, event_id: bytes) -> str:
        """The body of a stored event."""
        ...

    def place_events(self, merchant_id: bytes, limit: int) -> int:
        """Give the next positions to at most `limit` committed events of this merchant that have
        none, in the order of writing; how many. Locks the merchant's stream until the end of the
        transaction.
        """
        ...

    def unplaced(self, merchant_id: bytes) -> bool:
        """Whether this merchant has a committed event without a position."""
        ...

    def unplaced_merchants(self, limit: int) -> Sequence[bytes]:
        """At most `limit` merchants that have one."""
        ...

    def last_position(self, merchant_id: bytes) -> int:
        """The highest position given; 0 before the first."""
        ...

    def events_between(
        self, merchant_id: bytes, after: int, last: int, types: Sequence[str], limit: int
    ) -> Sequence[WebhookEvent]:
        """Events with positions above `after` and up to `last`, oldest first, of these types or of
        any where none is named; at most `limit`.
        """
        ...


class EndpointTransaction(Protocol):
    """Webhook endpoints. The lock on a merchant's endpoints comes before any delivery's."""

    def endpoints(self, merchant_id: bytes) -> Sequence[Endpoint]:
        """The merchant's endpoints that are not deleted, at most `delivery.MAX_ENDPOINTS`, oldest
        first, not locked.
        """
        ...

    def lock_endpoints(self, merchant_id: bytes) -> Sequence[Endpoint]:
        """Lock all endpoints of the merchant, deleted ones too."""
        ...

    def add_endpoint(self, endpoint: Endpoint, now: datetime) -> None:
        """Store a webhook endpoint. Raises TooManyEndpoints."""
        ...

    def put_endpoint(self, endpoint: Endpoint) -> None:
        """Replace what is stored of a locked endpoint."""
        ...

    def put_pace(self, endpoint_id: bytes, pace: Pace) -> None:
        """Replace the pace of a locked endpoint."""
        ...

    def forget_endpoint(self, endpoint_id: bytes) -> None:
        """Remove the row of a locked endpoint that was deleted."""
        ...


class DeliveryTransaction(Protocol):
    """Deliveries and their attempts."""

    def busy_endpoints(self, object_id: bytes) -> frozenset[bytes]:
        """Endpoints with an unfinished ordinary delivery about this (locked) object. Locks these
        deliveries, so that none is finished before a later one is stored as held.
        """
        ...

    def merchant_of(self, delivery_id: bytes) -> bytes | None:
        """Whose delivery this is."""
        ...

    def delivery(self, delivery_id: bytes) -> Delivery | None:
        """One delivery, not locked."""
        ...

    def lock_delivery(self, delivery_id: bytes) -> Delivery | None:
        """One delivery, locked."""
        ...

    def put_delivery(self, delivery: Delivery) -> None:
        """Replace the stored state of a locked delivery."""
        ...

    def next_held(self, endpoint_id: bytes, object_id: bytes) -> Delivery | None:
        """The held delivery with the lowest number, of this object to this endpoint, locked."""
        ...

    def queued(self, endpoint_ids: Sequence[bytes]) -> Mapping[tuple[bytes, Lane], int]:
        """How many deliveries of these endpoints are with the senders of each lane."""
        ...

    def due(self, endpoint_id: bytes, now: datetime, limit: int) -> Sequence[Delivery]:
        """At most `limit` waiting deliveries whose time has come, oldest first, locked; those that
        somebody else holds are left out.
        """
        ...

    def overdue(self, endpoint_id: bytes, now: datetime, limit: int) -> Sequence[Delivery]:
        """At most `limit` queued deliveries whose answer did not come in time, locked."""
        ...

    def give_up_unsent(self, endpoint_id: bytes, reason: str, now: datetime, limit: int) -> int:
        """Give up at most `limit` held and waiting deliveries of this endpoint; how many. Waits
        for whoever has locked one.
        """
        ...

    def unmarked(self, endpoint_id: bytes, limit: int) -> Sequence[Delivery]:
        """At most `limit` queued deliveries of this endpoint without `closing`, locked."""
        ...

    def any_left(self, endpoint_id: bytes, states: Collection[DeliveryState]) -> bool:
        """Whether a delivery of this endpoint is in one of these states. Waits for whoever has
        locked one, or is storing one.
        """
        ...

    def orphaned(self, now: datetime, after: bytes, limit: int) -> Sequence[tuple[bytes, bool]]:
        """At most `limit` endpoints that ever had a delivery, ids above `after`, ascending, each
        with whether its row is gone while a delivery is held, waiting or overdue.
        """
        ...

    def merchants_due(
        self, now: datetime, after: bytes, limit: int
    ) -> Sequence[tuple[bytes, bytes]]:
        """(endpoint, its merchant) with ids above `after`, ascending, where something is due, or
        the endpoint is disabled and something held or waiting, or it is deleted; at most `limit`.
        """
        ...

    def add_attempt(self, delivery_id: bytes, attempt: Attempt) -> None:
        """Log one attempt. Of a repeated one the first is kept; but any takes the place of
        `no_answer`, and a success that of a failure.
        """
        ...

    def attempts(self, delivery_id: bytes) -> Sequence[Attempt]:
        """What is kept of a delivery's attempts, oldest first."""
        ...

    def deliveries(
        self, endpoint_id: bytes, before: tuple[datetime, bytes] | None, limit: int
    ) -> Sequence[Delivery]:
        """An endpoint's deliveries, newest first, before this (moment, id); at most `limit`."""
        ...

    def event_types(self, event_ids: Sequence[bytes]) -> Mapping[bytes, str]:
        """The types of stored events."""
        ...

    def forget_attempts(self, before: datetime, limit: int) -> int:
        """Delete at most `limit` logged attempts older than `before`; how many."""
        ...


class WebhookTransaction(EventTransaction, EndpointTransaction, DeliveryTransaction, Protocol):
    """All of it."""
