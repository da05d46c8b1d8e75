"""Identities are made from facts, and written so that people cannot misread them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.ids import MalformedId, fact_id, parse_public_id, public_id, random_id

part = st.one_of(st.text(max_size=8), st.integers(), st.binary(max_size=8))


@given(st.lists(part, max_size=4), st.lists(part, max_size=4))
def test_two_facts_share_an_identity_only_when_they_are_the_same(
    left: list[str | int | bytes], right: list[str | int | bytes]
) -> None:
    same = [(type(p), p) for p in left] == [(type(p), p) for p in right]
    assert (fact_id("deposit", *left) == fact_id("deposit", *right)) == same


def test_the_encoding_of_facts_never_changes() -> None:
    # A new value here would credit every deposit again.
    assert fact_id("deposit_credit", "bitcoin", "ab" * 32, "out:1", 0).hex() == (
        "35ddf5fdcb72013387c6eb1c9b67336a"
    )


def test_the_kind_is_part_of_the_identity() -> None:
    assert fact_id("a", "b") != fact_id("b", "a") != fact_id("ab")


@given(st.binary(min_size=16, max_size=16))
def test_a_public_identity_reads_back(value: bytes) -> None:
    text = public_id("inv", value)
    assert len(text) == 30
    assert parse_public_id("inv", text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "inv_",
        "inv",
        "mer_" + "0" * 26,
        "inv_" + "0" * 25,
        "inv_" + "0" * 27,
        "inv_" + "U" * 26,
        "inv_" + "Z" * 26,
        "inv_" + "a" * 26,
        "inv_" + "\u0660" * 26,
    ],
)
def test_other_text_is_no_identity(text: str) -> None:
    with pytest.raises(MalformedId):
        parse_public_id("inv", text)


def test_random_identities_differ_and_are_version_7() -> None:
    values = {random_id() for _ in range(1_000)}
    assert len(values) == 1_000
    assert all(value[6] >> 4 == 7 and value[8] >> 6 == 2 for value in values)
