"""Reading answers: from whom they are, to what, and whether they may be believed. Pure."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from orion.log.node_commands.errors import AnswerRefused
from orion.records import MalformedRecord, canonical_json, parse_json

MAX_ANSWER_BYTES = 524_288
_FIELDS = frozenset(
    {
        "v",
        "trace_id",
        "kind",
        "command_id",
        "chain",
        "node",
        "outcome",
        "reason",
        "result",
        "answered_at",
        "signature",
    }
)
_ID = re.compile(r"[0-9a-f]{32}\Z", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}\Z", re.ASCII)
_REASON = re.compile(r"[a-z][a-z_]{0,63}\Z", re.ASCII)
# AlgorithmIdentifier id-Ed25519 without parameters, and a bit string of 32 bytes (RFC 8410).
_ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")


class Outcome(StrEnum):
    """What became of a command."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Answer:
    """A well-formed answer; nothing of it is believed before `check_answer`."""

    command_id: bytes
    trace_id: str
    chain: str
    node: str
    outcome: Outcome
    reason: str | None
    result: Mapping[str, object] | None
    digest: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """A command as its asker stored it."""

    chain: str
    node: str
    expires_at: datetime
    answered: bool


def read_answer(value: bytes) -> Answer | None:
    """A record of `node.answers`; None for one of another kind. Raises AnswerRefused (malformed).

    `answered_at` is the agent's word and decides nothing here: lateness is by the asker's clock.
    """
    if len(value) > MAX_ANSWER_BYTES:
        raise _malformed(None, "an answer is too large")
    try:
        body = parse_json(value)
    except MalformedRecord as exc:
        raise _malformed(None, exc.detail) from exc
    if body.get("kind") != "answer":
        return None
    command_id = body.get("command_id")
    if not isinstance(command_id, str) or not _ID.match(command_id):
        raise _malformed(None, "an answer without a command's id")
    version = body.get("v")
    if set(body) != _FIELDS or version != 1 or isinstance(version, bool):
        raise _malformed(command_id, "not an answer of version 1")
    outcome, reason, result = _outcome(body, command_id)
    unsigned = {name: value for name, value in body.items() if name != "signature"}
    try:
        signature = base64.b64decode(_text(body, "signature", command_id), validate=True)
        digest = hashlib.sha256(canonical_json(unsigned)).digest()
    except (ValueError, binascii.Error) as exc:
        raise _malformed(command_id, "a signature or a text that cannot be read") from exc
    return Answer(
        command_id=bytes.fromhex(command_id),
        trace_id=_matched(body, "trace_id", _ID, command_id),
        chain=_matched(body, "chain", _NAME, command_id),
        node=_matched(body, "node", _NAME, command_id),
        outcome=outcome,
        reason=reason,
        result=result,
        digest=digest,
        signature=signature,
    )


def check_answer(
    answer: Answer, asked: Asked | None, public_key: str | None, now: datetime
) -> None:
    """Raise AnswerRefused unless `answer` may be kept as the answer to what was `asked`.

    `public_key` is the parameter `nodes/<node>/answer-key`. A first answer that came in time
    stands; whatever comes after it, or after the expiry, changes nothing.
    """
    if asked is None:
        raise _refused("unknown_command", answer, "nobody here asked this")
    if (asked.chain, asked.node) != (answer.chain, answer.node):
        raise _refused("foreign", answer, "another node was asked")
    if public_key is None:
        raise _refused("no_key", answer, "the key of this node's agent is not published")
    if not _signed(answer, public_key):
        raise _refused("signature_invalid", answer, "this node's agent did not sign this")
    if asked.answered:
        raise _refused("repeated", answer, "the command is answered already")
    if asked.expires_at <= now:
        raise _refused("late", answer, "the command has expired")


def _signed(answer: Answer, public_key: str) -> bool:
    try:
        spki = base64.b64decode(public_key, validate=True)
        if not spki.startswith(_ED25519_SPKI) or len(spki) != len(_ED25519_SPKI) + 32:
            return False
        key = Ed25519PublicKey.from_public_bytes(spki[len(_ED25519_SPKI) :])
        key.verify(answer.signature, answer.digest)
    except (ValueError, InvalidSignature):
        return False
    return True


def _outcome(
    body: Mapping[str, object], command_id: str
) -> tuple[Outcome, str | None, Mapping[str, object] | None]:
    text, reason, result = body["outcome"], body["reason"], body["result"]
    if not isinstance(text, str) or text not in frozenset(Outcome):
        raise _malformed(command_id, "an outcome that is none")
    outcome = Outcome(text)
    if outcome is Outcome.DONE:
        if reason is not None or not isinstance(result, dict):
            raise _malformed(command_id, "what is done has a result and no reason")
        return outcome, None, cast(Mapping[str, object], result)
    if result is not None or not isinstance(reason, str) or not _REASON.match(reason):
        raise _malformed(command_id, "what is not done has a reason and no result")
    return outcome, reason, None


def _text(body: Mapping[str, object], name: str, command_id: str) -> str:
    value = body[name]
    if not isinstance(value, str):
        raise _malformed(command_id, f"{name} is not text")
    return value


def _matched(body: Mapping[str, object], name: str, form: re.Pattern[str], command_id: str) -> str:
    value = _text(body, name, command_id)
    if not form.match(value):
        raise _malformed(command_id, f"{name} is not of its form")
    return value


def _malformed(command_id: str | None, detail: str) -> AnswerRefused:
    return AnswerRefused("malformed", command_id, detail)


def _refused(reason: str, answer: Answer, detail: str) -> AnswerRefused:
    return AnswerRefused(reason, answer.command_id.hex(), detail)
