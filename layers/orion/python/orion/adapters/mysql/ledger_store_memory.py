"""What a shard's writer knows of counters: from its last commit, and from what a batch has read.

What is remembered of the last commit is good only while `shard.version`, read under the shard's row
lock, is what that commit left: any other writer's commit raises it. The store takes it out at the
beginning of a batch and puts it back after the commit was acknowledged, so an error or an unknown
outcome in between forgets it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from orion.ledger.model import AccountKey, Counters
from orion.ledger.sharding import ShardView

# Three to four hundred bytes each.
MAX_ACCOUNTS = 100_000


@dataclass(slots=True)
class Memory:
    """Counters by account id, as they stand in the database at `version` of their shard.

    `view` is where its buckets live under `map_version`: handover and takeover are commits of this
    shard, so only a newer map changes it without one.
    """

    version: int
    counters: dict[bytes, Counters] = field(default_factory=dict)
    map_version: int = 0
    view: ShardView | None = None

    def learn(self, version: int, moved: Mapping[bytes, Counters]) -> None:
        """What a commit left. What was learnt first is forgotten first, and read again."""
        counters = self.counters
        counters.update(moved)
        for identity in list(islice(counters, max(0, len(counters) - MAX_ACCOUNTS))):
            del counters[identity]
        self.version = version


class KnownCounters(Mapping[AccountKey, Counters]):
    """The counters of a batch: as its own parts left them, as it read them, as remembered.

    By account id inside: a key's own hash is worked out in Python, and a batch has ten thousand.
    """

    def __init__(self, remembered: Mapping[bytes, Counters]) -> None:
        self._remembered = remembered
        self._read: dict[bytes, Counters] = {}
        self._moved: dict[bytes, tuple[AccountKey, Counters]] = {}
        # Ids that were looked for and what stands for them, found or not.
        self.looked: set[bytes] = set()

    def get(self, key: AccountKey, default: Counters | None = None) -> Counters | None:  # type: ignore[override]
        moved = self._moved.get(key.id)
        if moved is not None:
            return moved[1]
        return self.before(key.id) or default

    def __getitem__(self, key: AccountKey) -> Counters:
        found = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[AccountKey]:
        return (key for key, _ in self._moved.values())

    def __len__(self) -> int:
        return len(self._moved)

    def knows(self, identity: bytes) -> bool:
        """Whether nothing has to be read to say what this account holds."""
        return identity in self._remembered or identity in self.looked

    def before(self, identity: bytes) -> Counters | None:
        """As it stood before the batch; None for an account that nobody has seen."""
        return self._remembered.get(identity) or self._read.get(identity)

    def learn(self, found: Mapping[AccountKey, Counters]) -> None:
        """What the database says."""
        self._read |= {key.id: held for key, held in found.items()}

    def move(self, moved: Mapping[AccountKey, Counters]) -> None:
        """What a part of the batch left."""
        self._moved |= {key.id: (key, held) for key, held in moved.items()}

    def forget(self) -> None:
        """A bucket came or went: everything is read again. What this batch moved stays moved."""
        kept = {identity: self.before(identity) for identity in self._moved}
        self._read = {identity: held for identity, held in kept.items() if held is not None}
        self._remembered = {}
        self.looked = set()

    def changed(self) -> list[tuple[bytes, AccountKey, Counters]]:
        """All that differs from before the batch, by rising id: the order of the table."""
        moved, read, remembered = self._moved, self._read, self._remembered
        rows = []
        for identity in sorted(moved):
            key, held = moved[identity]
            if (remembered.get(identity) or read.get(identity)) != held:
                rows.append((identity, key, held))
        return rows
