"""BIP-39's published vectors and those of ethers (sources: tests/data/vectors/README.md)."""

import gzip
import hashlib
import json
from pathlib import Path as File
from typing import Any

import pytest
from coincurve import PublicKey
from eth_account.hdaccount import generate_mnemonic, seed_from_mnemonic
from eth_account.types import Language
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.chains import base58
from orion.chains.ethereum import checksum_address
from orion.kms.keys import mnemonic as module
from orion.kms.keys.errors import InvalidEntropy, MalformedMnemonic
from orion.kms.keys.extended_private_key import ExtendedPrivateKey
from orion.kms.keys.mnemonic import entropy_of, mnemonic_of, seed_of, words
from orion.wallet.addresses import account_of
from orion.wallet.paths import Path

VECTORS = File(__file__).parents[1] / "data" / "vectors"
BIP39: Any = json.loads((VECTORS / "bip39-bip32-english.json").read_text())
HDNODES: Any = json.loads(gzip.decompress((VECTORS / "ethersproject-hdnode.json.gz").read_bytes()))
ACCOUNTS: Any = json.loads(
    gzip.decompress((VECTORS / "ethersproject-accounts.json.gz").read_bytes())
)
ENGLISH = [row for row in HDNODES if row["locale"] == "en"]
STEP = 100
PHRASE = "abandon " * 11 + "about"


def hexadecimal(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def account_address(secret: bytes) -> str:
    return "0x" + account_of(PublicKey.from_secret(secret).format(compressed=False)).hex()


def test_there_are_vectors() -> None:
    assert (len(BIP39), len(HDNODES), len(ENGLISH), len(ACCOUNTS)) == (24, 1_409, 1_094, 1_038)


def test_the_words_are_those_of_bip39_byte_for_byte() -> None:
    content = File(module.__file__).with_name("bip39_english.txt").read_bytes()

    assert len(words()) == len(set(words())) == 2_048
    assert list(words()) == sorted(words())
    assert (
        hashlib.sha256(content).hexdigest()
        == "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"
    )


@pytest.mark.parametrize("row", BIP39, ids=[row[0] for row in BIP39])
def test_every_vector_of_bip39_from_entropy_to_master_key(row: list[str]) -> None:
    entropy, phrase, passphrase, seed, xprv = row

    assert mnemonic_of(bytes.fromhex(entropy)) == phrase
    assert entropy_of(phrase).hex() == entropy
    assert seed_of(phrase, passphrase).hex() == seed
    master = ExtendedPrivateKey.master(bytes.fromhex(seed))
    assert base58.encode_check(master.payload()) == xprv


@pytest.mark.parametrize("start", range(0, len(ENGLISH), STEP))
def test_every_english_mnemonic_of_ethers_has_its_entropy_and_seed(start: int) -> None:
    for row in ENGLISH[start : start + STEP]:
        assert entropy_of(row["mnemonic"]) == hexadecimal(row["entropy"])
        assert mnemonic_of(hexadecimal(row["entropy"])) == row["mnemonic"]
        assert seed_of(row["mnemonic"], row.get("password", "")) == hexadecimal(row["seed"])


@pytest.mark.parametrize("start", range(0, len(HDNODES), STEP))
def test_every_node_of_ethers_has_its_key_and_address(start: int) -> None:
    for row in HDNODES[start : start + STEP]:
        nodes = row["hdnodes"]
        root = ExtendedPrivateKey.master(hexadecimal(row["seed"])) if nodes else None
        for node in nodes:
            assert root is not None
            secret = root.derive(Path.parse(node["path"])).payload()[46:]
            assert secret == hexadecimal(node["privateKey"])
            assert account_address(secret) == node["address"]


@pytest.mark.parametrize("start", range(0, len(ACCOUNTS), STEP))
def test_every_account_of_ethers_has_its_address(start: int) -> None:
    for row in ACCOUNTS[start : start + STEP]:
        assert checksum_address(hexadecimal(row["address"])) == row["checksumAddress"]
        if "privateKey" in row:
            assert account_address(hexadecimal(row["privateKey"])) == row["address"]


@given(st.sampled_from([16, 20, 24, 28, 32]).flatmap(lambda n: st.binary(min_size=n, max_size=n)))
def test_entropy_is_read_back_from_its_words(entropy: bytes) -> None:
    assert entropy_of(mnemonic_of(entropy)) == entropy


@given(st.text(max_size=20))
@settings(max_examples=10)
def test_seeds_of_any_passphrase_are_those_of_eth_account(passphrase: str) -> None:
    phrase = generate_mnemonic(24, Language.ENGLISH)

    assert seed_of(phrase, passphrase) == seed_from_mnemonic(phrase, passphrase)


@pytest.mark.parametrize(
    "text,reason",
    [
        ("", "length"),
        ("abandon", "length"),
        ("abandon " * 11, "length"),
        ("abandon " * 13, "length"),
        ("abandon " * 9, "length"),
        ("abandon " * 27, "length"),
        ("a" * 401, "length"),
        ("abandon " * 12, "checksum"),
        ("abandon " * 11 + "zoo", "checksum"),
        ("abandon " * 11 + "About", "word"),
        ("abandon " * 11 + "abou", "word"),
        ("abandon " * 11 + "2047", "word"),
    ],
)
def test_words_that_are_no_mnemonic_are_refused_with_the_reason(text: str, reason: str) -> None:
    for read in (entropy_of, seed_of):
        with pytest.raises(MalformedMnemonic) as refused:
            read(text)
        assert refused.value.fields["reason"] == reason


def test_a_refusal_quotes_no_word() -> None:
    with pytest.raises(MalformedMnemonic) as refused:
        entropy_of("legal winner thank year wave sausage worth useful legal winner thank yelow")

    shown = f"{refused.value!r} {refused.value} {refused.value.fields}"
    assert not [word for word in ("legal", "winner", "sausage", "yelow") if word in shown]
    assert refused.value.fields["position"] == 12


def test_white_space_between_words_is_no_part_of_a_mnemonic() -> None:
    spread = PHRASE.replace(" ", "\n ")

    assert entropy_of(spread) == entropy_of(PHRASE)
    assert seed_of(spread) == seed_of(PHRASE)


def test_a_passphrase_over_the_limit_is_refused() -> None:
    with pytest.raises(MalformedMnemonic):
        seed_of(PHRASE, "x" * 1_001)


@pytest.mark.parametrize("size", [0, 15, 17, 31, 33, 64])
def test_entropy_of_another_length_has_no_words(size: int) -> None:
    with pytest.raises(InvalidEntropy):
        mnemonic_of(bytes(size))
