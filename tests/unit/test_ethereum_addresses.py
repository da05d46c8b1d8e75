"""Addresses against EIP-55's own examples and web3, payment links against EIP-681's grammar."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web3 import Web3

from orion.chains import Confirmations, chain, chain_data, chain_names
from orion.chains.errors import (
    AmountNotPayable,
    MalformedAddress,
    UnknownChain,
    UnknownNetwork,
)
from orion.chains.ethereum import (
    canonical_address,
    checksum_address,
    display_address,
    keccak256,
    parse_address,
    payment_link,
)
from orion.money import Amount, asset

# EIP-55, "Test Cases".
EIP55 = (
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
)
ADDRESS = EIP55[4]
TOKEN = EIP55[5]
ETH = asset("ETH.ethereum")


@pytest.mark.parametrize("text", EIP55)
def test_every_address_of_eip55_is_read_and_written_back(text: str) -> None:
    assert checksum_address(parse_address(text)) == text
    assert display_address(text.lower()) == text
    assert canonical_address(text, "1") == text.lower()


@given(st.binary(min_size=20, max_size=20).filter(any))
def test_the_checksummed_form_is_the_one_that_web3_writes(address: bytes) -> None:
    text = checksum_address(address)
    assert text == Web3.to_checksum_address(address)
    assert parse_address(text) == address


@given(st.binary(max_size=300))
def test_keccak_is_the_function_that_web3_uses(data: bytes) -> None:
    assert keccak256(data) == bytes(Web3.keccak(data))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x",
        ADDRESS[2:],
        ADDRESS + "0",
        ADDRESS[:-1],
        ADDRESS[:-1] + "D",  # one letter in the wrong case
        ADDRESS.replace("0x", "0X"),
        ADDRESS + "\n",
        "0x" + "\u0660" * 40,  # digits, but not of ASCII
        "0x" + "0" * 40,
    ],
)
def test_text_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(MalformedAddress):
        parse_address(text)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_a_typed_refusal(text: str) -> None:
    try:
        parse_address(text)
    except MalformedAddress:
        return


@pytest.mark.parametrize("network", ["mainnet", "", "01", "-1", "1.0", "\u0663"])
def test_a_network_that_is_no_chain_id_is_refused(network: str) -> None:
    with pytest.raises(UnknownNetwork):
        canonical_address(ADDRESS, network)


def test_a_native_payment_link_names_chain_and_wei() -> None:
    link = payment_link(ADDRESS.lower(), Amount(25 * 10**15, ETH), "31337")
    assert link == f"ethereum:{ADDRESS}@31337?value=25000000000000000"


def test_a_token_payment_link_calls_transfer_on_the_contract() -> None:
    link = payment_link(ADDRESS, Amount(25_000_000, asset("USDT.ethereum")), "1", TOKEN.lower())
    assert link == f"ethereum:{TOKEN}@1/transfer?address={ADDRESS}&uint256=25000000"


@pytest.mark.parametrize("units", [0, -1])
def test_a_payment_link_for_no_payable_amount_is_refused(units: int) -> None:
    with pytest.raises(AmountNotPayable):
        payment_link(ADDRESS, Amount(units, ETH), "1")


def test_every_chain_has_its_data_and_its_code() -> None:
    assert chain_names() == ("bitcoin", "ethereum", "solana", "tron")
    for name in chain_names():
        assert chain_data(name).native_asset.endswith(f".{name}")
        assert callable(chain(name).canonical_address)
    assert chain_data("ethereum").coin_type == 60
    assert chain_data("bitcoin").confirmations("regtest") == Confirmations(settled=2, final=3)


@pytest.mark.parametrize("name", ["", "tron2", "../bitcoin", "Bitcoin", "x" * 40])
def test_an_unknown_chain_is_refused(name: str) -> None:
    with pytest.raises(UnknownChain):
        chain(name)


def test_an_unknown_network_of_bitcoin_has_no_confirmations() -> None:
    with pytest.raises(UnknownNetwork):
        chain_data("bitcoin").confirmations("simnet")


def test_naming_one_chain_imports_no_other() -> None:
    code = (
        "import sys, orion.chains as c; c.chain_data('ethereum');"
        "c.chain('bitcoin'); print(*sorted(m for m in sys.modules if m.startswith('orion.chains')))"
    )
    env = {"PYTHONPATH": str(Path(__file__).parents[2] / "layers/orion/python")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert "orion.chains.bitcoin" in done.stdout
    assert "orion.chains.ethereum" not in done.stdout
