"""What executors and wallets' own keys sign, and everything that they refuse."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from coincurve import PrivateKey
from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction

from orion.chains.errors import UnknownNetwork
from orion.chains.ethereum import creation, custody
from orion.chains.ethereum.address import checksum_address
from orion.chains.ethereum.executor import GAS_MAX, assemble_execution, decode_execution
from orion.chains.ethereum.safe_contracts import EXECUTE, safe_contracts
from orion.chains.ethereum.sweep import assemble_sweep, decode_sweep
from orion.chains.ethereum.token import transfer_call
from orion.chains.ethereum.transaction import (
    FeeMarketTransaction,
)
from orion.chains.secp256k1 import ORDER
from orion.chains.spend import (
    CustodyKeys,
    CustodyPlace,
    Payment,
    SignatureRefused,
    SpendRefused,
    WalletKind,
)

KEY = PrivateKey.from_int(41)
OWNER = KEY.public_key.format()
SENDER = Account.from_key(KEY.secret).address.lower()
RECIPIENT = "0x" + "c0" * 20
TOKEN = "0x" + "da" * 20
CONTRACTS = {"USDT.ethereum": TOKEN}
GWEI = 10**9

PAY = FeeMarketTransaction(1, 7, GWEI, 30 * GWEI, 60_000, RECIPIENT, 5, b"")
TOKEN_PAY = replace(PAY, to=TOKEN, value_wei=0, data=transfer_call(RECIPIENT, 9))


def fields(transaction: FeeMarketTransaction) -> dict[str, Any]:
    return {
        "type": 2,
        "chainId": transaction.chain_id,
        "nonce": transaction.nonce,
        "maxPriorityFeePerGas": transaction.max_priority_fee_wei,
        "maxFeePerGas": transaction.max_fee_wei,
        "gas": transaction.gas_limit,
        "to": checksum_address(bytes.fromhex(transaction.to[2:])),
        "value": transaction.value_wei,
        "data": transaction.data,
    }


KEYS = CustodyKeys(
    tuple(PrivateKey.from_int(number).public_key.format() for number in range(11, 16)),
    tuple(bytes([number]) * 32 for number in range(5)),
)
SAFE = custody.account(CustodyPlace("ethereum", "1", 3, WalletKind.HOT, 1), KEYS, "")
UNSIGNED = custody.propose_payments(SAFE, 0, [Payment("ETH.ethereum", RECIPIENT, 5)], {})
CALL = custody.assemble(
    UNSIGNED,
    SAFE,
    {
        number: (
            PrivateKey.from_int(10 + number).sign_recoverable(
                custody.decode(UNSIGNED, SAFE, {}).messages[0], hasher=None
            ),
        )
        for number in (1, 2, 3)
    },
)
EXECUTION = FeeMarketTransaction(1, 0, GWEI, 30 * GWEI, 200_000, SAFE.address, 0, CALL)
CREATION = replace(
    EXECUTION, to=creation.factory_address(), data=creation.creation_call(SAFE), gas_limit=400_000
)


@pytest.mark.parametrize("transaction", [EXECUTION, CREATION], ids=["execution", "creation"])
def test_an_executors_transaction_is_read(transaction: FeeMarketTransaction) -> None:
    unsigned = transaction.encode()
    found = decode_execution(unsigned, {SAFE.address})
    assert (found.chain_id, found.nonce, found.to) == (1, 0, transaction.to)
    assert found.fee_max_units == transaction.gas_limit * 30 * GWEI
    assert found.version == found.digest.hex()
    digest = bytes(TypedTransaction.from_dict(cast(Any, fields(transaction))).hash())
    assert found.digest == digest
    raw = assemble_execution(unsigned, KEY.sign_recoverable(digest, hasher=None))
    assert Account.recover_transaction("0x" + raw.hex()).lower() == SENDER


def executing(position: int, value: Any) -> FeeMarketTransaction:
    arguments = list(EXECUTE.read(CALL))
    arguments[position] = value
    return replace(EXECUTION, data=EXECUTE.call(*arguments))


MULTI_SEND = bytes.fromhex(safe_contracts().multi_send[2:])
SIGNATURES = cast(bytes, EXECUTE.read(CALL)[9])
REFUSED: dict[str, tuple[Callable[[], FeeMarketTransaction], str]] = {
    "coins": (lambda: replace(EXECUTION, value_wei=1), "value"),
    "another safe": (lambda: replace(EXECUTION, to=RECIPIENT), "account"),
    "no call": (lambda: replace(EXECUTION, data=b""), "call"),
    "another call": (lambda: replace(EXECUTION, data=transfer_call(RECIPIENT, 1)), "call"),
    "long call": (lambda: replace(EXECUTION, data=CALL + b"\x00"), "call"),
    "short call": (lambda: replace(EXECUTION, data=CALL[:-1]), "call"),
    "safe gas": (lambda: executing(4, 1), "gas_payment"),
    "base gas": (lambda: executing(5, 1), "gas_payment"),
    "gas price": (lambda: executing(6, 1), "gas_payment"),
    "gas token": (lambda: executing(7, MULTI_SEND), "gas_payment"),
    "refund": (lambda: executing(8, MULTI_SEND), "gas_payment"),
    "operation": (lambda: executing(3, 2), "operation"),
    "delegate": (lambda: executing(3, 1), "delegate"),
    "two signatures": (lambda: executing(9, SIGNATURES[:130]), "call"),
    "four signatures": (lambda: executing(9, SIGNATURES + SIGNATURES[:65]), "call"),
    "contract signature": (
        lambda: executing(9, SIGNATURES[:64] + b"\x00" + SIGNATURES[65:]),
        "call",
    ),
    "eth_sign": (lambda: executing(9, SIGNATURES[:194] + b"\x1f"), "call"),
    "making another": (
        lambda: replace(CREATION, data=CREATION.data[:-1] + bytes([CREATION.data[-1] ^ 1])),
        "creation",
    ),
    "other salt": (
        lambda: replace(CREATION, data=CREATION.data[:99] + b"\x01" + CREATION.data[100:]),
        "account",
    ),
    "gas": (lambda: replace(EXECUTION, gas_limit=GAS_MAX + 1), "gas"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_executor_does_nothing_else(case: str) -> None:
    make, reason = REFUSED[case]
    with pytest.raises(SpendRefused) as refused:
        decode_execution(make().encode(), {SAFE.address})
    assert refused.value.fields["reason"] == reason


def test_a_delegated_batch_moves_no_value() -> None:
    arguments = list(EXECUTE.read(CALL))
    arguments[0], arguments[1], arguments[3] = MULTI_SEND, 0, 1
    plain = replace(EXECUTION, data=EXECUTE.call(*arguments))
    assert decode_execution(plain.encode(), {SAFE.address}).to == SAFE.address
    arguments[1] = 1
    with pytest.raises(SpendRefused) as refused:
        decode_execution(replace(EXECUTION, data=EXECUTE.call(*arguments)).encode(), {SAFE.address})
    assert refused.value.fields["reason"] == "value"


DIGEST = decode_execution(EXECUTION.encode(), {SAFE.address}).digest
SIGNED = KEY.sign_recoverable(DIGEST, hasher=None)
HIGH = (ORDER - int.from_bytes(SIGNED[32:64], "big")).to_bytes(32, "big")


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        SIGNED[:64],
        SIGNED[:64] + b"\x02",
        SIGNED[:64] + b"\x1b",
        bytes(32) + SIGNED[32:],
        SIGNED[:32] + HIGH + bytes([SIGNED[64] ^ 1]),
    ],
)
def test_a_signature_that_no_node_accepts_is_refused(signature: bytes) -> None:
    with pytest.raises(SignatureRefused):
        assemble_execution(EXECUTION.encode(), signature)


def test_a_sweep_of_coins_and_one_of_tokens_are_read() -> None:
    coins = decode_sweep(PAY.encode(), (OWNER,), "1", CONTRACTS)
    assert coins.payments == (Payment("ETH.ethereum", RECIPIENT, 5),)
    assert coins.claims == (f"{SENDER}:7",)
    assert coins.fee_max_units == 60_000 * 30 * GWEI
    assert coins.version == coins.messages[0].hex()
    tokens = decode_sweep(TOKEN_PAY.encode(), (OWNER,), "1", CONTRACTS)
    assert tokens.payments == (Payment("USDT.ethereum", RECIPIENT, 9),)
    signature = KEY.sign_recoverable(tokens.messages[0], hasher=None)
    raw = assemble_sweep(TOKEN_PAY.encode(), (OWNER,), "1", (signature,))
    assert Account.recover_transaction("0x" + raw.hex()).lower() == SENDER


@pytest.mark.parametrize(
    "transaction, reason",
    [
        (replace(PAY, chain_id=5), "network"),
        (replace(PAY, value_wei=0), "units"),
        (replace(PAY, to=SENDER), "self_payment"),
        (replace(PAY, to="0x" + 40 * "0"), "recipient"),
        (replace(PAY, to=TOKEN), "recipient"),
        (replace(PAY, data=b"\x00"), "contract"),
        (replace(TOKEN_PAY, to=RECIPIENT), "contract"),
        (replace(TOKEN_PAY, value_wei=1), "value"),
        (replace(TOKEN_PAY, data=transfer_call(SENDER, 9)), "self_payment"),
        (replace(TOKEN_PAY, data=transfer_call(RECIPIENT, 0)), "units"),
        (replace(TOKEN_PAY, data=TOKEN_PAY.data + b"\x00"), "call"),
        (replace(TOKEN_PAY, gas_limit=500_001), "gas"),
    ],
)
def test_a_sweep_does_nothing_else(transaction: FeeMarketTransaction, reason: str) -> None:
    with pytest.raises(SpendRefused) as refused:
        decode_sweep(transaction.encode(), (OWNER,), "1", CONTRACTS)
    assert refused.value.fields["reason"] == reason


@pytest.mark.parametrize("owners", [(), (OWNER, OWNER)])
def test_a_sweep_has_one_sender(owners: tuple[bytes, ...]) -> None:
    for read in (
        lambda: decode_sweep(PAY.encode(), owners, "1", CONTRACTS),
        lambda: assemble_sweep(PAY.encode(), owners, "1", (SIGNED,)),
    ):
        with pytest.raises(SpendRefused) as refused:
            read()
        assert refused.value.fields["reason"] == "senders"
    with pytest.raises(UnknownNetwork):
        decode_sweep(PAY.encode(), (OWNER,), "main", CONTRACTS)


def test_only_the_senders_signature_makes_a_sweep() -> None:
    digest = decode_sweep(PAY.encode(), (OWNER,), "1", CONTRACTS).messages[0]
    good = KEY.sign_recoverable(digest, hasher=None)
    other = PrivateKey.from_int(42).sign_recoverable(digest, hasher=None)
    flipped = good[:64] + bytes([good[64] ^ 1])
    for signatures in ((), (good, good), (other,), (flipped,)):
        with pytest.raises(SignatureRefused):
            assemble_sweep(PAY.encode(), (OWNER,), "1", signatures)
    with pytest.raises(SpendRefused):
        assemble_sweep(PAY.encode(), (OWNER,), "5", (good,))
