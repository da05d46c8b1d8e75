"""Reading a command's items and a node's amounts; and a chain that moves under the questions.

The nodes themselves are asked in tests/engine; here one is played where a real one cannot be made
to do it at the right moment.
"""

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from node_stacks.agent.commands.balances import (
    ITEMS_MAX,
    CommandFailed,
    Failure,
    MalformedArguments,
)
from node_stacks.agent.commands.bitcoin_balances import bitcoin_balances, read_outpoints, sats
from node_stacks.agent.commands.ethereum_balances import ethereum_balances, read_holdings
from node_stacks.agent.node import Point
from orion.chains.bitcoin.address import parse_address
from tests.unit.agent_commands import ADDRESS, ARGUMENTS, TXID

SCRIPT = parse_address(ADDRESS, "regtest").script.hex()
HOLDER = "0x" + "ab" * 20


@pytest.mark.parametrize(
    "text, expected",
    [
        ("0.00041234", 41_234),
        ("1e-08", 1),
        ("4.1234E-4", 41_234),
        ("50", 5_000_000_000),
        ("50.0", 5_000_000_000),
        ("50.000000000", 5_000_000_000),
        ("0", 0),
        ("0.0", 0),
        ("20999999.9769", 2_099_999_997_690_000),
        ("0.1", 10_000_000),
        ("1E+1", 1_000_000_000),
    ],
)
def test_a_number_of_bitcoins_is_read_exactly_however_it_is_written(
    text: str, expected: int
) -> None:
    # As the wire reads it.
    assert sats(json.loads(text, parse_float=Decimal)) == expected


@pytest.mark.parametrize(
    "value",
    [
        Decimal("0.000000001"),
        Decimal("0.123456789"),
        Decimal(-1),
        Decimal("21000000.00000001"),
        Decimal("1E+400000000"),
        Decimal("1E-400000000"),
        Decimal("NaN"),
        Decimal("Infinity"),
        0.5,
        True,
        None,
        "1",
    ],
)
def test_what_is_no_amount_of_bitcoins_fails_the_command(value: object) -> None:
    with pytest.raises(CommandFailed) as failed:
        sats(value)
    assert failed.value.failure is Failure.ANSWER_MALFORMED


ITEM: Mapping[str, object] = {"txid": TXID, "index": 0, "address": ADDRESS}


def test_a_command_asks_for_at_most_five_hundred_items() -> None:
    assert len(read_outpoints({"height": 7, "items": [ITEM] * ITEMS_MAX}, "regtest")) == 500


def outpoint(**changed: Any) -> Mapping[str, object]:
    return {"height": 7, "items": [{**ITEM, **changed}]}


