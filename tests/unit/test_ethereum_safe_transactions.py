"""The unsigned form of a Safe transaction: one form for one meaning, and its hash by EIP-712."""

import json
from dataclasses import replace

import pytest
from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.chains.ethereum.address import checksum_address
from orion.chains.ethereum.keccak import keccak256
from orion.chains.ethereum.safe_transaction import (
    UNSIGNED_BYTES_MAX,
    SafeTransaction,
    parse_safe_transaction,
)
from orion.chains.spend import SpendRefused

SAFE = "0x" + "5a" * 20
TO = "0x" + "c0" * 20
SAMPLE = SafeTransaction(31_337, SAFE, TO, 12_345, b"\xa9\x05\x9c\xbb\x00", 0, 7)
ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
UINT256 = st.integers(0, 2**256 - 1)
TRANSACTIONS = st.builds(
    SafeTransaction,
    chain_id=st.integers(1, 2**63),
    safe=ADDRESSES,
    to=ADDRESSES,
    value=UINT256,
    data=st.binary(max_size=200),
    operation=st.sampled_from([0, 1]),
    nonce=UINT256,
)


def reason_of(unsigned: bytes) -> object:
    with pytest.raises(SpendRefused) as refused:
        parse_safe_transaction(unsigned)
    return refused.value.fields["reason"]


def altered(**fields: object) -> bytes:
    """The sample in its one form, but for these fields."""
    content = {**json.loads(SAMPLE.encode()), **fields}
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def by_eth_account(transaction: SafeTransaction) -> bytes:
    names = ["to", "value", "data", "operation", "safeTxGas", "baseGas", "gasPrice"]
    kinds = ["address", "uint256", "bytes", "uint8", "uint256", "uint256", "uint256"]
    types = list(zip([*names, "gasToken", "refundReceiver", "nonce"], kinds, strict=False))
    types += [("gasToken", "address"), ("refundReceiver", "address"), ("nonce", "uint256")]
    zero = "0x" + 40 * "0"
    message = encode_typed_data(
        {
            "chainId": transaction.chain_id,
            "verifyingContract": checksum_address(bytes.fromhex(transaction.safe[2:])),
        },
        {"SafeTx": [{"name": name, "type": kind} for name, kind in types]},
        {
            "to": checksum_address(bytes.fromhex(transaction.to[2:])),
            "value": transaction.value,
            "data": transaction.data,
            "operation": transaction.operation,
            **dict.fromkeys(["safeTxGas", "baseGas", "gasPrice"], 0),
            **dict.fromkeys(["gasToken", "refundReceiver"], zero),
            "nonce": transaction.nonce,
        },
    )
    return bytes(_hash_eip191_message(message))


def test_the_unsigned_form_is_written_down() -> None:
    zero = "0x" + 40 * "0"
    assert SAMPLE.encode().decode() == (
        '{"baseGas":"0","chain_id":"31337","data":"0xa9059cbb00","gasPrice":"0",'
        f'"gasToken":"{zero}","nonce":"7","operation":0,"refundReceiver":"{zero}",'
        f'"safe":"{SAFE}","safeTxGas":"0","to":"{TO}","v":1,"value":"12345"}}'
    )


def test_the_types_are_those_of_safe_sol() -> None:
    # Safe.sol 1.4.1, DOMAIN_SEPARATOR_TYPEHASH and SAFE_TX_TYPEHASH.
    domain = keccak256(b"EIP712Domain(uint256 chainId,address verifyingContract)").hex()
    assert domain == "47e79534a245952e8b16893a336b85a3d9ea9fa8c573f3d803afb92a79469218"
    from orion.chains.ethereum import safe_transaction

    assert safe_transaction._SAFE_TX_TYPE.hex() == (
        "bb8310d486368db6bd6f849402fdd73ad53d316b5a4b2644ad6efe0f941286d8"
    )


@settings(max_examples=25)
@given(TRANSACTIONS)
def test_what_was_written_is_read(transaction: SafeTransaction) -> None:
    assert parse_safe_transaction(transaction.encode()) == transaction


