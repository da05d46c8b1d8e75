"""Blocks against two real mainnet blocks and against web3's own ABI decoder.

Cross-checked independently: token payments by web3's event decoder with the published ERC-20 ABI,
native payments from the JSON's values without our reader, both transaction by transaction. The
counts of the two blocks are kept as numbers, so that a change of rule shows.
"""

import copy
import gzip
import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from web3 import Web3
from web3._utils.events import get_event_data
from web3.exceptions import LogTopicError, MismatchedABI

from orion.chains import Block
from orion.chains.errors import MalformedBlock
from orion.chains.ethereum import decode_block

BLOCKS = Path(__file__).parents[1] / "data/blocks"
HEIGHTS = (15_753_009, 16_899_757)
HASHES = {
    15_753_009: "0x5d6292f17665523deb770ebf5fb949ef79a903312216905b6f6a2996226c62d0",
    16_899_757: "0x2bdabb5e2c67747ebdc630a375bd2559ab240132d5154b526196c1de779bbb72",
}
TRANSFER_ABI: Any = {
    "type": "event",
    "name": "Transfer",
    "anonymous": False,
    "inputs": [
        {"name": "from", "type": "address", "indexed": True},
        {"name": "to", "type": "address", "indexed": True},
        {"name": "value", "type": "uint256", "indexed": False},
    ],
}
TXID = "0x" + "11" * 32
BLOCK_HASH = "0x" + "22" * 32
ALICE, BOB, TOKEN = "0x" + "aa" * 20, "0x" + "bb" * 20, "0x" + "cc" * 20
TOPIC = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


@cache
def real(height: int) -> Any:
    with gzip.open(BLOCKS / f"ethereum-{height}.json.gz") as file:
        return json.load(file)


def decoded(height: int) -> Block:
    return decode_block(real(height)["block"], real(height)["receipts"], None)


def padded(address: str) -> str:
    return "0x" + "00" * 12 + address[2:]


def log(index: int = 0, units: int = 5, **changed: Any) -> dict[str, Any]:
    row = {
        "logIndex": hex(index),
        "address": TOKEN,
        "topics": [TOPIC, padded(ALICE), padded(BOB)],
        "data": f"0x{units:064x}",
    }
    return row | changed


def one(
    *, value: int = 0, logs: list[Any] | None = None, status: int = 1, calls: Any = None
) -> Block:
    """A block with one transaction from ALICE to BOB."""
    transaction = {"hash": TXID, "from": ALICE, "to": BOB, "value": hex(value)}
    receipt = {
        "transactionHash": TXID,
        "blockHash": BLOCK_HASH,
        "status": hex(status),
        "logs": logs or [],
    }
    block: dict[str, Any] = {
        "hash": BLOCK_HASH,
        "parentHash": "0x" + "33" * 32,
        "number": "0x10",
        "timestamp": "0x64",
        "transactions": [transaction],
    }
    top = {"type": "CALL", "from": ALICE, "to": BOB, "value": hex(value)}
    traces = None if calls is None else [{"txHash": TXID, "result": top | {"calls": calls}}]
    return decode_block(block, [receipt], traces)


def call(value: int = 7, kind: str = "CALL", **more: Any) -> dict[str, Any]:
    return {"type": kind, "from": BOB, "to": TOKEN, "value": hex(value)} | more


@pytest.mark.parametrize("height", HEIGHTS)
def test_a_real_block_has_its_own_hash_height_and_parent(height: int) -> None:
    block = decoded(height)
    assert (block.hash, block.height) == (HASHES[height], height)
    assert block.parent == real(height)["block"]["parentHash"]


@pytest.mark.parametrize("height,native,tokens", [(15_753_009, 74, 133), (16_899_757, 73, 194)])
def test_a_real_block_pays_as_often_as_it_always_did(height: int, native: int, tokens: int) -> None:
    kinds = Counter(t.position.partition(":")[0] for t in decoded(height).transfers)
    assert kinds == {"call": native, "log": tokens}


