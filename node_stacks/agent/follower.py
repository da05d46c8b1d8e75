"""Keeps what was published equal to the node's best chain.

A push only says "look again": every step asks the node for its head, and publishes the one next
thing that brings what was published closer to it. So bursts of pushes cost one look, a lost push is
healed by the next, and a chain that changes between two steps is seen at the next step. Two rules
hold at every moment:

- a connected block is the child of the newest block published (or the first of all),
- a disconnected block is the newest block published.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from node_stacks.agent.errors import ReorgTooDeep
from node_stacks.agent.events import RECENT_MAX, Source, connected, disconnected, new_trace_id
from node_stacks.agent.node import Node, Point

_log = logging.getLogger(__name__)


class Publisher(Protocol):
    """Where block events go."""

    async def publish(self, records: Sequence[bytes]) -> None:
        """Store all of `records` in order.

        Returns when every one is acknowledged, however long that takes.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Placed:
    """A published block. `parent` None: moneyin named the block, and did not say."""

    point: Point
    parent: str | None


class Follower:
    """The place of one agent on its chain. Not for use by two tasks at once."""

    def __init__(self, node: Node, publisher: Publisher, source: Source, depth_max: int) -> None:
        self._node = node
        self._publisher = publisher
        self._source = source
        self._depth_max = depth_max
        # Oldest first. Holds what `_rewind` can go back over.
        self._published: deque[_Placed] = deque(maxlen=depth_max)
        # True while `_published` is all that moneyin was ever told of this node.
        self._whole = True
        # The height to begin at while nothing is published; None: the node's head.
        self._first_height: int | None = None

    @property
    def tip(self) -> Point | None:
        """The newest block published and not disconnected."""
        return self._published[-1].point if self._published else None

    async def resume(self, recent: Sequence[Point]) -> None:
        """Start over from what moneyin knows, newest first.

        What the node no longer has is published as disconnected. An empty list starts at the node's
        head.
        """
        # The list is all that moneyin knows only when nothing of it was cut off, there or here.
        known = recent[: self._depth_max]
        whole = len(recent) < RECENT_MAX and len(known) == len(recent)
        gone = 0
        for point in known:
            if await self._node.hash_at(point.height) == point.hash:
                break
            gone += 1
        self._published = deque(
            (_Placed(point, None) for point in reversed(known)), maxlen=self._depth_max
        )
        self._whole = whole
        self._first_height = None
        if known and gone == len(known):
            await self._leave_everything()
        else:
            await self._disconnect(gone)

    async def sync(self, interrupted: Callable[[], bool]) -> None:
        """Publish until the tip is the node's head, or until `interrupted()` between two blocks."""
        while not interrupted():
            head = await self._node.head()
            tip = self.tip
            if tip is None:
                first = head.height if self._first_height is None else self._first_height
                await self._connect_next(min(first, head.height), head)
            elif tip.hash == head.hash:
                return
            elif head.height <= tip.height:
                await self._rewind(head)
            else:
                await self._extend(head, interrupted)

    async def _extend(self, head: Point, interrupted: Callable[[], bool]) -> None:
        """Connect the heights up to `head`, as long as each is the child of the one before."""
        while (tip := self.tip) is not None and tip.height < head.height and not interrupted():
            if not await self._connect_next(tip.height + 1, head):
                return

    async def _connect_next(self, height: int, head: Point) -> bool:
        """Connect the block at `height` if it follows the tip.

        Else go back to the common ancestor.
        """
        block_hash = head.hash if height == head.height else await self._node.hash_at(height)
        if block_hash is None:
            return False  # The chain became shorter since `head` was read.
        tip = self.tip
        point = Point(height, block_hash)
        block = await self._node.block(point)
        if tip is not None and block.parent != tip.hash:
            await self._rewind(Point(height - 1, block.parent))
            return False
        trace_id = new_trace_id()
        told = {"trace_id": trace_id, "height": height, "hash": block_hash}
        _log.info("publishing", extra=told)
        await self._publisher.publish(connected(self._source, block, trace_id))
        if len(self._published) == self._depth_max:
            self._whole = False
        self._published.append(_Placed(point, block.parent))
        _log.info("connected", extra={**told, "transfers": len(block.transfers)})
        return True

    async def _rewind(self, other: Point) -> None:
        """Disconnect down to the newest published block that is `other` or an ancestor of it."""
        oldest = self._published[0].point
        ours = {placed.point.height: placed.point.hash for placed in self._published}
        height, block_hash = other.height, other.hash
        while height >= oldest.height and ours.get(height) != block_hash:
            block_hash = await self._node.parent_of(block_hash)
            height -= 1
        if height >= oldest.height:
            await self._disconnect(self._published[-1].point.height - height)
            return
        await self._leave_everything()

    async def _leave_everything(self) -> None:
        """No published block is on the node's chain.

        Disconnect all, if that is all that was ever published.

        The common ancestor lies below the first block of all, so begin as far below it as a
        reorganisation may reach: nothing of the new chain is missed, and a block that nobody knew
        has no effect by coming late.
        """
        count = len(self._published)
        if not self._whole:
            raise ReorgTooDeep("no common ancestor within the bound", depth=count)
        oldest = self._published[0].point
        self._first_height = max(0, oldest.height - (self._depth_max - count))
        await self._disconnect(count)

    async def _disconnect(self, count: int) -> None:
        """Publish the newest `count` blocks as disconnected, newest first."""
        for _ in range(count):
            newest = self._published[-1]
            parent = newest.parent
            if parent is None and len(self._published) > 1:
                parent = self._published[-2].point.hash
            trace_id = new_trace_id()
            event = disconnected(self._source, newest.point, parent, trace_id)
            await self._publisher.publish([event])
            self._published.pop()
            _log.info(
                "disconnected",
                extra={
                    "trace_id": trace_id,
                    "height": newest.point.height,
                    "hash": newest.point.hash,
                },
            )
