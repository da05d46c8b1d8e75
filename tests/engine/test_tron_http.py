"""The Tron engine's HTTP answers in java-tron's forms, asked without any client library."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from infra.local.stack import Stack
from infra.local.tron import building, reading
from infra.local.tron.transactions import read_shown
from infra.local.tron_node import TronNode
from tests.engine.tron_scene import TRX, Judge, Keyed, group_permissions, judging, refusal

pytestmark = pytest.mark.engine

_EXCEPTION = "class org.tron.core.exception.ContractValidateException : "
# Stores 1 at 0 in its constructor; its code is one STOP.
_CREATION = "600160005560008060005360016000f3"
_ABI = [
    {
        "type": "function",
        "name": "look",
        "inputs": [],
        "outputs": [],
        "stateMutability": "view",
    }
]


@pytest.fixture(scope="module")
def tron(engines: Stack) -> TronNode:
    engines.start("tron")
    return engines.tron


@pytest.fixture(scope="module")
def judge(tron: TronNode) -> Iterator[Judge]:
    with judging(tron) as found:
        yield found


def _ask(tron: TronNode, name: str, /, **body: object) -> dict[str, Any]:
    return tron.call(f"/wallet/{name}", {"visible": True, **body})


def _do(judge: Judge, owner: Keyed, name: str, /, **body: object) -> dict[str, Any]:
    """Build by the node, sign by tronweb, put into a block; the transaction's information."""
    built = _ask(judge.node, name, owner_address=owner.address, **body)
    assert "Error" not in built, built
    hexed = read_shown(built).shown(visible=False)
    answer = judge.send(hexed, owner.key)
    assert answer.get("result") is True, refusal(answer)
    judge.node.mine()
    return judge.info(answer["txid"])


def test_a_contract_that_does_not_validate_is_no_transaction_but_an_error(
    tron: TronNode, judge: Judge
) -> None:
    poor, nobody = judge.funded(), judge.fresh()
    for owner, words in (
        (poor, "Validate TransferContract error, balance is not sufficient."),
        (nobody, "Validate TransferContract error, no OwnerAccount."),
    ):
        answer = _ask(
            tron,
            "createtransaction",
            owner_address=owner.address,
            to_address=judge.faucet.address,
            amount=10**15,
        )
        assert answer == {"Error": _EXCEPTION + words}


def test_a_transaction_sent_as_hex_is_told_result_and_plain_words(
    tron: TronNode, judge: Judge
) -> None:
    built = judge.ask("builder", "sendTrx", judge.funded().address, 3, judge.faucet.address)
    signed = judge.ask("trx", "sign", built, judge.faucet.key)
    words = {"transaction": read_shown(signed).encoded.hex()}
    first = tron.call("/wallet/broadcasthex", words)
    assert (first["result"], first["code"], first["txid"]) == (True, "SUCCESS", built["txID"])
    second = tron.call("/wallet/broadcasthex", words)
    assert (second["result"], second["message"]) == (False, "Dup transaction.")
    assert judge.ask("trx", "sendHexTransaction", words["transaction"])["code"] == (
        "DUP_TRANSACTION_ERROR"
    )


def test_addresses_are_hex_or_base58_as_the_request_says(tron: TronNode, judge: Judge) -> None:
    account = judge.funded()
    hexed = judge.ask("address", "toHex", account.address)
    visible = tron.call("/wallet/getaccount", {"address": account.address, "visible": True})
    plain = tron.call("/wallet/getaccount", {"address": hexed})
    assert (visible["address"], plain["address"]) == (account.address, hexed)
    assert "Error" in tron.call("/wallet/getaccount", {"address": account.address})
    assert tron.call("/wallet/getaccount", {"address": "41" + 20 * "00"}) == {}
    for words, known in ((account.address, True), (hexed, True), (account.address[:-1], False)):
        assert tron.call("/wallet/validateaddress", {"address": words})["result"] is known


def test_a_born_account_shows_the_permissions_that_java_tron_gives_it(
    tron: TronNode, judge: Judge
) -> None:
    account = judge.funded()
    found = _ask(tron, "getaccount", address=account.address)
    key = [{"address": account.address, "weight": 1}]
    assert found["owner_permission"] == {"permission_name": "owner", "threshold": 1, "keys": key}
    (active,) = found["active_permission"]
    assert (active["type"], active["id"], active["keys"]) == ("Active", 2, key)


