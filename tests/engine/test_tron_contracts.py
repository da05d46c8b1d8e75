"""Smart contracts on the Tron engine: a token without return values, TRX in calls, and energy.

The figures are sums of the instruction prices in java-tron's EnergyCost; no real node was asked.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.stack import Stack
from infra.local.tron_node import TronNode
from orion.chains.ethereum.keccak import keccak256
from tests.engine.tron_scene import TRX, Judge, Keyed, judging, refusal

pytestmark = pytest.mark.engine

_TOKEN = Path(__file__).parents[2] / "infra" / "local" / "contracts" / "TetherLike.json"
# Stores the value under the caller and returns the contract's balance.
_VAULT = "34335547" + "5f5260205ff3"
# Calls the first parameter with 7 sun.
_PAYER = "5f5f5f5f60076004355af15000"
_LOOP = "5b5f56"
_REVERTS = "5f5ffd"
_INVALID = "fe"


@pytest.fixture(scope="module")
def tron(engines: Stack) -> TronNode:
    engines.start("tron")
    return engines.tron


@pytest.fixture(scope="module")
def judge(tron: TronNode) -> Iterator[Judge]:
    with judging(tron) as found:
        yield found


def _creation(runtime: str) -> str:
    """Code that returns `runtime`, of at most 32 bytes: pushed, stored at 0, its end returned."""
    size = len(runtime) // 2
    return f"{0x5F + size:02x}{runtime}5f5260{size:02x}60{32 - size:02x}f3"


def _deploy(
    judge: Judge, owner: Keyed, bytecode: str, abi: object = (), **options: object
) -> tuple[str, dict[str, Any]]:
    """Address in hex and the transaction's information."""
    wanted = {
        "abi": abi,
        "bytecode": bytecode,
        "feeLimit": 1_000 * TRX,
        "userFeePercentage": 100,
        "originEnergyLimit": 10_000_000,
        "name": "C",
        **options,
    }
    built = judge.ask("builder", "createSmartContract", wanted, owner.address)
    answer = judge.send(built, owner.key)
    assert answer.get("result") is True, refusal(answer)
    judge.node.mine()
    info = judge.info(answer["txid"])
    # tronweb computes the address by itself, from the transaction's id and the owner.
    assert info["contract_address"] == built["contract_address"]
    return str(info["contract_address"]), info


def _call(
    judge: Judge,
    caller: Keyed,
    address: str,
    function: str = "run()",
    parameters: object = (),
    **options: object,
) -> dict[str, Any]:
    wanted = {"feeLimit": 100 * TRX, **options}
    built = judge.ask(
        "builder", "triggerSmartContract", address, function, wanted, parameters, caller.address
    )
    answer = judge.send(built["transaction"], caller.key)
    assert answer.get("result") is True, refusal(answer)
    judge.node.mine()
    return judge.info(answer["txid"])


@pytest.fixture(scope="module")
def token(judge: Judge) -> tuple[str, Any]:
    """Address and ABI of a token like Tether's, whose supply the faucet has."""
    compiled = json.loads(_TOKEN.read_text())
    address, info = _deploy(
        judge,
        judge.faucet,
        compiled["bytecode"].removeprefix("0x"),
        compiled["abi"],
        parameters=[judge.faucet.address],
    )
    assert info["receipt"]["result"] == "SUCCESS"
    minted = [
        {"type": "address", "value": judge.faucet.address},
        {"type": "uint256", "value": 10**15},
    ]
    _call(judge, judge.faucet, address, "mint(address,uint256)", minted)
    return address, compiled["abi"]


def _holds(judge: Judge, token: tuple[str, Any], address: str) -> int:
    return int(judge.ask("contract", "view", token[1], token[0], "balanceOf", address))


def _send_token(judge: Judge, token: tuple[str, Any], source: Keyed, to: str, amount: int) -> Any:
    parameters = [{"type": "address", "value": to}, {"type": "uint256", "value": amount}]
    return _call(judge, source, token[0], "transfer(address,uint256)", parameters)


def test_a_token_without_return_value_moves_and_logs_the_transfer(
    judge: Judge, token: tuple[str, Any]
) -> None:
    to = judge.fresh()
    before = _holds(judge, token, judge.faucet.address)
    info = _send_token(judge, token, judge.faucet, to.address, 25_000_000)
    assert _holds(judge, token, to.address) == 25_000_000
    assert _holds(judge, token, judge.faucet.address) == before - 25_000_000
    assert info["contractResult"] == [""]
    (log,) = info["log"]
    assert log["address"] == token[0][2:]
    assert log["topics"][0] == keccak256(b"Transfer(address,address,uint256)").hex()
    assert log["topics"][2] == 24 * "0" + judge.ask("address", "toHex", to.address)[2:]
    assert int(log["data"], 16) == 25_000_000


