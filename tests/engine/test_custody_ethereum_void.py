"""A void of a Safe's nonce, and what shows that an execution did its work, on anvil."""

from typing import Any

import pytest
from web3 import Web3
from web3.exceptions import ContractLogicError
from web3.logs import DISCARD

from infra.local.anvil import Anvil
from orion.chains.ethereum import creation, custody
from orion.chains.spend import CustodyAccount, Operation, Payment, Spend
from tests.engine.custody_ethereum_scene import (
    ETH,
    ETHER,
    USDT,
    Custodians,
    SafeScene,
    custodians,
    fresh_address,
)

THREE = (1, 3, 5)
# A contract that reverts when it gets coins, until a call with data has opened it.
# CALLDATASIZE, JUMPI open, SLOAD(0), JUMPI take, REVERT; open: SSTORE(0, 1), STOP; take: STOP.
GATE = bytes.fromhex("36600f5760005460165760006000fd5b6001600055005b00")
# PUSH size, DUP1, CODECOPY from 11, RETURN.
GATE_CREATION = bytes.fromhex("601880600b6000396000f3") + GATE


@pytest.fixture(scope="module")
def scene(anvil_node: Anvil) -> SafeScene:
    return SafeScene(anvil_node)


@pytest.fixture(scope="module")
def five() -> Custodians:
    return custodians("voids")


def gate(scene: SafeScene) -> str:
    """A new contract that takes nothing yet."""
    sent = scene.web3.eth.send_transaction(
        {"from": Web3.to_checksum_address(scene.node.faucet_address), "data": GATE_CREATION}
    )
    made = scene.web3.eth.wait_for_transaction_receipt(sent, timeout=10, poll_latency=0.01)
    address = str(made["contractAddress"])
    assert bytes(scene.web3.eth.get_code(Web3.to_checksum_address(address))) == GATE
    return address.lower()


def signed(
    scene: SafeScene, account: CustodyAccount, five: Custodians, unsigned: bytes
) -> tuple[Spend, bytes]:
    """What it does, and the call that executes it."""
    spend = custody.decode(unsigned, account, scene.contracts)
    call = custody.assemble(unsigned, account, five.sign(spend.messages, THREE))
    return spend, call


def payout(
    scene: SafeScene, account: CustodyAccount, five: Custodians, recipient: str, nonce: int
) -> tuple[Spend, bytes]:
    unsigned = custody.propose_payments(account, nonce, [Payment(ETH, recipient, 5)], {})
    return signed(scene, account, five, unsigned)


def void(
    scene: SafeScene, account: CustodyAccount, five: Custodians, nonce: int
) -> tuple[Spend, bytes]:
    return signed(scene, account, five, custody.propose_void(account, nonce))


def refused(scene: SafeScene, account: CustodyAccount, call: bytes, error: str) -> None:
    """The Safe refuses `call` with its own error, mined or asked."""
    before = scene.nonce(account), scene.wei(account.address)
    assert scene.send_anything(account.address, call)["status"] == 0
    with pytest.raises(ContractLogicError, match=error):
        scene.web3.eth.call({"to": Web3.to_checksum_address(account.address), "data": call})
    assert (scene.nonce(account), scene.wei(account.address)) == before


def succeeded(scene: SafeScene, account: CustodyAccount, receipt: Any) -> list[str]:
    """The safeTxHash of each ExecutionSuccess that the account's own Safe logged."""
    events = scene.contract(account).events.ExecutionSuccess()
    return [
        bytes(event["args"]["txHash"]).hex()
        for event in events.process_receipt(receipt, errors=DISCARD)
        if event["address"].lower() == account.address
    ]


def test_a_void_ends_a_payout_that_always_reverts(scene: SafeScene, five: Custodians) -> None:
    account = scene.account(five, ether=ETHER)
    closed, recipient = gate(scene), fresh_address()
    paid, call = payout(scene, account, five, closed, 0)
    refused(scene, account, call, "GS013")
    assert scene.nonce(account) == 0

    ended, void_call = void(scene, account, five, 0)
    assert (ended.operation, ended.claims) == (Operation.VOID, paid.claims)
    receipt = scene.execute(account.address, void_call, account)
    assert receipt["status"] == 1
    assert succeeded(scene, account, receipt) == [ended.version]
    assert (scene.nonce(account), scene.wei(account.address)) == (1, ETHER)
    received = scene.contract(account).events.SafeReceived().process_receipt(receipt, DISCARD)
    assert [(log["args"]["sender"].lower(), log["args"]["value"]) for log in received] == [
        (account.address, 0)
    ]

    following, next_call = payout(scene, account, five, recipient, 1)
    receipt = scene.execute(account.address, next_call, account)
    assert succeeded(scene, account, receipt) == [following.version]
    assert scene.wei(recipient) == 5

    # The contract would take the coins now, but the signatures are worth nothing.
    assert scene.send_anything(closed, b"\x01")["status"] == 1
    refused(scene, account, call, "GS026")
    refused(scene, account, void_call, "GS026")
    assert scene.wei(closed) == 0


