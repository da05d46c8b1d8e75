"""tronweb 6 builds, signs and sends; the engine takes what Tron's rules allow, and nothing else."""

import copy
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import pytest

from infra.local.stack import Stack
from infra.local.tron_node import TronNode
from tests.engine.tron_scene import (
    TRX,
    Judge,
    Keyed,
    group_permissions,
    judging,
    refusal,
)

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def tron(stack_folders: Path) -> Iterator[TronNode]:
    """A node of its own: the clock that runs ahead here would make others' payments expire."""
    own = Stack(stack_folders / "tron-accounts")
    own.start("tron")
    yield own.tron
    own.down()


@pytest.fixture(scope="module")
def judge(tron: TronNode) -> Iterator[Judge]:
    with judging(tron) as found:
        yield found


@pytest.fixture(scope="module")
def group(judge: Judge) -> tuple[Keyed, list[Keyed]]:
    """An account that only 3 of 5 keys rule, as owner and as active."""
    account = judge.funded(1_000 * TRX)
    keys = [judge.fresh() for _ in range(5)]
    owner, active = group_permissions(keys, 3)
    built = judge.ask("builder", "updateAccountPermissions", account.address, owner, None, [active])
    answer = judge.send(built, account.key)
    assert answer.get("result") is True, refusal(answer)
    judge.node.mine()
    return account, keys


def test_the_faucet_pays_and_both_balances_follow(judge: Judge) -> None:
    to = judge.funded(5 * TRX)
    before = judge.balance(judge.faucet.address)
    answer = judge.pay(judge.faucet, to.address, 2 * TRX)
    judge.node.mine()
    info = judge.info(answer["txid"])
    assert judge.balance(to.address) == 7 * TRX
    assert judge.balance(judge.faucet.address) == before - 2 * TRX - info.get("fee", 0)


def test_a_transaction_waits_outside_blocks_until_one_is_made(judge: Judge) -> None:
    to = judge.funded()
    answer = judge.pay(judge.faucet, to.address, 1)
    assert judge.info(answer["txid"]) == {}
    height = judge.node.mine()
    assert judge.info(answer["txid"])["blockNumber"] == height


def test_an_activation_burns_one_trx_and_a_tenth_for_bandwidth(judge: Judge) -> None:
    sender, fresh = judge.funded(), judge.fresh()
    answer = judge.pay(sender, fresh.address, 10 * TRX)
    judge.node.mine()
    info = judge.info(answer["txid"])
    assert info["fee"] == 1_100_000
    assert info["receipt"] == {"net_fee": 100_000}
    assert judge.balance(sender.address) == 1_000 * TRX - 10 * TRX - 1_100_000


def test_two_spends_of_one_balance_do_not_both_pass_before_a_block(judge: Judge) -> None:
    sender, to = judge.funded(10 * TRX), judge.funded()
    first = judge.pay(sender, to.address, 9 * TRX)
    second = judge.pay(sender, to.address, 8 * TRX)
    assert first["result"] is True
    assert refusal(second).startswith("CONTRACT_VALIDATE_ERROR")


def _permissions(one: Keyed, two: Keyed) -> list[object]:
    owner, active = group_permissions([one, two], 2)
    return [one.address, owner, None, [active]]


def _creation(one: Keyed, _two: Keyed) -> list[object]:
    wanted = {
        "abi": [],
        "bytecode": "6001600055",
        "name": "C",
        "feeLimit": TRX,
        "userFeePercentage": 30,
        "originEnergyLimit": 7,
    }
    return [wanted, one.address]


def _call(one: Keyed, two: Keyed) -> list[object]:
    parameters = [
        {"type": "address", "value": two.address},
        {"type": "uint256", "value": 12},
    ]
    options = {"txLocal": True, "feeLimit": 3 * TRX}
    return [two.address, "transfer(address,uint256)", options, parameters, one.address]


_BUILDERS: dict[str, Callable[[Keyed, Keyed], list[object]]] = {
    "sendTrx": lambda one, two: [two.address, 5, one.address, {"permissionId": 2}],
    "freezeBalanceV2": lambda one, two: [2 * TRX, "ENERGY", one.address],
    "unfreezeBalanceV2": lambda one, two: [TRX, "BANDWIDTH", one.address],
    "withdrawExpireUnfreeze": lambda one, two: [one.address],
    "delegateResource": lambda one, two: [TRX, two.address, "ENERGY", one.address],
    "undelegateResource": lambda one, two: [TRX, two.address, "ENERGY", one.address],
    "createAccount": lambda one, two: [two.address, one.address],
    "updateAccountPermissions": _permissions,
    "createSmartContract": _creation,
    "triggerSmartContract": _call,
}


@pytest.mark.parametrize("method", _BUILDERS)
def test_the_engine_reads_tronwebs_bytes_to_the_same_id(judge: Judge, method: str) -> None:
    built = judge.ask("builder", method, *_BUILDERS[method](judge.fresh(), judge.fresh()))
    transaction = built.get("transaction", built)
    answer = judge.node.call("/wallet/getsignweight", transaction)
    read = answer["transaction"]
    assert isinstance(read, dict)
    assert read["txid"] == transaction["txID"]
    assert read["transaction"]["raw_data_hex"] == transaction["raw_data_hex"]


