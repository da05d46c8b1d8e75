"""What the user service needs of the world."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from orion.user.model import ApiKey, Merchant


class UserTransaction(Protocol):
    """Reads and writes of one database transaction; all of them hold, or none."""

    def add_merchant(self, merchant: Merchant) -> None:
        """Store a new merchant."""
        ...

    def add_key(self, key: ApiKey) -> None:
        """Store a new key."""
        ...

    def count_keys(self, merchant_id: bytes) -> int:
        """The merchant's keys that are not revoked.

        Locks the merchant's row until the end, so that two makers of keys take turns at the limit.
        """
        ...

    def keys(self, merchant_id: bytes, limit: int) -> Sequence[ApiKey]:
        """The merchant's keys that are not revoked, oldest first, at most `limit`."""
        ...

    def revoke(self, merchant_id: bytes, key_id: bytes, at: datetime) -> bool:
        """Mark the key revoked; False when the merchant has no such key that still holds."""
        ...

    def audit(self, event_id: bytes, body: Mapping[str, object]) -> None:
        """Tell the log module, with the transaction's commit."""
        ...
