"""Where a list of things that have a moment and an identity goes on: keyset cursors as text.

A cursor opens nothing, so it needs no secret: whoever changes one sees another page of the same
merchant's list.
"""

import base64
import binascii
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orion.billing.errors import CursorMalformed
from orion.ids import ID_BYTES

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FORM = struct.Struct(f">Bq{ID_BYTES}s")
# Another than the version of a cursor that is an identity alone.
_VERSION = 2


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """The place of a thing in a list ordered by moment, then identity."""

    at: datetime
    identity: bytes


def place_cursor(place: Place) -> str:
    """A place as text of 34 characters."""
    packed = _FORM.pack(_VERSION, (place.at - _EPOCH) // _MICROSECOND, place.identity)
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def read_place(text: str) -> Place:
    """The place that a cursor names. Raises CursorMalformed for what no page ended with: version
    and form are held to what would be written for the place.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        _, micros, identity = _FORM.unpack(raw)
        place = Place(_EPOCH + micros * _MICROSECOND, identity)
    except (binascii.Error, struct.error, ValueError, OverflowError) as exc:
        raise CursorMalformed("no page ended with this cursor") from exc
    if place_cursor(place) != text:
        raise CursorMalformed("no page ended with this cursor")
    return place
