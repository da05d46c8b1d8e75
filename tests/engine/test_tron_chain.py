"""Blocks, forks, the solidified state and restarts of the Tron engine."""

import hashlib
import http.client
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from infra.local.stack import Stack
from infra.local.tron_node import TronNode
from tests.engine.tron_scene import TRX, Judge, judging, refusal

pytestmark = pytest.mark.engine

_TOKEN = Path(__file__).parents[2] / "infra" / "local" / "contracts" / "TetherLike.json"


@pytest.fixture(scope="module")
def stack(stack_folders: Path) -> Iterator[Stack]:
    """A stack of its own: the clock that runs ahead here would make others' payments expire."""
    own = Stack(stack_folders / "tron-chain")
    own.start("tron")
    yield own
    own.down()


@pytest.fixture(scope="module")
def tron(stack: Stack) -> TronNode:
    return stack.tron


@pytest.fixture(scope="module")
def judge(tron: TronNode) -> Iterator[Judge]:
    with judging(tron) as found:
        yield found


def _solid(node: TronNode, path: str, body: dict[str, object]) -> dict[str, object]:
    return node.call(f"/walletsolidity/{path}", body)


def test_a_block_id_carries_its_height_and_names_its_parent(tron: TronNode, judge: Judge) -> None:
    first = tron.call("/wallet/getnowblock")
    tron.mine()
    second = judge.ask("trx", "getCurrentBlock")
    height = second["block_header"]["raw_data"]["number"]
    assert int(second["blockID"][:16], 16) == height
    assert second["block_header"]["raw_data"]["parentHash"] == first["blockID"]
    assert tron.call("/wallet/getblockbyid", {"value": second["blockID"]}) == second
    assert judge.ask("trx", "getBlockByNumber", height) == second


def test_a_block_lists_its_transactions_and_their_results(tron: TronNode, judge: Judge) -> None:
    to = judge.funded()
    first = judge.pay(judge.faucet, to.address, 1)
    second = judge.pay(judge.faucet, to.address, 2)
    height = tron.mine()
    block: dict[str, Any] = tron.call("/wallet/getblockbynum", {"num": height})
    assert [one["txID"] for one in block["transactions"]] == [first["txid"], second["txid"]]
    assert [one["ret"] for one in block["transactions"]] == [[{"contractRet": "SUCCESS"}]] * 2
    infos: Any = tron.call("/wallet/gettransactioninfobyblocknum", {"num": height})
    assert [one["id"] for one in infos] == [first["txid"], second["txid"]]
    header: dict[str, Any] = tron.call("/wallet/getblock", {"id_or_num": str(height)})
    assert "transactions" not in header
    # The Merkle root over two transactions, from the bytes that the block shows.
    leaves = [_transaction_hash(one) for one in block["transactions"]]
    root = hashlib.sha256(leaves[0] + leaves[1]).hexdigest()
    assert block["block_header"]["raw_data"]["txTrieRoot"] == root


def _transaction_hash(shown: dict[str, Any]) -> bytes:
    raw = bytes.fromhex(shown["raw_data_hex"])
    whole = b"\x0a" + _varint(len(raw)) + raw
    for signature in map(bytes.fromhex, shown["signature"]):
        whole += b"\x12" + _varint(len(signature)) + signature
    return hashlib.sha256(whole).digest()


def _varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128, value >> 7])


def test_a_payment_is_solidified_when_nineteen_blocks_lie_above_it(
    tron: TronNode, judge: Judge
) -> None:
    to = judge.funded()
    answer = judge.pay(judge.faucet, to.address, 3 * TRX)
    txid = {"value": answer["txid"]}
    height = tron.mine()
    tron.mine(18)
    assert _solid(tron, "gettransactioninfobyid", txid) == {}
    found = _solid(tron, "getaccount", {"address": to.address, "visible": True})
    assert found["balance"] == 1_000 * TRX
    tron.mine()
    assert _solid(tron, "gettransactioninfobyid", txid)["blockNumber"] == height
    assert _solid(tron, "gettransactionbyid", txid)["txID"] == answer["txid"]
    found = _solid(tron, "getaccount", {"address": to.address, "visible": True})
    assert found["balance"] == 1_003 * TRX
    newest: dict[str, Any] = _solid(tron, "getnowblock", {})
    assert newest["block_header"]["raw_data"]["number"] == height


def test_the_solidified_state_of_a_contract_lags_behind_its_head(
    tron: TronNode, judge: Judge
) -> None:
    compiled = json.loads(_TOKEN.read_text())
    wanted = {
        "abi": compiled["abi"],
        "bytecode": compiled["bytecode"].removeprefix("0x"),
        "feeLimit": 1_000 * TRX,
        "parameters": [judge.faucet.address],
    }
    built = judge.ask("builder", "createSmartContract", wanted, judge.faucet.address)
    answer = judge.send(built, judge.faucet.key)
    assert answer.get("result") is True, refusal(answer)
    tron.mine(20)
    _mint(judge, built["contract_address"], 5)
    assert _supply(tron, judge, built["contract_address"], "walletsolidity") == 0
    assert _supply(tron, judge, built["contract_address"], "wallet") == 5
    tron.mine(19)
    assert _supply(tron, judge, built["contract_address"], "walletsolidity") == 5


