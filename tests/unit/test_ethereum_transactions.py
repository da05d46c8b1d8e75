"""RLP and transactions of single keys: one form, judged by rlp and eth_account."""

from dataclasses import replace
from typing import Any, cast

import pytest
import rlp as published  # type: ignore[import-untyped]
from coincurve import PrivateKey
from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.chains.ethereum.address import checksum_address
from orion.chains.ethereum.executor import GAS_MAX
from orion.chains.ethereum.rlp import MalformedRlp, decode, decode_integer, encode, encode_integer
from orion.chains.ethereum.token import transfer_call
from orion.chains.ethereum.transaction import (
    MAX_FEE_WEI_MAX,
    TRANSACTION_BYTES_MAX,
    FeeMarketTransaction,
    parse_transaction,
)
from orion.chains.spend import (
    SpendRefused,
)

KEY = PrivateKey.from_int(41)
OWNER = KEY.public_key.format()
SENDER = Account.from_key(KEY.secret).address.lower()
RECIPIENT = "0x" + "c0" * 20
TOKEN = "0x" + "da" * 20
CONTRACTS = {"USDT.ethereum": TOKEN}
GWEI = 10**9

# ethereum.org, "Recursive-length prefix serialization", examples; yellow paper, appendix B.
VECTORS: list[tuple[Any, str]] = [
    (b"dog", "83646f67"),
    ([b"cat", b"dog"], "c88363617483646f67"),
    (b"", "80"),
    ([], "c0"),
    (b"\x00", "00"),
    (b"\x0f", "0f"),
    (b"\x04\x00", "820400"),
    ([[], [[]], [[], [[]]]], "c7c0c1c0c3c0c1c0"),
    (
        b"Lorem ipsum dolor sit amet, consectetur adipisicing elit",
        "b838" + b"Lorem ipsum dolor sit amet, consectetur adipisicing elit".hex(),
    ),
    (b"\x80", "8180"),
    (1024 * b"a", "b90400" + 1024 * "61"),
]


def as_lists(item: Any) -> Any:
    return item if isinstance(item, bytes) else [as_lists(each) for each in item]


@pytest.mark.parametrize("item, text", VECTORS, ids=lambda value: str(value)[:24])
def test_rlp_is_as_published(item: Any, text: str) -> None:
    assert encode(item).hex() == text
    assert as_lists(decode(bytes.fromhex(text))) == item


ITEMS = st.recursive(
    st.binary(max_size=70), lambda inner: st.lists(inner, max_size=4), max_leaves=8
)


@settings(max_examples=40)
@given(st.lists(st.lists(st.binary(max_size=70), max_size=4), max_size=4))
def test_rlp_is_that_of_the_published_library(item: list[list[bytes]]) -> None:
    assert encode(item) == published.encode(item)
    assert as_lists(decode(encode(item))) == item


@settings(max_examples=60)
@given(st.one_of(st.binary(max_size=12), ITEMS.map(published.encode)))
def test_whatever_is_read_has_this_one_form(data: bytes) -> None:
    try:
        item = decode(data)
    except MalformedRlp:
        return
    assert encode(item) == data
    assert as_lists(item) == as_lists(published.decode(data))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8100",  # A single byte below 0x80 in two.
        "817f",
        "b800",  # A short length in the long form.
        "b837" + 55 * "61",
        "b90038" + 56 * "61",  # A length with a leading zero.
        "f800",
        "83646f",
        "c883636174",
        "b8",
        "bfffffffffffffffff",
        "8080",
        "c0c0",
        "c6" * 6,
        "c5c4c3c2c1c0",  # Deeper than any transaction.
    ],
)
def test_rlp_has_one_form(text: str) -> None:
    with pytest.raises(MalformedRlp):
        decode(bytes.fromhex(text))


def test_numbers_have_no_leading_zeros_and_a_bound() -> None:
    assert encode_integer(0) == b""
    assert decode_integer(b"\x01\x00", 16) == 256
    for item, bits in ((b"\x00", 64), (b"\x00\x01", 64), (b"\x01\x00\x00", 16), ((), 64)):
        with pytest.raises(MalformedRlp):
            decode_integer(item, bits)
    with pytest.raises(MalformedRlp):
        encode_integer(-1)


TRANSACTIONS = st.builds(
    FeeMarketTransaction,
    chain_id=st.integers(1, 2**62),
    nonce=st.integers(0, 2**63),
    max_priority_fee_wei=st.integers(0, GWEI),
    max_fee_wei=st.integers(GWEI, MAX_FEE_WEI_MAX),
    gas_limit=st.integers(21_000, GAS_MAX),
    to=st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex()),
    value_wei=st.integers(0, 2**256 - 1),
    data=st.binary(max_size=200),
)


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


