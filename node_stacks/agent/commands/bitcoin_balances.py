"""Balances of Bitcoin: outputs that nothing in a block has spent (btcd and Core, `gettxout`).

`gettxout` speaks of the node's tip, so an answer counts only if the tip was the same before the
first and after the last question: all items are then told of one block. An output that was made
above the height asked for is none, and so is one that a block above it has spent: the coin has
left.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import cast

from node_stacks.agent.commands.balances import (
    Balances,
    Calls,
    CommandFailed,
    Failure,
    MalformedArguments,
    block_at,
    in_turns,
    read_height,
    read_rows,
)
from node_stacks.agent.node import Point
from orion.chains.bitcoin.address import parse_address
from orion.errors import OrionError

_TXID = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)
_INDEX_MAX = 2**32 - 1
_SATS_DECIMALS = 8
_SATS_MAX = 21_000_000 * 10**_SATS_DECIMALS
_FIELDS = frozenset({"txid", "index", "address"})
# Beyond it no honest node writes, and the arithmetic below would fill the memory.
_EXPONENT_MAX = 80
# Blocks come minutes apart: a tip that moves this often under one command is a chain being synced.
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Outpoint:
    """An output by its place, and the script that it must pay."""

    txid: str
    index: int
    script: bytes


def read_outpoints(arguments: Mapping[str, object], network: str) -> Sequence[Outpoint]:
    """Raises MalformedArguments."""
    return [_outpoint(row, network) for row in read_rows(arguments, _FIELDS)]


def _outpoint(row: Mapping[str, object], network: str) -> Outpoint:
    txid, index, address = row["txid"], row["index"], row["address"]
    if not isinstance(txid, str) or not _TXID.match(txid):
        raise MalformedArguments("a txid is 64 hex digits")
    if type(index) is not int or not 0 <= index <= _INDEX_MAX:
        raise MalformedArguments("an output's index is of 32 bits")
    if not isinstance(address, str):
        raise MalformedArguments("an address is text")
    try:
        script = parse_address(address, network).script
    except OrionError as exc:
        raise MalformedArguments("no address of this network") from exc
    return Outpoint(txid, index, script)


async def bitcoin_balances(node: Calls, network: str, arguments: Mapping[str, object]) -> Balances:
    """Raises MalformedArguments, CommandFailed, NodeUnavailable."""
    height, items = read_height(arguments), read_outpoints(arguments, network)
    for _ in range(_TRIES):
        at, tip = await block_at(node, height), await node.head()
        if tip.height < height:
            continue
        units = await in_turns(items, partial(_unspent, node, height, tip))
        if await node.head() == tip and await node.hash_at(height) == at.hash:
            return Balances(at, tuple(units))
    raise CommandFailed(Failure.CHAIN_MOVED, "the node's tip moved under every try")


async def _unspent(node: Calls, height: int, tip: Point, item: Outpoint) -> int | None:
    found = await node.call("gettxout", item.txid, item.index, False)
    if found is None:
        return None
    row = cast(Mapping[str, object], found) if isinstance(found, dict) else {}
    confirmations, script = row.get("confirmations"), row.get("scriptPubKey")
    paid = script.get("hex") if isinstance(script, dict) else None
    if type(confirmations) is not int or not isinstance(paid, str):
        raise CommandFailed(Failure.ANSWER_MALFORMED, "gettxout tells no output")
    units = sats(row.get("value"))
    # Without a confirmation it would be made above the tip. And only what pays whom the books name.
    made_at = tip.height - confirmations + 1
    if made_at > height or paid != item.script.hex():
        return None
    return units


def sats(value: object) -> int:
    """A number of bitcoins as the node wrote it, in satoshi, exactly; never through a float.

    0.00041234 is 41,234, and so is 4.1234E-4. Raises CommandFailed.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    if not isinstance(value, Decimal):
        raise CommandFailed(Failure.ANSWER_MALFORMED, "gettxout tells no value")
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or abs(exponent) > _EXPONENT_MAX:
        raise CommandFailed(Failure.ANSWER_MALFORMED, "gettxout tells no value")
    places = exponent + _SATS_DECIMALS
    whole = int("".join(map(str, digits)))
    if places >= 0:
        units: int = whole * 10**places
    else:
        text = str(whole).rjust(-places + 1, "0")
        units = int(text[:places])
        if text[places:].strip("0"):
            raise CommandFailed(Failure.ANSWER_MALFORMED, "a value between two satoshi")
    if sign or units > _SATS_MAX:
        raise CommandFailed(Failure.ANSWER_MALFORMED, "a value that no output can have")
    return units
