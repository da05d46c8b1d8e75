"""Reading commands: whose they are, whether they may be believed, and why not."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import cast

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from node_stacks.agent.errors import SettingsMissing
from node_stacks.agent.events import Source
from orion.errors import OrionError
from orion.records import MalformedRecord, canonical_json, parse_json

COMMAND_BYTES_MAX = 262_144
HORIZON = timedelta(minutes=10)
_FIELDS = frozenset(
    {
        "v",
        "trace_id",
        "kind",
        "command",
        "command_id",
        "issuer",
        "purpose",
        "chain",
        "node",
        "expires_at",
        "arguments",
        "signature",
    }
)
_ID = re.compile(r"[0-9a-f]{32}\Z", re.ASCII)
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,31}\Z", re.ASCII)


class Reason(StrEnum):
    """Why a command is refused."""

    MALFORMED = "malformed"
    FOREIGN = "foreign"
    ISSUER_UNKNOWN = "issuer_unknown"
    SIGNATURE_INVALID = "signature_invalid"
    EXPIRED = "expired"
    TOO_FAR = "too_far"
    BUSY = "busy"
    REPLAYED = "replayed"
    NOT_PERMITTED = "not_permitted"
    COMMAND_UNKNOWN = "command_unknown"
    ARGUMENTS_MALFORMED = "arguments_malformed"


class CommandRefused(OrionError):
    """A command that has no effect."""

    code = "command_refused"

    def __init__(self, reason: Reason, command_id: str | None, detail: str) -> None:
        super().__init__(detail, reason=reason.value, command_id=command_id)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who may give which commands."""

    public_key: EllipticCurvePublicKey
    commands: frozenset[str]


@dataclass(frozen=True, slots=True)
class Command:
    """A command whose issuer signed it. `permitted` says whether that issuer may give it."""

    id: str
    trace_id: str
    name: str
    issuer: str
    purpose: str
    expires_at: datetime
    permitted: bool
    arguments: Mapping[str, object]


def read_issuers(text: str | None) -> Mapping[str, Issuer]:
    """The parameter `nodes/command-issuers`; None means nobody may command.

    Raises SettingsMissing.
    """
    if text is None:
        return {}
    try:
        rows = json.loads(text)
        return {str(name): _issuer(row) for name, row in rows.items()}
    except (ValueError, KeyError, TypeError, AttributeError, UnsupportedAlgorithm) as exc:
        raise SettingsMissing("nodes/command-issuers cannot be read", cause=str(exc)) from exc


def _issuer(row: Mapping[str, object]) -> Issuer:
    key = load_der_public_key(base64.b64decode(str(row["public_key"]), validate=True))
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise TypeError("an issuer's key is not on P-256")
    commands = row["commands"]
    if not isinstance(commands, list):
        raise TypeError("an issuer's commands are not a list")
    return Issuer(key, frozenset(str(name) for name in commands))


def is_command(value: bytes, node: str) -> bool:
    """Whether a record of `node.commands` is a command for this node.

    Raises MalformedRecord for what is no JSON object.
    """
    body = parse_json(value)
    return body.get("kind") == "command" and body.get("node") == node


def read_command(
    value: bytes, source: Source, issuers: Mapping[str, Issuer], now: datetime
) -> Command:
    """A command for this node, its form, chain, signature and times checked.

    Raises CommandRefused. The signature is checked before the times, so that what is said of a
    forged command says nothing about a real one.
    """
    body, command_id = _body(value)
    if body["chain"] != source.chain or body["node"] != source.node:
        raise CommandRefused(Reason.FOREIGN, command_id, "a command for another node")
    issuer = issuers.get(cast(str, body["issuer"]))
    if issuer is None:
        raise CommandRefused(Reason.ISSUER_UNKNOWN, command_id, "nobody knows this issuer")
    _check_signature(body, issuer, command_id)
    expires_at = _moment(body["expires_at"], command_id)
    _check_times(expires_at, now, command_id)
    name = cast(str, body["command"])
    return Command(
        id=command_id,
        trace_id=cast(str, body["trace_id"]),
        name=name,
        issuer=cast(str, body["issuer"]),
        purpose=cast(str, body["purpose"]),
        expires_at=expires_at,
        permitted=name in issuer.commands,
        arguments=cast(Mapping[str, object], body["arguments"]),
    )


def _check_times(expires_at: datetime, now: datetime, command_id: str) -> None:
    if expires_at <= now:
        raise CommandRefused(Reason.EXPIRED, command_id, "the command has expired")
    if expires_at > now + HORIZON:
        raise CommandRefused(Reason.TOO_FAR, command_id, "the command expires too far ahead")


def _body(value: bytes) -> tuple[dict[str, object], str]:
    if len(value) > COMMAND_BYTES_MAX:
        raise CommandRefused(Reason.MALFORMED, None, "a command is too large")
    try:
        body = parse_json(value)
    except MalformedRecord as exc:
        raise CommandRefused(Reason.MALFORMED, None, exc.detail) from exc
    command_id = body.get("command_id")
    if not isinstance(command_id, str) or not _ID.match(command_id):
        raise CommandRefused(Reason.MALFORMED, None, "a command without an id")
    version = body.get("v")
    if set(body) != _FIELDS or version != 1 or isinstance(version, bool):
        raise CommandRefused(Reason.MALFORMED, command_id, "not a command of version 1")
    words = ("command", "issuer", "purpose")
    trace_id = body["trace_id"]
    if (
        any(not isinstance(body[name], str) for name in (*words, "expires_at", "signature"))
        or not all(_WORD.match(cast(str, body[name])) for name in words)
        or not isinstance(trace_id, str)
        or not _ID.match(trace_id)
        or not isinstance(body["arguments"], dict)
    ):
        raise CommandRefused(Reason.MALFORMED, command_id, "a field is not of its form")
    return body, command_id


def _check_signature(body: Mapping[str, object], issuer: Issuer, command_id: str) -> None:
    text = cast(str, body["signature"])
    unsigned = {name: value for name, value in body.items() if name != "signature"}
    try:
        digest = hashlib.sha256(canonical_json(unsigned)).digest()
        signature = base64.b64decode(text, validate=True)
        issuer.public_key.verify(signature, digest, ECDSA(Prehashed(SHA256())))
    except (InvalidSignature, ValueError, binascii.Error) as exc:
        raise CommandRefused(
            Reason.SIGNATURE_INVALID, command_id, "the issuer did not sign this"
        ) from exc


def _moment(value: object, command_id: str) -> datetime:
    try:
        moment = datetime.fromisoformat(cast(str, value))
    except ValueError as exc:
        raise CommandRefused(Reason.MALFORMED, command_id, "expires_at is no moment") from exc
    if moment.tzinfo is None:
        raise CommandRefused(Reason.MALFORMED, command_id, "expires_at names no offset from UTC")
    return moment