def test_tronweb_reads_the_engines_transaction_to_the_same_id(judge: Judge) -> None:
    to = judge.fresh()
    for visible in (False, True):
        made = judge.node.call(
            "/wallet/createtransaction",
            {
                "owner_address": _shown(judge, judge.faucet.address, visible=visible),
                "to_address": _shown(judge, to.address, visible=visible),
                "amount": 7,
                "visible": visible,
            },
        )
        assert judge.ask("again", "id", made).removeprefix("0x") == made["txID"]
        assert judge.ask("again", "raw", made).lower() == made["raw_data_hex"]


def _shown(judge: Judge, address: str, *, visible: bool) -> str:
    return address if visible else str(judge.ask("address", "toHex", address))


def test_a_transaction_taken_once_is_refused_before_and_after_its_block(judge: Judge) -> None:
    to = judge.funded()
    built = judge.ask("builder", "sendTrx", to.address, 3, judge.faucet.address)
    assert judge.send(built, judge.faucet.key)["result"] is True
    assert refusal(judge.send(built, judge.faucet.key)).startswith("DUP_TRANSACTION_ERROR")
    judge.node.mine()
    assert refusal(judge.send(built, judge.faucet.key)).startswith("DUP_TRANSACTION_ERROR")


def test_a_transaction_past_its_expiry_is_refused(judge: Judge) -> None:
    to = judge.funded()
    built = judge.ask("builder", "sendTrx", to.address, 3, judge.faucet.address)
    judge.node.call("/admin/clock?ahead_ms=61000")
    judge.node.mine()
    answer = judge.send(built, judge.faucet.key)
    assert refusal(answer) == "TRANSACTION_EXPIRATION_ERROR: Transaction expired"


def test_an_expiry_beyond_a_day_is_refused(judge: Judge) -> None:
    to = judge.funded()
    built = judge.ask("builder", "sendTrx", to.address, 3, judge.faucet.address)
    longer = judge.ask("builder", "extendExpiration", built, 86_400)
    answer = judge.send(longer, judge.faucet.key)
    assert refusal(answer).startswith("TRANSACTION_EXPIRATION_ERROR")


def test_a_reference_to_a_block_of_another_chain_is_refused(judge: Judge) -> None:
    to = judge.funded()
    header = judge.ask("trx", "getCurrentRefBlockParams")
    wrong = {"blockHeader": {**header, "ref_block_hash": "00" * 8}}
    built = judge.ask("builder", "sendTrx", to.address, 3, judge.faucet.address, wrong)
    assert refusal(judge.send(built, judge.faucet.key)) == "TAPOS_ERROR: Tapos check error."


def test_a_strangers_signature_is_refused_by_name(judge: Judge) -> None:
    owner, stranger = judge.funded(), judge.fresh()
    built = judge.ask("builder", "sendTrx", judge.faucet.address, 3, owner.address)
    # tronweb's sign() insists on the owner's key; multiSign() leaves the judgment to the node.
    signed = judge.ask("trx", "sign", built, owner.key, key=owner.key)
    foreign = judge.ask("builder", "sendTrx", judge.faucet.address, 3, stranger.address)
    other = judge.ask("trx", "sign", foreign, stranger.key, key=stranger.key)
    mixed = {**signed, "signature": other["signature"]}
    answer = judge.node.call("/wallet/broadcasttransaction", mixed)
    assert "is not contained of permission" in refusal(answer)
    assert answer["code"] == "SIGERROR"
    assert "result" not in answer


def test_a_changed_amount_or_recipient_after_signing_is_refused(judge: Judge) -> None:
    owner, to, thief = judge.funded(), judge.funded(), judge.fresh()
    built = judge.ask("builder", "sendTrx", to.address, 3, owner.address)
    signed = judge.ask("trx", "sign", built, owner.key, key=owner.key)
    for field, value in (
        ("amount", 4),
        ("to_address", judge.ask("address", "toHex", thief.address)),
    ):
        changed = _with_value(signed, field, value)
        answer = judge.node.call("/wallet/broadcasttransaction", changed)
        assert answer["code"] == "SIGERROR"


def _with_value(transaction: dict[str, object], field: str, value: object) -> dict[str, object]:
    changed = copy.deepcopy(transaction)
    raw = changed["raw_data"]
    assert isinstance(raw, dict)
    raw["contract"][0]["parameter"]["value"][field] = value
    return changed


def test_three_of_five_pay_and_two_do_not(judge: Judge, group: tuple[Keyed, list[Keyed]]) -> None:
    account, keys = group
    to = judge.funded()
    before = judge.balance(account.address)
    built = judge.ask(
        "builder", "sendTrx", to.address, 4 * TRX, account.address, {"permissionId": 2}
    )
    two = judge.send(built, keys[0].key, keys[3].key, permission=2)
    assert refusal(two) == "SIGERROR: Validate signature error: sig error"
    three = judge.send(built, keys[0].key, keys[3].key, keys[4].key, permission=2)
    assert three.get("result") is True, refusal(three)
    judge.node.mine()
    info = judge.info(three["txid"])
    # More than one signature costs 1 TRX.
    assert info["fee"] == 1_000_000 + info["receipt"].get("net_fee", 0)
    assert judge.balance(account.address) == before - 4 * TRX - info["fee"]


