"""What a shard's writer knows of counters: from its last commit, and from what a batch has read.

What is remembered of the last commit is good only while `shard.version`, read under the shard's row
lock, is what that commit left: any other writer's commit raises it. The store takes it out at the
beginning of a batch and puts it back after the commit was acknowledged, so an error or an unknown
outcome in between forgets it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from orion.adapters.mysql.ledger_store_rows import AccountRow
from orion.ledger.codes import CODES, OF_THE_CHAIN
from orion.ledger.model import AccountKey, Counters, Transfer
from orion.ledger.sharding import ShardView
from orion.ledger.working import Held

# Three to four hundred bytes each.
MAX_ACCOUNTS = 100_000
# The codes that touch a third account, what a merchant owes, and whether he is the debited one.
_OWING = {code: rule.debit not in OF_THE_CHAIN for code, rule in CODES.items() if rule.owing}


@dataclass(slots=True)
class Memory:
    """Counters by account id, as they stand in the database at `version` of their shard.

    `view` is where its buckets live under `map_version`: handover and takeover are commits of this
    shard, so only a newer map changes it without one.
    """

    version: int
    counters: dict[bytes, Counters] = field(default_factory=dict)
    # Accounts of this shard that were looked for and do not exist: what most merchants owe.
    absent: set[bytes] = field(default_factory=set)
    map_version: int = 0
    view: ShardView | None = None
    # The connection over which it was learnt: another one may lead to a restored server.
    connection: int = 0

    def learn(
        self, version: int, moved: Mapping[bytes, Counters], absent: Collection[bytes]
    ) -> None:
        """What a commit left. What was learnt first is forgotten first, and read again."""
        if len(self.absent) + len(absent) > MAX_ACCOUNTS:
            self.absent.clear()
        self.absent.update(absent)
        self.absent.difference_update(moved)
        counters = self.counters
        counters.update(moved)
        for identity in list(islice(counters, max(0, len(counters) - MAX_ACCOUNTS))):
            del counters[identity]
        self.version = version


class KnownCounters(Mapping[AccountKey, Counters]):
    """The counters of a batch: as its own parts left them, as it read them, as remembered.

    By account id inside: a key's own hash is worked out in Python, and a batch has ten thousand.
    """

    def __init__(
        self, remembered: Mapping[bytes, Counters], absent: Collection[bytes] = frozenset()
    ) -> None:
        self._remembered = remembered
        self._absent_before = absent
        # Accounts of this shard that this batch has looked for in vain.
        self.absent: set[bytes] = set()
        self._read: dict[bytes, Counters] = {}
        self._moved: dict[bytes, tuple[AccountKey, Counters]] = {}
        # Ids that were looked for and what stands for them, found or not.
        self.looked: set[bytes] = set()

    def get(self, key: AccountKey, default: Counters | None = None) -> Counters | None:  # type: ignore[override]
        identity = key.id
        if self._moved:
            moved = self._moved.get(identity)
            if moved is not None:
                return moved[1]
        found = self._remembered.get(identity)
        if found is None:
            found = self._read.get(identity)
        return default if found is None else found

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
        return (
            identity in self._remembered
            or identity in self.looked
            or identity in self._absent_before
        )

    def unknown(self, records: Iterable[Sequence[Transfer]]) -> list[Transfer]:
        """The transfers that something has to be read for."""
        remembered, looked, owing = self._remembered, self.looked, _OWING.get
        absent, knows = self._absent_before, self.knows
        found = []
        for record in records:
            for transfer in record:
                _, _, code, _, debit, credit, _, _, _, _ = transfer
                one, other, debited = debit.id, credit.id, owing(code)
                if (one not in remembered and one not in looked) or (
                    other not in remembered and other not in looked
                ):
                    found.append(transfer)
                elif debited is not None:
                    debt = debit.debt if debited else credit.debt
                    if debt not in absent and not knows(debt):
                        found.append(transfer)
        return found

    def learn(self, asked: Iterable[AccountKey], found: Mapping[AccountKey, Counters]) -> None:
        """What the database says of accounts of this shard."""
        self._read |= {key.id: held for key, held in found.items()}
        self.absent.update(key.id for key in asked if key not in found)

    def move(self, moved: Iterable[Held]) -> None:
        """What a part of the batch left."""
        left = self._moved
        for held in moved:
            key = held.key
            left[key.id] = (key, held.counters())

    def forget(self) -> None:
        """A bucket came or went: everything is read again. What this batch moved stays moved."""
        known = {**self._read, **self._remembered}
        self._read = {identity: known[identity] for identity in self._moved if identity in known}
        self._remembered, self._absent_before = {}, frozenset()
        self.looked.clear()
        self.absent.clear()

    def changed(self) -> tuple[list[AccountRow], list[AccountRow]]:
        """The accounts that nobody had seen before the batch, and those that differ from before
        it; each by rising id: the order of the table.
        """
        moved, read, remembered = self._moved, self._read, self._remembered
        made: list[AccountRow] = []
        differ: list[AccountRow] = []
        for identity in sorted(moved):
            key, held = moved[identity]
            before = remembered.get(identity)
            if before is None:
                before = read.get(identity)
            if before is None:
                made.append((identity, key, held))
            elif before != held:
                differ.append((identity, key, held))
        return made, differ
