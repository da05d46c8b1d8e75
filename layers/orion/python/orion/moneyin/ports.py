"""What moneyin's service needs of its store."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from orion.chains.blocks import Transfer
from orion.moneyin.events import PoolExtension
from orion.moneyin.messages import Message
from orion.moneyin.model import Change, Deposit, Watched
from orion.moneyin.pool import AddressRow, PoolRequest
from orion.moneyin.window import Window
from orion.records import Record

T = TypeVar("T")


class Unit(Protocol):
    """One transaction. Everything read is as committed before it or written by it; everything
    written commits with it.
    """

    def deciding_node(self, chain: str, node: str) -> str:
        """The node whose blocks move this chain's deposits; `node` when the chain has none yet.
        Locks the row, so that two partitions of one chain never move deposits at the same time."""
        ...

    def window(self, chain: str, node: str) -> Window:
        """The node's window, empty when it is unknown."""
        ...

    def save_window(self, chain: str, node: str, before: Window, after: Window) -> None:
        """Turn the stored window from `before`, as read in this transaction, into `after`."""
        ...

    def resume_sent_at(self, chain: str, node: str) -> datetime | None:
        """When a resume was last sent for the gap that still stands, or None when there is none."""
        ...

    def set_resume_sent(self, chain: str, node: str, at: datetime | None) -> None:
        """Remember, or with None forget, that a resume was sent."""
        ...

    def stage(
        self, chain: str, node: str, block_hash: str, part: int, transfers: Sequence[Transfer]
    ) -> None:
        """Keep a part of a block that is not complete; a repeated part replaces itself."""
        ...

    def staged(self, chain: str, node: str, block_hash: str) -> Mapping[int, Sequence[Transfer]]:
        """The staged parts of one block by number."""
        ...

    def drop_staged(self, chain: str, node: str) -> None:
        """Forget the node's staged parts."""
        ...

    def watched(self, chain: str, addresses: Collection[str]) -> Mapping[str, Watched]:
        """Those of `addresses` that are ours, asked in lists of bounded length."""
        ...

    def deposits(self, ids: Collection[bytes]) -> Mapping[bytes, Deposit]:
        """Deposits by identity; unknown ones are absent."""
        ...

    def deposits_in(self, chain: str, block_hashes: Collection[str]) -> Sequence[Deposit]:
        """Deposits that stand in these blocks (reversed ones do not), in the order in which they
        were recorded.
        """
        ...

    def deposits_moved_by(self, chain: str, tip_height: int) -> Sequence[Deposit]:
        """Deposits whose state or told confirmations change with a tip at this height: all included
        ones, confirmed ones that become final or fall back."""
        ...

    def save(self, changes: Sequence[Change], *, trace_id: str, now: datetime) -> None:
        """Store deposits and one history row for each change; the last change of a deposit is its
        state.
        """
        ...

    def add_new(self, extension: PoolExtension) -> bool:
        """Store the free wallets of an answer with their addresses, where nothing of it is stored.
        False, and nothing done, where one of the wallets, of their addresses, or of the places of
        their addresses is stored, or an address stands twice in the answer.
        """
        ...

    def known_addresses(self, extension: PoolExtension) -> Sequence[AddressRow]:
        """Stored rows of the answer's wallets, and of its addresses wherever they stand."""
        ...

    def add_wallets(self, extension: PoolExtension, addresses: Sequence[AddressRow]) -> None:
        """Store free wallets that are not stored yet, and `addresses`."""
        ...

    def free_wallets(self, limit: int) -> int:
        """How many wallets are free, counted up to `limit`."""
        ...

    def newest_request(self) -> PoolRequest | None:
        """The last range asked for, with how much of it arrived. Locks the pool until commit."""
        ...

    def first_missing(self, group: int, first_index: int) -> tuple[int, int]:
        """Group and index of the first wallet from there on that is not stored; after 1,000 groups
        that are whole, the next one.
        """
        ...

    def save_request(self, request: PoolRequest) -> None:
        """Store a new range, or a new attempt for a known one."""
        ...

    def emit(self, messages: Sequence[Message], now: datetime) -> None:
        """Put messages into the outbox, in order. One event id is one message however often it is
        emitted.
        """
        ...


class Store(Protocol):
    """Transactions on moneyin's schema."""

    def once(self, records: Sequence[Record], work: Callable[[Unit, Sequence[Record]], T]) -> T:
        """`work` with those of one partition's records that no committed transaction has had, in
        one transaction with the partition's offset. The same records may reach two workers at once:
        the second waits and gets none.

        `work` may run again from the start (deadlock); it must change nothing but the unit. Raises
        DatabaseUnavailable when the outcome is unknown: repeat with the same records.
        """
        ...

    def run(self, work: Callable[[Unit], T]) -> T:
        """`work` in one transaction, with the same words about repetition."""
        ...