def test_all_ten_threes_of_five_pay_and_none_of_the_ten_twos_does(
    judge: Judge, group: tuple[Keyed, list[Keyed]]
) -> None:
    account, keys = group
    to = judge.funded()
    for amount, chosen in enumerate((*combinations(keys, 3), *combinations(keys, 2)), start=1):
        built = judge.ask(
            "builder", "sendTrx", to.address, amount, account.address, {"permissionId": 2}
        )
        answer = judge.send(built, *(one.key for one in chosen), permission=2)
        if len(chosen) == 3:
            assert answer.get("result") is True, refusal(answer)
        else:
            assert refusal(answer) == "SIGERROR: Validate signature error: sig error"
    judge.node.mine()
    assert judge.balance(to.address) == 1_000 * TRX + sum(range(1, 11))


def test_three_of_five_pay_as_owner_too(judge: Judge, group: tuple[Keyed, list[Keyed]]) -> None:
    account, keys = group
    to = judge.funded()
    built = judge.ask("builder", "sendTrx", to.address, 5, account.address)
    answer = judge.send(built, *(one.key for one in keys[1:4]))
    assert answer.get("result") is True, refusal(answer)


def test_the_key_that_named_the_address_ends_powerless(
    judge: Judge, group: tuple[Keyed, list[Keyed]]
) -> None:
    account, keys = group
    assert account.address not in {one.address for one in keys}
    built = judge.ask("builder", "sendTrx", judge.faucet.address, 5, account.address)
    assert refusal(judge.send(built, account.key)).startswith("SIGERROR")


def test_one_key_that_signs_thrice_counts_once_and_is_refused(
    judge: Judge, group: tuple[Keyed, list[Keyed]]
) -> None:
    account, keys = group
    built = judge.ask("builder", "sendTrx", judge.faucet.address, 5, account.address)
    signed = judge.ask("trx", "multiSign", built, keys[0].key, 0, key=keys[0].key)
    thrice = {**signed, "signature": signed["signature"] * 3}
    answer = judge.node.call("/wallet/broadcasttransaction", thrice)
    assert refusal(answer).endswith("has signed twice!")


def test_an_active_permission_without_the_operation_is_denied(
    judge: Judge, group: tuple[Keyed, list[Keyed]]
) -> None:
    account, keys = group
    owner, active = group_permissions(keys, 1)
    built = judge.ask(
        "builder",
        "updateAccountPermissions",
        account.address,
        owner,
        None,
        [active],
        {"permissionId": 2},
    )
    answer = judge.node.call("/wallet/getsignweight", built)
    assert answer["result"] == {"code": "PERMISSION_ERROR", "message": "Permission denied"}


def test_the_weight_of_signatures_is_told_before_they_suffice(
    judge: Judge, group: tuple[Keyed, list[Keyed]]
) -> None:
    account, keys = group
    built = judge.ask("builder", "sendTrx", judge.faucet.address, 5, account.address)
    signed = judge.ask("trx", "multiSign", built, keys[0].key, 0, key=keys[0].key)
    told = judge.ask("trx", "getSignWeight", signed)
    assert told["current_weight"] == 1
    assert told["result"] == {"code": "NOT_ENOUGH_PERMISSION"}
    listed = judge.ask("trx", "getApprovedList", signed)
    assert listed["approved_list"] == [judge.ask("address", "toHex", keys[0].address)]


def test_a_permission_update_costs_a_hundred_trx(judge: Judge) -> None:
    account = judge.funded(101 * TRX)
    owner, active = group_permissions([account], 1)
    built = judge.ask("builder", "updateAccountPermissions", account.address, owner, None, [active])
    answer = judge.send(built, account.key)
    judge.node.mine()
    info = judge.info(answer["txid"])
    assert info["fee"] == 100 * TRX
    assert judge.balance(account.address) == 1 * TRX


def test_who_cannot_pay_a_permission_update_keeps_the_old_permissions(judge: Judge) -> None:
    account = judge.funded(99 * TRX)
    owner, active = group_permissions([account, judge.fresh()], 2)
    built = judge.ask("builder", "updateAccountPermissions", account.address, owner, None, [active])
    assert refusal(judge.send(built, account.key)).startswith("CONTRACT_EXE_ERROR")
    judge.node.mine()
    assert judge.pay(account, judge.faucet.address, 1)["result"] is True


def test_an_unreachable_threshold_is_refused(judge: Judge) -> None:
    account = judge.funded()
    owner, active = group_permissions([account, judge.fresh()], 3)
    built = judge.ask("builder", "updateAccountPermissions", account.address, owner, None, [active])
    assert "sum of all key's weight should not be less than threshold" in refusal(
        judge.send(built, account.key)
    )
