"""Tron addresses against published ones and an independent Base58Check, and payment links."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.billing.payment_link import Networks, payable_asset
from orion.chains import Confirmations, chain, chain_data
from orion.chains.errors import AmountNotPayable, MalformedAddress, UnknownNetwork
from orion.chains.tron import (
    NETWORKS,
    address_of,
    canonical_address,
    display_address,
    parse_address,
    payment_link,
)
from orion.money import Amount, UnknownAsset, asset

TRX, USDT = asset("TRX.tron"), asset("USDT.tron")
# The example of TRON Developer Hub, "Accounts and keys", in both forms; the contract of Tether's
# USDT on mainnet.
PUBLISHED = (
    ("418840e6c55b9ada326d211d818c34a994aeced808", "TNPeeaaFB7K9cmo4uQpcU32zGK8G1NYqeL"),
    ("41a614f803b6fd780986a42c78ec9c7f77e6ded13c", "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"),
)
ADDRESS, TOKEN = PUBLISHED[0][1], PUBLISHED[1][1]
ZERO = "T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb"
LETTERS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def written(payload: bytes) -> str:
    """Base58Check letter by letter, for payloads without leading zero bytes."""
    body = payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    number, text = int.from_bytes(body, "big"), ""
    while number:
        number, value = divmod(number, 58)
        text = LETTERS[value] + text
    return text


@pytest.mark.parametrize("hexadecimal,text", PUBLISHED)
def test_published_addresses_are_read_and_written_back(hexadecimal: str, text: str) -> None:
    assert parse_address(text) == bytes.fromhex(hexadecimal)[1:]
    assert address_of(bytes.fromhex(hexadecimal)[1:]) == text
    assert display_address(canonical_address(text, "mainnet")) == text


@given(st.binary(min_size=20, max_size=20).filter(any))
def test_an_address_is_base58check_of_0x41_and_the_account(account: bytes) -> None:
    text = address_of(account)

    assert text == written(b"\x41" + account)
    assert (text[0], len(text)) == ("T", 34)
    assert parse_address(text) == account


@pytest.mark.parametrize(
    "text,reason",
    [
        ("", "length"),
        ("T" * 200, "length"),
        (written(b"\x41" + bytes(19)), "length"),
        (written(b"\x41" + bytes(21)), "length"),
        (written(b"\xa0" + b"\1" * 20), "version"),
        (written(b"\x05" + b"\1" * 20), "version"),
        (ZERO, "zero"),
        (ADDRESS[:-1] + "M", "checksum"),
        (ADDRESS[:9] + ADDRESS[10:], "checksum"),
        (ADDRESS.swapcase().replace("l", "1").replace("I", "i").replace("O", "o"), "checksum"),
        (ADDRESS + " ", "character"),
        (PUBLISHED[0][0], "character"),
        ("0x" + PUBLISHED[0][0][2:], "character"),
    ],
)
def test_text_that_is_no_address_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(MalformedAddress) as refused:
        parse_address(text)
    assert refused.value.fields["reason"] == reason


@pytest.mark.parametrize("size", [0, 19, 21, 32])
def test_an_account_of_another_length_has_no_address(size: int) -> None:
    with pytest.raises(MalformedAddress):
        address_of(bytes(size))


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_a_typed_refusal(text: str) -> None:
    try:
        parse_address(text)
    except MalformedAddress:
        return


@pytest.mark.parametrize("network", ["", "Mainnet", "1", "testnet"])
def test_an_unknown_network_is_refused(network: str) -> None:
    with pytest.raises(UnknownNetwork):
        canonical_address(ADDRESS, network)
    with pytest.raises(UnknownNetwork):
        chain_data("tron").confirmations(network)


def test_every_network_has_its_confirmations() -> None:
    data = chain_data("tron")

    assert set(data.networks) == set(NETWORKS)
    assert (data.native_asset, data.coin_type) == ("TRX.tron", 195)
    assert data.confirmations("mainnet") == Confirmations(settled=10, final=20)
    assert chain("tron").canonical_address(ADDRESS, "nile") == ADDRESS


@pytest.mark.parametrize("units,amount", [(1, "0.000001"), (1_500_000, "1.5"), (10**7, "10")])
def test_a_payment_link_names_the_exact_amount_in_whole_coins(units: int, amount: str) -> None:
    native = payment_link(ADDRESS, Amount(units, TRX), "nile")
    token = payment_link(ADDRESS, Amount(units, USDT), "nile", TOKEN)

    assert native == f"tron:{ADDRESS}?amount={amount}"
    assert token == f"tron:{ADDRESS}?amount={amount}&token={TOKEN}"


@pytest.mark.parametrize("units", [0, -1, 2**63])
def test_a_payment_link_for_no_payable_amount_is_refused(units: int) -> None:
    with pytest.raises(AmountNotPayable):
        payment_link(ADDRESS, Amount(units, TRX), "nile")


@pytest.mark.parametrize("code", ["TRX.tron", "USDT.tron", "SOL.solana", "USDC.solana"])
def test_an_asset_whose_chain_the_stage_does_not_serve_is_never_offered(code: str) -> None:
    places = Networks({"bitcoin": "regtest", "ethereum": "31337"}, {code: "a contract"})

    with pytest.raises(UnknownAsset):
        payable_asset(code, places)
