"""3 of 5 on Ethereum: the published Safe 1.4.1 on anvil decides which signatures count."""

from dataclasses import replace
from itertools import combinations

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from web3 import Web3
from web3.exceptions import ContractLogicError
from web3.logs import DISCARD

from infra.local.anvil import Anvil
from infra.local.contracts.safe import artifact
from infra.local.json_rpc import text
from orion.chains.ethereum import creation, custody
from orion.chains.ethereum.abi import uint_word
from orion.chains.ethereum.keccak import keccak256
from orion.chains.ethereum.safe_contracts import safe_contracts
from orion.chains.ethereum.safe_transaction import SafeTransaction, parse_safe_transaction
from orion.chains.spend import CustodyAccount, Operation, Payment, SignatureRefused
from tests.engine.custody_ethereum_scene import (
    ETH,
    ETHER,
    USDT,
    Custodians,
    SafeScene,
    address_of,
    custodians,
    fresh_address,
    key,
    rotated,
)

TRIPLES = tuple(combinations(range(1, 6), 3))
PAIRS = tuple(combinations(range(1, 6), 2))


@pytest.fixture(scope="module")
def scene(anvil_node: Anvil) -> SafeScene:
    return SafeScene(anvil_node)


@pytest.fixture(scope="module")
def five() -> Custodians:
    return custodians("hot")


@pytest.fixture(scope="module")
def safe(scene: SafeScene, five: Custodians) -> CustodyAccount:
    return scene.account(five, ether=100 * ETHER, usdt=1_000_000_000)


def paying(scene: SafeScene, safe: CustodyAccount, *payments: Payment) -> SafeTransaction:
    unsigned = custody.propose_payments(safe, scene.nonce(safe), payments, scene.contracts)
    return parse_safe_transaction(unsigned)


def by_hand(five: Custodians, digest: bytes, who: tuple[int, ...]) -> bytes:
    """Signatures in the order that the Safe wants, without the product's checks."""
    signed = {address_of(five.privates[each - 1]): each for each in who}
    ordered = [signed[owner] for owner in sorted(signed)]
    found = [five.privates[each - 1].sign_recoverable(digest, hasher=None) for each in ordered]
    return b"".join(each[:64] + bytes([27 + each[64]]) for each in found)


def refused(scene: SafeScene, safe: CustodyAccount, call: bytes, error: str) -> None:
    """The Safe refuses `call` with its own error, mined or asked, and nothing changes."""
    before = scene.nonce(safe), scene.wei(safe.address)
    assert scene.send_anything(safe.address, call)["status"] == 0
    with pytest.raises(ContractLogicError, match=error):
        scene.web3.eth.call({"to": Web3.to_checksum_address(safe.address), "data": call})
    assert (scene.nonce(safe), scene.wei(safe.address)) == before


def test_the_pinned_contracts_are_the_published_ones(scene: SafeScene) -> None:
    for address, code_hash in safe_contracts().code_hashes.items():
        code = scene.web3.eth.get_code(Web3.to_checksum_address(address))
        assert keccak256(bytes(code)) == code_hash
    proxy = artifact("proxies/SafeProxy.sol/SafeProxy.json")
    creation_code = bytes.fromhex(text(proxy["bytecode"])[2:])
    runtime = bytes.fromhex(text(proxy["deployedBytecode"])[2:])
    singleton = uint_word(int(safe_contracts().singleton, 16))
    assert keccak256(creation_code + singleton) == safe_contracts().proxy_init_code_hash
    assert keccak256(runtime) == safe_contracts().proxy_code_hash


def test_hash_and_call_are_those_of_web3_and_eth_account(
    scene: SafeScene, safe: CustodyAccount, five: Custodians
) -> None:
    wanted = (Payment(ETH, fresh_address(), 1), Payment(USDT, fresh_address(), 2))
    transaction = paying(scene, safe, *wanted)
    to, zero = Web3.to_checksum_address(transaction.to), "0x" + 40 * "0"
    values = (to, transaction.value, transaction.data, transaction.operation, 0, 0, 0, zero, zero)
    contract = scene.contract(safe)
    told = contract.functions.getTransactionHash(*values, transaction.nonce).call()
    assert transaction.digest == bytes(told)
    fields = [
        {"name": item["name"], "type": item["type"]}
        for item in contract.get_function_by_name("getTransactionHash").abi["inputs"]
    ]
    fields[-1]["name"] = "nonce"
    names = [field["name"] for field in fields]
    message = encode_typed_data(
        {"chainId": 31337, "verifyingContract": Web3.to_checksum_address(safe.address)},
        {"SafeTx": fields},
        dict(zip(names, (*values, transaction.nonce), strict=True)),
    )
    signed = Account.sign_message(message, five.privates[0].secret)
    assert bytes(signed.message_hash) == transaction.digest
    signatures = by_hand(five, transaction.digest, (1, 2, 3))
    assert bytes(signed.signature) in signatures
    encoded = contract.encode_abi("execTransaction", [*values, signatures])
    assert encoded == "0x" + transaction.execution(signatures).hex()