def _mint(judge: Judge, contract: str, amount: int) -> None:
    parameters = [
        {"type": "address", "value": judge.faucet.address},
        {"type": "uint256", "value": amount},
    ]
    built = judge.ask(
        "builder",
        "triggerSmartContract",
        contract,
        "mint(address,uint256)",
        {"feeLimit": 100 * TRX},
        parameters,
        judge.faucet.address,
    )
    answer = judge.send(built["transaction"], judge.faucet.key)
    assert answer.get("result") is True, refusal(answer)
    judge.node.mine()


def _supply(tron: TronNode, judge: Judge, contract: str, room: str) -> int:
    asked = {
        "owner_address": judge.ask("address", "toHex", judge.faucet.address),
        "contract_address": contract,
        "function_selector": "totalSupply()",
    }
    answer: dict[str, Any] = tron.call(f"/{room}/triggerconstantcontract", asked)
    return int(answer["constant_result"][0], 16)


def test_a_fork_takes_a_payment_back_and_a_new_block_holds_it_again(
    tron: TronNode, judge: Judge
) -> None:
    to = judge.funded()
    answer = judge.pay(judge.faucet, to.address, 5)
    height = tron.mine()
    dropped: dict[str, Any] = tron.call("/wallet/getblockbynum", {"num": height})
    tron.call("/admin/fork?depth=1&transactions=keep")
    assert judge.balance(to.address) == 1_000 * TRX
    assert judge.info(answer["txid"]) == {}
    assert tron.call("/wallet/getblockbyid", {"value": dropped["blockID"]}) == {}
    tron.mine(2)
    assert judge.info(answer["txid"])["blockNumber"] == height
    assert judge.balance(to.address) == 1_000 * TRX + 5
    again: dict[str, Any] = tron.call("/wallet/getblockbynum", {"num": height})
    assert again["blockID"] != dropped["blockID"]


def test_a_fork_may_lose_a_token_transfer_for_good(tron: TronNode, judge: Judge) -> None:
    compiled = json.loads(_TOKEN.read_text())
    wanted = {
        "abi": compiled["abi"],
        "bytecode": compiled["bytecode"].removeprefix("0x"),
        "feeLimit": 1_000 * TRX,
        "parameters": [judge.faucet.address],
    }
    built = judge.ask("builder", "createSmartContract", wanted, judge.faucet.address)
    judge.send(built, judge.faucet.key)
    tron.mine()
    _mint(judge, built["contract_address"], 7)
    assert _supply(tron, judge, built["contract_address"], "wallet") == 7
    tron.call("/admin/fork?depth=1&transactions=lose")
    tron.mine(2)
    assert _supply(tron, judge, built["contract_address"], "wallet") == 0


def test_a_solidified_block_is_never_dropped(tron: TronNode) -> None:
    with pytest.raises(HTTPError) as refused:
        tron.call("/admin/fork?depth=20")
    assert refused.value.code == 400


def test_used_bandwidth_recovers_evenly_within_a_day(tron: TronNode, judge: Judge) -> None:
    sender, to = judge.funded(), judge.funded()
    answer = judge.pay(sender, to.address, 1)
    tron.mine()
    used = judge.info(answer["txid"])["receipt"]["net_usage"]
    assert judge.info(answer["txid"]).get("fee") is None
    assert _free_used(judge, sender.address) == used
    tron.call("/admin/clock?ahead_ms=43200000")
    tron.mine()
    assert abs(_free_used(judge, sender.address) - used / 2) <= 1
    tron.call("/admin/clock?ahead_ms=43200000")
    tron.mine()
    assert _free_used(judge, sender.address) == 0


def _free_used(judge: Judge, address: str) -> int:
    return int(judge.ask("trx", "getAccountResources", address).get("freeNetUsed", 0))


def test_the_third_transfer_of_a_day_burns_trx_for_its_bytes(tron: TronNode, judge: Judge) -> None:
    sender, to = judge.funded(), judge.funded()
    fees, txid = [], ""
    for amount in (1, 2, 3):
        answer = judge.pay(sender, to.address, amount)
        tron.mine()
        txid = answer["txid"]
        receipt = judge.info(txid)["receipt"]
        fees.append(receipt.get("net_fee", 0))
    shown: dict[str, Any] = tron.call("/wallet/gettransactionbyid", {"value": txid})
    raw = len(shown["raw_data_hex"]) // 2
    # raw_data and one signature with their tags and lengths, and 64 bytes for the result.
    size_bytes = raw + len(_varint(raw)) + 1 + 65 + 2 + 64
    assert fees == [0, 0, size_bytes * 1_000]


