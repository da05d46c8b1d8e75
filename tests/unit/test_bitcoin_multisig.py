"""The account of a custody set: keys, script, address, descriptor.

Independent of us: BIP-67's vectors, descriptors of bcoin with their checksums and addresses, and
rust-miniscript (bdkpython), which reads our descriptor.
"""

import json
from dataclasses import replace
from pathlib import Path

import bdkpython as bdk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.chains import spend
from orion.chains.bitcoin import custody, multisig
from orion.chains.bitcoin.descriptor import with_checksum
from orion.chains.bitcoin.sighash import SegwitDigests
from orion.chains.bitcoin.wire import parse_transaction
from orion.chains.errors import MalformedAddress, UnknownNetwork
from orion.chains.secp256k1 import parse_der, verify
from orion.chains.spend import Custody, CustodyKeys
from tests.engine.custody_bitcoin_scene import custody_set

VECTORS = Path(__file__).parents[1] / "data/vectors"
SET = custody_set("unit")
DESCRIPTORS = [
    entry
    for kind in json.loads((VECTORS / "bip380-descriptor-addresses.json").read_text()).values()
    for entry in kind
]


def changed(*keys: bytes) -> CustodyKeys:
    return replace(SET.account.keys, secp256k1=keys)


@pytest.mark.parametrize("vector", json.loads((VECTORS / "bip67.json").read_text()))
def test_keys_stand_in_the_order_of_bip_67(vector: dict[str, object]) -> None:
    keys = vector["keys"]
    assert isinstance(keys, list)
    ordered = tuple(sorted(bytes.fromhex(key) for key in keys))
    assert multisig.multisig_script(2, ordered).hex() == vector["script"]


@pytest.mark.parametrize("vector", json.loads((VECTORS / "bip143.json").read_text()))
def test_digests_are_those_of_bip_143(vector: dict[str, str | int]) -> None:
    transaction = parse_transaction(bytes.fromhex(str(vector["unsigned"])))
    digest = SegwitDigests(transaction).of(
        int(vector["input"]), bytes.fromhex(str(vector["script_code"])), int(vector["value_sat"])
    )
    assert digest.hex() == vector["sighash"]
    signature = parse_der(bytes.fromhex(str(vector["signature"])))
    assert verify(bytes.fromhex(str(vector["public_key"])), digest, signature)


def test_a_witness_script_of_bip_143_has_its_published_program() -> None:
    vector = json.loads((VECTORS / "bip143.json").read_text())[1]
    script = bytes.fromhex(vector["script_code"])
    assert multisig.output_script(script).hex() == vector["witness_program"]


def test_a_published_descriptor_of_plain_keys_has_its_address() -> None:
    (entry,) = [each for each in DESCRIPTORS if each["input"].startswith("wsh(multi(2,03a0434d")]
    listed = entry["input"].removeprefix("wsh(multi(2,").partition(")")[0].split(",")
    script = multisig.multisig_script(2, tuple(bytes.fromhex(key) for key in listed))
    assert [multisig.script_address(script, "mainnet")] == entry["addresses"]


def test_checksums_are_those_of_published_descriptors() -> None:
    complete = [each["input"] for each in DESCRIPTORS if "#" in each["input"]]
    assert len(complete) == 46
    assert [with_checksum(each.rpartition("#")[0]) for each in complete] == complete
    assert with_checksum("raw(deadbeef)") == "raw(deadbeef)#89f8spxm"  # BIP-380, "Test Vectors".


def test_a_letter_outside_descriptors_has_no_checksum() -> None:
    with pytest.raises(MalformedAddress):
        with_checksum("raw(\u00fc)")


@settings(max_examples=10, deadline=None)
@given(label=st.text(max_size=8), network=st.sampled_from(["mainnet", "testnet", "regtest"]))
def test_another_wallet_finds_the_address_from_the_descriptor(label: str, network: str) -> None:
    account = custody_set(label, network=network).account
    described = custody.describe(account)
    kind = bdk.NetworkKind.MAIN if network == "mainnet" else bdk.NetworkKind.TEST
    judged = bdk.Descriptor(str(described["descriptor"]), kind)
    assert str(judged) == described["descriptor"]
    networks = {
        "mainnet": bdk.Network.BITCOIN,
        "testnet": bdk.Network.TESTNET,
        "regtest": bdk.Network.REGTEST,
    }
    assert str(judged.derive_address(0, networks[network])) == account.address


def test_a_description_is_public_and_plain_json() -> None:
    described = custody.describe(SET.account)
    assert json.loads(json.dumps(described)) == described
    assert described["threshold"] == 3
    assert described["keys"] == [key.hex() for key in SET.account.keys.secp256k1]
    assert described["address"] == SET.account.address
    assert {"chain", "network", "set", "wallet", "witness_script"} <= set(described)


def test_the_address_is_the_sets_whatever_the_group_and_the_order_of_its_keys() -> None:
    place, keys = SET.account.place, SET.account.keys
    other_group = custody.account(replace(place, group_no=7), keys, "")
    assert other_group.address == SET.account.address
    turned = custody.account(place, changed(*reversed(keys.secp256k1)), "")
    assert turned.address == SET.account.address
    assert custody_set("other").account.address != SET.account.address


def test_owners_are_the_keys_ascending() -> None:
    owners = custody.owner_addresses(SET.account.keys)
    assert owners == tuple(sorted(key.hex() for key in SET.account.keys.secp256k1))


@pytest.mark.parametrize(
    "keys",
    [
        (),
        SET.account.keys.secp256k1[:4],
        (*SET.account.keys.secp256k1, custody_set("other").account.keys.secp256k1[0]),
        (*SET.account.keys.secp256k1[:4], SET.account.keys.secp256k1[0]),
        (*SET.account.keys.secp256k1[:4], b"\x02" + b"\xff" * 32),
        (*SET.account.keys.secp256k1[:4], SET.account.keys.secp256k1[4][1:]),
        (*SET.account.keys.secp256k1[:4], bytes(SET.privates[4].public_key.format(False))),
    ],
    ids=["none", "four", "six", "twice", "off-curve", "x-only", "uncompressed"],
)
def test_what_is_not_five_different_points_is_no_account(keys: tuple[bytes, ...]) -> None:
    with pytest.raises(multisig.MalformedCustodyKeys):
        custody.account(SET.account.place, changed(*keys), "")


def test_an_account_has_no_anchor_and_a_known_network() -> None:
    with pytest.raises(MalformedAddress):
        custody.account(SET.account.place, SET.account.keys, "bcrt1q")
    with pytest.raises(UnknownNetwork):
        custody.account(replace(SET.account.place, network="moon"), SET.account.keys, "")


def test_the_module_is_what_custodians_ask_for() -> None:
    asked: Custody = custody
    assert spend.custody("bitcoin") is asked
