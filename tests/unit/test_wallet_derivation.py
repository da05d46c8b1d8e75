"""What derivation refuses, and that its addresses are those of libraries written elsewhere."""

import copy
import hmac
import json
import pickle
from collections.abc import Mapping
from pathlib import Path as File
from typing import Any

import bdkpython as bdk
import pytest
from coincurve import PublicKey
from eth_account.hdaccount.deterministic import HDPath
from hypothesis import example, given, settings
from hypothesis import strategies as st
from solders.keypair import Keypair

from orion.chains import base58, chain, chain_names
from orion.chains.errors import UnknownChain, UnknownNetwork
from orion.chains.tron import parse_address
from orion.kms.keys.branches import wallet_keys
from orion.kms.keys.ed25519_key import Ed25519Key
from orion.kms.keys.errors import InvalidSeed
from orion.kms.keys.extended_private_key import ORDER, ExtendedPrivateKey, added, is_secret
from orion.kms.keys.mnemonic import seed_of
from orion.wallet.addresses import WalletAddresses, WalletRange, addresses
from orion.wallet.errors import (
    DepthExceeded,
    HardenedFromPublic,
    IndexOutOfRange,
    InvalidChildKey,
    MalformedPath,
    NormalFromEd25519,
)
from orion.wallet.extended_key import Lineage, tweaked
from orion.wallet.paths import (
    HARDENED,
    Path,
    bitcoin_branch,
    ethereum_branch,
    hardened,
    solana_account,
    solana_root,
    tron_branch,
)

VECTORS = File(__file__).parents[1] / "data" / "vectors"
TRONWEB: Any = json.loads((VECTORS / "tronweb-addresses.json").read_text())
SEEDS = st.binary(min_size=32, max_size=64)
INDEXES = st.integers(0, 9_999)
ROOT = ExtendedPrivateKey.master(bytes(range(32)))
TWO = {"bitcoin": "regtest", "ethereum": "31337"}
FOUR = {**TWO, "tron": "private", "solana": "localnet"}


def derived(
    seed: bytes, first: int, count: int = 1, networks: Mapping[str, str] = FOUR
) -> list[WalletAddresses]:
    return list(addresses(wallet_keys(seed, networks, WalletRange(first, count))))


def only(seed: bytes, index: int) -> Mapping[str, str]:
    (wallet,) = derived(seed, index)
    return wallet.addresses


def test_a_hardened_child_of_a_public_key_is_refused() -> None:
    with pytest.raises(HardenedFromPublic):
        ROOT.public().child(HARDENED)


@pytest.mark.parametrize("number", [-1, 2**32])
def test_a_child_number_outside_32_bits_is_refused(number: int) -> None:
    with pytest.raises(IndexOutOfRange):
        ROOT.child(number)
    with pytest.raises(IndexOutOfRange):
        Path((number,))


@pytest.mark.parametrize("index", [-1, HARDENED])
def test_a_hardened_index_outside_31_bits_is_refused(index: int) -> None:
    with pytest.raises(IndexOutOfRange):
        hardened(index)


def test_a_key_at_depth_255_has_no_children() -> None:
    deep = ExtendedPrivateKey(b"\1" * 32, b"\2" * 32, Lineage(255, b"\3" * 4, 1))

    with pytest.raises(DepthExceeded):
        deep.child(0)
    with pytest.raises(DepthExceeded):
        deep.public().child(0)


@pytest.mark.parametrize("tweak", [ORDER, ORDER + 1, 2**256 - 1])
def test_a_tweak_not_below_the_order_gives_no_child(tweak: int) -> None:
    with pytest.raises(InvalidChildKey):
        added(b"\1" * 32, tweak.to_bytes(32, "big"))
    with pytest.raises(InvalidChildKey):
        tweaked(PublicKey.from_secret(b"\1" * 32), tweak.to_bytes(32, "big"))


def test_a_tweak_that_cancels_the_parent_gives_no_child() -> None:
    secret = 12345
    opposite = (ORDER - secret).to_bytes(32, "big")

    with pytest.raises(InvalidChildKey):
        added(secret.to_bytes(32, "big"), opposite)
    with pytest.raises(InvalidChildKey):
        tweaked(PublicKey.from_secret(secret.to_bytes(32, "big")), opposite)


@pytest.mark.parametrize(
    "number,valid", [(0, False), (1, True), (ORDER - 1, True), (ORDER, False), (2**256 - 1, False)]
)
def test_a_private_key_is_above_zero_and_below_the_order(number: int, valid: bool) -> None:
    assert is_secret(number.to_bytes(32, "big")) is valid


