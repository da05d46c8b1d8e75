"""Accounts at every commitment level, the open slot, closed blocks and forks.

LiteSVM holds one state, that of the open slot. Each slot that is not final remembers the value that
every account it changed had before: a read at an older level takes the oldest such value above
that level, and a fork writes them back. A read so costs at most one look-up for each such slot.
"""

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from solders.account import Account
from solders.clock import Clock
from solders.hash import Hash
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey

from infra.local.solana.history import History
from infra.local.solana.model import Block, Change, Executed, Level

SLOTS_PER_EPOCH = 432_000
# MAX_PROCESSING_AGE and MAX_RECENT_BLOCKHASHES of solana-clock.
BLOCKHASH_AGE_MAX = 150
RECENT_BLOCKS = 300
_SLOT_HASHES_MAX = 512
_SYSTEM_PROGRAM = Pubkey.default()
# A block that became final, and the accounts it changed.
Final = tuple[Block, Sequence[Change]]


class ForkRefused(Exception):
    """More blocks were to be dropped than are not final."""


@dataclass(frozen=True, slots=True)
class Depths:
    """Blocks behind the open one: confirmed (optimistic) and finalized (rooted)."""

    confirmed: int = 1
    finalized: int = 31

    def __post_init__(self) -> None:
        if not 1 <= self.confirmed < self.finalized <= BLOCKHASH_AGE_MAX:
            raise ValueError("1 <= confirmed < finalized <= 150")


@dataclass(slots=True)
class OpenSlot:
    """The slot that takes transactions now, on top of the newest block."""

    slot: int
    before: dict[Pubkey, Account | None] = field(default_factory=dict)
    transactions: list[Executed] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Unfinal:
    block: Block
    before: dict[Pubkey, Account | None]