@settings(max_examples=25)
@given(TRANSACTIONS)
def test_transactions_are_those_of_eth_account(transaction: FeeMarketTransaction) -> None:
    unsigned = transaction.encode()
    assert parse_transaction(unsigned, GAS_MAX) == transaction
    theirs = Account.sign_transaction(cast(Any, fields(transaction)), KEY.secret)
    digest = bytes(TypedTransaction.from_dict(cast(Any, fields(transaction))).hash())
    signature = KEY.sign_recoverable(digest, hasher=None)
    assert transaction.signed(signature) == bytes(theirs.raw_transaction)


PAY = FeeMarketTransaction(1, 7, GWEI, 30 * GWEI, 60_000, RECIPIENT, 5, b"")
TOKEN_PAY = replace(PAY, to=TOKEN, value_wei=0, data=transfer_call(RECIPIENT, 9))


def as_list(transaction: FeeMarketTransaction) -> list[Any]:
    return cast(list[Any], as_lists(decode(transaction.encode()[1:])))


def rebuilt(position: int, value: Any) -> bytes:
    items = as_list(PAY)
    items[position] = value
    return b"\x02" + cast(bytes, published.encode(items))


@pytest.mark.parametrize(
    "unsigned, reason",
    [
        pytest.param(b"", "form", id="nothing"),
        pytest.param(PAY.encode()[1:], "form", id="legacy"),
        pytest.param(b"\x01" + PAY.encode()[1:], "form", id="EIP-2930"),
        pytest.param(b"\x03" + PAY.encode()[1:], "form", id="EIP-4844"),
        pytest.param(b"\x04" + PAY.encode()[1:], "form", id="EIP-7702"),
        pytest.param(PAY.encode() + b"\x00", "form", id="trailing"),
        pytest.param(b"\x02\x80", "form", id="no list"),
        pytest.param(b"\x02" + published.encode(as_list(PAY)[:8]), "form", id="eight fields"),
        pytest.param(b"\x02" + published.encode([*as_list(PAY), b""]), "form", id="ten fields"),
        pytest.param(rebuilt(0, b""), "network", id="every network"),
        pytest.param(rebuilt(1, b"\x00"), "form", id="leading zero"),
        pytest.param(rebuilt(1, b"\x01" * 9), "form", id="nonce"),
        pytest.param(rebuilt(5, b""), "form", id="makes a contract"),
        pytest.param(rebuilt(5, []), "form", id="to a list"),
        pytest.param(rebuilt(7, []), "form", id="data a list"),
        pytest.param(rebuilt(6, b"\x01" * 33), "form", id="value"),
        pytest.param(rebuilt(8, b""), "access_list", id="no access list"),
        pytest.param(rebuilt(8, [[b"\x01" * 20, []]]), "access_list", id="access list"),
        pytest.param(replace(PAY, gas_limit=20_999).encode(), "gas", id="too little gas"),
        pytest.param(replace(PAY, gas_limit=GAS_MAX + 1).encode(), "gas", id="too much gas"),
        pytest.param(replace(PAY, max_priority_fee_wei=31 * GWEI).encode(), "fee", id="priority"),
        pytest.param(replace(PAY, max_fee_wei=MAX_FEE_WEI_MAX + 1).encode(), "fee", id="fee"),
        pytest.param(bytes(TRANSACTION_BYTES_MAX + 1), "size", id="size"),
    ],
)
def test_another_transaction_is_refused_with_its_reason(unsigned: bytes, reason: str) -> None:
    with pytest.raises(SpendRefused) as refused:
        parse_transaction(unsigned, GAS_MAX)
    assert refused.value.fields["reason"] == reason


def test_every_altered_byte_is_refused_or_another_transaction() -> None:
    unsigned = TOKEN_PAY.encode()
    for position, byte in enumerate(unsigned):
        for flip in (1, 0x80):
            other = unsigned[:position] + bytes([byte ^ flip]) + unsigned[position + 1 :]
            try:
                found = parse_transaction(other, GAS_MAX)
            except SpendRefused:
                continue
            assert found != TOKEN_PAY
            assert found.encode() == other


def test_the_body_leaves_out_fees_and_nothing_else() -> None:
    body = TOKEN_PAY.body_digest()
    for changed in (
        replace(TOKEN_PAY, max_fee_wei=1),
        replace(TOKEN_PAY, max_priority_fee_wei=1),
        replace(TOKEN_PAY, gas_limit=1),
    ):
        assert changed.body_digest() == body
    for changed in (
        replace(TOKEN_PAY, chain_id=5),
        replace(TOKEN_PAY, nonce=8),
        replace(TOKEN_PAY, to=RECIPIENT),
        replace(TOKEN_PAY, value_wei=1),
        replace(TOKEN_PAY, data=transfer_call(RECIPIENT, 10)),
    ):
        assert changed.body_digest() != body