def test_a_token_transfer_beyond_the_balance_reverts_and_still_burns(
    judge: Judge, token: tuple[str, Any]
) -> None:
    poor = judge.funded()
    info = _send_token(judge, token, poor, judge.faucet.address, 1)
    assert info["result"] == "FAILED"
    assert info["receipt"]["result"] == "REVERT"
    assert bytes.fromhex(info["resMessage"]).decode() == "REVERT opcode executed"
    assert "log" not in info
    assert info["receipt"]["energy_fee"] == info["receipt"]["energy_usage_total"] * 100
    assert judge.balance(poor.address) == 1_000 * TRX - info["fee"]


def test_a_transfer_to_a_new_holder_costs_fifteen_thousand_more(
    judge: Judge, token: tuple[str, Any]
) -> None:
    to = judge.fresh()
    first = _send_token(judge, token, judge.faucet, to.address, 1)["receipt"]
    second = _send_token(judge, token, judge.faucet, to.address, 1)["receipt"]
    # A word set for the first time costs 20,000, one changed 5,000.
    assert first["energy_usage_total"] - second["energy_usage_total"] == 15_000


def test_the_estimate_is_what_the_transfer_then_uses(judge: Judge, token: tuple[str, Any]) -> None:
    to = judge.fresh()
    parameters = [{"type": "address", "value": to.address}, {"type": "uint256", "value": 9}]
    told = judge.ask(
        "builder",
        "estimateEnergy",
        token[0],
        "transfer(address,uint256)",
        {},
        parameters,
        judge.faucet.address,
    )
    info = _send_token(judge, token, judge.faucet, to.address, 9)
    assert told["energy_required"] == info["receipt"]["energy_usage_total"]


def test_creation_costs_its_instructions_and_two_hundred_a_byte(judge: Judge) -> None:
    _, info = _deploy(judge, judge.funded(), _creation(_VAULT))
    # PUSH10 3, PUSH0 2, MSTORE 3 and 3 for a word of memory, PUSH1 twice 6: 17; 10 bytes of code.
    assert info["receipt"]["energy_usage_total"] == 17 + 10 * 200


def test_value_reaches_a_contract_and_its_sender_is_the_signer(judge: Judge) -> None:
    address, _ = _deploy(judge, judge.funded(), _creation(_VAULT))
    caller = judge.funded()
    info = _call(judge, caller, address, callValue=3 * TRX)
    assert int(info["contractResult"][0], 16) == 3 * TRX
    assert judge.balance(address) == 3 * TRX
    # CALLVALUE 2, CALLER 2, SSTORE 20,000, SELFBALANCE 5, PUSH0 2, MSTORE 6, PUSH1 3, PUSH0 2.
    assert info["receipt"]["energy_usage_total"] == 20_022
    assert info["receipt"]["energy_fee"] == 2_002_200
    assert judge.balance(caller.address) == 1_000 * TRX - 3 * TRX - info["fee"]
    again = _call(judge, caller, address, callValue=3 * TRX)
    assert again["receipt"]["energy_usage_total"] == 5_022
    assert judge.balance(address) == 6 * TRX


def test_two_calls_that_wait_together_see_each_others_effects(judge: Judge) -> None:
    address, _ = _deploy(judge, judge.funded(), _creation(_VAULT))
    caller = judge.funded()
    txids = []
    for amount in (3, 4):
        options = {"feeLimit": 100 * TRX, "callValue": amount}
        built = judge.ask(
            "builder", "triggerSmartContract", address, "run()", options, [], caller.address
        )
        answer = judge.send(built["transaction"], caller.key)
        assert answer.get("result") is True, refusal(answer)
        txids.append(answer["txid"])
    told = judge.ask(
        "builder", "triggerConstantContract", address, "run()", {}, [], judge.faucet.address
    )
    assert int(told["constant_result"][0], 16) == 7
    judge.node.mine()
    infos = [judge.info(txid) for txid in txids]
    assert [int(info["contractResult"][0], 16) for info in infos] == [3, 7]
    assert judge.balance(address) == 7


def test_a_contract_pays_trx_out_and_the_inner_transfer_is_listed(judge: Judge) -> None:
    address, _ = _deploy(judge, judge.funded(), _creation(_PAYER))
    caller, to = judge.funded(), judge.fresh()
    where = [{"type": "address", "value": to.address}]
    info = _call(judge, caller, address, "pay(address)", where, callValue=10)
    assert info["receipt"]["result"] == "SUCCESS"
    assert judge.balance(to.address) == 7
    assert judge.balance(address) == 3
    (inner,) = info["internal_transactions"]
    assert inner["transferTo_address"] == judge.ask("address", "toHex", to.address)
    assert inner["callValueInfo"] == [{"callValue": 7}]


