"""Events as a stream with a cursor, and webhooks: endpoints and deliveries."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from orion_client.resources import UNSET, Resource, Unset, at, changed, each, given
from orion_client.shapes import (
    Delivery,
    Event,
    EventPage,
    LoggedDelivery,
    NewWebhookEndpoint,
    Page,
    RotatedSecret,
    TestEventSent,
    WebhookEndpoint,
)


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events in their order, and the cursor to keep when all of them are worked off."""

    events: tuple[Event, ...]
    cursor: str


class Events(Resource):
    """`/v1/events`"""

    def page(
        self,
        *,
        after: str | None = None,
        limit: int | None = None,
        types: Sequence[str] | None = None,
    ) -> EventPage:
        """One page, oldest first, after a cursor; without one from the first event on."""
        query = given(after=after, limit=limit, types=None if types is None else list(types))
        return cast(EventPage, self._json("GET", "/v1/events", query=query))

    def get(self, event_id: str) -> Event:
        """One event."""
        return cast(Event, self._json("GET", at("/v1/events/{id}", id=event_id)))

    def read(
        self, *, after: str | None = None, types: Sequence[str] | None = None
    ) -> Iterator[EventBatch]:
        """What has happened since `after`, until nothing more is there. Store `cursor` after the
        work of a batch is done: events are then read at least once, and none is skipped.
        """
        cursor, more = after, True
        while more:
            page = self.page(after=cursor, limit=100, types=types)
            cursor, more = page["next_cursor"], page["has_more"]
            yield EventBatch(tuple(page["data"]), cursor)

    def follow(
        self,
        *,
        after: str | None = None,
        types: Sequence[str] | None = None,
        pause_s: float = 5.0,
        going_on: Callable[[], bool] = lambda: True,
    ) -> Iterator[EventBatch]:
        """As `read`, then look again every `pause_s` seconds as long as `going_on` says so."""
        cursor = after
        while going_on():
            for batch in self.read(after=cursor, types=types):
                cursor = batch.cursor
                yield batch
            time.sleep(pause_s)


class WebhookEndpoints(Resource):
    """`/v1/webhook-endpoints`"""

    def create(
        self, *, url: str, events: Sequence[str], idempotency_key: str | None = None
    ) -> NewWebhookEndpoint:
        """A new endpoint for these types of events, or `["*"]`. Keep the secret. Raises
        WebhookUrlRefused.
        """
        body = {"url": url, "events": list(events)}
        path = "/v1/webhook-endpoints"
        made = self._json("POST", path, body=body, idempotency_key=idempotency_key)
        return cast(NewWebhookEndpoint, made)

    def list(self) -> list[WebhookEndpoint]:
        """All of them; at most 16."""
        return cast("list[WebhookEndpoint]", self._json("GET", "/v1/webhook-endpoints")["data"])

    def get(self, endpoint_id: str) -> WebhookEndpoint:
        """One endpoint."""
        path = at("/v1/webhook-endpoints/{id}", id=endpoint_id)
        return cast(WebhookEndpoint, self._json("GET", path))

    def change(
        self,
        endpoint_id: str,
        *,
        url: str | Unset = UNSET,
        events: Sequence[str] | Unset = UNSET,
        enabled: bool | Unset = UNSET,
    ) -> WebhookEndpoint:
        """Replace what is named."""
        wanted = events if isinstance(events, Unset) else list(events)
        body = changed(url=url, events=wanted, enabled=enabled)
        path = at("/v1/webhook-endpoints/{id}", id=endpoint_id)
        return cast(WebhookEndpoint, self._json("PATCH", path, body=body))

    def delete(self, endpoint_id: str) -> None:
        """Remove it; what waits for it is given up."""
        self._transport.send("DELETE", at("/v1/webhook-endpoints/{id}", id=endpoint_id))

    def rotate_secret(
        self,
        endpoint_id: str,
        *,
        overlap_s: int | None = None,
        idempotency_key: str | None = None,
    ) -> RotatedSecret:
        """A new secret; for `overlap_s` both sign. After a leak: 0."""
        path = at("/v1/webhook-endpoints/{id}/rotate-secret", id=endpoint_id)
        body = given(overlap_s=overlap_s)
        made = self._json("POST", path, body=body, idempotency_key=idempotency_key)
        return cast(RotatedSecret, made)

    def test(self, endpoint_id: str, *, idempotency_key: str | None = None) -> TestEventSent:
        """Send a test event to this endpoint alone."""
        path = at("/v1/webhook-endpoints/{id}/test", id=endpoint_id)
        return cast(TestEventSent, self._json("POST", path, idempotency_key=idempotency_key))

    def deliveries(
        self, endpoint_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[Delivery]:
        """One page of its deliveries, newest first."""
        path = at("/v1/webhook-endpoints/{id}/deliveries", id=endpoint_id)
        query = given(limit=limit, cursor=cursor)
        return cast(Page[Delivery], self._json("GET", path, query=query))

    def each_delivery(self, endpoint_id: str) -> Iterator[Delivery]:
        """All of its deliveries, newest first."""
        return each(lambda cursor: self.deliveries(endpoint_id, limit=100, cursor=cursor))


class WebhookDeliveries(Resource):
    """`/v1/webhook-deliveries`"""

    def get(self, delivery_id: str) -> LoggedDelivery:
        """One delivery with its attempts."""
        path = at("/v1/webhook-deliveries/{id}", id=delivery_id)
        return cast(LoggedDelivery, self._json("GET", path))

    def redeliver(self, delivery_id: str, *, idempotency_key: str | None = None) -> Delivery:
        """Send the same event once more, now."""
        path = at("/v1/webhook-deliveries/{id}/redeliver", id=delivery_id)
        return cast(Delivery, self._json("POST", path, idempotency_key=idempotency_key))
