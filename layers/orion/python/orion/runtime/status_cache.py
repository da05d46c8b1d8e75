"""The public status of invoices in memcached: never older than the commit before the question while
memcached takes tombstones, and never older than KEPT_S (docs/checkout.md, "The status read and
memcached").
"""

from collections.abc import Iterable
from functools import cache as once

from orion.adapters.memcached.cache import Cache
from orion.runtime.cache import cache

KEPT_S = 10
# Longer than any request lives, so that who read before a commit cannot fill after it.
TOMBSTONE_S = 15
# Raise it when the same invoice is shown in another form: two versions of the code may run.
_FORM = "1"
_TOMBSTONE = b""


class StatusCache:
    """Bodies of status answers by invoice."""

    def __init__(self, held: Cache) -> None:
        self._held = held

    def get(self, invoice_id: bytes) -> bytes | None:
        """The body, or None where the database must be asked."""
        return self._held.get(_key(invoice_id)) or None

    def fill(self, invoice_id: bytes, body: bytes) -> None:
        """Keep what the database said, unless a change stands in its place."""
        self._held.add(_key(invoice_id), body, KEPT_S)

    def changed(self, invoice_ids: Iterable[bytes]) -> None:
        """These invoices were changed: call it after the commit."""
        for invoice_id in invoice_ids:
            self._held.put(_key(invoice_id), _TOMBSTONE, TOMBSTONE_S)


def _key(invoice_id: bytes) -> str:
    return f"status:{_FORM}:{invoice_id.hex()}"


@once
def statuses() -> StatusCache:
    """One a process."""
    return StatusCache(cache())
