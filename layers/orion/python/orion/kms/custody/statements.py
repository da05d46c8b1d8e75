"""Statements: canonical JSON with the signature of one issuer, read and verified.

Issuers sign with ECDSA on P-256 (KMS, ECC_NIST_P256); a merchant with Ed25519 under a key that the
issuer `step-up` certifies.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from orion.kms.custody import strict
from orion.kms.custody.errors import CustodianMisconfigured, EvidenceRefused
from orion.kms.custody.instruction import MAX_ADDRESS, canonical
from orion.records import MalformedJson, parse_object

STATEMENT_PREFIX = b"orion statement v1\n"
MAX_STATEMENTS = 48
MAX_STATEMENT_BYTES = 2_048
MAX_SIGNATURE_BYTES = 72
MAX_APPROVALS = 3
MAX_VERSION_BYTES = 64
MAX_HEIGHT = 2**63 - 1
CLOCK_SKEW = timedelta(seconds=60)
MERCHANT = "merchant"
_ENVELOPE = frozenset({"statement", "issuer", "signature"})
_TIMES = frozenset({"kind", "issued_at", "expires_at"})


class Kind(StrEnum):
    """What a statement says."""

    STEP_UP = "step_up"
    MERCHANT_KEY = "merchant_key"
    REQUEST = "request"
    DECISION = "decision"
    APPROVAL = "approval"
    ABSENT = "absent"
    FAILED = "failed"
    HELD = "held"


APPROVALS = "approval-tokens"
# Approves custody sets and nothing else: whoever approves payouts cannot bring in keys.
ENROLMENT = "custody-enrolment"
_FINALITY = frozenset({"chain-finality"})
ISSUERS_OF: Mapping[Kind, frozenset[str]] = MappingProxyType(
    {
        Kind.STEP_UP: frozenset({"step-up"}),
        Kind.MERCHANT_KEY: frozenset({"step-up"}),
        Kind.REQUEST: frozenset({MERCHANT}),
        Kind.DECISION: frozenset({"policy-decisions"}),
        Kind.APPROVAL: frozenset({APPROVALS, ENROLMENT}),
        Kind.ABSENT: _FINALITY,
        Kind.FAILED: _FINALITY,
        Kind.HELD: _FINALITY,
    }
)
ISSUERS = frozenset().union(*ISSUERS_OF.values()) - {MERCHANT}
_FIELDS: Mapping[Kind, frozenset[str]] = MappingProxyType(
    {
        Kind.STEP_UP: frozenset({"instruction", "user"}),
        Kind.MERCHANT_KEY: frozenset({"merchant", "public_key"}),
        Kind.REQUEST: frozenset({"instruction", "merchant"}),
        Kind.DECISION: frozenset(
            {"instruction", "decision", "approvals", "policy", "requested_by"}
        ),
        Kind.APPROVAL: frozenset({"instruction", "approver"}),
        Kind.ABSENT: frozenset({"chain", "network", "version", "final_at", "valid_until"}),
        Kind.FAILED: frozenset({"chain", "network", "version", "final_at"}),
        Kind.HELD: frozenset({"chain", "network", "address", "set", "final_at"}),
    }
)
# How long a statement of each kind may last, so that a forgotten one does not stay useful.
LONGEST: Mapping[Kind, timedelta] = MappingProxyType(
    {
        Kind.STEP_UP: timedelta(days=1),
        Kind.MERCHANT_KEY: timedelta(days=400),
        Kind.REQUEST: timedelta(days=1),
        Kind.DECISION: timedelta(days=7),
        Kind.APPROVAL: timedelta(days=7),
        Kind.ABSENT: timedelta(days=7),
        Kind.FAILED: timedelta(days=7),
        Kind.HELD: timedelta(days=7),
    }
)


@dataclass(frozen=True, slots=True)
class Envelope:
    """One entry of `evidence`: bytes, who is said to have signed them, and the signature."""

    statement: bytes
    issuer: str
    signature: bytes
    part: str


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement with a good signature. Fields that its kind lacks are empty; `part` names it in
    refusals.
    """

    kind: Kind
    part: str
    issued_at: datetime
    expires_at: datetime
    instruction: str = ""
    person: str = ""
    merchant: str = ""
    public_key: bytes = b""
    approvals: int = 0
    chain: str = ""
    network: str = ""
    version: str = ""
    final_at: int = 0
    valid_until: int = 0
    address: str = ""
    set_digest: str = ""
    issuer: str = ""

    def valid_at(self, moment: datetime) -> bool:
        """Whether it speaks at `moment`; the issuer's clock may be a minute ahead."""
        return self.issued_at - CLOCK_SKEW <= moment < self.expires_at