class State:
    """The chain in memory. Every change is a deterministic function of its arguments."""

    def __init__(self, root: Block, leader: Pubkey, depths: Depths, blocks_max: int) -> None:
        # Ages, replays and signatures are checked by infra.local.solana.execution.
        self.svm = _virtual_machine()
        self.leader = leader
        self.depths = depths
        self.history = History(blocks_max)
        self.root = root
        self._unfinal: deque[_Unfinal] = deque()
        self._owned: dict[Pubkey, dict[Pubkey, None]] = {}
        self._heights: dict[str, int] = {}
        self._sysvars_of = -1
        self.restore(root)

    def restore(self, block: Block) -> None:
        """Take `block` as final without running it; accounts are given by `put`."""
        for done in block.transactions:
            self.history.record(done)
        self.history.append(block)
        self._remember(block)
        self.root = block
        self.open = OpenSlot(block.slot + 1)

    @property
    def tip(self) -> Block:
        """The newest closed block."""
        return self.history.tip

    @property
    def open_height(self) -> int:
        return self.tip.height + 1

    @property
    def unfinal_blocks(self) -> int:
        return len(self._unfinal)

    def block_at(self, level: Level) -> Block:
        """The newest closed block at `level`; the parent of the open slot for processed."""
        if level is Level.FINALIZED:
            return self.root
        if level is Level.CONFIRMED:
            behind = self.depths.confirmed - 1
            if behind >= len(self._unfinal):
                return self.root
            return self._unfinal[-1 - behind].block
        return self.tip

    def slot_at(self, level: Level) -> int:
        """The slot of the bank that answers at `level`: the open one for processed."""
        return self.open.slot if level is Level.PROCESSED else self.block_at(level).slot

    def height_at(self, level: Level) -> int:
        return self.open_height if level is Level.PROCESSED else self.block_at(level).height

    def is_recent(self, blockhash: str, level: Level) -> bool:
        """Whether a transaction with this blockhash is young enough at `level`."""
        height = self._heights.get(blockhash)
        newest = self.block_at(level).height
        return height is not None and 0 <= newest - height <= BLOCKHASH_AGE_MAX

    def account(self, key: Pubkey, level: Level) -> Account | None:
        """The account as of `level`, None when it does not exist there."""
        if level is Level.PROCESSED:
            return self.svm.get_account(key)
        return self._account_after(key, self.block_at(level).height)

    def _account_after(self, key: Pubkey, height: int) -> Account | None:
        """The account after the block of `height`, which is the root's or above."""
        for unfinal in self._unfinal:
            if unfinal.block.height > height and key in unfinal.before:
                return unfinal.before[key]
        if key in self.open.before:
            return self.open.before[key]
        return self.svm.get_account(key)

    def block_changes(self, block: Block) -> list[Change]:
        """Accounts that a block which is not final changed, with their values after it."""
        for unfinal in self._unfinal:
            if unfinal.block.height == block.height:
                return [(key, self._account_after(key, block.height)) for key in unfinal.before]
        return []

    def unfinal(self) -> Iterator[tuple[int, Sequence[Executed], Sequence[Change]]]:
        """What is not final: slot, transactions, and accounts changed by them but for the reward;
        the open slot is the last.
        """
        for unfinal in self._unfinal:
            block = unfinal.block
            changes = self.block_changes(block)
            if block.reward_lamports:
                changes = [self._unrewarded(block, change) for change in changes]
            yield block.slot, block.transactions, changes
        changes = [(key, self.svm.get_account(key)) for key in self.open.before]
        yield self.open.slot, self.open.transactions, changes

    def _unrewarded(self, block: Block, change: Change) -> Change:
        key, account = change
        if key != self.leader or account is None:
            return change
        rest = account.lamports - block.reward_lamports
        return key, Account(rest, account.data, account.owner) if rest else None

    def owned_by(self, program: Pubkey, level: Level) -> Iterator[tuple[Pubkey, Account]]:
        """Accounts that `program` owns at `level`, among those ever changed on this chain."""
        for key in list(self._owned.get(program, ())):
            found = self.account(key, level)
            if found is not None and found.owner == program:
                yield key, found

    def known_accounts(self) -> Iterator[Pubkey]:
        """Every account ever changed on this chain."""
        seen: dict[Pubkey, None] = {}
        for keys in self._owned.values():
            seen.update(keys)
        return iter(seen)

    def put(self, key: Pubkey, account: Account | None) -> None:
        """Write an account's present value."""
        gone = Account(0, b"", _SYSTEM_PROGRAM, executable=False, rent_epoch=0)
        self.svm.set_account(key, gone if account is None else account)
        if account is not None:
            self._owned.setdefault(account.owner, {})[key] = None

    def change(self, key: Pubkey, account: Account | None) -> None:
        """Write an account in the open slot, remembering what it was before."""
        self.open.before.setdefault(key, self.svm.get_account(key))
        self.put(key, account)

    def record(
        self,
        done: Executed,
        changes: Sequence[Change],
        before: Mapping[Pubkey, Account | None] | None = None,
    ) -> None:
        """Take an executed transaction into the open slot.

        `before` holds earlier values of the changed accounts when LiteSVM ran it just now; without
        it, LiteSVM still holds them.
        """
        for key, account in changes:
            if before is not None:
                self.open.before.setdefault(key, before[key])
            self.change(key, account)
        self.open.transactions.append(done)
        self.history.record(done)

    def close(self, time_s: int) -> tuple[Block, Sequence[Final]]:
        """Close the open slot and open the next; answers the block and those final by it.

        Half of the fees goes to the leader, half is burned.
        """
        parent, slot = self.tip, self.open.slot
        fees = sum(done.fee_lamports for done in self.open.transactions)
        reward, balance = fees // 2, 0
        if reward:
            leader = self.svm.get_account(self.leader)
            balance = reward + (0 if leader is None else leader.lamports)
            self.change(self.leader, Account(balance, b"", _SYSTEM_PROGRAM))
        block = Block(
            slot=slot,
            parent_slot=parent.slot,
            height=parent.height + 1,
            blockhash=_blockhash(parent, slot, self.open.transactions),
            previous_blockhash=parent.blockhash,
            time_s=max(time_s, parent.time_s),
            transactions=tuple(self.open.transactions),
            reward_lamports=reward,
            reward_balance=balance,
        )
        self._unfinal.append(_Unfinal(block, self.open.before))
        self.history.append(block)
        self._remember(block)
        self.open = OpenSlot(slot + 1)
        return block, self._finalize()

    def _remember(self, block: Block) -> None:
        self._heights[block.blockhash] = block.height
        while True:
            oldest = next(iter(self._heights))
            if self._heights[oldest] >= block.height - RECENT_BLOCKS - self.depths.finalized:
                return
            del self._heights[oldest]

    def _finalize(self) -> Sequence[Final]:
        final = []
        while self.open_height - self.root.height > self.depths.finalized:
            block = self._unfinal[0].block
            final.append((block, self.block_changes(block)))
            self._unfinal.popleft()
            self.root = block
        return final

    def skip(self, slots: int) -> None:
        """Leave `slots` slots without a block; the open one must be empty."""
        if self.open.transactions:
            raise ValueError("the open slot holds transactions")
        self.open.slot += slots

    def check_fork(self, blocks: int) -> None:
        """Raises ForkRefused when fewer than `blocks` blocks are not final."""
        if not 0 <= blocks <= len(self._unfinal):
            raise ForkRefused(f"{len(self._unfinal)} blocks are not final")

    def fork(self, blocks: int) -> list[Executed]:
        """Drop the open slot and the newest `blocks` blocks; answers their transactions.

        The next block is built on what remains, in a slot of its own. Raises ForkRefused.
        """
        self.check_fork(blocks)
        dropped: list[Executed] = list(self.open.transactions)
        self._undo(self.open.before)
        for done in self.open.transactions:
            self.history.forget(done)
        for _ in range(blocks):
            unfinal = self._unfinal.pop()
            self._undo(unfinal.before)
            self._heights.pop(unfinal.block.blockhash, None)
            dropped[:0] = self.history.drop_tip().transactions
        self.open = OpenSlot(self.open.slot + 1)
        return dropped

    def _undo(self, before: dict[Pubkey, Account | None]) -> None:
        for key, account in before.items():
            self.put(key, account)

    def sync_sysvars(self) -> None:
        """Let programs see the open slot's clock and the hashes of the slots before it."""
        if self._sysvars_of == self.open.slot:
            return
        self._sysvars_of = self.open.slot
        epoch = self.open.slot // SLOTS_PER_EPOCH
        self.svm.set_clock(
            Clock(
                slot=self.open.slot,
                epoch_start_timestamp=0,
                epoch=epoch,
                leader_schedule_epoch=epoch + 1,
                unix_timestamp=self.tip.time_s,
            )
        )
        self.svm.set_slot_hashes(
            [
                (block.slot, Hash.from_string(block.blockhash))
                for block in self.history.newest(_SLOT_HASHES_MAX)
            ]
        )


def _blockhash(parent: Block, slot: int, transactions: Sequence[Executed]) -> str:
    """Unique on every fork: a slot number is never used twice."""
    seed = "/".join([parent.blockhash, str(slot), *(done.signature for done in transactions)])
    return str(Hash(hashlib.sha256(seed.encode()).digest()))


def _virtual_machine() -> LiteSVM:
    """LiteSVM with the features that mainnet has switched on, as its release knows them."""
    return (
        LiteSVM.default()
        .with_mainnet_features()
        .with_builtins()
        .with_sysvars()
        .with_feature_accounts()
        .with_default_programs()
        .with_sigverify(False)
        .with_blockhash_check(False)
        .with_transaction_history(0)
    )
