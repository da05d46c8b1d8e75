"""Derived addresses in number: every one of thousands is the one that solders finds."""

import hashlib

import pytest
from solders.pubkey import Pubkey
from spl.token.instructions import get_associated_token_address

from orion.chains.solana.curve import is_on_curve
from orion.chains.solana.derived import associated

# It starts no engine, but takes seconds: more than a unit test may.
pytestmark = pytest.mark.engine


def test_ten_thousand_keys_are_on_the_curve_or_off_it_as_solders_says() -> None:
    keys = [hashlib.sha256(at.to_bytes(4, "big")).digest() for at in range(10_000)]
    found = [is_on_curve(key) for key in keys]

    assert found == [Pubkey(key).is_on_curve() for key in keys]
    assert 4_800 < sum(found) < 5_200


def test_two_thousand_associated_accounts_are_those_that_solana_finds() -> None:
    mint = hashlib.sha256(b"mint").digest()
    for at in range(2_000):
        owner = hashlib.sha256(at.to_bytes(4, "big")).digest()
        theirs = get_associated_token_address(Pubkey(owner), Pubkey(mint))
        assert associated(owner, mint) == bytes(theirs)