def test_an_account_can_be_created_without_paying_it(judge: Judge) -> None:
    fresh = judge.fresh()
    info = _do(judge, judge.faucet, "createaccount", account_address=fresh.address)
    assert info["fee"] == 1_100_000
    assert _ask(judge.node, "getaccount", address=fresh.address)["create_time"] > 0
    again = _ask(
        judge.node,
        "createaccount",
        owner_address=judge.faucet.address,
        account_address=fresh.address,
    )
    assert again == {"Error": _EXCEPTION + "Account has existed"}


def test_permissions_that_the_node_builds_are_those_that_it_shows(judge: Judge) -> None:
    account = judge.funded()
    owner, active = group_permissions([account, judge.fresh()], 2)
    _do(judge, account, "accountpermissionupdate", owner=owner, actives=[active])
    found = _ask(judge.node, "getaccount", address=account.address)
    assert found["owner_permission"]["threshold"] == 2
    assert found["active_permission"][0]["operations"] == active["operations"]


def test_a_stake_gives_energy_is_delegated_taken_back_and_returned_after_its_delay(
    judge: Judge,
) -> None:
    owner, friend = judge.funded(3_000 * TRX), judge.funded()
    _do(judge, owner, "freezebalancev2", frozen_balance=2_000 * TRX, resource="ENERGY")
    given = _ask(judge.node, "getaccountresource", address=owner.address)["EnergyLimit"]
    share: dict[str, object] = {
        "receiver_address": friend.address,
        "balance": 500 * TRX,
        "resource": "ENERGY",
    }
    _do(judge, owner, "delegateresource", **share)
    assert _ask(judge.node, "getaccountresource", address=friend.address)["EnergyLimit"] > 0
    left = _ask(judge.node, "getaccountresource", address=owner.address)["EnergyLimit"]
    assert abs(left - given * 3 / 4) <= 1
    refused = _ask(
        judge.node,
        "unfreezebalancev2",
        owner_address=owner.address,
        unfreeze_balance=2_000 * TRX,
        resource="ENERGY",
    )
    assert "Invalid unfreeze_balance" in refused["Error"]
    _do(judge, owner, "undelegateresource", **share)
    assert "EnergyLimit" not in _ask(judge.node, "getaccountresource", address=friend.address)
    _do(judge, owner, "unfreezebalancev2", unfreeze_balance=2_000 * TRX, resource="ENERGY")
    found = _ask(judge.node, "getaccount", address=owner.address)
    (unstaking,) = found["unfrozenV2"]
    assert unstaking["unfreeze_amount"] == 2_000 * TRX
    assert "EnergyLimit" not in _ask(judge.node, "getaccountresource", address=owner.address)
    early = _ask(judge.node, "withdrawexpireunfreeze", owner_address=owner.address)
    assert "no unFreeze balance to withdraw" in early["Error"]


def test_a_contract_is_deployed_described_and_called_by_the_nodes_own_words(judge: Judge) -> None:
    owner = judge.funded()
    info = _do(
        judge,
        owner,
        "deploycontract",
        abi=json.dumps(_ABI),
        bytecode=_CREATION,
        fee_limit=100 * TRX,
        consume_user_resource_percent=100,
        origin_energy_limit=1_000,
        name="Stop",
    )
    assert info["receipt"]["result"] == "SUCCESS"
    address = judge.ask("address", "fromHex", info["contract_address"])
    about = _ask(judge.node, "getcontract", value=address)
    assert (about["name"], about["origin_address"]) == ("Stop", owner.address)
    assert about["abi"]["entrys"][0]["stateMutability"] == "View"
    call = {"owner_address": owner.address, "contract_address": address, "fee_limit": TRX}
    # A view function makes no transaction, whoever asks for one.
    looked = _ask(judge.node, "triggersmartcontract", function_selector="look()", **call)
    assert "constant_result" in looked
    other = _ask(judge.node, "triggersmartcontract", function_selector="other()", **call)
    assert other["result"] == {"result": True}
    assert other["transaction"]["raw_data"]["fee_limit"] == TRX
    unknown = _ask(
        judge.node,
        "triggerconstantcontract",
        owner_address=owner.address,
        contract_address=owner.address,
        function_selector="look()",
    )
    assert unknown["result"]["code"] == "CONTRACT_VALIDATE_ERROR"