@pytest.mark.parametrize("height", HEIGHTS)
def test_token_payments_of_a_real_block_are_those_that_web3_decodes(height: int) -> None:
    codec = Web3().codec
    expected = []
    for receipt in real(height)["receipts"]:
        for ordinal, row in enumerate(receipt["logs"]):
            entry = row | {
                "topics": [Web3.to_bytes(hexstr=topic) for topic in row["topics"]],
                "data": Web3.to_bytes(hexstr=row["data"]),
            }
            if not entry["topics"]:
                continue
            try:
                event = get_event_data(codec, TRANSFER_ABI, entry)
            except (LogTopicError, MismatchedABI):
                continue
            args = event["args"]
            if int(receipt["status"], 16) and args["value"]:
                expected.append(
                    (
                        receipt["transactionHash"],
                        f"log:{ordinal}",
                        row["address"],
                        args["from"].lower(),
                        args["to"].lower(),
                        args["value"],
                    )
                )
    found = [
        (t.txid, t.position, t.contract, t.sender, t.recipient, t.units)
        for t in decoded(height).transfers
        if t.position.startswith("log:")
    ]
    assert found == expected


@pytest.mark.parametrize("height", HEIGHTS)
def test_native_payments_of_a_real_block_sum_to_the_values_of_what_succeeded(height: int) -> None:
    status = {r["transactionHash"]: r["status"] for r in real(height)["receipts"]}
    expected = {
        t["hash"]: (t["to"], int(t["value"], 16))
        for t in real(height)["block"]["transactions"]
        if status[t["hash"]] == "0x1" and t["value"] != "0x0" and t["to"] is not None
    }
    found = {
        t.txid: (t.recipient, t.units)
        for t in decoded(height).transfers
        if t.position == "call:" and t.contract is None
    }
    assert found == expected
    assert sum(units for _, units in found.values()) > 10**18


def test_a_failed_transaction_pays_nobody() -> None:
    assert one(value=5, logs=[log()], status=0, calls=[call()]).transfers == ()


def test_a_payment_from_inside_a_contract_is_seen_by_its_path() -> None:
    block = one(value=9, calls=[call(kind="STATICCALL", calls=[]), call(calls=[call(3)])])
    found = [(t.position, t.sender, t.recipient, t.units) for t in block.transfers]
    assert found == [
        ("call:", ALICE, BOB, 9),
        ("call:1", BOB, TOKEN, 7),
        ("call:1.0", BOB, TOKEN, 3),
    ]


@pytest.mark.parametrize("kind", ["DELEGATECALL", "CALLCODE", "STATICCALL"])
def test_a_call_that_moves_no_coin_is_no_payment_but_calls_inside_it_are(kind: str) -> None:
    block = one(calls=[call(5, kind, calls=[call(2)])])
    assert [(t.position, t.units) for t in block.transfers] == [("call:0.0", 2)]


def test_what_a_reverted_call_did_is_no_payment_however_deep() -> None:
    reverted = call(error="execution reverted", calls=[call(2, calls=[call(1)])])
    assert [t.position for t in one(calls=[reverted, call(4)]).transfers] == ["call:1"]


@pytest.mark.parametrize("kind", ["CREATE", "CREATE2", "SELFDESTRUCT"])
def test_coin_given_to_a_new_contract_or_left_by_an_old_one_is_a_payment(kind: str) -> None:
    assert [t.units for t in one(calls=[call(8, kind)]).transfers] == [8]


def test_a_position_does_not_depend_on_the_rest_of_the_block() -> None:
    logs = [log(40, topics=[TOPIC]), log(41), log(77, 6)]
    assert [t.position for t in one(logs=logs).transfers] == ["log:1", "log:2"]


