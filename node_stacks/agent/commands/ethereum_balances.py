"""Balances of Ethereum: of an account, or of an account in a token's contract, at one block.

The block is named by its hash (EIP-1898, `requireCanonical`): a node that has left it says so
instead of answering for another one of that height.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
from node_stacks.agent.jsonrpc import RpcError
from orion.chains.errors import MalformedBlock
from orion.chains.ethereum.abi import Function, address_bytes
from orion.chains.ethereum.json_rpc import quantity

_ADDRESS = re.compile(r"0x[0-9a-f]{40}\Z", re.ASCII)
_WORD = re.compile(r"0x[0-9a-f]{64}\Z", re.ASCII)
_FIELDS = frozenset({"address", "contract"})
_BALANCE_OF = Function("balanceOf", ("address",))  # EIP-20.
# The number of an error that a contract caused: geth, anvil and others answer 3 for a revert.
_REVERTED = 3


@dataclass(frozen=True, slots=True)
class Holding:
    """An account; `contract` None means the chain's own coin."""

    address: str
    contract: str | None


def read_holdings(arguments: Mapping[str, object]) -> Sequence[Holding]:
    """Raises MalformedArguments."""
    return [
        Holding(_address(row["address"]), _contract(row["contract"]))
        for row in read_rows(arguments, _FIELDS)
    ]


def _address(value: object) -> str:
    if not isinstance(value, str) or not _ADDRESS.match(value):
        raise MalformedArguments("an address is 0x and 40 hex digits in lower case")
    return value


def _contract(value: object) -> str | None:
    return None if value is None else _address(value)


async def ethereum_balances(
    node: Calls, _network: str, arguments: Mapping[str, object]
) -> Balances:
    """Raises MalformedArguments, CommandFailed, NodeUnavailable."""
    height, items = read_height(arguments), read_holdings(arguments)
    at = await block_at(node, height)
    block = {"blockHash": at.hash, "requireCanonical": True}
    units = await in_turns(items, lambda item: _units(node, item, block))
    # Not every node knows `requireCanonical`.
    if await node.hash_at(height) != at.hash:
        raise CommandFailed(Failure.CHAIN_MOVED, "the block left the best chain")
    return Balances(at, tuple(units))


async def _units(node: Calls, item: Holding, block: Mapping[str, object]) -> int | None:
    if item.contract is not None:
        return await _token_units(node, item.address, item.contract, block)
    answer = await node.call("eth_getBalance", item.address, block)
    try:
        return quantity({"balance": answer}, "balance")
    except MalformedBlock as exc:
        raise CommandFailed(Failure.ANSWER_MALFORMED, "no balance was told") from exc


async def _token_units(
    node: Calls, address: str, contract: str, block: Mapping[str, object]
) -> int | None:
    """None where the contract tells no balance: it reverts, or there is none at this block."""
    data = "0x" + _BALANCE_OF.call(address_bytes(address)).hex()
    try:
        answer = await node.call("eth_call", {"to": contract, "data": data}, block)
    except RpcError as exc:
        if exc.number == _REVERTED:
            return None
        raise
    if not isinstance(answer, str) or not _WORD.match(answer):
        return None
    return int(answer, 16)
