"""Addresses against the vectors of BIP-173 and BIP-350 and against bdkpython (rust-bitcoin)."""

import json
from pathlib import Path

import bdkpython as bdk
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.chains.bitcoin import address_of, bech32, parse_address, payment_link
from orion.chains.bitcoin.network import NETWORKS
from orion.chains.errors import (
    AmountNotPayable,
    MalformedAddress,
    UnknownNetwork,
    WrongNetworkAddress,
)
from orion.money import Amount, asset

BTC = asset("BTC.bitcoin")
VECTORS = json.loads((Path(__file__).parents[1] / "data/blocks/bech32.json").read_text())
BDK_NETWORKS = {
    "mainnet": bdk.Network.BITCOIN,
    "testnet": bdk.Network.TESTNET,
    "signet": bdk.Network.SIGNET,
    "regtest": bdk.Network.REGTEST,
}
HASH20 = st.binary(min_size=20, max_size=20)
HASH32 = st.binary(min_size=32, max_size=32)
SCRIPTS = st.one_of(
    HASH20.map(lambda h: b"\x76\xa9\x14" + h + b"\x88\xac"),
    HASH20.map(lambda h: b"\xa9\x14" + h + b"\x87"),
    HASH20.map(lambda h: b"\x00\x14" + h),
    HASH32.map(lambda h: b"\x00\x20" + h),
    HASH32.map(lambda h: b"\x51\x20" + h),
)


@pytest.mark.parametrize("text", VECTORS["bech32_valid"])
def test_every_valid_bech32_string_of_bip173_is_read(text: str) -> None:
    assert bech32.decode(text)[2] is bech32.Encoding.BECH32


@pytest.mark.parametrize("text", VECTORS["bech32m_valid"])
def test_every_valid_bech32m_string_of_bip350_is_read(text: str) -> None:
    assert bech32.decode(text)[2] is bech32.Encoding.BECH32M


@pytest.mark.parametrize(
    "text,why", VECTORS["bech32_invalid"] + VECTORS["bech32m_invalid"], ids=repr
)
def test_every_invalid_string_of_bip173_and_bip350_is_refused(text: str, why: str) -> None:
    with pytest.raises(MalformedAddress):
        bech32.decode(text)


@pytest.mark.parametrize("text,script", VECTORS["segwit_valid"])
def test_every_valid_segwit_address_of_bip350_stands_for_its_script(text: str, script: str) -> None:
    network = "mainnet" if text.lower().startswith("bc1") else "testnet"
    address = parse_address(text, network)
    assert address.script.hex() == script
    assert address.text == text.lower()


@pytest.mark.parametrize("text,why", VECTORS["segwit_invalid"])
def test_every_invalid_segwit_address_of_bip350_is_refused(text: str, why: str) -> None:
    for network in NETWORKS:
        with pytest.raises((MalformedAddress, WrongNetworkAddress)):
            parse_address(text, network)


@given(script=SCRIPTS, network=st.sampled_from(sorted(NETWORKS)))
def test_script_and_address_name_each_other_as_rust_bitcoin_says(
    script: bytes, network: str
) -> None:
    text = address_of(script, NETWORKS[network])
    assert text is not None
    assert text == str(bdk.Address.from_script(bdk.Script(script), BDK_NETWORKS[network]))
    assert parse_address(text, network).script == script


@given(text=st.one_of(st.text(max_size=120), st.from_regex(r"(bc|tb|bcrt)1[ac-hj-np-z02-9]{1,90}")))
def test_any_text_is_an_address_or_a_typed_refusal(text: str) -> None:
    try:
        parse_address(text, "regtest")
    except (MalformedAddress, WrongNetworkAddress):
        return


@given(script=SCRIPTS, place=st.integers(0, 200), letter=st.sampled_from("qpzry9x8gf2tvdw0ABCxyz1"))
def test_an_address_with_one_wrong_letter_is_refused(
    script: bytes, place: int, letter: str
) -> None:
    text = address_of(script, NETWORKS["mainnet"])
    assert text is not None
    place %= len(text)
    altered = text[:place] + letter + text[place + 1 :]
    if altered == text:
        return
    with pytest.raises((MalformedAddress, WrongNetworkAddress)):
        parse_address(altered, "mainnet")


@pytest.mark.parametrize(
    "text", ["bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"]
)
def test_an_address_of_another_network_is_named_as_such(text: str) -> None:
    with pytest.raises(WrongNetworkAddress):
        parse_address(text, "regtest")


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(UnknownNetwork):
        parse_address("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "simnet")


@pytest.mark.parametrize(
    "script",
    [
        bytes.fromhex("6a0b68656c6c6f20776f726c64"),  # OP_RETURN
        b"\x21\x02" + bytes(31) + b"\x01" + b"\xac",  # bare public key
        b"\x51\x02\x4e\x73",  # pay to anchor
        b"",
    ],
)
def test_a_script_without_an_address_has_none(script: bytes) -> None:
    assert address_of(script, NETWORKS["mainnet"]) is None


@pytest.mark.parametrize(
    "units,amount",
    [
        (1, "0.00000001"),
        (41_234, "0.00041234"),
        (100_000_000, "1"),
        (120_000_000, "1.2"),
        (2_100_000_000_000_000, "21000000"),
    ],
)
def test_a_payment_link_names_the_exact_amount_in_coins(units: int, amount: str) -> None:
    address = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
    link = payment_link(address, Amount(units, BTC), "regtest")
    assert link == f"bitcoin:{address}?amount={amount}"


@pytest.mark.parametrize("units", [0, -1, 2_100_000_000_000_001])
def test_a_payment_link_for_no_payable_amount_is_refused(units: int) -> None:
    with pytest.raises(AmountNotPayable):
        payment_link("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", Amount(units, BTC), "regtest")


def test_a_payment_link_never_names_a_token_contract() -> None:
    with pytest.raises(AmountNotPayable):
        payment_link(
            "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", Amount(1, BTC), "regtest", "0xabc"
        )
