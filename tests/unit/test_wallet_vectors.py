"""BIP-32, BIP-39 and BIP-84 published vectors (sources: tests/data/vectors/README.md).

The product reads and writes BIP-32's 78 bytes; the base 58 around them is undone here, so that the
one vector about the text's checksum would test this file's reader only and is left out by name.
"""

import hashlib
import json
from pathlib import Path as File
from typing import Any

import pytest

from orion.kms.keys.extended_private_key import ExtendedPrivateKey
from orion.wallet.addresses import p2wpkh_address
from orion.wallet.errors import MalformedExtendedKey
from orion.wallet.extended_key import ExtendedPublicKey
from orion.wallet.paths import Path

VECTORS = File(__file__).parents[1] / "data" / "vectors"
BIP32: Any = json.loads((VECTORS / "bip32-bip84.json").read_text())
BIP39: Any = json.loads((VECTORS / "bip39-bip32-english.json").read_text())
LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
NODES = [(chain["seed"], node) for chain in BIP32["bip32"] for node in chain["nodes"]]
INVALID = [row for row in BIP32["bip32_invalid"] if row["reason"] != "invalid checksum"]


def payload_of(text: str) -> bytes:
    number = 0
    for letter in text:
        number = number * 58 + LETTERS.index(letter)
    body = number.to_bytes(82, "big")
    digest = hashlib.sha256(hashlib.sha256(body[:78]).digest()).digest()
    assert digest[:4] == body[78:], "the vector itself is damaged"
    return body[:78]


def bip39_seed(mnemonic: str, passphrase: str) -> bytes:
    salt = b"mnemonic" + passphrase.encode()
    return hashlib.pbkdf2_hmac("sha512", mnemonic.encode(), salt, 2048)


@pytest.mark.parametrize("seed,node", NODES, ids=[node["path"] for _, node in NODES])
def test_every_node_of_bip32_is_derived_privately(seed: str, node: dict[str, str]) -> None:
    key = ExtendedPrivateKey.master(bytes.fromhex(seed)).derive(Path.parse(node["path"]))

    assert key.payload() == payload_of(node["xprv"])
    assert key.public().payload() == payload_of(node["xpub"])


@pytest.mark.parametrize("seed,node", NODES, ids=[node["path"] for _, node in NODES])
def test_a_normal_child_is_the_same_from_its_public_parent(seed: str, node: dict[str, str]) -> None:
    path = Path.parse(node["path"])
    if not path.numbers or path.numbers[-1] >= 1 << 31:
        path = path.child(7)
    root = ExtendedPrivateKey.master(bytes.fromhex(seed))
    parent = root.derive(Path(path.numbers[:-1])).public()

    assert parent.child(path.numbers[-1]) == root.derive(path).public()


@pytest.mark.parametrize("row", INVALID, ids=[row["reason"] for row in INVALID])
def test_every_invalid_key_of_bip32_is_refused(row: dict[str, str]) -> None:
    payload = payload_of(row["key"])

    with pytest.raises(MalformedExtendedKey):
        ExtendedPublicKey.parse(payload)
    with pytest.raises(MalformedExtendedKey):
        ExtendedPrivateKey.parse(payload)


@pytest.mark.parametrize("seed,node", NODES, ids=[node["path"] for _, node in NODES])
def test_a_serialized_key_is_read_back(seed: str, node: dict[str, str]) -> None:
    private, public = payload_of(node["xprv"]), payload_of(node["xpub"])

    assert ExtendedPrivateKey.parse(private).payload() == private
    assert ExtendedPublicKey.parse(public).payload() == public


def test_there_are_vectors() -> None:
    assert (len(NODES), len(INVALID), len(BIP39)) == (17, 15, 24)


@pytest.mark.parametrize("row", BIP39, ids=[row[0] for row in BIP39])
def test_every_seed_of_bip39s_vectors_has_its_master_key(row: list[str]) -> None:
    _, mnemonic, passphrase, seed, xprv = row

    assert bip39_seed(mnemonic, passphrase).hex() == seed
    assert ExtendedPrivateKey.master(bytes.fromhex(seed)).payload() == payload_of(xprv)


def test_bip84s_account_keys_and_addresses() -> None:
    vector = BIP32["bip84"]
    root = ExtendedPrivateKey.master(bip39_seed(vector["mnemonic"], ""))
    account = root.derive(Path.parse("m/84'/0'/0'")).public()

    # SLIP-132's zpub differs from xpub in its version alone.
    assert account.payload()[4:] == payload_of(vector["account_zpub"])[4:]
    for row in vector["addresses"]:
        key = root.derive(Path.parse(row["path"])).public().public_key
        assert key.hex() == row["pubkey"]
        assert p2wpkh_address(key, "mainnet") == row["address"]