def test_without_a_void_a_reverted_payout_is_paid_later(scene: SafeScene, five: Custodians) -> None:
    """The hazard: whoever kept the call data sends it again on the day that suits him."""
    account = scene.account(five, ether=ETHER)
    closed = gate(scene)
    _, call = payout(scene, account, five, closed, 0)
    refused(scene, account, call, "GS013")
    assert scene.send_anything(closed, b"\x01")["status"] == 1
    assert scene.send_anything(account.address, call)["status"] == 1
    assert scene.wei(closed) == 5


def test_of_a_void_and_a_payout_one_is_executed(scene: SafeScene, five: Custodians) -> None:
    account = scene.account(five, ether=ETHER)
    recipient = fresh_address()
    _, call = payout(scene, account, five, recipient, 0)
    _, void_call = void(scene, account, five, 0)
    assert scene.send_anything(account.address, call)["status"] == 1
    refused(scene, account, void_call, "GS026")
    assert (scene.nonce(account), scene.wei(recipient)) == (1, 5)


def test_a_void_of_another_nonce_excludes_nothing(scene: SafeScene, five: Custodians) -> None:
    account = scene.account(five, ether=ETHER)
    recipient = fresh_address()
    paid, call = payout(scene, account, five, recipient, 0)
    later, void_call = void(scene, account, five, 1)
    assert not set(paid.claims) & set(later.claims)
    refused(scene, account, void_call, "GS026")
    assert scene.send_anything(account.address, call)["status"] == 1
    assert scene.wei(recipient) == 5
    assert scene.send_anything(account.address, void_call)["status"] == 1


def test_two_custodians_void_nothing(scene: SafeScene, five: Custodians) -> None:
    account = scene.account(five)
    _, void_call = void(scene, account, five, 0)
    # The signatures are the last argument: 195 bytes, padded to whole words; one is repeated here.
    start = len(void_call) - 224
    twice = void_call[: start + 65] + void_call[start : start + 65] + void_call[start + 130 :]
    refused(scene, account, twice, "GS026")
    assert scene.send_anything(account.address, void_call)["status"] == 1


def test_where_no_safe_stands_an_execution_succeeds_and_pays_nothing(
    scene: SafeScene, five: Custodians
) -> None:
    """Why the status is no proof of a payout: an address without code answers every call."""
    account = five.account(900_000)
    recipient = fresh_address()
    scene.faucet.fund(account.address, ETHER)
    _, call = payout(scene, account, five, recipient, 0)
    receipt = scene.execute(account.address, call, account)
    assert receipt["status"] == 1
    assert scene.wei(recipient) == 0
    assert succeeded(scene, account, receipt) == []

    # Made later, the Safe executes the same call, and says so.
    made = scene.execute(creation.factory_address(), creation.creation_call(account), account)
    assert made["status"] == 1
    receipt = scene.execute(account.address, call, account)
    assert len(succeeded(scene, account, receipt)) == 1
    assert scene.wei(recipient) == 5


def test_a_payouts_success_is_logged_with_its_own_hash(scene: SafeScene, five: Custodians) -> None:
    """Two payouts of the same tokens to one recipient have equal Transfer logs."""
    account = scene.account(five, usdt=100)
    recipient = fresh_address()
    transfers = []
    for nonce in range(2):
        unsigned = custody.propose_payments(
            account, nonce, [Payment(USDT, recipient, 7)], scene.contracts
        )
        spend, call = signed(scene, account, five, unsigned)
        receipt = scene.execute(account.address, call, account)
        assert succeeded(scene, account, receipt) == [spend.version]
        token = scene.contracts[USDT].lower()
        transfers.append(
            [
                (log["topics"], log["data"])
                for log in receipt["logs"]
                if log["address"].lower() == token
            ]
        )
    assert len(transfers[0]) == 1
    assert transfers[0] == transfers[1]