@pytest.mark.parametrize("who", TRIPLES, ids=str)
def test_any_three_custodians_pay(
    scene: SafeScene, safe: CustodyAccount, five: Custodians, who: tuple[int, ...]
) -> None:
    recipient = fresh_address()
    receipt = scene.pay(safe, five, who, Payment(ETH, recipient, 12_345))
    assert receipt["status"] == 1
    assert scene.wei(recipient) == 12_345


@pytest.mark.parametrize("who", PAIRS, ids=str)
def test_no_two_custodians_pay(
    scene: SafeScene, safe: CustodyAccount, five: Custodians, who: tuple[int, int]
) -> None:
    transaction = paying(scene, safe, Payment(ETH, fresh_address(), 12_345))
    two = five.sign((transaction.digest,), who)
    with pytest.raises(SignatureRefused):
        custody.assemble(transaction.encode(), safe, two)
    signatures = by_hand(five, transaction.digest, who)
    refused(scene, safe, transaction.execution(signatures), "GS020")
    # Nor does one of them count twice.
    refused(scene, safe, transaction.execution(signatures[:65] + signatures), "GS026")


def test_a_strangers_signature_does_not_count(
    scene: SafeScene, safe: CustodyAccount, five: Custodians
) -> None:
    transaction = paying(scene, safe, Payment(ETH, fresh_address(), 12_345))
    mixed = five.replaced({4: key("stranger")})
    with pytest.raises(SignatureRefused) as found:
        custody.assemble(transaction.encode(), safe, mixed.sign((transaction.digest,), (1, 2, 4)))
    assert found.value.fields["custodian"] == 4
    signatures = by_hand(mixed, transaction.digest, (1, 2, 4))
    refused(scene, safe, transaction.execution(signatures), "GS026")


@pytest.mark.parametrize("change", ["value", "to", "nonce", "chain_id", "safe", "data"])
def test_nothing_can_be_changed_after_signing(
    scene: SafeScene, safe: CustodyAccount, five: Custodians, change: str
) -> None:
    signed = paying(scene, safe, Payment(ETH, fresh_address(), 12_345))
    other: dict[str, SafeTransaction] = {
        "value": replace(signed, value=12_346),
        "to": replace(signed, to=fresh_address()),
        "nonce": replace(signed, nonce=signed.nonce + 1),
        "chain_id": replace(signed, chain_id=1),
        "safe": replace(signed, safe=fresh_address()),
        "data": replace(signed, data=b"\x01"),
    }
    # What the Safe executes here has its own nonce, chain id and address in the hash.
    executed = signed if change in ("nonce", "chain_id", "safe") else other[change]
    signing = other[change] if change in ("nonce", "chain_id", "safe") else signed
    assert other[change].digest != signed.digest
    signatures = by_hand(five, signing.digest, (1, 2, 3))
    refused(scene, safe, executed.execution(signatures), "GS026")
    with pytest.raises(SignatureRefused):
        custody.assemble(executed.encode(), safe, five.sign((signing.digest,), (1, 2, 3)))


def test_an_execution_works_once(scene: SafeScene, safe: CustodyAccount, five: Custodians) -> None:
    transaction = paying(scene, safe, Payment(ETH, fresh_address(), 12_345))
    call = transaction.execution(by_hand(five, transaction.digest, (1, 3, 5)))
    assert scene.send_anything(safe.address, call)["status"] == 1
    refused(scene, safe, call, "GS026")


def test_a_failed_execution_leaves_the_nonce_and_can_be_sent_again(
    scene: SafeScene, five: Custodians
) -> None:
    poor = scene.account(five, ether=1_000)
    recipient = fresh_address()
    transaction = paying(scene, poor, Payment(ETH, recipient, 5_000))
    call = transaction.execution(by_hand(five, transaction.digest, (2, 3, 4)))
    refused(scene, poor, call, "GS013")
    scene.faucet.fund(poor.address, 4_000)
    assert scene.send_anything(poor.address, call)["status"] == 1
    assert scene.wei(recipient) == 5_000


