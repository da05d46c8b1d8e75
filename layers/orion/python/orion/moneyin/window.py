"""What moneyin knows of one node's best chain, and what a block event means to it. Pure.

The window is an unbroken line of blocks, oldest first. Its oldest block is a reference: known by
hash, never looked into. No rule here depends on past events, only on the line: that is why repeats,
replays and late events cannot mislead it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from orion.moneyin.events import BlockRef

WINDOW_BLOCKS = 512
RECENT_BLOCKS = 256


class Meaning(StrEnum):
    """What an event does to the window."""

    CONNECT = "connect"
    DISCONNECT = "disconnect"
    REPEAT = "repeat"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Window:
    """`blocks` oldest first, each the parent of the next; empty for an unknown node."""

    blocks: tuple[BlockRef, ...] = ()

    @property
    def tip(self) -> BlockRef | None:
        return self.blocks[-1] if self.blocks else None

    def place(self, block_hash: str) -> int | None:
        """The index of a block in `blocks`, looked up from the tip, or None."""
        for index in range(len(self.blocks) - 1, -1, -1):
            if self.blocks[index].hash == block_hash:
                return index
        return None

    def recent(self) -> Sequence[BlockRef]:
        """What a resume lists: newest first, at most 256."""
        return self.blocks[: -RECENT_BLOCKS - 1 : -1]


@dataclass(frozen=True, slots=True)
class Decision:
    """`after` is the window to store; `removed` the blocks that left, newest first; `added` the one
    that came.
    """

    meaning: Meaning
    after: Window
    removed: tuple[BlockRef, ...] = ()
    added: BlockRef | None = None


def connect(window: Window, block: BlockRef) -> Decision:
    """A block says it follows its parent. Blocks above that parent leave without a word of their
    own.

    A block whose height does not follow its parent's is a gap: the agent and we disagree about the
    line.
    """
    if not window.blocks:
        return Decision(Meaning.CONNECT, Window((*_reference(block), block)), added=block)
    if window.place(block.hash) is not None:
        return Decision(Meaning.REPEAT, window)
    parent = window.place(block.parent)
    if parent is None or window.blocks[parent].height + 1 != block.height:
        return Decision(Meaning.GAP, window)
    after = Window((*window.blocks[: parent + 1], block)[-WINDOW_BLOCKS:])
    return Decision(Meaning.CONNECT, after, removed=window.blocks[:parent:-1], added=block)


def disconnect(window: Window, block: BlockRef) -> Decision:
    """A block left the best chain, and everything above it too. What is not in the window has left
    already.

    When the reference itself leaves, its parent becomes the reference: the next connected block is
    then checked against a point one deeper, instead of being accepted as a new anchor. Where the
    agent does not know that parent, nothing is known any more, and the agent begins as far below as
    it follows reorganisations.
    """
    place = window.place(block.hash)
    if place is None:
        return Decision(Meaning.REPEAT, window)
    after = window.blocks[:place] or _reference(block)
    return Decision(Meaning.DISCONNECT, Window(after), removed=window.blocks[place:][::-1])


def _reference(block: BlockRef) -> tuple[BlockRef, ...]:
    known = block.height > 0 and block.parent
    return (BlockRef(block.height - 1, block.parent, ""),) if known else ()


@dataclass(frozen=True, slots=True)
class WindowChange:
    """The rows that turn one stored window into another: delete outside [`first`, `common`], insert
    `added`.

    Heights; an empty range (`first` above `common`) deletes all.
    """

    first: int
    common: int
    added: tuple[BlockRef, ...]


def window_change(before: Window, after: Window) -> WindowChange:
    """The smallest change of rows. Both are unbroken lines, so equal hashes at a height mean equal
    lines below it.
    """
    known = {block.hash for block in before.blocks}
    kept = [block for block in after.blocks if block.hash in known]
    added = tuple(block for block in after.blocks if block.hash not in known)
    if not kept:
        return WindowChange(1, 0, added)
    return WindowChange(kept[0].height, kept[-1].height, added)
