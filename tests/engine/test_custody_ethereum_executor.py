"""Executors and sweeps on anvil: single keys, judged by the node and by eth_account."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from coincurve import PrivateKey
from eth_account import Account
from web3 import Web3
from web3.exceptions import Web3RPCError

from infra.local.anvil import Anvil
from orion.chains.ethereum import custody
from orion.chains.ethereum.executor import assemble_execution, decode_execution
from orion.chains.ethereum.sweep import assemble_sweep, decode_sweep
from orion.chains.ethereum.token import transfer_call
from orion.chains.ethereum.transaction import FeeMarketTransaction
from orion.chains.spend import CustodyAccount, Payment, SignatureRefused
from tests.engine.custody_ethereum_scene import (
    ETH,
    ETHER,
    GWEI,
    USDT,
    Custodians,
    SafeScene,
    address_of,
    custodians,
    fresh_address,
    key,
)


@pytest.fixture(scope="module")
def scene(anvil_node: Anvil) -> SafeScene:
    return SafeScene(anvil_node)


@pytest.fixture(scope="module")
def five() -> Custodians:
    return custodians("executed")


@pytest.fixture(scope="module")
def safe(scene: SafeScene, five: Custodians) -> CustodyAccount:
    return scene.account(five, ether=10 * ETHER, usdt=1_000_000_000)


@pytest.fixture
def waiting(scene: SafeScene) -> Iterator[None]:
    """Transactions wait in the pool until a block is asked for."""
    scene.node.rpc.call("evm_setAutomine", False)
    yield
    scene.node.rpc.call("evm_setAutomine", True)


def signed_payment(
    scene: SafeScene, safe: CustodyAccount, five: Custodians, recipient: str, units: int
) -> bytes:
    payment = Payment(ETH, recipient, units)
    unsigned = custody.propose_payments(safe, scene.nonce(safe), [payment], scene.contracts)
    spend = custody.decode(unsigned, safe, scene.contracts)
    return custody.assemble(unsigned, safe, five.sign(spend.messages, (1, 2, 3)))


def signed(scene: SafeScene, transaction: FeeMarketTransaction, safe: CustodyAccount) -> bytes:
    unsigned = transaction.encode()
    execution = decode_execution(unsigned, {safe.address})
    return assemble_execution(
        unsigned, scene.executor.sign_recoverable(execution.digest, hasher=None)
    )


def as_eth_account(transaction: FeeMarketTransaction, private: PrivateKey) -> bytes:
    """What eth_account makes of the same fields and key: both sign by RFC 6979."""
    fields = {
        "type": 2,
        "chainId": transaction.chain_id,
        "nonce": transaction.nonce,
        "maxPriorityFeePerGas": transaction.max_priority_fee_wei,
        "maxFeePerGas": transaction.max_fee_wei,
        "gas": transaction.gas_limit,
        "to": Web3.to_checksum_address(transaction.to),
        "value": transaction.value_wei,
        "data": transaction.data,
    }
    done = Account.sign_transaction(cast(Any, fields), private.secret)
    return bytes(done.raw_transaction)


def test_an_execution_is_what_eth_account_would_sign(
    scene: SafeScene, safe: CustodyAccount, five: Custodians
) -> None:
    call = signed_payment(scene, safe, five, fresh_address(), 9)
    transaction = scene.execution(safe.address, call)
    raw = signed(scene, transaction, safe)
    assert raw == as_eth_account(transaction, scene.executor)
    assert Account.recover_transaction("0x" + raw.hex()).lower() == address_of(scene.executor)
    assert scene.send(raw)["status"] == 1


def test_a_fee_bump_replaces_the_transaction_and_keeps_its_body(
    scene: SafeScene, safe: CustodyAccount, five: Custodians, waiting: None
) -> None:
    recipient = fresh_address()
    call = signed_payment(scene, safe, five, recipient, 4_321)
    first = scene.execution(safe.address, call, fee_gwei=30)
    second = replace(first, max_fee_wei=60 * GWEI, max_priority_fee_wei=3 * GWEI)
    one = decode_execution(first.encode(), {safe.address})
    two = decode_execution(second.encode(), {safe.address})
    assert one.body_digest == two.body_digest
    assert one.version != two.version
    assert two.fee_max_units == 2 * one.fee_max_units
    hashes = [
        scene.web3.eth.send_raw_transaction(signed(scene, each, safe)) for each in (first, second)
    ]
    scene.faucet.mine()
    assert scene.web3.eth.get_transaction_receipt(hashes[1])["status"] == 1
    assert scene.wei(recipient) == 4_321
    sender = Web3.to_checksum_address(address_of(scene.executor))
    assert scene.web3.eth.get_transaction_count(sender) == first.nonce + 1


def test_an_execution_costs_the_executor_and_not_the_safe(
    scene: SafeScene, safe: CustodyAccount, five: Custodians
) -> None:
    ours, executor = scene.wei(safe.address), scene.wei(address_of(scene.executor))
    call = signed_payment(scene, safe, five, fresh_address(), 5)
    transaction = scene.execution(safe.address, call)
    receipt = scene.send(signed(scene, transaction, safe))
    assert scene.wei(safe.address) == ours - 5
    cost = executor - scene.wei(address_of(scene.executor))
    assert cost == receipt["gasUsed"] * receipt["effectiveGasPrice"]
    assert cost <= decode_execution(transaction.encode(), {safe.address}).fee_max_units


def test_a_transaction_of_another_network_is_refused_by_the_node(
    scene: SafeScene, safe: CustodyAccount, five: Custodians
) -> None:
    call = signed_payment(scene, safe, five, fresh_address(), 5)
    foreign = replace(scene.execution(safe.address, call), chain_id=1)
    assert decode_execution(foreign.encode(), {safe.address}).chain_id == 1
    with pytest.raises(Web3RPCError):
        scene.send(signed(scene, foreign, safe))


@pytest.mark.parametrize("asset", [ETH, USDT])
def test_a_wallet_is_swept_into_the_safe(
    scene: SafeScene, safe: CustodyAccount, asset: str
) -> None:
    wallet = key(f"wallet {asset}")
    sender, owners = address_of(wallet), (wallet.public_key.format(),)
    scene.faucet.fund(sender, ETHER)
    scene.faucet.mint(sender, 7_000_000)
    # A Safe is a contract that logs what it receives: 21,000 would not do.
    gas, fee = (40_000, 30 * GWEI) if asset == ETH else (100_000, 30 * GWEI)
    units = ETHER - gas * fee if asset == ETH else 7_000_000
    to = safe.address if asset == ETH else scene.contracts[USDT].lower()
    data = b"" if asset == ETH else transfer_call(safe.address, units)
    value = units if asset == ETH else 0
    transaction = FeeMarketTransaction(31_337, 0, GWEI, fee, gas, to, value, data)
    unsigned = transaction.encode()
    spend = decode_sweep(unsigned, owners, "31337", scene.contracts)
    assert spend.payments == (Payment(asset, safe.address, units),)
    assert spend.claims == (f"{sender}:0",)
    signature = wallet.sign_recoverable(spend.messages[0], hasher=None)
    raw = assemble_sweep(unsigned, owners, "31337", (signature,))
    assert raw == as_eth_account(transaction, wallet)
    held = (scene.wei, scene.usdt)[asset == USDT]
    before = held(safe.address)
    receipt = scene.send(raw)
    assert receipt["status"] == 1
    assert held(safe.address) == before + units
    assert receipt["gasUsed"] * receipt["effectiveGasPrice"] <= spend.fee_max_units
    with pytest.raises(SignatureRefused):
        assemble_sweep(unsigned, (key("other").public_key.format(),), "31337", (signature,))
