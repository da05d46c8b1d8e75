"""Public keys of custody sets, and the keys that signers sign with."""

import hashlib

import pytest
from coincurve import PrivateKey, PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.chains import secp256k1
from orion.chains.spend import CustodyKeys, WalletKind
from orion.kms.groups import CustodySet
from orion.kms.keys.chain_keys import chain_keys, tron_custody_address
from orion.kms.keys.ed25519_key import Ed25519Key
from orion.kms.keys.errors import MalformedDigest
from orion.kms.keys.extended_private_key import ExtendedPrivateKey
from orion.kms.keys.wallet_signer import NAMING_PLACES, naming_key, wallet_keys
from orion.kms.signing import points
from orion.kms.signing.errors import (
    KeyInTwoPlaces,
    MalformedPublicKey,
)
from orion.wallet.addresses import WalletRange, account_of, addresses, p2wpkh_address
from orion.wallet.errors import MalformedExtendedKey
from tests.unit.kms_signing_keys import SEED, custody_set

NETWORKS = {"bitcoin": "regtest", "ethereum": "31337", "tron": "private", "solana": "localnet"}
# Encodings of points of order 1, 2, 4 and 8, canonical ones (RFC 7748's curve in Edwards form;
# the list that libsodium's ge25519_has_small_order refuses).
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]


@pytest.mark.parametrize("encoded", SMALL_ORDER)
def test_a_key_of_small_order_is_refused(encoded: str) -> None:
    assert not points.is_ed25519_key(bytes.fromhex(encoded))