@pytest.mark.parametrize("size", [0, 15, 65])
def test_a_seed_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(InvalidSeed):
        ExtendedPrivateKey.master(bytes(size))
    with pytest.raises(InvalidSeed):
        Ed25519Key.master(bytes(size))


@pytest.mark.parametrize("number", [0, 1, HARDENED - 1])
def test_a_normal_child_on_ed25519_is_refused(number: int) -> None:
    with pytest.raises(NormalFromEd25519):
        Ed25519Key.master(bytes(32)).child(number)


@pytest.mark.parametrize("number", [-1, 2**32])
def test_a_child_number_outside_32_bits_is_refused_on_ed25519(number: int) -> None:
    with pytest.raises(IndexOutOfRange):
        Ed25519Key.master(bytes(32)).child(number)


@pytest.mark.parametrize(
    "text",
    ["", "m/", "84'/0'", "m/84''", "m/-1", "m/+1", "m/1_0", "m/007", "m/2147483648", "m/x", "M/0",
     "m/0/", "m//0", "m/\u0661", "m/99999999999", "m" + "/0" * 256],
)  # fmt: skip
def test_a_malformed_path_is_refused(text: str) -> None:
    with pytest.raises(MalformedPath):
        Path.parse(text)


@given(st.lists(st.integers(0, 2**32 - 1), max_size=12))
def test_a_path_is_read_back_from_its_text(numbers: list[int]) -> None:
    path = Path(tuple(numbers))

    assert Path.parse(path.text()) == path
    assert Path.parse(path.text().replace("'", "h")) == path


def test_the_paths_are_those_of_bip84_and_bip44() -> None:
    assert bitcoin_branch("mainnet").text() == "m/84'/0'/0'/0"
    assert {bitcoin_branch(name).text() for name in ("testnet", "signet", "regtest")} == {
        "m/84'/1'/0'/0"
    }
    assert ethereum_branch().text() == "m/44'/60'/0'/0"
    assert tron_branch().text() == "m/44'/195'/0'/0"
    assert (solana_root().text(), solana_account(7).text()) == ("m/44'/501'", "m/7'/0'")
    with pytest.raises(IndexOutOfRange):
        solana_account(HARDENED)
    with pytest.raises(UnknownNetwork):
        bitcoin_branch("dogecoin")


@pytest.mark.parametrize(
    "first,count", [(0, 0), (0, -1), (0, 1001), (-1, 1), (9_999, 2), (10_000, 1), (9_001, 1_000)]
)
def test_a_range_outside_the_group_or_over_1000_is_refused(first: int, count: int) -> None:
    with pytest.raises(IndexOutOfRange):
        WalletRange(first, count)


@given(SEEDS, st.lists(st.integers(0, 2**32 - 1), max_size=4), st.integers(0, HARDENED - 1))
@settings(max_examples=30)
def test_private_and_public_derivation_meet(seed: bytes, above: list[int], index: int) -> None:
    parent = ExtendedPrivateKey.master(seed).derive(Path(tuple(above)))

    assert parent.child(index).public() == parent.public().child(index)


@given(SEEDS, INDEXES)
@settings(max_examples=30)
@example(bytes(32), 9_999)
def test_ethereum_and_tron_addresses_are_those_of_eth_account(seed: bytes, index: int) -> None:
    from eth_account import Account

    found = only(seed, index)
    ethereum = Account.from_key(HDPath(f"m/44'/60'/0'/0/{index}").derive(seed)).address
    # Tron's account is the 20 bytes that Ethereum would have for the same key.
    tron = Account.from_key(HDPath(f"m/44'/195'/0'/0/{index}").derive(seed)).address

    assert found["ethereum"] == ethereum.lower()
    assert base58.decode_check(found["tron"]) == bytes.fromhex("41" + tron[2:])


@pytest.mark.parametrize("row", TRONWEB, ids=[row["mnemonic"].split()[0] for row in TRONWEB])
def test_tron_addresses_are_those_of_tronweb_for_the_same_words(row: Any) -> None:
    seed = bytes(seed_of(row["mnemonic"]))

    for theirs in row["addresses"]:
        path = Path.parse(theirs["path"])
        index = path.numbers[-1]
        assert tron_branch().child(index) == path
        assert only(seed, index)["tron"] == theirs["address"]
        assert parse_address(theirs["address"]).hex() == theirs["hex"][2:]


