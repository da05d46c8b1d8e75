"""The command `balances`: what the chain holds in given places at a given height.

Nothing is estimated: a place is either told for one block of the best chain, or the whole command
fails with a reason. The mempool is never looked at.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from node_stacks.agent.node import Point
from orion.errors import OrionError

ITEMS_MAX = 500
_HEIGHT_MAX = 2**53
# Calls at a time: the follower's own share the connection, and Core's also the process's threads.
_TOGETHER = 4

T = TypeVar("T")


class Failure(StrEnum):
    """Why a command that was begun has no result."""

    NODE_UNAVAILABLE = "node_unavailable"
    NODE_REFUSED = "node_refused"
    ANSWER_MALFORMED = "answer_malformed"
    HEIGHT_NOT_REACHED = "height_not_reached"
    CHAIN_MOVED = "chain_moved"
    TIMEOUT = "timeout"


class CommandFailed(OrionError):
    """The node could not tell."""

    code = "command_failed"

    def __init__(self, failure: Failure, detail: str) -> None:
        super().__init__(detail, reason=failure.value)
        self.failure = failure


class MalformedArguments(OrionError):
    """Arguments that no issuer of this system writes."""

    code = "arguments_malformed"


class Calls(Protocol):
    """What reading balances needs of a node. Raises NodeUnavailable, RpcError."""

    async def call(self, method: str, *params: object) -> object:
        """One call of the node's RPC."""
        ...

    async def head(self) -> Point:
        """See Node."""
        ...

    async def hash_at(self, height: int) -> str | None:
        """See Node."""
        ...


@dataclass(frozen=True, slots=True)
class Balances:
    """`units` by item, None where the chain has nothing of that kind; read at block `at`."""

    at: Point
    units: tuple[int | None, ...]


def read_height(arguments: Mapping[str, object]) -> int:
    """Raises MalformedArguments."""
    height = arguments.get("height")
    if set(arguments) != {"height", "items"} or type(height) is not int:
        raise MalformedArguments("balances are of a height and items")
    if not 0 <= height <= _HEIGHT_MAX:
        raise MalformedArguments("no block has this height")
    return height


def read_rows(
    arguments: Mapping[str, object], fields: frozenset[str]
) -> Sequence[Mapping[str, object]]:
    """The items, each an object of exactly `fields`. Raises MalformedArguments."""
    rows = arguments.get("items")
    if not isinstance(rows, list) or not 1 <= len(rows) <= ITEMS_MAX:
        raise MalformedArguments(f"from one to {ITEMS_MAX} items are asked for")
    for row in rows:
        if not isinstance(row, dict) or set(row) != fields:
            raise MalformedArguments("an item is of another form")
    return rows


async def block_at(node: Calls, height: int) -> Point:
    """The block at `height` of the best chain. Raises CommandFailed."""
    found = await node.hash_at(height)
    if found is None:
        raise CommandFailed(Failure.HEIGHT_NOT_REACHED, "the node's chain is not that high")
    return Point(height, found)


async def in_turns(
    items: Sequence[T], ask: Callable[[T], Awaitable[int | None]]
) -> list[int | None]:
    """`ask` for every item, a few at a time, answers in order."""
    units: list[int | None] = []
    for start in range(0, len(items), _TOGETHER):
        units += await asyncio.gather(*map(ask, items[start : start + _TOGETHER]))
    return units
