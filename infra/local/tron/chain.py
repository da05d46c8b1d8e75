"""The chain: pool, blocks made on request or by the clock, forks on request, solidified height.

java-tron has 27 producers and a block is solidified when 19 of them have built on it; here one
producer makes all blocks and a block is solidified when `solid_distance` others lie above it.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from coincurve import PrivateKey

from infra.local.tron.accounts import Account, write_account
from infra.local.tron.actuators import Context
from infra.local.tron.blocks import HEAD_KEY, Block, make_block, read_block, write_block
from infra.local.tron.evm import Evm
from infra.local.tron.execution import Head, apply, transaction_key
from infra.local.tron.parameters import SLOT_MS
from infra.local.tron.refusals import Code, Refused
from infra.local.tron.state import Session, Solidified, Store, View
from infra.local.tron.transactions import Transaction, read_bytes

SOLID_DISTANCE = 19
MINE_MAX = 1_000
POOL_MAX = 10_000
BLOCK_TRANSACTIONS_MAX = 2_000
FAUCET_BALANCE = 10_000_000_000_000_000  # 10 milliard TRX, in sun.
_GENESIS_TIME_MS = 1_529_891_469_000
_CLOCK_AHEAD = "clock_ahead_ms"
_INTERVAL = "interval_ms"


class CannotFork(Exception):
    """More blocks than may be dropped."""


@dataclass(frozen=True, slots=True)
class Genesis:
    """What the first block contains: the producer's key and the one rich account."""

    witness: PrivateKey
    faucet: bytes


