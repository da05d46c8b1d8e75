"""A custodian's keys in a real KMS API: low s, recovery ids, Ed25519, and refusals by name."""

import hashlib
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from coincurve import PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from orion.adapters.aws.kms_signer import KmsCustodianSigner, ed25519_key, secp256k1_key
from orion.chains.secp256k1 import HALF_ORDER, parse_der
from orion.chains.spend import Curve
from orion.kms.custody.errors import SignerRefused, SignerUnavailable
from tests.engine.custodian_scene import Aws

pytestmark = pytest.mark.engine
PAYLOADS = 10_000
MESSAGES = 300


@pytest.fixture(scope="module")
def aws(aws_engine: Any) -> Aws:
    return Aws(aws_engine)


@pytest.fixture(scope="module")
def stage(aws: Aws) -> str:
    name = f"t{secrets.token_hex(4)}"
    for curve in Curve:
        aws.custodian_key(name, 1, 1, curve)
    return name


@pytest.fixture
def signer(aws: Aws, stage: str) -> KmsCustodianSigner:
    return KmsCustodianSigner(aws.kms, stage, 1)


@pytest.fixture
def raw_s(aws: Aws) -> Iterator[list[int]]:
    """Every s as KMS answered it."""
    seen: list[int] = []

    def note(parsed: Any, **_: Any) -> None:
        seen.append(int.from_bytes(parse_der(parsed["Signature"])[32:], "big"))

    aws.kms.meta.events.register("after-call.kms.Sign", note)
    yield seen
    aws.kms.meta.events.unregister("after-call.kms.Sign", note)


def test_ten_thousand_payloads_are_signed_low_and_recover_the_right_key(
    signer: KmsCustodianSigner, raw_s: list[int]
) -> None:
    public_key = signer.public_key(1, Curve.SECP256K1)
    digests = [hashlib.sha256(secrets.token_bytes(64)).digest() for _ in range(PAYLOADS)]

    with ThreadPoolExecutor(4) as pool:
        signatures = list(pool.map(lambda digest: signer.sign(1, Curve.SECP256K1, digest), digests))

    for digest, signature in zip(digests, signatures, strict=True):
        assert len(signature) == 65
        assert int.from_bytes(signature[32:64], "big") <= HALF_ORDER
        recovered = PublicKey.from_signature_and_message(signature, digest, hasher=None)
        assert recovered.format() == public_key
    assert len(raw_s) == PAYLOADS
    # Else nothing was normalised, and the test would not notice if nothing were.
    assert sum(s > HALF_ORDER for s in raw_s) > PAYLOADS // 4
    assert {signature[64] for signature in signatures} == {0, 1}


def test_ed25519_signs_messages_themselves(signer: KmsCustodianSigner) -> None:
    public_key = Ed25519PublicKey.from_public_bytes(signer.public_key(1, Curve.ED25519))
    messages = [secrets.token_bytes(1 + secrets.randbelow(1_232)) for _ in range(MESSAGES)]

    with ThreadPoolExecutor(4) as pool:
        signed = list(pool.map(lambda message: signer.sign(1, Curve.ED25519, message), messages))

    for message, signature in zip(messages, signed, strict=True):
        assert len(signature) == 64
        public_key.verify(signature, message)


def test_the_two_curves_have_keys_of_their_own_form(signer: KmsCustodianSigner) -> None:
    assert len(signer.public_key(1, Curve.SECP256K1)) == 33
    assert len(signer.public_key(1, Curve.ED25519)) == 32


def test_a_key_that_is_not_there_is_refused_and_not_tried_again(
    aws: Aws, stage: str, signer: KmsCustodianSigner
) -> None:
    with pytest.raises(SignerRefused) as no_set:
        signer.sign(2, Curve.SECP256K1, bytes(32))
    with pytest.raises(SignerRefused):
        KmsCustodianSigner(aws.kms, stage, 2).public_key(1, Curve.ED25519)

    assert no_set.value.reason == "kms_refused"


def test_a_key_on_another_curve_behind_the_alias_is_refused(aws: Aws) -> None:
    stage = f"t{secrets.token_hex(4)}"
    key = aws.kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    for curve in Curve:
        alias = f"alias/orion/{stage}/custodian-1/set-1/{curve.value}"
        aws.kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
        with pytest.raises(SignerRefused) as refused:
            KmsCustodianSigner(aws.kms, stage, 1).sign(1, curve, bytes(32))
        assert refused.value.reason == "other_key"


def test_a_public_key_is_read_in_one_form_only(aws: Aws, stage: str) -> None:
    readers = {Curve.SECP256K1: secp256k1_key, Curve.ED25519: ed25519_key}
    for curve, read in readers.items():
        alias = f"alias/orion/{stage}/custodian-1/set-1/{curve.value}"
        spki = aws.kms.get_public_key(KeyId=alias)["PublicKey"]
        read(spki)
        header = len(spki) - (65 if curve is Curve.SECP256K1 else 32)
        damaged = [spki[:-1], spki + b"\0", b"", b"\x30\x82" + spki[1:]]
        damaged += [spki[:at] + bytes([spki[at] ^ 1]) + spki[at + 1 :] for at in range(header)]
        if curve is Curve.SECP256K1:
            damaged.append(spki[:-1] + bytes([spki[-1] ^ 1]))
        for other in damaged:
            with pytest.raises(SignerRefused):
                read(other)


def test_a_kms_that_does_not_answer_is_unavailable_after_few_tries(aws: Aws, stage: str) -> None:
    silent = aws.client(
        "kms",
        url="http://127.0.0.1:1",
        connect_timeout=1,
        retries={"mode": "standard", "max_attempts": 2},
    )
    with pytest.raises(SignerUnavailable):
        KmsCustodianSigner(silent, stage, 1).public_key(1, Curve.ED25519)


def test_a_message_beyond_what_kms_takes_is_refused(signer: KmsCustodianSigner) -> None:
    with pytest.raises(SignerRefused) as refused:
        signer.sign(1, Curve.ED25519, bytes(4_097))
    assert refused.value.reason == "message_too_long"
