"""What the check of balances needs from outside."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orion.log.balances.model import AssetBooks, Page, Place
from orion.log.node_commands.command import NodeCommand


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """How far a run is with one chain. `node` None: no agent follows it; `height` None: it has no
    final block that moneyin knows. `after` is the last place asked for, `""` at first.
    """

    chain: str
    node: str | None
    height: int | None
    block_hash: str
    pages: int
    after: str
    asked_all: bool
    deadline: datetime
    done: bool

    @property
    def askable(self) -> bool:
        """Whether there is somebody to ask, and a height to ask for."""
        return self.node is not None and self.height is not None


@dataclass(frozen=True, slots=True)
class Places:
    """The next places by rising wallet, at most MAX_ITEMS, and where they end. Empty: no more."""

    places: Sequence[Place]
    after: str


class BalanceStore(Protocol):
    """Runs, commands and what they are compared with. Every method raises DatabaseUnavailable."""

    def begin(
        self, run: bytes, finals: Mapping[str, int], deadline: datetime
    ) -> Sequence[ChainCheck]:
        """The checks of `run`, by chain; made at the first call, one for each chain of `finals`
        (its final count of confirmations): the deciding node's tip fixes the height.
        """
        ...

    def unanswered(self, run: bytes, chain: str, now: datetime) -> int:
        """Commands of this run and chain that may still be answered."""
        ...

    def places(self, check: ChainCheck) -> Places:
        """What to ask next, from the deposits at or below the check's height."""
        ...

    def ask(
        self,
        check: ChainCheck,
        run: bytes,
        command: NodeCommand,
        places: Places,
        signature: bytes,
        now: datetime,
    ) -> bool:
        """Store the command, its message to the node and the check's progress in one transaction.

        False, and nothing stored, when another call has asked this page.
        """
        ...

    def asked_all(self, check: ChainCheck, run: bytes) -> None:
        """Say that no place is left to ask for."""
        ...

    def pages(self, check: ChainCheck, run: bytes) -> Sequence[Page]:
        """Every page that was asked, in order."""
        ...

    def books(self, checks: Collection[ChainCheck]) -> Sequence[AssetBooks]:
        """All assets of the checked chains, and of every other chain with a custody account, in
        one snapshot of the database. Without a height all deposits of a chain count.
        """
        ...

    def finish(self, run: bytes) -> None:
        """Say that the run's differences are recorded."""
        ...
