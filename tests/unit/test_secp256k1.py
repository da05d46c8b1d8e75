"""ECDSA on secp256k1 as production verifies it, against Wycheproof's Bitcoin vectors."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from coincurve import PrivateKey, PublicKey
from hypothesis import given
from hypothesis import strategies as st

from orion.chains.secp256k1 import (
    HALF_ORDER,
    ORDER,
    MalformedSignature,
    normalized,
    parse_der,
    recoverable,
    to_der,
    verify,
)

VECTORS = Path(__file__).parents[1] / "data" / "vectors"
WYCHEPROOF: Any = json.loads((VECTORS / "wycheproof-ecdsa-secp256k1-bitcoin.json").read_text())
CASES = [(group, case) for group in WYCHEPROOF["testGroups"] for case in group["tests"]]

SECRET = PrivateKey(bytes(31) + b"\x07")
PUBLIC = SECRET.public_key.format()
DIGEST = hashlib.sha256(b"a payout").digest()
NUMBER = st.one_of(st.integers(1, ORDER - 1), st.integers(1, 300))


def compact_of(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def signed() -> bytes:
    return parse_der(SECRET.sign(DIGEST, hasher=None))


def accepted(group: Any, case: Any) -> bool:
    point = PublicKey(bytes.fromhex(group["publicKey"]["uncompressed"]))
    digest = hashlib.sha256(bytes.fromhex(case["msg"])).digest()
    try:
        compact = parse_der(bytes.fromhex(case["sig"]))
    except MalformedSignature:
        return False
    verdicts = {verify(point.format(compressed), digest, compact) for compressed in (True, False)}
    assert len(verdicts) == 1
    return verdicts.pop()


def test_every_wycheproof_vector_is_accepted_or_refused_as_published() -> None:
    verdicts = {case["tcId"]: accepted(group, case) for group, case in CASES}

    assert len(verdicts) == WYCHEPROOF["numberOfTests"] == 463
    assert {number for number, valid in verdicts.items() if valid} == {
        case["tcId"] for _, case in CASES if case["result"] == "valid"
    }


def test_every_valid_vector_recovers_its_key_by_its_recovery_id() -> None:
    seen = set()
    for group, case in CASES:
        if case["result"] != "valid":
            continue
        point = PublicKey(bytes.fromhex(group["publicKey"]["uncompressed"]))
        digest = hashlib.sha256(bytes.fromhex(case["msg"])).digest()
        signature = recoverable(point.format(), digest, parse_der(bytes.fromhex(case["sig"])))
        seen.add(signature[64])
        assert PublicKey.from_signature_and_message(signature, digest, hasher=None) == point

    # An id of 2 is a point whose x lies above the order, which chance alone never meets.
    assert seen == {0, 1, 2}


def test_every_valid_vector_is_written_as_it_was_read() -> None:
    for _, case in CASES:
        if case["result"] == "valid":
            assert to_der(parse_der(bytes.fromhex(case["sig"]))).hex() == case["sig"]


@given(NUMBER, NUMBER)
def test_der_holds_both_numbers_exactly(r: int, s: int) -> None:
    assert parse_der(to_der(compact_of(r, s))) == compact_of(r, s)


@given(NUMBER, NUMBER)
def test_the_lower_of_two_s_is_kept(r: int, s: int) -> None:
    low = normalized(compact_of(r, s))

    assert low[:32] == r.to_bytes(32, "big")
    assert int.from_bytes(low[32:], "big") == min(s, ORDER - s)
    assert normalized(low) == low


def test_the_highest_low_s_stays_and_the_next_one_is_turned() -> None:
    assert normalized(compact_of(1, HALF_ORDER)) == compact_of(1, HALF_ORDER)
    assert normalized(compact_of(1, HALF_ORDER + 1)) == compact_of(1, HALF_ORDER)


def test_a_high_s_is_refused_though_the_curve_would_accept_it() -> None:
    compact = signed()
    high = compact_of(
        int.from_bytes(compact[:32], "big"), ORDER - int.from_bytes(compact[32:], "big")
    )

    assert verify(PUBLIC, DIGEST, compact)
    assert not verify(PUBLIC, DIGEST, high)
    assert verify(PUBLIC, DIGEST, normalized(high))
    with pytest.raises(MalformedSignature):
        recoverable(PUBLIC, DIGEST, high)


@pytest.mark.parametrize(
    "r,s", [(0, 1), (1, 0), (ORDER, 1), (1, ORDER), (2**256 - 1, 1), (1, 2**256 - 1)]
)
def test_numbers_out_of_range_are_refused_everywhere(r: int, s: int) -> None:
    assert not verify(PUBLIC, DIGEST, compact_of(r, s))
    for reader in (normalized, to_der):
        with pytest.raises(MalformedSignature):
            reader(compact_of(r, s))


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_compact_signature_has_64_bytes(size: int) -> None:
    cut = (signed() + b"\x01")[:size]

    assert not verify(PUBLIC, DIGEST, cut)
    with pytest.raises(MalformedSignature):
        normalized(cut)


@pytest.mark.parametrize("digest", [b"", DIGEST[:31], DIGEST + b"\x00", bytes(32)])
def test_another_digest_is_refused(digest: bytes) -> None:
    assert not verify(PUBLIC, digest, signed())


@pytest.mark.parametrize(
    "key",
    [
        b"",
        PUBLIC[:32],
        b"\x04" + PUBLIC[1:],
        b"\x02" + b"\xff" * 32,
        b"\x06" + SECRET.public_key.format(compressed=False)[1:],
        b"\x07" + SECRET.public_key.format(compressed=False)[1:],
        PrivateKey(bytes(31) + b"\x08").public_key.format(),
    ],
)
def test_another_or_malformed_key_is_refused(key: bytes) -> None:
    assert not verify(key, DIGEST, signed())
    with pytest.raises(MalformedSignature):
        recoverable(key, DIGEST, signed())
