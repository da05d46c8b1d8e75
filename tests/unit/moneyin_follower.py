"""A follower of one node: the model's decisions applied in memory, and who is watched."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from orion.chains.blocks import Transfer
from orion.money import asset
from orion.moneyin.events import BlockRef
from orion.moneyin.model import (
    Change,
    Code,
    Deposit,
    Inclusion,
    Watched,
    block_changes,
    payments,
    restate,
    reverse,
)
from orion.moneyin.policy import ChainPolicy
from orion.moneyin.window import (
    Meaning,
    Window,
    connect,
    disconnect,
)

OURS = Watched(0, 7, b"m" * 16, b"i" * 16)
FREE = Watched(0, 8, None, None)
WATCHED = {"ours": OURS, "free": FREE}
POLICY = ChainPolicy(
    "ethereum",
    "31337",
    settled=2,
    final=3,
    nodes=1,
    assets={None: asset("ETH.ethereum"), "0xusdt": asset("USDT.ethereum")},
)


def pay(name: str, units: int = 5, to: str = "ours", **more: str | None) -> Transfer:
    return Transfer(name, str(more.get("position", "call:")), more.get("contract"), None, to, units)


@dataclass
class Follower:
    """One node's stream applied to values, in the order that the service applies it to rows."""

    window: Window = field(default_factory=Window)
    deposits: dict[bytes, Deposit] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)

    def connected(self, block: BlockRef, transfers: tuple[Transfer, ...] = ()) -> Meaning:
        decision = connect(self.window, block)
        if decision.meaning is Meaning.CONNECT:
            self._leave(decision.removed, block.height)
            self.window = decision.after
            found = payments(transfers, WATCHED, POLICY)
            here = Inclusion(block.height, block.hash, 0)
            self._keep(block_changes(found, self.deposits, here, POLICY))
        return decision.meaning

    def disconnected(self, block: BlockRef) -> Meaning:
        decision = disconnect(self.window, block)
        self.window = decision.after
        if decision.meaning is Meaning.DISCONNECT:
            self._leave(decision.removed, self.window.blocks[-1].height)
        return decision.meaning

    def _leave(self, removed: tuple[BlockRef, ...], tip_height: int) -> None:
        gone = {block.hash for block in removed}
        standing = [d for d in self.deposits.values() if d.included.hash in gone]
        self._keep([c for d in standing if (c := reverse(d, tip_height))])
        self._keep([c for d in self.deposits.values() if (c := restate(d, tip_height))])

    def _keep(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self.deposits[change.deposit.id] = change.deposit
            self.changes.append(change)

    def credited(self) -> Counter[str]:
        """Credits minus reversals by txid, zeros left out."""
        sums: Counter[str] = Counter()
        for change in self.changes:
            for posting in change.postings:
                txid, units = posting.deposit.payment.txid, posting.deposit.payment.units
                if posting.code is Code.CREDIT:
                    sums[txid] += units
                elif posting.code in (Code.REVERSAL, Code.REVERSAL_FINAL):
                    sums[txid] -= units
        return Counter({txid: units for txid, units in sums.items() if units})


def line(*names: str, start: int = 100, parent: str = "root") -> list[BlockRef]:
    blocks = []
    for height, name in enumerate(names, start=start):
        blocks.append(BlockRef(height, name, parent))
        parent = name
    return blocks


def followed(*blocks: BlockRef) -> Window:
    window = Window()
    for block in blocks:
        window = connect(window, block).after
    return window


def hashes(window: Window) -> list[str]:
    return [block.hash for block in window.blocks]
