"""Accounts: addresses that follow from keys, what makes them, what stands there, who signed."""

from dataclasses import replace
from itertools import permutations

import pytest
from coincurve import PrivateKey
from eth_abi.abi import encode as abi_encode
from eth_account import Account
from eth_keys import keys as eth_keys  # type: ignore[attr-defined]

from orion.chains.errors import MalformedAddress, UnknownNetwork
from orion.chains.ethereum import creation, custody
from orion.chains.ethereum.abi import address_bytes, uint_word
from orion.chains.ethereum.keccak import keccak256
from orion.chains.ethereum.safe_account import owners_of, setup_call
from orion.chains.ethereum.safe_contracts import safe_contracts
from orion.chains.ethereum.safe_transaction import parse_safe_transaction
from orion.chains.secp256k1 import ORDER
from orion.chains.spend import (
    CustodyKeys,
    CustodyPlace,
    Payment,
    SignatureRefused,
    SpendRefused,
    WalletKind,
)
from orion.chains.spend import custody as custody_of

PRIVATES = tuple(PrivateKey.from_int(number) for number in range(11, 16))
OTHER_CURVE = tuple(bytes([number]) * 32 for number in range(5))
KEYS = CustodyKeys(tuple(each.public_key.format() for each in PRIVATES), OTHER_CURVE)
PLACE = CustodyPlace("ethereum", "1", 3, WalletKind.HOT, 1)
ACCOUNT = custody.account(PLACE, KEYS, "")
NEXT_KEYS = replace(
    KEYS,
    secp256k1=(PrivateKey.from_int(99).public_key.format(), *KEYS.secp256k1[1:]),
)
ZERO = "0x" + 40 * "0"
RECIPIENT = "0x" + "c0" * 20
OWNERS = ["0x" + owner.hex() for owner in owners_of(KEYS)]


def test_the_package_offers_the_custody_of_its_chain() -> None:
    assert custody_of("ethereum").account(PLACE, KEYS, "") == ACCOUNT


def test_owners_are_the_addresses_of_the_keys_in_custodians_order() -> None:
    assert [Account.from_key(each.secret).address.lower() for each in PRIVATES] == OWNERS
    assert custody.owner_addresses(KEYS) == tuple(sorted(OWNERS))


def test_the_address_is_that_of_create2() -> None:
    """Built again with eth_abi from the published signatures and EIP-1014."""
    pinned = safe_contracts()
    setup = keccak256(b"setup(address[],uint256,address,bytes,address,address,uint256,address)")[
        :4
    ] + abi_encode(
        ["address[]", "uint256", "address", "bytes", "address", "address", "uint256", "address"],
        [OWNERS, 3, ZERO, b"", pinned.fallback_handler, ZERO, 0, ZERO],
    )
    nonce = keccak256(b"orion safe v1\n3\nhot\n1")
    salt = keccak256(keccak256(setup) + nonce)
    factory = bytes.fromhex(pinned.factory[2:])
    expected = keccak256(b"\xff" + factory + salt + pinned.proxy_init_code_hash)[12:]
    assert ACCOUNT.address == "0x" + expected.hex()
    assert creation.creation_call(ACCOUNT) == keccak256(
        b"createProxyWithNonce(address,bytes,uint256)"
    )[:4] + abi_encode(
        ["address", "bytes", "uint256"], [pinned.singleton, setup, int.from_bytes(nonce, "big")]
    )


def test_every_place_and_every_set_of_keys_has_an_address_of_its_own() -> None:
    places = [
        PLACE,
        replace(PLACE, group_no=4),
        replace(PLACE, kind=WalletKind.WARM),
        replace(PLACE, set_no=2),
    ]
    found = {custody.account(place, KEYS, "").address for place in places}
    found.add(custody.account(PLACE, NEXT_KEYS, "").address)
    swapped = replace(KEYS, secp256k1=tuple(reversed(KEYS.secp256k1)))
    found.add(custody.account(PLACE, swapped, "").address)
    assert len(found) == 6


def test_the_address_is_the_same_on_every_network() -> None:
    other = custody.account(replace(PLACE, network="11155111"), KEYS, "")
    assert other.address == ACCOUNT.address