def test_lists_of_blocks_are_bounded(tron: TronNode) -> None:
    height = tron.mine(3)
    latest = tron.call("/wallet/getblockbylatestnum", {"num": 2})["block"]
    assert isinstance(latest, list)
    assert [one["block_header"]["raw_data"]["number"] for one in latest] == [height - 1, height]
    some = {"startNum": height - 2, "endNum": height}
    found = tron.call("/wallet/getblockbylimitnext", some)["block"]
    assert isinstance(found, list)
    assert [one["block_header"]["raw_data"]["number"] for one in found] == [height - 2, height - 1]
    assert tron.call("/wallet/getblockbylatestnum", {"num": 100}) == {}
    assert tron.call("/wallet/getblockbylimitnext", {"startNum": 0, "endNum": 101}) == {}


def test_the_node_tells_its_prices_and_where_it_stands(tron: TronNode) -> None:
    listed = tron.call("/wallet/getchainparameters")["chainParameter"]
    assert isinstance(listed, list)
    found = {one["key"]: one["value"] for one in listed}
    assert (found["getEnergyFee"], found["getTransactionFee"]) == (100, 1_000)
    height = tron.call("/admin/status")["height"]
    assert str(tron.call("/wallet/getnodeinfo")["block"]).startswith(f"Num:{height},ID:")


_NASTY: tuple[object, ...] = (
    None,
    True,
    -1,
    2**70,
    1.5,
    "",
    "0x",
    "zz",
    "\ud800",
    "\0",
    "T" * 40,
    "41" + 20 * "22",
    [],
    [None],
    {},
    {"keys": 5},
)
_NAMES = (
    "address",
    "owner_address",
    "to_address",
    "contract_address",
    "receiver_address",
    "account_address",
    "amount",
    "balance",
    "frozen_balance",
    "resource",
    "value",
    "num",
    "startNum",
    "endNum",
    "id_or_num",
    "function_selector",
    "data",
    "parameter",
    "bytecode",
    "abi",
    "fee_limit",
    "call_value",
    "Permission_id",
    "extra_data",
    "owner",
    "actives",
    "raw_data",
    "signature",
    "transaction",
    "visible",
)


_ENDPOINTS = sorted({*reading.BOTH, *reading.FULL, *building.BOTH, *building.FULL})


@pytest.mark.parametrize("name", _ENDPOINTS)
def test_no_nonsense_leaves_an_endpoint_without_an_answer(tron: TronNode, name: str) -> None:
    for value in _NASTY:
        everything: dict[str, object] = dict.fromkeys(_NAMES, value)
        tron.call(f"/wallet/{name}", everything)
        sound: dict[str, object] = {
            "owner_address": tron.faucet_address,
            "address": tron.faucet_address,
            "visible": True,
        }
        tron.call(f"/wallet/{name}", {**everything, **sound})
        raw = {"contract": [{"type": "TransferContract", "parameter": {"value": everything}}]}
        tron.call(f"/wallet/{name}", {"raw_data": {**everything, **raw}, "visible": value})


def test_an_engine_whose_evm_dies_ends_and_begins_again_with_its_state(
    stack_folders: Path,
) -> None:
    stack = Stack(stack_folders / "tron-evm")
    try:
        stack.start("tron")
        height = stack.tron.mine(3)
        found = stack.processes()["tron"]
        children = Path(f"/proc/{found.pid}/task/{found.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        # The EVM is asked, and the answer that finds out says so.
        caller = {"owner_address": stack.tron.faucet_address, "data": "00", "visible": True}
        with pytest.raises(HTTPError) as failed:
            stack.tron.call("/wallet/triggerconstantcontract", caller)
        assert failed.value.code == 500
        while stack.alive("tron"):
            time.sleep(0.01)
        stack.start("tron")
        assert stack.tron.mine() > height
    finally:
        stack.down()


def test_a_memo_costs_one_trx(judge: Judge) -> None:
    sender, to = judge.funded(), judge.funded()
    built = judge.ask("builder", "sendTrx", to.address, 3, sender.address)
    noted = judge.ask("builder", "addUpdateData", built, "an invoice", "utf8")
    answer = judge.send(noted, sender.key)
    judge.node.mine()
    info = judge.info(answer["txid"])
    assert info["fee"] == TRX + info["receipt"].get("net_fee", 0)
