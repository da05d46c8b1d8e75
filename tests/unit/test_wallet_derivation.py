"""What derivation refuses, and that its addresses are those of libraries written elsewhere."""

import copy
import hashlib
import hmac
import pickle

import bdkpython as bdk
import pytest
from coincurve import PublicKey
from eth_account.hdaccount.deterministic import HDPath
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orion.chains.errors import UnknownNetwork
from orion.kms.keys.branches import branches
from orion.kms.keys.errors import InvalidSeed
from orion.kms.keys.extended_private_key import ORDER, ExtendedPrivateKey, added
from orion.wallet.addresses import WalletRange, addresses
from orion.wallet.errors import (
    DepthExceeded,
    HardenedFromPublic,
    IndexOutOfRange,
    InvalidChildKey,
    MalformedPath,
)
from orion.wallet.extended_key import Lineage, tweaked
from orion.wallet.paths import HARDENED, Path, bitcoin_branch, ethereum_branch, hardened

SEEDS = st.binary(min_size=32, max_size=64)
ROOT = ExtendedPrivateKey.master(bytes(range(32)))


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


@pytest.mark.parametrize("size", [0, 15, 65])
def test_a_seed_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(InvalidSeed):
        ExtendedPrivateKey.master(bytes(size))


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


@given(SEEDS, st.integers(0, 9_999))
@settings(max_examples=30)
@example(bytes(32), 9_999)
def test_ethereum_addresses_are_those_of_eth_account(seed: bytes, index: int) -> None:
    from eth_account import Account

    (wallet,) = addresses(branches(seed, "regtest"), WalletRange(index, 1))
    theirs = Account.from_key(HDPath(f"m/44'/60'/0'/0/{index}").derive(seed))

    assert wallet.addresses["ethereum"] == theirs.address.lower()


@given(st.binary(min_size=32, max_size=32), st.integers(0, 9_999))
@settings(max_examples=20)
def test_bitcoin_addresses_are_those_of_bdk(seed: bytes, index: int) -> None:
    # BDK takes seeds as mnemonics only: it gets the master key, and walks the whole path by itself.
    mixed = hmac.digest(b"Bitcoin seed", seed, "sha512")
    rest = bytes(9) + mixed[32:] + b"\0" + mixed[:32]
    for name, version, coin, network, kind in (
        ("mainnet", "0488ade4", 0, bdk.Network.BITCOIN, bdk.NetworkKind.MAIN),
        ("regtest", "04358394", 1, bdk.Network.REGTEST, bdk.NetworkKind.TEST),
    ):
        (wallet,) = addresses(branches(seed, name), WalletRange(index, 1))
        root = base58check(bytes.fromhex(version) + rest)
        descriptor = bdk.Descriptor(f"wpkh({root}/84'/{coin}'/0'/0/*)", kind)
        theirs = bdk.Wallet.create_single(descriptor, network, bdk.Persister.new_in_memory())
        wanted = theirs.peek_address(bdk.KeychainKind.EXTERNAL, index)
        assert wallet.addresses["bitcoin"] == str(wanted.address)


def base58check(payload: bytes) -> str:
    body = payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    number, text = int.from_bytes(body, "big"), ""
    while number:
        number, value = divmod(number, 58)
        text = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"[value] + text
    return text


@given(SEEDS, st.integers(0, 9_000), st.integers(1, 40))
@settings(max_examples=10)
def test_a_wallet_is_the_same_in_every_range_that_holds_it(
    seed: bytes, first: int, count: int
) -> None:
    public = branches(seed, "regtest")
    whole = list(addresses(public, WalletRange(first, count)))

    single = [
        next(addresses(public, WalletRange(index, 1))) for index in range(first, first + count)
    ]
    assert whole == single
    assert [wallet.index for wallet in whole] == list(range(first, first + count))


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
