"""A merchant's events as a stream that can be read again from any point (docs/webhooks.md, "The
stream").
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from orion.billing.delivery import WebhookEvent
from orion.billing.errors import (
    CursorMalformed,
    EventNotFound,
    LimitOutOfRange,
    UnknownEventType,
)
from orion.billing.ports import BillingStore, Transaction
from orion.billing.webhooks import EVENT_TYPES
from orion.ids import public_id
from orion.records import parse_object

PAGE_MAX = 100
PAGE_DEFAULT = 20
TYPES_MAX = 16
LOOKED_AT = 1_000
PLACED_AT_ONCE = 500
_PLACED_FOR_A_READER = 4
_MERCHANTS_A_PASS = 1_000
_ROUNDS_A_MERCHANT = 20
_CURSOR_VERSION = b"\x02"
_CURSOR_LETTERS = 12


class EventStream:
    """Gives positions to committed events, and reads them in that order."""

    def __init__(self, store: BillingStore) -> None:
        self._store = store

    def page(
        self,
        merchant_id: bytes,
        *,
        after: str | None = None,
        limit: int = PAGE_DEFAULT,
        types: Sequence[str] = (),
    ) -> Mapping[str, object]:
        """Events after the cursor, oldest first: `data`, `next_cursor` (always), `has_more`.

        Raises LimitOutOfRange, CursorMalformed (also for one that this stream has not reached, as
        after a restored backup), UnknownEventType.
        """
        if not 1 <= limit <= PAGE_MAX or len(types) > TYPES_MAX:
            raise LimitOutOfRange(f"a page has 1 to {PAGE_MAX} events of at most {TYPES_MAX} types")
        for kind in types:
            if kind not in EVENT_TYPES:
                raise UnknownEventType("no change causes this event", event_type=kind[:64])
        start = 0 if after is None else _read_cursor(after)
        self._place(merchant_id, _PLACED_FOR_A_READER)
        return self._store.transact(lambda tx: _page(tx, merchant_id, start, limit, types))

    def event(self, merchant_id: bytes, event_id: bytes) -> Mapping[str, object]:
        """One event. Raises EventNotFound, also for another merchant's."""
        found = self._store.transact(lambda tx: tx.event(merchant_id, event_id))
        if found is None:
            raise EventNotFound("no such event")
        if found.position is None:
            self._place(merchant_id, _ROUNDS_A_MERCHANT)
            found = self._store.transact(lambda tx: tx.event(merchant_id, event_id)) or found
        return event_view(found)

    def place_all(self) -> int:
        """Positions for everybody's events, at most 1,000 merchants a call; how many events."""
        merchants = self._store.transact(lambda tx: tx.unplaced_merchants(_MERCHANTS_A_PASS))
        return sum(self._place(merchant_id, _ROUNDS_A_MERCHANT) for merchant_id in merchants)

    def _place(self, merchant_id: bytes, rounds: int) -> int:
        """One transaction a round, so that the stream is never locked for long."""
        if not self._store.transact(lambda tx: tx.unplaced(merchant_id)):
            return 0
        placed = 0
        place: Callable[[Transaction], int] = partial(_place, merchant_id=merchant_id)
        for _ in range(rounds):
            count = self._store.transact(place)
            placed += count
            if count < PLACED_AT_ONCE:
                break
        return placed


def _place(tx: Transaction, merchant_id: bytes) -> int:
    return tx.place_events(merchant_id, PLACED_AT_ONCE)


def _page(
    tx: Transaction, merchant_id: bytes, start: int, limit: int, types: Sequence[str]
) -> Mapping[str, object]:
    newest = tx.last_position(merchant_id)
    if start > newest:
        raise CursorMalformed("this stream has not come so far")
    looked_at = min(start + LOOKED_AT, newest)
    rows = tx.events_between(merchant_id, start, looked_at, types, limit + 1)
    page = rows[:limit]
    if len(rows) > limit:
        looked_at = page[-1].position or 0
    return {
        "data": [event_view(row) for row in page],
        "next_cursor": _cursor(looked_at),
        "has_more": looked_at < newest,
    }


def event_view(event: WebhookEvent) -> Mapping[str, object]:
    """An event as its merchant sees it."""
    return {
        "id": public_id("evt", event.event_id),
        "position": event.position,
        **parse_object(event.body.encode()),
    }


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(_CURSOR_VERSION + position.to_bytes(8, "big")).decode()


def _read_cursor(text: str) -> int:
    if len(text) != _CURSOR_LETTERS:
        raise CursorMalformed("no page ended with this cursor")
    try:
        value = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise CursorMalformed("no page ended with this cursor") from exc
    if len(value) != 9 or value[:1] != _CURSOR_VERSION:
        raise CursorMalformed("no page ended with this cursor")
    return int.from_bytes(value[1:], "big")
