"""BIP-32, BIP-84 and SLIP-10 published vectors (sources: tests/data/vectors/README.md).

SLIP-10 differs from BIP-32 on secp256k1 only where a key is invalid (it repeats with another
message, BIP-32 skips the index). No vector reaches that, and the product follows BIP-32.
"""

import json
from pathlib import Path as File
from typing import Any

import pytest

from orion.chains import base58
from orion.chains.errors import MalformedAddress
from orion.kms.keys.ed25519_key import Ed25519Key
from orion.kms.keys.extended_private_key import ExtendedPrivateKey
from orion.kms.keys.mnemonic import seed_of
from orion.wallet.addresses import p2wpkh_address
from orion.wallet.errors import MalformedExtendedKey
from orion.wallet.extended_key import ExtendedPublicKey, hash160
from orion.wallet.paths import Path

VECTORS = File(__file__).parents[1] / "data" / "vectors"
BIP32: Any = json.loads((VECTORS / "bip32-bip84.json").read_text())
SLIP10: Any = json.loads((VECTORS / "slip10.json").read_text())
NODES = [(chain["seed"], node) for chain in BIP32["bip32"] for node in chain["nodes"]]
INVALID = [row for row in BIP32["bip32_invalid"] if row["reason"] != "invalid checksum"]
DAMAGED = [row for row in BIP32["bip32_invalid"] if row["reason"] == "invalid checksum"]
EDWARDS = [(chain["seed"], node) for chain in SLIP10["ed25519"] for node in chain["nodes"]]
KOBLITZ = [(chain["seed"], node) for chain in SLIP10["secp256k1"] for node in chain["nodes"]]


def named(nodes: list[Any]) -> list[str]:
    return [f"{seed[:4]} {node['path']}" for seed, node in nodes]


def payload_of(text: str) -> bytes:
    return base58.decode_check(text)


@pytest.mark.parametrize("seed,node", NODES, ids=named(NODES))
def test_every_node_of_bip32_is_derived_privately(seed: str, node: dict[str, str]) -> None:
    key = ExtendedPrivateKey.master(bytes.fromhex(seed)).derive(Path.parse(node["path"]))

    assert base58.encode_check(key.payload()) == node["xprv"]
    assert base58.encode_check(key.public().payload()) == node["xpub"]


@pytest.mark.parametrize("seed,node", NODES, ids=named(NODES))
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


def test_a_key_with_a_wrong_checksum_is_refused_as_text() -> None:
    (row,) = DAMAGED
    with pytest.raises(MalformedAddress) as refused:
        payload_of(row["key"])
    assert refused.value.fields["reason"] == "checksum"


@pytest.mark.parametrize("seed,node", NODES, ids=named(NODES))
def test_a_serialized_key_is_read_back(seed: str, node: dict[str, str]) -> None:
    private, public = payload_of(node["xprv"]), payload_of(node["xpub"])

    assert ExtendedPrivateKey.parse(private).payload() == private
    assert ExtendedPublicKey.parse(public).payload() == public


@pytest.mark.parametrize("seed,node", EDWARDS, ids=named(EDWARDS))
def test_every_ed25519_node_of_slip10_is_derived(seed: str, node: dict[str, str]) -> None:
    path = Path.parse(node["path"])
    root = Ed25519Key.master(bytes.fromhex(seed))
    key = root.derive(path)
    parent = root.derive(Path(path.numbers[:-1])).public_key()

    assert key._secret.hex() == node["private"]
    assert key._chain_code.hex() == node["chain_code"]
    assert "00" + key.public_key().hex() == node["public"]
    fingerprint = hash160(b"\0" + parent)[:4] if path.numbers else bytes(4)
    assert fingerprint.hex() == node["fingerprint"]


@pytest.mark.parametrize("seed,node", KOBLITZ, ids=named(KOBLITZ))
def test_every_secp256k1_node_of_slip10_is_derived(seed: str, node: dict[str, str]) -> None:
    key = ExtendedPrivateKey.master(bytes.fromhex(seed)).derive(Path.parse(node["path"]))
    payload = key.payload()

    assert payload[46:].hex() == node["private"]
    assert payload[13:45].hex() == node["chain_code"]
    assert payload[5:9].hex() == node["fingerprint"]
    assert key.public().public_key.hex() == node["public"]


def test_there_are_vectors() -> None:
    assert (len(NODES), len(INVALID), len(DAMAGED)) == (17, 15, 1)
    assert (len(EDWARDS), len(KOBLITZ)) == (12, 12)


def test_bip84s_account_keys_and_addresses() -> None:
    vector = BIP32["bip84"]
    root = ExtendedPrivateKey.master(seed_of(vector["mnemonic"]))
    account = root.derive(Path.parse("m/84'/0'/0'")).public()

    # SLIP-132's zpub differs from xpub in its version alone.
    assert account.payload()[4:] == payload_of(vector["account_zpub"])[4:]
    for row in vector["addresses"]:
        key = root.derive(Path.parse(row["path"])).public().public_key
        assert key.hex() == row["pubkey"]
        assert p2wpkh_address(key, "mainnet") == row["address"]