def test_a_rotated_account_keeps_its_address_for_ever() -> None:
    anchor = custody.rotated_anchor(ACCOUNT)
    assert anchor == f"1:{keccak256(setup_call(owners_of(KEYS))).hex()}"
    second = custody.account(replace(PLACE, set_no=2), NEXT_KEYS, anchor)
    assert second.address == ACCOUNT.address
    assert custody.rotated_anchor(second) == anchor
    # The anchor of one wallet is worth nothing at another's place.
    stolen = custody.account(replace(PLACE, group_no=4, set_no=2), NEXT_KEYS, anchor)
    assert stolen.address != ACCOUNT.address
    with pytest.raises(creation.SafeMismatch) as refused:
        creation.creation_call(second)
    assert refused.value.fields["reason"] == "rotated"


@pytest.mark.parametrize(
    "anchor",
    ["x", "1", "1:", f"01:{64 * 'a'}", f"1:{64 * 'A'}", f"1:{63 * 'a'}", f"1:{64 * 'a'}\n"],
)
def test_an_anchor_has_one_form(anchor: str) -> None:
    with pytest.raises(MalformedAddress):
        custody.account(PLACE, KEYS, anchor)


SECOND_PLACE = replace(PLACE, set_no=2)
STRANGERS = replace(
    KEYS, secp256k1=tuple(PrivateKey.from_int(n).public_key.format() for n in range(61, 66))
)


def test_an_anchor_is_ours_when_a_set_of_ours_made_the_safe() -> None:
    anchor = custody.rotated_anchor(ACCOUNT)
    assert custody.anchor_is_ours("", SECOND_PLACE, {})
    assert custody.anchor_is_ours(anchor, SECOND_PLACE, {1: KEYS})
    assert custody.anchor_is_ours(anchor, SECOND_PLACE, {4: NEXT_KEYS, 1: KEYS})


def test_an_anchor_that_somebody_chose_is_not_ours() -> None:
    """The hazard: the anchor alone says whose Safe the address is, whatever keys stand beside."""
    theirs = custody.account(PLACE, STRANGERS, "")
    anchor = custody.rotated_anchor(theirs)
    assert custody.account(SECOND_PLACE, NEXT_KEYS, anchor).address == theirs.address
    sets = {1: KEYS, 2: NEXT_KEYS}
    assert not custody.anchor_is_ours(anchor, SECOND_PLACE, sets)
    ours = custody.rotated_anchor(ACCOUNT)
    swapped = replace(KEYS, secp256k1=tuple(reversed(KEYS.secp256k1)))
    for others in ({}, {2: KEYS}, {1: NEXT_KEYS}, {1: swapped}, {11: KEYS}):
        assert not custody.anchor_is_ours(ours, SECOND_PLACE, others)
    for other in ("x", "1:", ours[2:], f"2{ours[1:]}", f"01{ours[1:]}", f"{ours}\n", ours.upper()):
        assert not custody.anchor_is_ours(other, SECOND_PLACE, sets)
    assert not custody.anchor_is_ours("", replace(PLACE, chain="tron"), sets)


@pytest.mark.parametrize("place", [replace(PLACE, network="main"), replace(PLACE, chain="tron")])
def test_an_unknown_network_is_refused(place: CustodyPlace) -> None:
    with pytest.raises(UnknownNetwork):
        custody.account(place, KEYS, "")


@pytest.mark.parametrize(
    "points",
    [
        KEYS.secp256k1[:4],
        (*KEYS.secp256k1, PrivateKey.from_int(50).public_key.format()),
        (KEYS.secp256k1[0],) * 5,
        (*KEYS.secp256k1, KEYS.secp256k1[0]),
        (b"\x02" + b"\xff" * 32, *KEYS.secp256k1[1:]),
        (PRIVATES[0].public_key.format(compressed=False), *KEYS.secp256k1[1:]),
        (b"", *KEYS.secp256k1[1:]),
    ],
)
def test_five_different_points_make_an_account(points: tuple[bytes, ...]) -> None:
    with pytest.raises(MalformedAddress):
        custody.account(PLACE, replace(KEYS, secp256k1=points), "")


def test_an_auditor_can_recompute_the_address_from_the_description() -> None:
    for account in (
        ACCOUNT,
        custody.account(replace(PLACE, set_no=2), NEXT_KEYS, custody.rotated_anchor(ACCOUNT)),
    ):
        told = custody.describe(account)
        setup_hash = bytes.fromhex(str(told["setup_hash"])[2:])
        salt = keccak256(setup_hash + uint_word(int(str(told["salt_nonce"]))))
        code_hash = bytes.fromhex(str(told["proxy_init_code_hash"])[2:])
        factory = address_bytes(str(told["factory"]))
        address = keccak256(b"\xff" + factory + salt + code_hash)[12:].hex()
        assert told["address"] == account.address == "0x" + address
        assert told["threshold"] == 3
        assert told["owners"] == ["0x" + owner.hex() for owner in owners_of(account.keys)]