def test_the_chain_and_what_waits_survive_a_kill(stack: Stack, judge: Judge) -> None:
    to = judge.funded()
    waiting = judge.pay(judge.faucet, to.address, 11)
    before: dict[str, Any] = judge.node.call("/wallet/getnowblock")
    stack.kill("tron")
    stack.start("tron")
    assert judge.node.call("/wallet/getnowblock") == before
    assert judge.balance(to.address) == 1_000 * TRX
    height = judge.node.mine()
    assert judge.info(waiting["txid"])["blockNumber"] == height
    assert judge.balance(to.address) == 1_000 * TRX + 11


def test_no_accepted_payment_is_lost_or_doubled_by_kills_while_blocks_are_made(
    stack: Stack, judge: Judge
) -> None:
    to = judge.funded()
    signed = []
    for amount in range(1, 61):
        built = judge.ask("builder", "sendTrx", to.address, amount, judge.faucet.address)
        signed.append(judge.ask("trx", "sign", built, judge.faucet.key))
    accepted: list[int] = []
    for first in range(0, 60, 20):
        with ThreadPoolExecutor(2) as threads:
            sending = threads.submit(_send_all, judge.node, signed[first : first + 20], accepted)
            threads.submit(_mine_until_refused, judge.node)
            while len(accepted) < first // 2 + 5 and not sending.done():
                time.sleep(0.001)
            stack.kill("tron")
        stack.start("tron")
    judge.node.mine()
    in_blocks = [
        transaction["raw_data"]["contract"][0]["parameter"]["value"]["amount"]
        for transaction in signed
        if judge.info(transaction["txID"])
    ]
    assert set(accepted) <= set(in_blocks)
    assert judge.balance(to.address) == 1_000 * TRX + sum(in_blocks)


def _send_all(node: TronNode, signed: list[dict[str, Any]], accepted: list[int]) -> None:
    """Send until the node is gone; note the amount of each payment that it accepted."""
    for transaction in signed:
        try:
            answer = node.call("/wallet/broadcasttransaction", transaction)
        except (OSError, http.client.HTTPException):
            return
        if answer.get("result") is True:
            value = transaction["raw_data"]["contract"][0]["parameter"]["value"]
            accepted.append(value["amount"])


def _mine_until_refused(node: TronNode) -> None:
    try:
        while True:
            node.mine()
    except (OSError, http.client.HTTPException):
        return


def test_a_contracts_state_survives_a_kill(stack: Stack, judge: Judge) -> None:
    compiled = json.loads(_TOKEN.read_text())
    wanted = {
        "abi": compiled["abi"],
        "bytecode": compiled["bytecode"].removeprefix("0x"),
        "feeLimit": 1_000 * TRX,
        "parameters": [judge.faucet.address],
    }
    built = judge.ask("builder", "createSmartContract", wanted, judge.faucet.address)
    judge.send(built, judge.faucet.key)
    judge.node.mine()
    _mint(judge, built["contract_address"], 21)
    stack.kill("tron")
    stack.start("tron")
    assert _supply(judge.node, judge, built["contract_address"], "wallet") == 21
    _mint(judge, built["contract_address"], 1)
    assert _supply(judge.node, judge, built["contract_address"], "wallet") == 22


def test_blocks_come_by_the_clock_while_an_interval_is_set(tron: TronNode) -> None:
    before = tron.call("/admin/interval?ms=50")["height"]
    assert isinstance(before, int)
    try:
        while True:  # The test's own time-out is the limit.
            height = tron.call("/admin/status")["height"]
            assert isinstance(height, int)
            if height >= before + 3:
                break
    finally:
        tron.call("/admin/interval?ms=0")


def test_many_senders_at_once_all_get_into_blocks(tron: TronNode, judge: Judge) -> None:
    to = judge.funded()
    signed = []
    for amount in range(1, 41):
        built = judge.ask("builder", "sendTrx", to.address, amount, judge.faucet.address)
        signed.append(judge.ask("trx", "sign", built, judge.faucet.key))
    with ThreadPoolExecutor(8) as senders:
        answers = list(
            senders.map(lambda one: tron.call("/wallet/broadcasttransaction", one), signed)
        )
    assert all(answer.get("result") is True for answer in answers)
    tron.mine()
    assert judge.balance(to.address) == 1_000 * TRX + sum(range(1, 41))


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'{"num": 1.5}', b'{"num": "x"}', b'{"num": true}', b"{}", b"\xff"],
)
def test_a_malformed_request_is_answered_with_an_error(tron: TronNode, body: bytes) -> None:
    status, answer = _raw(tron, "POST", "/wallet/getblockbynum", body)
    assert status == 200
    assert set(answer) == {"Error"}


def test_an_unknown_path_and_a_body_without_bound_are_refused(tron: TronNode) -> None:
    assert _raw(tron, "POST", "/wallet/nothing", b"{}")[0] == 404
    assert _raw(tron, "GET", "/admin/mine", b"")[0] == 404
    connection = http.client.HTTPConnection(tron.host, tron.port, timeout=10)
    connection.putrequest("POST", "/wallet/getnowblock")
    connection.putheader("Content-Length", str(10**9))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def _raw(tron: TronNode, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(tron.host, tron.port, timeout=10)
    connection.request(method, path, body)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer
