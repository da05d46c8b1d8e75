"""Solana addresses against solders (Solana's own Rust types), and Solana Pay's links."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey

from orion.chains import Confirmations, chain, chain_data
from orion.chains.errors import AmountNotPayable, MalformedAddress, UnknownNetwork
from orion.chains.solana import (
    NETWORKS,
    address_of,
    canonical_address,
    display_address,
    parse_address,
    payment_link,
)
from orion.money import Amount, asset

SOL, USDC = asset("SOL.solana"), asset("USDC.solana")
# The example of Solana Pay's specification, and the mint of Circle's USDC on mainnet-beta.
ADDRESS = "mvines9iiHiQTysrwkJjGf2gb9Ex9jXJX8ns3qwf2kN"
TOKEN = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
KEYS = st.one_of(
    st.binary(min_size=32, max_size=32),
    st.integers(1, 31).flatmap(
        lambda zeros: st.binary(min_size=32 - zeros, max_size=32 - zeros).map(bytes(zeros).__add__)
    ),
).filter(any)


@given(KEYS)
def test_an_address_is_the_text_that_solana_writes(key: bytes) -> None:
    text = address_of(key)

    assert text == str(Pubkey(key))
    assert parse_address(text) == key


@pytest.mark.parametrize("text", [ADDRESS, TOKEN])
def test_published_addresses_are_read_as_solana_reads_them(text: str) -> None:
    assert parse_address(text) == bytes(Pubkey.from_string(text))
    assert display_address(canonical_address(text, "mainnet-beta")) == text


def test_an_address_off_the_curve_is_read() -> None:
    vault, _ = Pubkey.find_program_address([b"vault"], Pubkey.from_string(TOKEN))

    assert not vault.is_on_curve()
    assert canonical_address(str(vault), "devnet") == str(vault)


@pytest.mark.parametrize(
    "text,reason",
    [
        ("", "length"),
        ("1" * 33, "length"),
        ("1" * 31, "length"),
        (ADDRESS[:-2], "length"),
        (ADDRESS + "11", "length"),
        ("z" * 44, "length"),  # 33 bytes
        ("1" * 200, "length"),
        ("1" * 32, "zero"),
        (ADDRESS[:-1] + "l", "character"),
        (ADDRESS + "\n", "character"),
        ("0x" + "ab" * 20, "character"),
    ],
)
def test_text_that_is_no_address_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(MalformedAddress) as refused:
        parse_address(text)
    assert refused.value.fields["reason"] == reason


@given(st.text(max_size=60) | st.text("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnop"))
def test_any_text_is_read_exactly_when_solana_reads_it(text: str) -> None:
    try:
        theirs = bytes(Pubkey.from_string(text))
    except ValueError:
        theirs = bytes(32)
    try:
        ours = parse_address(text)
    except MalformedAddress:
        ours = bytes(32)
    assert ours == theirs


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_length_has_no_address(size: int) -> None:
    with pytest.raises(MalformedAddress):
        address_of(bytes(size))


@pytest.mark.parametrize("network", ["", "mainnet", "Devnet", "101"])
def test_an_unknown_network_is_refused(network: str) -> None:
    with pytest.raises(UnknownNetwork):
        canonical_address(ADDRESS, network)
    with pytest.raises(UnknownNetwork):
        chain_data("solana").confirmations(network)


def test_every_network_has_its_confirmations() -> None:
    data = chain_data("solana")

    assert set(data.networks) == set(NETWORKS)
    assert (data.native_asset, data.coin_type) == ("SOL.solana", 501)
    assert data.confirmations("mainnet-beta") == Confirmations(settled=2, final=32)
    assert chain("solana").canonical_address(ADDRESS, "localnet") == ADDRESS


def test_payment_links_are_those_of_the_specifications_examples() -> None:
    # Solana Pay, "Transfer Request", examples without label and message: 1 SOL and 0.01 USDC.
    assert payment_link(ADDRESS, Amount(10**9, SOL), "mainnet-beta") == f"solana:{ADDRESS}?amount=1"
    assert (
        payment_link(ADDRESS, Amount(10_000, USDC), "mainnet-beta", TOKEN)
        == f"solana:{ADDRESS}?amount=0.01&spl-token={TOKEN}"
    )


def test_the_smallest_amount_is_written_without_an_exponent() -> None:
    link = payment_link(ADDRESS, Amount(1, SOL), "localnet")
    assert link == f"solana:{ADDRESS}?amount=0.000000001"


@pytest.mark.parametrize("units", [0, -1, 2**64])
def test_a_payment_link_for_no_payable_amount_is_refused(units: int) -> None:
    with pytest.raises(AmountNotPayable):
        payment_link(ADDRESS, Amount(units, SOL), "localnet")