@pytest.mark.parametrize(
    "arguments",
    [
        outpoint(txid="AB" * 32),
        outpoint(txid="ab" * 31),
        outpoint(index=-1),
        outpoint(index=2**32),
        outpoint(index=True),
        outpoint(index="0"),
        outpoint(address="bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
        outpoint(address="nobody"),
        outpoint(address=None),
        outpoint(more=1),
        {"height": 7, "items": [{"txid": TXID, "index": 0}]},
        {"height": 7, "items": []},
        {"height": 7, "items": [ITEM] * (ITEMS_MAX + 1)},
        {"height": 7, "items": {}},
    ],
)
def test_items_that_are_no_outputs_of_this_network_are_malformed(
    arguments: Mapping[str, object],
) -> None:
    with pytest.raises(MalformedArguments):
        read_outpoints(arguments, "regtest")


@pytest.mark.parametrize(
    "row",
    [
        {"address": HOLDER},
        {"address": "0x" + "AB" * 20, "contract": None},
        {"address": HOLDER[2:], "contract": None},
        {"address": HOLDER, "contract": ""},
        {"address": HOLDER, "contract": "0x" + "ab" * 32},
        {"address": HOLDER, "contract": None, "more": 1},
    ],
)
def test_items_that_are_no_accounts_are_malformed(row: Mapping[str, object]) -> None:
    with pytest.raises(MalformedArguments):
        read_holdings({"height": 7, "items": [row]})


def test_arguments_of_another_form_are_malformed() -> None:
    odd: list[Mapping[str, object]] = [{"height": 7}, {"items": []}, {**ARGUMENTS, "more": 1}, {}]
    for arguments in odd:
        with pytest.raises(MalformedArguments):
            asyncio.run(bitcoin_balances(PlayedNode([Point(7, "a")]), "regtest", arguments))


@pytest.mark.parametrize("height", [-1, 2**53 + 1, True, "7", None])
def test_a_height_that_no_block_has_is_malformed(height: object) -> None:
    node = PlayedNode([])
    with pytest.raises(MalformedArguments):
        asyncio.run(bitcoin_balances(node, "regtest", {**ARGUMENTS, "height": height}))
    assert node.asked == 0


class PlayedNode:
    """A node whose head is another one of `heads` each time it is asked; the last one stays."""

    def __init__(self, heads: list[Point], **output: Any) -> None:
        self.heads = heads
        self.asked = 0
        self.output = {
            "bestblock": "b",
            "confirmations": 1,
            "value": Decimal("0.00041234"),
            "scriptPubKey": {"hex": SCRIPT},
        } | output

    async def call(self, method: str, *params: object) -> object:
        self.asked += 1
        return self.output if method == "gettxout" else "0x1"

    async def head(self) -> Point:
        return self.heads.pop(0) if len(self.heads) > 1 else self.heads[0]

    async def hash_at(self, height: int) -> str | None:
        return f"{self.heads[0].hash}-{height}" if height <= self.heads[0].height else None


def units(node: PlayedNode, height: int = 7) -> int | None:
    arguments = {**ARGUMENTS, "height": height}
    (found,) = asyncio.run(bitcoin_balances(node, "regtest", arguments)).units
    return found


def test_a_tip_that_moves_once_is_asked_again() -> None:
    node = PlayedNode([Point(7, "a"), Point(8, "b")], confirmations=2)
    assert units(node) == 41_234
    assert node.asked == 2


def test_a_tip_that_never_stands_still_fails_the_command() -> None:
    node = PlayedNode([Point(7, str(number)) for number in range(9)])
    with pytest.raises(CommandFailed) as failed:
        units(node)
    assert failed.value.failure is Failure.CHAIN_MOVED


def test_a_tip_that_moved_back_to_the_same_height_is_asked_again() -> None:
    # The head is what it was; the block that was asked for is another one.
    class Replaced(PlayedNode):
        async def hash_at(self, height: int) -> str | None:
            return "b" if self.asked else "a"

    node = Replaced([Point(7, "a")])
    found = asyncio.run(bitcoin_balances(node, "regtest", ARGUMENTS))
    assert (found.at, node.asked) == (Point(7, "b"), 2)


def test_a_tip_that_rose_above_an_unchanged_block_is_asked_again() -> None:
    class Higher(PlayedNode):
        async def hash_at(self, height: int) -> str | None:
            return "same"

    node = Higher([Point(7, "a"), Point(8, "b")], confirmations=2)
    assert units(node) == 41_234
    assert node.asked == 2


def test_an_output_above_the_height_asked_for_is_none() -> None:
    tip = [Point(9, "a")]
    assert units(PlayedNode(tip, confirmations=3)) == 41_234
    assert units(PlayedNode(tip, confirmations=2)) is None


def test_an_output_of_the_mempool_is_none() -> None:
    assert units(PlayedNode([Point(7, "a")], confirmations=0)) is None
    assert units(PlayedNode([Point(7, "a")], confirmations=-1)) is None


def test_an_output_that_pays_somebody_else_is_none() -> None:
    assert units(PlayedNode([Point(7, "a")], scriptPubKey={"hex": SCRIPT[:-2] + "00"})) is None


@pytest.mark.parametrize(
    "output",
    [
        {"confirmations": True},
        {"confirmations": None},
        {"scriptPubKey": None},
        {"scriptPubKey": {"hex": 5}},
        {"value": None},
    ],
)
def test_an_output_of_another_form_fails_the_command(output: Any) -> None:
    with pytest.raises(CommandFailed) as failed:
        units(PlayedNode([Point(7, "a")], **output))
    assert failed.value.failure is Failure.ANSWER_MALFORMED


def test_a_height_above_the_head_fails_the_command() -> None:
    with pytest.raises(CommandFailed) as failed:
        units(PlayedNode([Point(6, "a")]))
    assert failed.value.failure is Failure.HEIGHT_NOT_REACHED


def test_a_block_that_leaves_the_chain_while_accounts_are_read_fails_the_command() -> None:
    class Reorganised(PlayedNode):
        async def call(self, method: str, *params: object) -> object:
            self.heads = [Point(7, "b")]
            return "0x1"

    arguments = {"height": 7, "items": [{"address": HOLDER, "contract": None}]}
    with pytest.raises(CommandFailed) as failed:
        asyncio.run(ethereum_balances(Reorganised([Point(7, "a")]), "31337", arguments))
    assert failed.value.failure is Failure.CHAIN_MOVED


@pytest.mark.parametrize("answer", [None, "0x", "0x01", 1, "1"])
def test_a_native_balance_of_another_form_fails_the_command(answer: object) -> None:
    class Odd(PlayedNode):
        async def call(self, method: str, *params: object) -> object:
            return answer

    arguments = {"height": 7, "items": [{"address": HOLDER, "contract": None}]}
    with pytest.raises(CommandFailed) as failed:
        asyncio.run(ethereum_balances(Odd([Point(7, "a")]), "31337", arguments))
    assert failed.value.failure is Failure.ANSWER_MALFORMED