@settings(max_examples=25)
@given(TRANSACTIONS)
def test_the_hash_is_that_of_eth_account(transaction: SafeTransaction) -> None:
    assert transaction.digest == by_eth_account(transaction)


def test_every_field_changes_the_hash() -> None:
    others = [
        replace(SAMPLE, chain_id=1),
        replace(SAMPLE, safe=TO),
        replace(SAMPLE, to=SAFE),
        replace(SAMPLE, value=12_346),
        replace(SAMPLE, data=SAMPLE.data + b"\x00"),
        replace(SAMPLE, operation=1),
        replace(SAMPLE, nonce=8),
    ]
    assert len({SAMPLE.digest, *(other.digest for other in others)}) == 8


def test_every_altered_byte_is_refused_or_another_transaction() -> None:
    unsigned = SAMPLE.encode()
    for position, byte in enumerate(unsigned):
        for change in (byte ^ 1, byte ^ 0x20, 0x30, 0x22):
            other = unsigned[:position] + bytes([change]) + unsigned[position + 1 :]
            try:
                found = parse_safe_transaction(other)
            except SpendRefused:
                continue
            assert (found.digest == SAMPLE.digest) == (other == unsigned)


def test_every_missing_or_added_byte_is_refused_or_another_transaction() -> None:
    unsigned = SAMPLE.encode()
    for position in range(len(unsigned) + 1):
        for middle, skip in ((b"", 1), (b" ", 0), (b"0", 0)):
            other = unsigned[:position] + middle + unsigned[position + skip :]
            try:
                found = parse_safe_transaction(other)
            except SpendRefused:
                continue
            assert (found.digest == SAMPLE.digest) == (other == unsigned)


@pytest.mark.parametrize(
    "fields, reason",
    [
        ({"v": 2}, "version"),
        ({"v": "1"}, "version"),
        ({"v": True}, "version"),
        ({"safeTxGas": "1"}, "gas_payment"),
        ({"baseGas": "1"}, "gas_payment"),
        ({"gasPrice": "1"}, "gas_payment"),
        ({"gasPrice": 0}, "gas_payment"),
        ({"gasToken": TO}, "gas_payment"),
        ({"refundReceiver": TO}, "gas_payment"),
        ({"operation": 2}, "operation"),
        ({"operation": "0"}, "operation"),
        ({"operation": False}, "operation"),
        ({"value": 5}, "form"),
        ({"value": "05"}, "form"),
        ({"value": "-5"}, "form"),
        ({"value": "\u0665"}, "form"),
        ({"value": str(2**256)}, "form"),
        ({"nonce": "1e3"}, "form"),
        ({"chain_id": "0x1"}, "form"),
        ({"to": TO.upper()}, "form"),
        ({"to": "0x" + "C0" * 20}, "form"),
        ({"to": TO[:-2]}, "form"),
        ({"safe": None}, "form"),
        ({"data": "0xA9"}, "form"),
        ({"data": "0xa"}, "form"),
        ({"data": "a9"}, "form"),
        ({"extra": "1"}, "form"),
    ],
    ids=str,
)
def test_another_value_is_refused_with_its_reason(fields: dict[str, object], reason: str) -> None:
    assert reason_of(altered(**fields)) == reason


@pytest.mark.parametrize(
    "unsigned",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 60_000,
        SAMPLE.encode() + b"\n",
        SAMPLE.encode().replace(b'"v":1', b'"v":1,"v":1'),
        SAMPLE.encode().replace(b'"v":1', b'"v":1.0'),
        SAMPLE.encode().replace(b'"nonce":"7",', b""),
        SAMPLE.encode().replace(b'"operation":0', b'"operation":' + b"9" * 5_000),
    ],
    ids=lambda unsigned: unsigned[-24:].decode("latin-1"),
)
def test_another_form_is_refused(unsigned: bytes) -> None:
    assert reason_of(unsigned) in {"form", "version"}


def test_a_form_too_large_is_refused_unread() -> None:
    assert reason_of(b" " * (UNSIGNED_BYTES_MAX + 1)) == "size"
