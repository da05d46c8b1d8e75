"""What refused of late, remembered from run to run of a warm process: destinations for a moment,
and keys whose oldest message their queue will never take.
"""

import time
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

# As long as the schedule takes to come again: the next run asks the others first.
TRY_LAST_S = 60
# Those beyond are forgotten, which costs repetitions.
MAX_KEYS = 1_000


class Refusals:
    """A memory that may be lost: it says who is asked last, and how much at once."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._keys: set[tuple[str, bytes]] = set()

    def note(self, destinations: Iterable[str]) -> None:
        """These refused, or did not answer."""
        # The wall clock, unlike the monotonic one, goes on while Lambda has frozen the process.
        self._until.update(dict.fromkeys(destinations, time.time() + TRY_LAST_S))

    def forget(self, destinations: Iterable[str]) -> None:
        """These took what was for them."""
        for destination in destinations:
            self._until.pop(destination, None)

    def recent(self) -> frozenset[str]:
        """Those that refused within TRY_LAST_S and took nothing since."""
        now_s = time.time()
        return frozenset(
            destination for destination, until_s in self._until.items() if now_s < until_s
        )

    def doubt(self, key: tuple[str, bytes]) -> None:
        """Its oldest message was refused for good."""
        if len(self._keys) < MAX_KEYS:
            self._keys.add(key)

    def trust(self, key: tuple[str, bytes]) -> None:
        """A message of it was taken."""
        self._keys.discard(key)

    def keys(self) -> AbstractSet[tuple[str, bytes]]:
        """(destination, key) of each that is in doubt."""
        return frozenset(self._keys)
