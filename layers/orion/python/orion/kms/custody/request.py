"""Requests to a custodian, read strictly (docs/custody.md, "Calls")."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from coincurve import PublicKey

from orion.chains.spend import CUSTODIANS, Curve, CustodyKeys, WalletKind
from orion.kms.custody import strict
from orion.kms.custody.errors import InstructionRefused, RequestRefused
from orion.kms.custody.instruction import Instruction, canonical, read_instruction
from orion.kms.custody.statements import EvidenceKeys, Statement, read_evidence

MAX_INSTRUCTIONS = 50
MAX_UNSIGNED_BYTES = 4 * 1024 * 1024
MAX_ANCHOR = 128
SET_PREFIX = b"orion custody set v1\n"
OPERATIONS = frozenset({"sign", "public_keys", "enrol"})
_COMMON = frozenset({"v", "trace_id", "operation"})
_KEY_BYTES = {Curve.SECP256K1: 33, Curve.ED25519: 32}


@dataclass(frozen=True, slots=True)
class Asked:
    """One instruction with what is said for it; `part` is its place in the request."""

    instruction: Instruction
    statements: tuple[Statement, ...]
    part: str


@dataclass(frozen=True, slots=True)
class SignRequest:
    """Instructions of one account and one purpose, and the transaction that carries them out."""

    asked: tuple[Asked, ...]
    anchor: str
    unsigned: bytes

    @property
    def lead(self) -> Instruction:
        """Any of them: they share chain, network, group, wallet, set, purpose and target."""
        return self.asked[0].instruction


@dataclass(frozen=True, slots=True)
class EnrolledSet:
    """A custody set as a custodian keeps it."""

    set_no: int
    purpose: WalletKind
    keys: CustodyKeys

    def digest(self) -> str:
        """What the approvals of an enrolment speak of, in hexadecimal."""
        body = {
            "v": 1,
            "set": self.set_no,
            "purpose": self.purpose.value,
            "secp256k1": [key.hex() for key in self.keys.secp256k1],
            "ed25519": [key.hex() for key in self.keys.ed25519],
        }
        return hashlib.sha256(SET_PREFIX + canonical(body)).hexdigest()


@dataclass(frozen=True, slots=True)
class EnrolRequest:
    """A set with the statements of two people."""

    proposed: EnrolledSet
    statements: tuple[Statement, ...]


def read_operation(event: Mapping[str, object]) -> tuple[str, str]:
    """Operation and trace id of any request. Raises RequestRefused."""
    for name in sorted(_COMMON - set(event)):
        raise strict.refused(name, "missing", "a field is missing")
    strict.version_1(event["v"], "v")
    trace_id = strict.hexadecimal(event["trace_id"], 16, "trace_id").hex()
    return strict.word(event["operation"], OPERATIONS, "operation"), trace_id


def read_sign(
    event: Mapping[str, object], keys: EvidenceKeys, networks: Mapping[str, str]
) -> SignRequest:
    """Read a `sign` request; every signature of its evidence is verified on the way.

    Raises RequestRefused, InstructionRefused, EvidenceRefused.
    """
    body = _body(event, frozenset({"instructions", "anchor", "unsigned"}))
    listed = strict.rows(body["instructions"], 1, MAX_INSTRUCTIONS, "instructions")
    asked = tuple(
        _asked(entry, keys, networks, f"instructions[{place}]")
        for place, entry in enumerate(listed)
    )
    _check_together(asked)
    return SignRequest(
        asked=asked,
        anchor=strict.text(body["anchor"], MAX_ANCHOR, "anchor"),
        unsigned=strict.base64_bytes(body["unsigned"], MAX_UNSIGNED_BYTES, "unsigned"),
    )


def read_public_keys(event: Mapping[str, object]) -> int:
    """The set whose keys are asked for. Raises RequestRefused."""
    return strict.set_number(_body(event, frozenset({"set"}))["set"], "set")


def read_enrol(event: Mapping[str, object], keys: EvidenceKeys) -> EnrolRequest:
    """Read an `enrol` request. Raises RequestRefused, EvidenceRefused."""
    body = _body(event, frozenset({"set", "purpose", "secp256k1", "ed25519", "evidence"}))
    proposed = EnrolledSet(
        set_no=strict.set_number(body["set"], "set"),
        purpose=WalletKind(strict.word(body["purpose"], frozenset(WalletKind), "purpose")),
        keys=CustodyKeys(
            secp256k1=_five(body["secp256k1"], Curve.SECP256K1),
            ed25519=_five(body["ed25519"], Curve.ED25519),
        ),
    )
    return EnrolRequest(proposed, read_evidence(body["evidence"], keys, "evidence"))


def _body(event: Mapping[str, object], names: frozenset[str]) -> Mapping[str, object]:
    strict.fields(event, names | _COMMON, "request")
    return event


def _asked(value: object, keys: EvidenceKeys, networks: Mapping[str, str], part: str) -> Asked:
    body = strict.fields(value, frozenset({"instruction", "evidence"}), part)
    return Asked(
        instruction=read_instruction(body["instruction"], networks, f"{part}.instruction"),
        statements=read_evidence(body["evidence"], keys, f"{part}.evidence"),
        part=part,
    )


def _check_together(asked: tuple[Asked, ...]) -> None:
    lead = asked[0].instruction
    seen: set[str] = set()
    for each in asked:
        if each.instruction.scope != lead.scope:
            raise InstructionRefused(
                "one transaction has one purpose and one account",
                reason="other_account",
                part=f"{each.part}.instruction",
            )
        if each.instruction.id in seen:
            raise InstructionRefused(
                "an instruction stands twice", reason="repeated", part=f"{each.part}.instruction.id"
            )
        seen.add(each.instruction.id)
    if lead.pays_nobody and len(asked) > 1:
        raise InstructionRefused(
            "what pays nobody is instructed once",
            reason="repeated",
            part=f"{asked[1].part}.instruction",
        )


def _five(value: object, curve: Curve) -> tuple[bytes, ...]:
    listed = strict.rows(value, CUSTODIANS, CUSTODIANS, curve.value)
    keys = tuple(
        strict.hexadecimal(entry, _KEY_BYTES[curve], f"{curve.value}[{place}]")
        for place, entry in enumerate(listed)
    )
    if len(set(keys)) != CUSTODIANS:
        raise RequestRefused("a key stands twice", reason="repeated", part=curve.value)
    for place, key in enumerate(keys):
        if curve is Curve.SECP256K1 and not _on_secp256k1(key):
            raise strict.refused(f"{curve.value}[{place}]", "not_a_key", "not a compressed point")
    return keys


def _on_secp256k1(key: bytes) -> bool:
    try:
        PublicKey(key)
    except ValueError:
        return False
    return key[0] in (2, 3)
