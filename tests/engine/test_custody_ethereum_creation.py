"""Safes at first use: made where their keys say, and recognised only when everything is right."""

from dataclasses import replace

import pytest
from eth_abi.abi import encode

from infra.local.anvil import Anvil
from orion.chains.ethereum import creation
from orion.chains.ethereum.abi import uint_word
from orion.chains.spend import CustodyAccount
from tests.engine.custody_ethereum_scene import Custodians, SafeScene, address_of, custodians

SENTINEL = "0x" + 38 * "0" + "01"
STRANGER = "0x" + "ab" * 20
OWNERS = [address_of(private) for private in custodians("made").privates]


@pytest.fixture(scope="module")
def scene(anvil_node: Anvil) -> SafeScene:
    return SafeScene(anvil_node)


@pytest.fixture(scope="module")
def five() -> Custodians:
    return custodians("made")


@pytest.fixture(scope="module")
def safe(scene: SafeScene, five: Custodians) -> CustodyAccount:
    return scene.account(five)


def owners(*addresses: str) -> bytes:
    return encode(["address[]"], [addresses])


def test_a_safe_is_made_at_the_predicted_address(scene: SafeScene, five: Custodians) -> None:
    planned = five.account(900_001)
    with pytest.raises(creation.SafeMismatch) as absent:
        creation.check_found(planned, scene.found(planned))
    assert absent.value.fields["reason"] == "absent"
    receipt = scene.execute(creation.factory_address(), creation.creation_call(planned), planned)
    assert receipt["status"] == 1
    creation.check_found(planned, scene.found(planned))
    functions = scene.contract(planned).functions
    owners = [owner.lower() for owner in functions.getOwners().call()]
    assert owners == [address_of(private) for private in five.privates]
    assert functions.getThreshold().call() == 3
    assert functions.VERSION().call() == "1.4.1"
    assert functions.nonce().call() == 0


def test_the_factory_makes_one_safe_once(scene: SafeScene, safe: CustodyAccount) -> None:
    again = scene.execute(creation.factory_address(), creation.creation_call(safe), safe)
    assert again["status"] == 0


def test_another_sets_safe_is_not_what_was_described(
    scene: SafeScene, safe: CustodyAccount
) -> None:
    found = scene.found(safe)
    stranger = replace(safe, keys=custodians("others").keys)
    with pytest.raises(creation.SafeMismatch) as owners:
        creation.check_found(stranger, found)
    assert owners.value.fields["reason"] == "owners"


@pytest.mark.parametrize(
    "reason, change",
    [
        ("absent", {"code": b""}),
        ("code", {"code": b"other"}),
        ("singleton", {"singleton": bytes(12) + b"\x01" * 20}),
        ("singleton", {"singleton": b""}),
        ("threshold", {"threshold": uint_word(1)}),
        ("threshold", {"threshold": b"\x03"}),
        ("guard", {"guard": uint_word(5)}),
        ("fallback_handler", {"fallback_handler": bytes(32)}),
        ("owners", {"owners": owners(*OWNERS[:4])}),
        ("owners", {"owners": owners(*OWNERS[:4], STRANGER)}),
        ("owners", {"owners": owners(*OWNERS, STRANGER)}),
        ("owners", {"owners": owners(*OWNERS[1:], OWNERS[0])}),
        ("answer", {"owners": b""}),
        ("answer", {"owners": owners(*OWNERS) + b"\x00"}),
        ("modules", {"modules": encode(["address[]", "address"], [[STRANGER], SENTINEL])}),
        ("modules", {"modules": b""}),
    ],
)
def test_a_safe_that_differs_anywhere_is_not_the_account(
    scene: SafeScene, safe: CustodyAccount, reason: str, change: dict[str, bytes]
) -> None:
    found = scene.found(safe)
    creation.check_found(safe, found)
    with pytest.raises(creation.SafeMismatch) as refused:
        creation.check_found(safe, replace(found, **change))
    assert refused.value.fields["reason"] == reason
