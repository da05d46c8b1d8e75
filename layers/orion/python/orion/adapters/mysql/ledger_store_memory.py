"""What a shard's writer remembers of its last commit, so that the next batch need not read it.

It is good only while `shard.version`, read under the shard's row lock, is what that commit left:
any other writer's commit raises it. It is taken out at the beginning of a batch and put back after
the commit was acknowledged, so an error or an unknown outcome in between forgets it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orion.ledger.model import AccountKey, Counters

# A kilobyte each.
MAX_ACCOUNTS = 65_536


@dataclass(slots=True)
class Memory:
    """Counters of accounts as they stand in the database at `version` of their shard."""

    version: int
    counters: dict[AccountKey, Counters] = field(default_factory=dict)

    def known(self, keys: Iterable[AccountKey]) -> dict[AccountKey, Counters]:
        """The remembered ones of `keys`."""
        counters = self.counters
        return {key: counters[key] for key in keys if key in counters}

    def learn(self, version: int, moved: Mapping[AccountKey, Counters]) -> None:
        """What a commit left. What was touched longest ago is forgotten first."""
        counters = self.counters
        for key, held in moved.items():
            counters.pop(key, None)
            counters[key] = held
        for key in list(counters)[: max(0, len(counters) - MAX_ACCOUNTS)]:
            del counters[key]
        self.version = version