def test_an_endless_loop_takes_the_whole_fee_limit_and_nothing_else(judge: Judge) -> None:
    address, _ = _deploy(judge, judge.funded(), _creation(_LOOP))
    caller = judge.funded()
    info = _call(judge, caller, address, feeLimit=30 * TRX, callValue=2 * TRX)
    assert info["receipt"]["result"] == "OUT_OF_ENERGY"
    assert info["receipt"]["energy_fee"] == 30 * TRX
    assert info["receipt"]["energy_usage_total"] == 300_000
    assert judge.balance(address) == 0
    assert judge.balance(caller.address) == 1_000 * TRX - info["fee"]


def test_a_fee_limit_too_small_for_a_token_transfer_burns_it_and_moves_nothing(
    judge: Judge, token: tuple[str, Any]
) -> None:
    holder, to = judge.funded(), judge.fresh()
    _send_token(judge, token, judge.faucet, holder.address, 50)
    parameters = [{"type": "address", "value": to.address}, {"type": "uint256", "value": 50}]
    info = _call(judge, holder, token[0], "transfer(address,uint256)", parameters, feeLimit=1 * TRX)
    assert info["receipt"]["result"] == "OUT_OF_ENERGY"
    assert info["receipt"]["energy_fee"] == 1 * TRX
    assert _holds(judge, token, holder.address) == 50
    assert _holds(judge, token, to.address) == 0


def test_an_invalid_instruction_takes_all_energy_and_a_revert_only_what_it_used(
    judge: Judge,
) -> None:
    caller = judge.funded()
    invalid, _ = _deploy(judge, caller, _creation(_INVALID))
    info = _call(judge, caller, invalid, feeLimit=1 * TRX)
    assert info["receipt"]["result"] == "ILLEGAL_OPERATION"
    assert info["receipt"]["energy_usage_total"] == 10_000
    reverts, _ = _deploy(judge, caller, _creation(_REVERTS))
    info = _call(judge, caller, reverts, feeLimit=1 * TRX)
    assert info["receipt"]["result"] == "REVERT"
    assert info["receipt"]["energy_usage_total"] == 4


def test_staked_energy_is_used_before_trx_is_burned(judge: Judge) -> None:
    address, _ = _deploy(judge, judge.funded(), _creation(_VAULT))
    caller = judge.funded(20_000 * TRX)
    built = judge.ask("builder", "freezeBalanceV2", 1_000 * TRX, "ENERGY", caller.address)
    assert judge.send(built, caller.key)["result"] is True
    judge.node.mine()
    staked = judge.ask("trx", "getAccountResources", caller.address)["EnergyLimit"]
    info = _call(judge, caller, address, callValue=1)
    assert info["receipt"]["energy_usage"] == staked
    assert info["receipt"]["energy_fee"] == (20_022 - staked) * 100
    assert judge.ask("trx", "getAccountResources", caller.address)["EnergyUsed"] == staked


def test_a_creator_with_stake_pays_its_part_of_the_energy(judge: Judge) -> None:
    creator, caller = judge.funded(20_000 * TRX), judge.funded()
    built = judge.ask("builder", "freezeBalanceV2", 9_000 * TRX, "ENERGY", creator.address)
    assert judge.send(built, creator.key)["result"] is True
    judge.node.mine()
    address, _ = _deploy(judge, creator, _creation(_VAULT), userFeePercentage=40)
    info = _call(judge, caller, address, callValue=1)
    assert info["receipt"]["origin_energy_usage"] == 20_022 * 60 // 100
    assert info["receipt"]["energy_fee"] == (20_022 - 20_022 * 60 // 100) * 100


def test_a_call_to_what_is_no_contract_is_refused(judge: Judge) -> None:
    answer = judge.node.call(
        "/wallet/triggersmartcontract",
        {
            "owner_address": judge.faucet.address,
            "contract_address": judge.fresh().address,
            "function_selector": "run()",
            "visible": True,
        },
    )
    assert isinstance(answer["result"], dict)
    assert answer["result"]["code"] == "CONTRACT_VALIDATE_ERROR"


def test_a_constant_call_changes_nothing(judge: Judge) -> None:
    address, _ = _deploy(judge, judge.funded(), _creation(_VAULT))
    answer = judge.ask(
        "builder", "triggerConstantContract", address, "run()", {}, [], judge.faucet.address
    )
    assert answer["energy_used"] == 5_022
    assert judge.balance(address) == 0
