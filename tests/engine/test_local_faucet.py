"""The faucets of the local chains pay what they are asked, and chains can be reorganised."""

import json

import pytest
from eth_typing import HexStr
from web3 import Web3

from infra.local.anvil import Anvil
from infra.local.btcd import Btcd
from infra.local.contracts.compile import ARTIFACT, compile_token
from infra.local.faucet import BitcoinFaucet, EthereumFaucet, token, usdt_address

pytestmark = pytest.mark.engine

# BIP-173, "Test vectors", as a regtest address of the same program; nobody's key.
_SOMEBODY = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
_ANYBODY = "0x1111111111111111111111111111111111111111"


@pytest.fixture
def bitcoin(btcd_node: Btcd) -> BitcoinFaucet:
    faucet = BitcoinFaucet(btcd_node)
    faucet.prepare()
    return faucet


@pytest.fixture
def ethereum(anvil_node: Anvil) -> EthereumFaucet:
    return EthereumFaucet(anvil_node)


def _transactions(faucet: BitcoinFaucet, block_hash: str) -> list[str]:
    block = faucet.call("getblock", block_hash, 1)
    assert isinstance(block, dict)
    return list(block["tx"])


def test_payments_from_the_bitcoin_faucet_are_accepted_one_after_another_and_mined(
    bitcoin: BitcoinFaucet,
) -> None:
    funded = [bitcoin.fund(_SOMEBODY, 12_345 + index) for index in range(3)]
    (block_hash,) = bitcoin.mine()
    assert {each.txid for each in funded} <= set(_transactions(bitcoin, block_hash))


def test_the_bitcoin_faucet_gathers_coins_for_a_payment_that_one_does_not_cover(
    bitcoin: BitcoinFaucet,
) -> None:
    funded = bitcoin.fund(_SOMEBODY, 130 * 10**8)
    (block_hash,) = bitcoin.mine()
    assert funded.txid in _transactions(bitcoin, block_hash)


def test_an_invalidated_block_leaves_the_chain_and_its_payment_can_be_mined_again(
    bitcoin: BitcoinFaucet,
) -> None:
    funded = bitcoin.fund(_SOMEBODY, 50_000)
    height, _ = bitcoin.tip()
    (lost,) = bitcoin.mine()
    bitcoin.invalidate(lost)
    assert bitcoin.tip()[0] == height
    assert funded.txid in _transactions(bitcoin, bitcoin.mine(2)[0])
    assert bitcoin.tip()[0] == height + 2


def test_the_ethereum_faucet_pays_and_a_reorganisation_replaces_blocks(
    ethereum: EthereumFaucet, anvil_node: Anvil
) -> None:
    chain = Web3(Web3.HTTPProvider(anvil_node.http_url))
    recipient = Web3.to_checksum_address(_ANYBODY)
    before = chain.eth.get_balance(recipient)
    sent = ethereum.fund(recipient, 7)
    chain.eth.wait_for_transaction_receipt(HexStr(sent), timeout=10, poll_latency=0.01)
    assert chain.eth.get_balance(recipient) == before + 7
    head = chain.eth.get_block("latest")
    ethereum.reorg(1)
    after = chain.eth.get_block("latest")
    assert after["number"] == head["number"]
    assert after["hash"] != head["hash"]
    assert chain.eth.get_balance(recipient) == before


def test_the_local_usdt_has_six_decimals_and_returns_nothing_from_a_transfer(
    ethereum: EthereumFaucet, anvil_node: Anvil
) -> None:
    chain = Web3(Web3.HTTPProvider(anvil_node.http_url))
    address = Web3.to_checksum_address(ethereum.deploy_usdt())
    assert address == usdt_address()
    assert ethereum.deploy_usdt() == address, "it is deployed once"
    contract = chain.eth.contract(address=address, abi=token()["abi"])
    holder = Web3.to_checksum_address(anvil_node.faucet_address)
    recipient = Web3.to_checksum_address(_ANYBODY)
    ethereum.mint(holder, 5_000_000)
    before = contract.functions.balanceOf(recipient).call()
    sent = contract.functions.transfer(recipient, 1_250_000).transact({"from": holder})
    receipt = chain.eth.wait_for_transaction_receipt(sent)
    assert contract.functions.decimals().call() == 6
    assert contract.functions.balanceOf(recipient).call() == before + 1_250_000
    data = contract.encode_abi("transfer", [recipient, 1])
    assert chain.eth.call({"from": holder, "to": address, "data": data}) == b""
    (log,) = contract.events.Transfer().process_receipt(receipt)
    assert log["args"]["value"] == 1_250_000


def test_the_tokens_artifact_is_what_its_source_compiles_to() -> None:
    assert json.loads(ARTIFACT.read_text()) == compile_token()


def test_a_chain_survives_the_restart_of_its_node(
    ethereum: EthereumFaucet, bitcoin: BitcoinFaucet, anvil_node: Anvil, btcd_node: Btcd
) -> None:
    address = ethereum.deploy_usdt()
    heads = (ethereum.call("eth_blockNumber"), bitcoin.tip())
    for node in (anvil_node, btcd_node):
        node.stop()
        node.start()
    assert (ethereum.call("eth_blockNumber"), bitcoin.tip()) == heads
    assert ethereum.call("eth_getCode", address, "latest") != "0x"