def test_tokens_are_paid(scene: SafeScene, safe: CustodyAccount, five: Custodians) -> None:
    recipient, before = fresh_address(), scene.usdt(safe.address)
    receipt = scene.pay(safe, five, (1, 4, 5), Payment(USDT, recipient, 25_000_000))
    assert receipt["status"] == 1
    assert scene.usdt(recipient) == 25_000_000
    assert scene.usdt(safe.address) == before - 25_000_000


def test_a_batch_pays_everybody_or_nobody(
    scene: SafeScene, safe: CustodyAccount, five: Custodians
) -> None:
    one, two, three = fresh_address(), fresh_address(), fresh_address()
    wanted = (Payment(ETH, one, 11), Payment(USDT, two, 22), Payment(ETH, three, 33))
    too_much = paying(scene, safe, *wanted, Payment(USDT, fresh_address(), 10**15))
    signatures = by_hand(five, too_much.digest, (1, 2, 3))
    refused(scene, safe, too_much.execution(signatures), "GS013")
    assert scene.pay(safe, five, (1, 2, 3), *wanted)["status"] == 1
    assert (scene.wei(one), scene.usdt(two), scene.wei(three)) == (11, 22, 33)
    fifty = [Payment(USDT, fresh_address(), number) for number in range(1, 51)]
    receipt = scene.pay(safe, five, (3, 4, 5), *fifty)
    assert receipt["status"] == 1
    assert all(scene.usdt(payment.recipient) == payment.units for payment in fifty)


@pytest.mark.parametrize("custodian", range(1, 6))
def test_a_replaced_key_stops_counting_and_the_new_one_counts(
    scene: SafeScene, five: Custodians, custodian: int
) -> None:
    account = scene.account(five, ether=ETHER)
    after = five.replaced({custodian: key(f"new {custodian}")})
    others = [each for each in range(1, 6) if each != custodian]
    unsigned = custody.propose_rotation(account, 0, after.keys)
    spend = custody.decode(unsigned, account, scene.contracts)
    assert (spend.operation, spend.payments) == (Operation.ROTATE, ())
    assert spend.owners_after == custody.owner_addresses(after.keys)
    assert scene.carry(account, five, others[:3], unsigned)["status"] == 1

    moved = rotated(account, after)
    assert moved.address == account.address
    creation.check_found(moved, scene.found(moved))
    with pytest.raises(creation.SafeMismatch):
        creation.check_found(account, scene.found(account))

    transaction = paying(scene, moved, Payment(ETH, fresh_address(), 5))
    who = (custodian, *others[:2])
    refused(scene, moved, transaction.execution(by_hand(five, transaction.digest, who)), "GS026")
    assert scene.pay(moved, after, who, Payment(ETH, fresh_address(), 5))["status"] == 1


def test_keys_are_replaced_again_and_several_at_once(scene: SafeScene, five: Custodians) -> None:
    account = scene.account(five, ether=ETHER)
    second = five.replaced({2: key("second 2")})
    third = second.replaced({each: key(f"third {each}") for each in (1, 2, 5)})
    unsigned = custody.propose_rotation(account, 0, second.keys)
    assert scene.carry(account, five, (1, 2, 3), unsigned)["status"] == 1
    held = rotated(account, second)
    unsigned = custody.propose_rotation(held, 1, third.keys)
    spend = custody.decode(unsigned, held, scene.contracts)
    assert spend.owners_after == custody.owner_addresses(third.keys)
    assert scene.carry(held, second, (2, 3, 4), unsigned)["status"] == 1
    last = rotated(held, third)
    creation.check_found(last, scene.found(last))
    assert last.address == account.address
    assert scene.pay(last, third, (1, 2, 5), Payment(ETH, fresh_address(), 5))["status"] == 1


def test_the_safe_lists_its_execution_for_an_auditor_without_traces(
    scene: SafeScene, safe: CustodyAccount, five: Custodians
) -> None:
    recipient = fresh_address()
    receipt = scene.pay(safe, five, (1, 2, 3), Payment(ETH, recipient, 77))
    events = scene.contract(safe).events
    (event,) = events.SafeMultiSigTransaction().process_receipt(receipt, errors=DISCARD)
    assert event["args"]["to"].lower() == recipient
    assert event["args"]["value"] == 77


def test_owners_sign_in_the_order_of_their_addresses(
    scene: SafeScene, safe: CustodyAccount, five: Custodians
) -> None:
    transaction = paying(scene, safe, Payment(ETH, fresh_address(), 12_345))
    ordered = by_hand(five, transaction.digest, (1, 2, 3))
    parts = [ordered[at : at + 65] for at in range(0, 195, 65)]
    refused(scene, safe, transaction.execution(b"".join(reversed(parts))), "GS026")