class EvidenceKeys:
    """The issuers' public keys, by issuer. Nothing in a request can add one."""

    def __init__(self, keys: Mapping[str, bytes], issuers: frozenset[str] = ISSUERS) -> None:
        """`keys` are SubjectPublicKeyInfo in DER, one for each of `issuers`: whom the reader
        believes at all. Raises CustodianMisconfigured.
        """
        if set(keys) != issuers:
            raise CustodianMisconfigured("evidence_keys name exactly the issuers")
        self._keys = {issuer: _p256(issuer, der) for issuer, der in keys.items()}
        if len(set(keys.values())) != len(keys):
            raise CustodianMisconfigured("two issuers share one key")

    def signed(self, envelope: Envelope) -> bool:
        """Whether the issuer that the envelope names is believed and signed it."""
        key = self._keys.get(envelope.issuer)
        if key is None:
            return False
        try:
            key.verify(envelope.signature, STATEMENT_PREFIX + envelope.statement, ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True


def read_evidence(value: object, keys: EvidenceKeys, part: str) -> tuple[Statement, ...]:
    """Read and verify one instruction's evidence; times are not judged here.

    Raises RequestRefused, EvidenceRefused.
    """
    listed = strict.rows(value, 1, MAX_STATEMENTS, part)
    envelopes = [_envelope(entry, f"{part}[{place}]") for place, entry in enumerate(listed)]
    if len({envelope.statement for envelope in envelopes}) != len(envelopes):
        raise EvidenceRefused("a statement stands twice", reason="repeated", part=part)
    of_issuers = [e for e in envelopes if e.issuer != MERCHANT]
    for envelope in of_issuers:
        if not keys.signed(envelope):
            raise _refused(envelope, "bad_signature", "the signature is not its issuer's")
    statements = [_statement(envelope) for envelope in of_issuers]
    certified = [each for each in statements if each.kind is Kind.MERCHANT_KEY]
    requests = [_request(e, certified) for e in envelopes if e.issuer == MERCHANT]
    return (*statements, *requests)


def _p256(issuer: str, der: bytes) -> EllipticCurvePublicKey:
    try:
        key = load_der_public_key(der)
    except ValueError as exc:
        raise CustodianMisconfigured("an evidence key is malformed", issuer=issuer) from exc
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise CustodianMisconfigured("an evidence key is not on P-256", issuer=issuer)
    return key


def _refused(envelope: Envelope, reason: str, detail: str) -> EvidenceRefused:
    return EvidenceRefused(detail, reason=reason, part=envelope.part)


def _envelope(value: object, part: str) -> Envelope:
    body = strict.fields(value, _ENVELOPE, part)
    return Envelope(
        statement=strict.base64_bytes(body["statement"], MAX_STATEMENT_BYTES, f"{part}.statement"),
        issuer=strict.word(body["issuer"], ISSUERS | {MERCHANT}, f"{part}.issuer"),
        signature=strict.base64_bytes(body["signature"], MAX_SIGNATURE_BYTES, f"{part}.signature"),
        part=part,
    )


def _request(envelope: Envelope, certified: Sequence[Statement]) -> Statement:
    """A merchant's request, signed by the key that the certificate beside it names."""
    if len(certified) != 1:
        raise _refused(envelope, "key_not_certified", "one merchant_key certifies a request's key")
    try:
        Ed25519PublicKey.from_public_bytes(certified[0].public_key).verify(
            envelope.signature, STATEMENT_PREFIX + envelope.statement
        )
    except (InvalidSignature, ValueError) as exc:
        raise _refused(envelope, "bad_signature", "not signed by the certified key") from exc
    return _statement(envelope)


def _statement(envelope: Envelope) -> Statement:
    """Read what a verified envelope says. An issuer speaks only in statements of its own."""
    part = f"{envelope.part}.statement"
    try:
        body = parse_object(envelope.statement)
        same = canonical(body) == envelope.statement
    except (MalformedJson, json.JSONDecodeError, UnicodeEncodeError) as exc:
        raise _refused(envelope, "not_canonical", "not canonical JSON") from exc
    if not same:
        raise _refused(envelope, "not_canonical", "not canonical JSON")
    kind = Kind(strict.word(body.get("kind"), frozenset(Kind), f"{part}.kind"))
    if envelope.issuer not in ISSUERS_OF[kind]:
        raise _refused(envelope, "wrong_issuer", "another issuer makes such statements")
    strict.fields(body, _FIELDS[kind] | _TIMES, part)
    issued_at = strict.moment(body["issued_at"], f"{part}.issued_at")
    expires_at = strict.moment(body["expires_at"], f"{part}.expires_at")
    if not issued_at < expires_at <= issued_at + LONGEST[kind]:
        raise _refused(envelope, "wrong_lifetime", "it expires before it begins, or far too late")
    return replace(_READERS[kind](body, part, issued_at, expires_at), issuer=envelope.issuer)


def _step_up(
    body: Mapping[str, object], part: str, issued_at: datetime, expires_at: datetime
) -> Statement:
    return Statement(
        Kind.STEP_UP,
        part,
        issued_at,
        expires_at,
        instruction=_digest(body, part),
        person=strict.name(body["user"], f"{part}.user"),
    )


def _merchant_key(
    body: Mapping[str, object], part: str, issued_at: datetime, expires_at: datetime
) -> Statement:
    key = strict.base64_bytes(body["public_key"], 32, f"{part}.public_key")
    if len(key) != 32:
        raise strict.refused(f"{part}.public_key", "not_a_key", "an Ed25519 key has 32 bytes")
    return Statement(
        Kind.MERCHANT_KEY,
        part,
        issued_at,
        expires_at,
        merchant=strict.public_id("mer", body["merchant"], f"{part}.merchant"),
        public_key=key,
    )


def _merchant_request(
    body: Mapping[str, object], part: str, issued_at: datetime, expires_at: datetime
) -> Statement:
    merchant = strict.public_id("mer", body["merchant"], f"{part}.merchant")
    return Statement(
        Kind.REQUEST,
        part,
        issued_at,
        expires_at,
        instruction=_digest(body, part),
        person=merchant,
        merchant=merchant,
    )


def _decision(
    body: Mapping[str, object], part: str, issued_at: datetime, expires_at: datetime
) -> Statement:
    strict.word(body["decision"], frozenset({"allow"}), f"{part}.decision")
    strict.name(body["policy"], f"{part}.policy")
    return Statement(
        Kind.DECISION,
        part,
        issued_at,
        expires_at,
        instruction=_digest(body, part),
        person=strict.name(body["requested_by"], f"{part}.requested_by"),
        approvals=strict.number(body["approvals"], f"{part}.approvals", MAX_APPROVALS),
    )


def _approval(
    body: Mapping[str, object], part: str, issued_at: datetime, expires_at: datetime
) -> Statement:
    return Statement(
        Kind.APPROVAL,
        part,
        issued_at,
        expires_at,
        instruction=_digest(body, part),
        person=strict.name(body["approver"], f"{part}.approver"),
    )


def _absent(
    body: Mapping[str, object], part: str, issued_at: datetime, expires_at: datetime
) -> Statement:
    return Statement(
        Kind.ABSENT,
        part,
        issued_at,
        expires_at,
        chain=strict.name(body["chain"], f"{part}.chain"),
        network=strict.name(body["network"], f"{part}.network"),
        version=strict.hex_text(body["version"], MAX_VERSION_BYTES, f"{part}.version"),
        final_at=strict.number(body["final_at"], f"{part}.final_at", MAX_HEIGHT),
        valid_until=strict.number(body["valid_until"], f"{part}.valid_until", MAX_HEIGHT),
    )


def _failed(
    body: Mapping[str, object], part: str, issued_at: datetime, expires_at: datetime
) -> Statement:
    return Statement(
        Kind.FAILED,
        part,
        issued_at,
        expires_at,
        chain=strict.name(body["chain"], f"{part}.chain"),
        network=strict.name(body["network"], f"{part}.network"),
        version=strict.hex_text(body["version"], MAX_VERSION_BYTES, f"{part}.version"),
        final_at=strict.number(body["final_at"], f"{part}.final_at", MAX_HEIGHT),
    )


def _held(
    body: Mapping[str, object], part: str, issued_at: datetime, expires_at: datetime
) -> Statement:
    return Statement(
        Kind.HELD,
        part,
        issued_at,
        expires_at,
        chain=strict.name(body["chain"], f"{part}.chain"),
        network=strict.name(body["network"], f"{part}.network"),
        address=strict.text(body["address"], MAX_ADDRESS, f"{part}.address"),
        set_digest=strict.hexadecimal(body["set"], 32, f"{part}.set").hex(),
        final_at=strict.number(body["final_at"], f"{part}.final_at", MAX_HEIGHT),
    )


def _digest(body: Mapping[str, object], part: str) -> str:
    return strict.hexadecimal(body["instruction"], 32, f"{part}.instruction").hex()


_Reader = Callable[[Mapping[str, object], str, datetime, datetime], Statement]
_READERS: Mapping[Kind, _Reader] = MappingProxyType(
    {
        Kind.STEP_UP: _step_up,
        Kind.MERCHANT_KEY: _merchant_key,
        Kind.REQUEST: _merchant_request,
        Kind.DECISION: _decision,
        Kind.APPROVAL: _approval,
        Kind.ABSENT: _absent,
        Kind.FAILED: _failed,
        Kind.HELD: _held,
    }
)