class Chain:
    """All calls are safe from several threads: one lock, held for a call."""

    def __init__(
        self,
        store: Store,
        genesis: Genesis,
        *,
        solid_distance: int = SOLID_DISTANCE,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.lock = threading.RLock()
        self._store = store
        self._genesis = genesis
        self._solid_distance = solid_distance
        self._now_ms = now_ms
        self._evm: Evm | None = None
        self._pool: list[Transaction] = []
        self.pending = Session(store)
        if store.get(HEAD_KEY) is None:
            self._begin()

    def _begin(self) -> None:
        session = Session(self._store)
        faucet = Account(self._genesis.faucet.hex(), balance=FAUCET_BALANCE)
        write_account(session, faucet)
        write_block(session, make_block(bytes(32), 0, _GENESIS_TIME_MS, self._genesis.witness, ()))
        self._store.apply(0, session.changes, [], 0)
        # A head of years ago would make every fresh transaction expire too late.
        self._write_block([], [], Session(self._store), self.context())

    @property
    def evm(self) -> Evm:
        """The executor. Raises RuntimeError before `attach`."""
        if self._evm is None:
            raise RuntimeError("no EVM is attached")
        return self._evm

    @property
    def chain_id(self) -> int:
        """What CHAINID answers: the last four bytes of the first block's id."""
        first = read_block(self._store, 0)
        return int.from_bytes(first.block_id[-4:], "big") if first is not None else 0

    def attach(self, evm: Evm) -> None:
        """Give the executor the head state, and judge the kept pool again."""
        with self.lock:
            self._evm = evm
            for prefix in ("account/", "code/", "storage/"):
                evm.settle(self._store.scan(prefix))
            self._refill([read_bytes(bytes.fromhex(one)) for one in self._store.pool()])

    @property
    def head(self) -> Block:
        """The newest block."""
        found = read_block(self._store, int(self._store.get(HEAD_KEY) or "0"))
        if found is None:
            raise RuntimeError("the state has no head")
        return found

    @property
    def solid_height(self) -> int:
        return max(0, self.head.height - self._solid_distance)

    @property
    def now_ms(self) -> int:
        """The clock of the chain, in milliseconds since 1970."""
        return self._now_ms() + self._store.setting(_CLOCK_AHEAD, 0)

    @property
    def slot(self) -> int:
        """The newest block's slot of 3 s, by which resources recover."""
        return _slot(self.head.time_ms)

    @property
    def interval_ms(self) -> int:
        """Time between blocks that the clock makes; 0: only on request."""
        return self._store.setting(_INTERVAL, 0)

    def set_interval(self, interval_ms: int) -> None:
        """Change `interval_ms`; kept over restarts."""
        with self.lock:
            self._store.set_setting(_INTERVAL, interval_ms)

    def advance_clock(self, by_ms: int) -> None:
        """Let the chain's clock run ahead of the machine's by so much more, for ever."""
        with self.lock:
            ahead = self._store.setting(_CLOCK_AHEAD, 0)
            self._store.set_setting(_CLOCK_AHEAD, ahead + by_ms)

    def view(self, *, solid: bool) -> View:
        """The state after the newest, or the newest solidified, block."""
        return Solidified(self._store, self.solid_height) if solid else self._store

    def trial(self, *, solid: bool) -> Session:
        """A session for calls that change nothing: over the pool's effects, or over the solidified
        state, whose differences from the head the EVM is then told.
        """
        if not solid:
            return Session(self.pending)
        height = self.solid_height
        session = Session(Solidified(self._store, height))
        for key in self._store.changed_since(height):
            session.put(key, self._store.get_at(key, height))
        return session

    def context(self) -> Context:
        """The next block's, if it were made now."""
        head = self.head
        # Strictly later than its parent, so that two blocks in one millisecond have an order.
        return Context(head.height + 1, max(self.now_ms, head.time_ms + 1), _slot(head.time_ms))

    def pooled(self, txid: bytes) -> Transaction | None:
        """A waiting transaction."""
        return next((one for one in self._pool if one.txid == txid), None)

    @property
    def pool_size(self) -> int:
        return len(self._pool)

    def broadcast(self, transaction: Transaction) -> None:
        """Take the transaction for the next block. Raises Refused."""
        with self.lock:
            if len(self._pool) >= POOL_MAX:
                raise Refused(Code.SERVER_BUSY, "Server busy.")
            self._admit(transaction)
            self._store.add_to_pool(transaction.encoded.hex())

    def _admit(self, transaction: Transaction) -> None:
        head = self.head
        trial = Session(self.pending)
        apply(self.evm, trial, Head(head.height, head.time_ms), transaction, self.context())
        self.pending.merge(trial)
        self._pool.append(transaction)

    def _refill(self, transactions: list[Transaction]) -> None:
        """The pool after the head changed: those that are still valid, in their order."""
        self._pool = []
        self.pending = Session(self._store)
        for transaction in transactions:
            try:
                self._admit(transaction)
            except Refused:
                continue

    def mine(self, count: int = 1) -> Block:
        """Make `count` blocks, the first with what waits; answers the last."""
        with self.lock:
            for _ in range(min(count, MINE_MAX)):
                self._mine_one()
            return self.head

    def _mine_one(self) -> None:
        head, context = self.head, self.context()
        session = Session(self._store)
        included: list[tuple[bytes, str]] = []
        for transaction in self._pool[:BLOCK_TRANSACTIONS_MAX]:
            trial = Session(session)
            try:
                result = apply(
                    self.evm, trial, Head(head.height, head.time_ms), transaction, context
                )
            except Refused:
                continue  # It expired while it waited, or the blocks below it changed.
            session.merge(trial)
            included.append((transaction.encoded, result))
        rest = self._pool[BLOCK_TRANSACTIONS_MAX:]
        self._write_block(included, [one.encoded.hex() for one in rest], session, context)
        self.evm.settle(session.changes.items())
        self._refill(rest)

    def _write_block(
        self,
        included: list[tuple[bytes, str]],
        rest: list[str],
        session: Session,
        context: Context,
    ) -> None:
        block = make_block(
            self.head.block_id, context.height, context.time_ms, self._genesis.witness, included
        )
        write_block(session, block)
        solid = max(0, context.height - self._solid_distance)
        self._store.apply(context.height, session.changes, rest, solid)

    def fork(self, depth: int, *, lose: bool) -> Block:
        """Drop the newest `depth` blocks; their transactions wait again unless they are lost.

        The node then stands on a shorter chain until new blocks are made, which java-tron never
        shows: make `depth` + 1 at once. Raises CannotFork beyond the solidified block, or block 1.
        """
        with self.lock:
            head = self.head
            loose = head.height - max(1, self.solid_height)
            if not 0 < depth <= loose:
                raise CannotFork(f"{loose} blocks can be dropped")
            dropped: list[Transaction] = []
            for height in range(head.height - depth + 1, head.height + 1):
                block = read_block(self._store, height)
                if block is not None and not lose:
                    dropped += [read_bytes(data) for data in block.transactions]
            waiting = [*dropped, *self._pool]
            changes = self._store.revert(
                head.height - depth + 1, head.height, [one.encoded.hex() for one in waiting]
            )
            self.evm.settle(changes.items())
            self._refill(waiting)
            return self.head

    def height_of_transaction(self, txid: bytes, *, solid: bool) -> int | None:
        """The height of the block that holds it."""
        found = self._store.get(transaction_key(txid))
        if found is None or (solid and int(found) > self.solid_height):
            return None
        return int(found)


def slot_time_ms(slot: int) -> int:
    """When a slot began, in milliseconds since 1970."""
    return _GENESIS_TIME_MS + slot * SLOT_MS


def _slot(time_ms: int) -> int:
    return (time_ms - _GENESIS_TIME_MS) // SLOT_MS