@settings(max_examples=25)
@given(st.binary(min_size=32, max_size=32))
def test_every_key_that_a_private_key_has_is_accepted(secret: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    assert points.is_ed25519_key(key)


def test_bytes_that_are_no_point_or_another_encoding_are_refused() -> None:
    two = (2).to_bytes(32, "little")
    above = (2**255 - 19 + 3).to_bytes(32, "little")
    for bad in (two, above, b"", bytes(31), bytes([3]) * 33):
        assert not points.is_ed25519_key(bad)
    good = PublicKey.from_secret(bytes(31) + b"\1")
    for other in (
        good.format(compressed=False), b"\x02" + bytes(32), b"\x02" + b"\xff" * 32,
        b"\x06" + good.format()[1:], good.format()[1:], b"",
    ):  # fmt: skip
        assert not points.is_secp256k1_point(other)
    assert points.is_secp256k1_point(good.format())


def test_a_set_with_a_key_off_its_curve_is_refused_by_place() -> None:
    good = custody_set(4, WalletKind.HOT)
    points.check_set(good)
    off = CustodyKeys((*good.keys.secp256k1[:4], b"\x02" + b"\xff" * 32), good.keys.ed25519)
    with pytest.raises(MalformedPublicKey) as caught:
        points.check_set(CustodySet(4, WalletKind.HOT, off))
    assert caught.value.fields == {"place": "set 4, custodian 5"}
    weak = (*good.keys.ed25519[:2], bytes.fromhex(SMALL_ORDER[0]), *good.keys.ed25519[3:])
    with pytest.raises(MalformedPublicKey):
        points.check_set(CustodySet(4, WalletKind.HOT, CustodyKeys(good.keys.secp256k1, weak)))


def test_a_key_that_stands_twice_in_one_set_or_in_two_is_refused() -> None:
    one, two = custody_set(1, WalletKind.HOT), custody_set(2, WalletKind.WARM)
    points.check_different([one, two])
    shared = CustodyKeys(
        two.keys.secp256k1, (*two.keys.ed25519[:3], one.keys.ed25519[0], two.keys.ed25519[4])
    )
    twice = CustodyKeys((two.keys.secp256k1[0],) * 5, two.keys.ed25519)
    for sets in ([one, CustodySet(2, WalletKind.WARM, shared)],
                 [CustodySet(2, WalletKind.WARM, twice)]):  # fmt: skip
        with pytest.raises(KeyInTwoPlaces):
            points.check_different(sets)


def test_a_wallets_signing_key_is_the_one_that_its_address_follows_from() -> None:
    from orion.chains import base58
    from orion.kms.keys.branches import wallet_keys as public_keys

    (told,) = addresses(public_keys(SEED, NETWORKS, WalletRange(77, 1)))
    nodes = chain_keys(SEED, NETWORKS)
    found = {chain: wallet_keys(chain, nodes[chain], (77,))[0].public_key() for chain in NETWORKS}
    evm = account_of(PublicKey(found["ethereum"]).format(compressed=False))
    tron = account_of(PublicKey(found["tron"]).format(compressed=False))
    assert told.addresses == {
        "bitcoin": p2wpkh_address(found["bitcoin"], "regtest"),
        "ethereum": "0x" + evm.hex(),
        "tron": base58.encode_check(b"\x41" + tron),
        "solana": base58.encode(found["solana"]),
    }


@pytest.mark.parametrize("kind", list(WalletKind))
def test_the_naming_key_is_the_anchors_own_and_no_wallets(kind: WalletKind) -> None:
    nodes = chain_keys(SEED, NETWORKS)
    key = naming_key(nodes["tron-custody"], kind).public_key()
    named = tron_custody_address(nodes["tron-custody"], NAMING_PLACES[kind])
    from orion.chains.tron.permissions import address_of_key

    assert address_of_key(key) == named
    wallets = wallet_keys("tron", nodes["tron"], range(2))
    assert key not in [wallet.public_key() for wallet in wallets]
    other = next(one for one in WalletKind if one is not kind)
    assert naming_key(nodes["tron-custody"], other).public_key() != key


@settings(max_examples=25)
@given(st.binary(min_size=32, max_size=32))
def test_an_ecdsa_signature_is_rfc_6979s_with_low_s_and_the_right_recovery_id(
    digest: bytes,
) -> None:
    key = ExtendedPrivateKey.master(SEED)
    signature = key.sign(digest)
    assert signature == key.sign(digest)
    assert secp256k1.recoverable(key.public_key(), digest, signature[:64]) == signature


def test_signatures_are_those_of_a_published_nonce_vector() -> None:
    # RFC 6979's method on secp256k1: private key 1, SHA-256 of "Satoshi Nakamoto" (the vector that
    # Trezor's crypto tests and python-ecdsa carry), through the same call.
    digest = hashlib.sha256(b"Satoshi Nakamoto").digest()
    payload = bytearray(ExtendedPrivateKey.master(SEED).payload())
    payload[46:] = (1).to_bytes(32, "big")
    signature = ExtendedPrivateKey.parse(bytes(payload)).sign(digest)
    assert signature[:64].hex() == (
        "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"
        "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"
    )


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_what_is_no_digest_is_not_signed(size: int) -> None:
    with pytest.raises(MalformedDigest):
        ExtendedPrivateKey.master(SEED).sign(bytes(size))


def test_an_ed25519_node_comes_back_from_its_payload_and_signs_as_rfc_8032() -> None:
    key = Ed25519Key.master(SEED)
    again = Ed25519Key.parse(key.payload())
    assert again.payload() == key.payload()
    assert again.child(2**31).public_key() == key.child(2**31).public_key()
    Ed25519PublicKey.from_public_bytes(key.public_key()).verify(again.sign(b"all"), b"all")
    for bad in (b"", bytes(63), bytes(65)):
        with pytest.raises(MalformedExtendedKey):
            Ed25519Key.parse(bad)


def test_no_signing_key_shows_itself() -> None:
    nodes = chain_keys(SEED, NETWORKS)
    for chain in NETWORKS:
        key = wallet_keys(chain, nodes[chain], (0,))[0]
        assert "redacted" in repr(key)
        assert not hasattr(key, "__dict__")
    secret = ExtendedPrivateKey.master(SEED).payload()[46:]
    assert PrivateKey(secret).public_key.format() == ExtendedPrivateKey.master(SEED).public_key()