@pytest.mark.parametrize(
    "changed",
    [
        {"topics": [TOPIC, padded(ALICE), padded(BOB), padded(BOB)], "data": "0x"},  # ERC-721
        {"topics": [TOPIC, padded(ALICE), padded(BOB), padded(BOB)]},
        {"topics": [TOPIC, padded(ALICE)]},
        {"topics": []},
        {"topics": ["0x" + "01" * 32, padded(ALICE), padded(BOB)]},
        {"data": "0x"},
        {"data": "0x" + "00" * 31 + "05" + "00" * 32},
        {"data": "0x" + "00" * 32},  # nothing was moved: address poisoning
        {"topics": [TOPIC, padded(ALICE), "0x" + "01" * 12 + BOB[2:]]},
    ],
)
def test_a_log_that_is_no_token_payment_is_none(changed: dict[str, Any]) -> None:
    assert one(logs=[log(**changed)]).transfers == ()


def test_an_amount_above_128_bits_is_kept_whole() -> None:
    units = 2**256 - 1
    assert [t.units for t in one(logs=[log(units=units)]).transfers] == [units]


def test_a_payment_to_a_contract_made_by_the_transaction_goes_to_its_new_address() -> None:
    made = copy.deepcopy(real(16_899_757))
    index = next(i for i, t in enumerate(made["block"]["transactions"]) if t["value"] != "0x0")
    made["block"]["transactions"][index]["to"] = None
    made["receipts"][index]["contractAddress"] = TOKEN
    made["receipts"][index]["status"] = "0x1"
    block = decode_block(made["block"], made["receipts"], None)
    txid = made["block"]["transactions"][index]["hash"]
    assert next(t.recipient for t in block.transfers if t.txid == txid) == TOKEN


@pytest.mark.parametrize(
    "logs",
    [[log(5), log(5)], [log(6), log(5)], [log(logIndex="5")], [log(data="0x" + "zz" * 32)], [1]],
)
def test_logs_that_no_node_answers_are_refused(logs: list[Any]) -> None:
    with pytest.raises(MalformedBlock):
        one(logs=logs)


@pytest.mark.parametrize(
    "calls", [[call(kind="UNKNOWN")], [call(to="0x12")], [1], {}, [call(value=1, calls=3)]]
)
def test_traces_that_no_node_answers_are_refused(calls: Any) -> None:
    with pytest.raises(MalformedBlock):
        one(calls=calls)


def test_receipts_or_traces_of_another_block_are_refused() -> None:
    other = real(15_753_009)
    block = real(16_899_757)["block"]
    with pytest.raises(MalformedBlock):
        decode_block(block, other["receipts"], None)
    count = len(block["transactions"])
    with pytest.raises(MalformedBlock):
        decode_block(block, other["receipts"][:count], None)
    with pytest.raises(MalformedBlock):
        decode_block(block, real(16_899_757)["receipts"], [])


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.just("0x1")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    place=st.sampled_from(["hash", "number", "timestamp", "parentHash", "transactions"]),
    value=JSON,
)
@settings(deadline=None, max_examples=50)
def test_a_block_with_any_value_in_any_field_is_read_or_refused_by_type(
    place: str, value: Any
) -> None:
    block = real(16_899_757)["block"] | {place: value}
    try:
        decode_block(block, real(16_899_757)["receipts"], None)
    except MalformedBlock:
        return


@given(
    where=st.sampled_from(["transactionHash", "blockHash", "status", "logs", "contractAddress"]),
    value=JSON,
)
@settings(deadline=None, max_examples=50)
def test_a_receipt_with_any_value_in_any_field_is_read_or_refused_by_type(
    where: str, value: Any
) -> None:
    receipts = list(real(16_899_757)["receipts"])
    receipts[0] = receipts[0] | {where: value}
    try:
        decode_block(real(16_899_757)["block"], receipts, None)
    except MalformedBlock:
        return


@given(frame=st.dictionaries(st.sampled_from(["type", "to", "from", "value", "calls"]), JSON))
@settings(deadline=None)
def test_any_call_frame_is_read_or_refused_by_type(frame: dict[str, Any]) -> None:
    try:
        one(calls=[call() | frame])
    except MalformedBlock:
        return
