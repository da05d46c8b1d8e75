"""What the agent needs of a node, whatever its chain."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from orion.chains import Block


@dataclass(frozen=True, slots=True)
class Point:
    """One block of a chain by place and name."""

    height: int
    hash: str


class Node(Protocol):
    """One node. Every method but `follow` raises NodeUnavailable when it does not answer."""

    async def follow(self, changed: asyncio.Event) -> None:
        """Live through one connection: subscribe, set `changed` now and at every push.

        Ends only by raising: NodeUnavailable says why the connection ended, NodeMisconfigured that
        the node is not the one wanted.
        """
        ...

    async def call(self, method: str, *params: object) -> object:
        """One call of the node's RPC. Raises RpcError for an answered error."""
        ...

    async def head(self) -> Point:
        """The newest block of the node's best chain."""
        ...

    async def head_time(self) -> int:
        """The newest block's own time, seconds since 1970."""
        ...

    async def hash_at(self, height: int) -> str | None:
        """The block at `height` of the best chain, None above its head."""
        ...

    async def parent_of(self, block_hash: str) -> str:
        """The parent of any block that the node knows, on its best chain or not."""
        ...

    async def block(self, point: Point) -> Block:
        """A block with its transfers, fetched by hash.

        Raises MalformedBlock for an answer that is no block.
        """
        ...
