"""The accounts of a shard while a batch is decided: counters that move, and can be taken back."""

from collections.abc import Callable, Iterator, Mapping

from orion.ledger.codes import Purpose
from orion.ledger.model import AccountKey, Counters, clearing


class Held:
    """The counters of one account of this shard. Mutable: a batch moves some thousands of times."""

    __slots__ = (
        "credits_pending",
        "credits_posted",
        "debits_pending",
        "debits_posted",
        "key",
        "moved",
    )

    def __init__(self, key: AccountKey, counters: Counters) -> None:
        self.key = key
        self.moved = False
        (
            self.debits_posted,
            self.debits_pending,
            self.credits_posted,
            self.credits_pending,
        ) = counters

    def counters(self) -> Counters:
        # As the class would, without its own Python function.
        return tuple.__new__(
            Counters,
            (self.debits_posted, self.debits_pending, self.credits_posted, self.credits_pending),
        )


# What moves here for an account, and the account meant where that is not the same.
Place = tuple[Held, AccountKey | None]


class Accounts:
    """Finds for each account named what moves in this shard: itself, or the clearing account that
    stands for it.
    """

    def __init__(
        self,
        shard: int,
        local: Callable[[str], bool],
        counters: Mapping[AccountKey, Counters],
    ) -> None:
        self._shard = shard
        self._local = local
        self._counters = counters
        self._held: dict[bytes, Held] = {}
        self._before: dict[Held, tuple[bool, Counters]] | None = None
        # By account id; what is not there yet is made by `place`.
        self.places: dict[bytes, Place] = {}

    def place(self, asked: AccountKey) -> Place:
        """What moves here for `asked`."""
        identity = asked.id
        found = self.places.get(identity)
        if found is None:
            if asked.purpose is Purpose.CLEARING:
                found = self._clearing(asked.asset), None
            elif self._local(asked.owner):
                # Nothing else comes to this account, so it is not held yet.
                held = self._held[identity] = Held(asked, self._counters.get(asked, _NEW))
                found = held, None
            else:
                found = self._clearing(asked.asset), asked
            self.places[identity] = found
        return found

    def _clearing(self, asset: str) -> Held:
        key = clearing(self._shard, asset)
        held = self._held.get(key.id)
        if held is None:
            held = self._held[key.id] = Held(key, self._counters.get(key, _NEW))
        return held

    def moved(self) -> Iterator[Held]:
        """Every account that moved."""
        return (held for held in self._held.values() if held.moved)

    def begin(self) -> None:
        """From now on, remember what `changes` is told of."""
        self._before = {}

    def changes(self, held: Held) -> None:
        """`held` is about to move."""
        if self._before is not None and held not in self._before:
            self._before[held] = (held.moved, held.counters())
        held.moved = True

    def end(self, *, keep: bool) -> None:
        """Forget what was remembered since `begin`, or take it back."""
        before, self._before = self._before or {}, None
        if keep:
            return
        for held, (moved, counters) in before.items():
            held.moved = moved
            (
                held.debits_posted,
                held.debits_pending,
                held.credits_posted,
                held.credits_pending,
            ) = counters


_NEW = Counters()