@given(st.binary(min_size=64, max_size=64), INDEXES)
@settings(max_examples=30)
@example(bytes(64), 9_999)
def test_solana_addresses_are_those_of_solders(seed: bytes, index: int) -> None:
    # solders takes seeds of 64 bytes only; SLIP-10's vectors have seeds of 16 as well.
    theirs = Keypair.from_seed_and_derivation_path(seed, f"m/44'/501'/{index}'/0'")

    assert only(seed, index)["solana"] == str(theirs.pubkey())


@given(st.binary(min_size=32, max_size=32), INDEXES)
@settings(max_examples=20)
def test_bitcoin_addresses_are_those_of_bdk(seed: bytes, index: int) -> None:
    # BDK takes seeds as mnemonics only: it gets the master key, and walks the whole path by itself.
    mixed = hmac.digest(b"Bitcoin seed", seed, "sha512")
    rest = bytes(9) + mixed[32:] + b"\0" + mixed[:32]
    for name, version, coin, network, kind in (
        ("mainnet", "0488ade4", 0, bdk.Network.BITCOIN, bdk.NetworkKind.MAIN),
        ("regtest", "04358394", 1, bdk.Network.REGTEST, bdk.NetworkKind.TEST),
    ):
        (wallet,) = derived(seed, index, networks={"bitcoin": name})
        root = base58.encode_check(bytes.fromhex(version) + rest)
        descriptor = bdk.Descriptor(f"wpkh({root}/84'/{coin}'/0'/0/*)", kind)
        theirs = bdk.Wallet.create_single(descriptor, network, bdk.Persister.new_in_memory())
        wanted = theirs.peek_address(bdk.KeychainKind.EXTERNAL, index)
        assert wallet.addresses == {"bitcoin": str(wanted.address)}


@given(SEEDS, st.integers(0, 9_000), st.integers(1, 40))
@settings(max_examples=10)
def test_a_wallet_is_the_same_in_every_range_that_holds_it(
    seed: bytes, first: int, count: int
) -> None:
    whole = derived(seed, first, count)

    assert whole == [derived(seed, index)[0] for index in range(first, first + count)]
    assert [wallet.index for wallet in whole] == list(range(first, first + count))


def test_a_wallet_has_an_address_on_every_chain_in_its_canonical_form() -> None:
    found = only(bytes(range(32)), 17)

    assert tuple(sorted(found)) == chain_names()
    for name, text in found.items():
        assert chain(name).canonical_address(text, FOUR[name]) == text


def test_the_networks_decide_which_chains_a_wallet_has_and_change_no_address() -> None:
    seed = bytes(range(32))
    (two,), (four,) = derived(seed, 5, networks=TWO), derived(seed, 5)

    assert set(two.addresses) == {"bitcoin", "ethereum"}
    assert two.addresses.items() < four.addresses.items()
    with pytest.raises(UnknownChain):
        derived(seed, 5, networks={**TWO, "dogecoin": "mainnet"})


def test_no_two_wallets_and_no_two_chains_share_a_key() -> None:
    wallets = derived(bytes(range(32)), 0, 200)
    accounts = [bytes.fromhex(wallet.addresses["ethereum"][2:]) for wallet in wallets]
    accounts += [base58.decode_check(wallet.addresses["tron"])[1:] for wallet in wallets]

    assert len(set(accounts)) == 400
    assert len({text for wallet in wallets for text in wallet.addresses.values()}) == 800


def test_a_private_key_shows_nothing_and_is_not_copied() -> None:
    secret = hmac.digest(b"Bitcoin seed", bytes(range(32)), "sha512")[:32].hex()

    for text in (repr(ROOT), str(ROOT), f"{ROOT}", repr(vars(type(ROOT)))):
        assert secret not in text
    assert repr(ROOT) == "ExtendedPrivateKey(depth=0, redacted)"
    assert ROOT.public().public_key.hex() not in repr(ROOT.public())
    with pytest.raises(TypeError):
        pickle.dumps(ROOT)
    with pytest.raises(TypeError):
        copy.deepcopy(ROOT)
    assert not hasattr(ROOT, "__dict__")


def test_an_ed25519_key_shows_nothing_and_is_not_copied() -> None:
    key = Ed25519Key.master(bytes(range(32)))
    secret = hmac.digest(b"ed25519 seed", bytes(range(32)), "sha512")[:32].hex()

    for text in (repr(key), str(key), f"{key}", repr(vars(type(key)))):
        assert secret not in text
    with pytest.raises(TypeError):
        pickle.dumps(key)
    with pytest.raises(TypeError):
        copy.deepcopy(key)
    assert not hasattr(key, "__dict__")
