"""Closed blocks, and where transactions and addresses appear; the oldest are forgotten."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice

from infra.local.solana.model import Block, Executed


class History:
    """All blocks kept, in order of slots, and indexes over their transactions.

    Transactions of the open slot are indexed too; their slot has no block yet.
    """

    def __init__(self, blocks_max: int) -> None:
        self._blocks_max = blocks_max
        self._slots: list[int] = []
        self._blocks: dict[int, Block] = {}
        self._transactions: dict[str, Executed] = {}
        self._messages: dict[str, Executed] = {}
        # Insertion-ordered sets, oldest first.
        self._by_address: dict[str, dict[str, None]] = {}

    @property
    def first_slot(self) -> int:
        """The oldest slot whose block is kept."""
        return self._slots[0]

    @property
    def tip(self) -> Block:
        return self._blocks[self._slots[-1]]

    def block(self, slot: int) -> Block | None:
        return self._blocks.get(slot)

    def transaction(self, signature: str) -> Executed | None:
        return self._transactions.get(signature)

    def of_message(self, message_hash: str) -> Executed | None:
        """The transaction that carried this message, under whichever signature."""
        return self._messages.get(message_hash)

    def slots(self, first: int, last: int) -> Sequence[int]:
        """Slots from `first` to `last`, both included, that have a block."""
        return self._slots[bisect_left(self._slots, first) : bisect_right(self._slots, last)]

    def newest(self, count: int) -> Iterator[Block]:
        """At most `count` blocks, newest first."""
        return (self._blocks[slot] for slot in islice(reversed(self._slots), count))

    def blocks(self) -> Iterator[Block]:
        """All blocks, oldest first."""
        return (self._blocks[slot] for slot in self._slots)

    def of_address(self, address: str) -> Iterator[Executed]:
        """Transactions that name `address`, newest first."""
        found = self._by_address.get(address, {})
        return (self._transactions[signature] for signature in reversed(found))

    def record(self, done: Executed) -> None:
        """Index a transaction of the open slot."""
        self._transactions[done.signature] = done
        self._messages[done.message_hash] = done
        for key in dict.fromkeys(done.keys):
            self._by_address.setdefault(key, {})[done.signature] = None

    def forget(self, done: Executed) -> None:
        """Remove a transaction from the indexes."""
        self._transactions.pop(done.signature, None)
        self._messages.pop(done.message_hash, None)
        for key in set(done.keys):
            named = self._by_address.get(key)
            if named is not None:
                named.pop(done.signature, None)
                if not named:
                    del self._by_address[key]

    def append(self, block: Block) -> None:
        """Keep a newly closed block, its transactions recorded before; forget the oldest."""
        self._slots.append(block.slot)
        self._blocks[block.slot] = block
        if len(self._slots) > self._blocks_max:
            # In one go for many, since the front of a list is expensive to remove.
            surplus = max(1, self._blocks_max // 10)
            for slot in self._slots[:surplus]:
                for done in self._blocks.pop(slot).transactions:
                    self.forget(done)
            del self._slots[:surplus]

    def drop_tip(self) -> Block:
        """Remove the newest block and its transactions."""
        block = self._blocks.pop(self._slots.pop())
        for done in block.transactions:
            self.forget(done)
        return block