def test_the_made_address_is_read_from_the_call() -> None:
    call = creation.creation_call(ACCOUNT)
    assert creation.created_address(call) == ACCOUNT.address
    others = [
        call[:-1],
        call + b"\x00",
        call.replace(address_bytes(safe_contracts().singleton), b"\x01" * 20),
    ]
    for other in others:
        with pytest.raises(SpendRefused):
            creation.created_address(other)


def test_every_altered_byte_of_the_making_call_makes_another_address_or_none() -> None:
    call = creation.creation_call(ACCOUNT)
    for position, byte in enumerate(call):
        other = call[:position] + bytes([byte ^ 1]) + call[position + 1 :]
        try:
            assert creation.created_address(other) != ACCOUNT.address
        except SpendRefused:
            continue


UNSIGNED = custody.propose_payments(ACCOUNT, 7, [Payment("ETH.ethereum", RECIPIENT, 5)], {})
DIGEST = parse_safe_transaction(UNSIGNED).digest
SIGNED = {
    number: (private.sign_recoverable(DIGEST, hasher=None),)
    for number, private in enumerate(PRIVATES, start=1)
}


def high(signature: bytes) -> bytes:
    """The other s of the same signature, with its recovery id."""
    s = ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([signature[64] ^ 1])


def test_the_three_lowest_custodians_sign_in_the_order_of_owners() -> None:
    call = custody.assemble(UNSIGNED, ACCOUNT, dict(reversed(SIGNED.items())))
    assert call == custody.assemble(UNSIGNED, ACCOUNT, {each: SIGNED[each] for each in (1, 2, 3)})
    # The signatures are the last argument: 195 bytes, padded to whole words.
    used = call[-224:-29]
    signers = []
    for at in range(0, 195, 65):
        v = used[at + 64]
        signature = eth_keys.Signature(used[at : at + 64] + bytes([v - 27]))
        signers.append(signature.recover_public_key_from_msg_hash(DIGEST).to_address())
    assert signers == sorted(OWNERS[:3])


def test_the_call_does_not_depend_on_the_order_of_answers() -> None:
    calls = {
        custody.assemble(UNSIGNED, ACCOUNT, {each: SIGNED[each] for each in order})
        for order in permutations((2, 3, 5))
    }
    assert len(calls) == 1


REPLACED: dict[str, tuple[bytes, ...]] = {
    "none": (),
    "two": SIGNED[2] * 2,
    "another custodian's": SIGNED[3],
    "high s": (high(SIGNED[2][0]),),
    "other recovery id": (SIGNED[2][0][:64] + bytes([SIGNED[2][0][64] ^ 1]),),
    "recovery id 2": (SIGNED[2][0][:64] + b"\x02",),
    "v": (SIGNED[2][0][:64] + bytes([27 + SIGNED[2][0][64]]),),
    "short": (SIGNED[2][0][:64],),
    "zero": (bytes(65),),
    "r beyond the order": (b"\xff" * 32 + SIGNED[2][0][32:],),
}


@pytest.mark.parametrize("case", REPLACED)
def test_one_bad_signature_is_named_even_when_three_are_good(case: str) -> None:
    with pytest.raises(SignatureRefused) as refused:
        custody.assemble(UNSIGNED, ACCOUNT, {**SIGNED, 2: REPLACED[case]})
    assert refused.value.fields["custodian"] == 2


@pytest.mark.parametrize(
    "signatures",
    [
        {},
        {1: SIGNED[1], 2: SIGNED[2]},
        {1: SIGNED[1], 2: SIGNED[2], 6: SIGNED[3]},
        {0: SIGNED[5], 1: SIGNED[1], 2: SIGNED[2]},
    ],
    ids=["none", "two", "a sixth", "a zeroth"],
)
def test_three_custodians_of_five_are_needed(signatures: dict[int, tuple[bytes, ...]]) -> None:
    with pytest.raises(SignatureRefused):
        custody.assemble(UNSIGNED, ACCOUNT, signatures)
