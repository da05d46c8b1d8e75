"""Verifying webhooks by Standard Webhooks 1.0.0 (github.com/standard-webhooks/standard-webhooks).

Verify the raw body before reading it, and remember `id`: a delivery comes at least once.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orion_client.errors import OrionError

TOLERANCE_S = 300
BODY_MAX_BYTES = 1024 * 1024
_PREFIX = "whsec_"
_SIGNATURES_MAX = 16
_SECRETS_MAX = 8
_SECRET_BYTES_MIN = 16


class WebhookRefused(OrionError):
    """Not a webhook of this endpoint: answer 4xx and do nothing. `reason` is one of
    `missing_header`, `malformed_timestamp`, `too_old`, `too_new`, `too_large`,
    `no_matching_signature`, `malformed_body`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnusableSecret(OrionError):
    """A secret is `whsec_` and base64, as the API gave it."""


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A verified message. `id` is the same at every attempt and in the event stream."""

    id: str
    type: str
    timestamp: str
    data: dict[str, Any]


def verify(
    body: bytes,
    headers: Mapping[str, str],
    secrets: str | Sequence[str],
    *,
    tolerance_s: int = TOLERANCE_S,
    now_s: float | None = None,
) -> WebhookEvent:
    """The event of one request, whose `body` is exactly as it came. Raises WebhookRefused.

    `secrets` may be several while one replaces another; the header may carry several signatures,
    too. One match is enough. Comparisons take the same time wherever texts differ.
    """
    return _event(check(body, headers, secrets, tolerance_s=tolerance_s, now_s=now_s), body)


def check(
    body: bytes,
    headers: Mapping[str, str],
    secrets: str | Sequence[str],
    *,
    tolerance_s: int = TOLERANCE_S,
    now_s: float | None = None,
) -> str:
    """The id of a message whose signature and time are right, whatever its body holds. Raises
    WebhookRefused.
    """
    found = {name.lower(): value for name, value in headers.items()}
    message_id, sent = found.get("webhook-id"), found.get("webhook-timestamp")
    signatures = found.get("webhook-signature")
    if not message_id or not sent or not signatures:
        raise WebhookRefused("missing_header")
    if len(body) > BODY_MAX_BYTES:
        raise WebhookRefused("too_large")
    _check_time(sent, time.time() if now_s is None else now_s, tolerance_s)
    keys = [_key(secret) for secret in _several(secrets)]
    signed = f"{message_id}.{sent}.".encode() + body
    if not _matches(signed, keys, signatures):
        raise WebhookRefused("no_matching_signature")
    return message_id


def _several(secrets: str | Sequence[str]) -> Sequence[str]:
    given = [secrets] if isinstance(secrets, str) else list(secrets)
    if not 1 <= len(given) <= _SECRETS_MAX:
        raise UnusableSecret(f"give 1 to {_SECRETS_MAX} secrets")
    return given


def _check_time(sent: str, now_s: float, tolerance_s: int) -> None:
    if not (sent.isascii() and sent.isdigit() and len(sent) <= 12):
        raise WebhookRefused("malformed_timestamp")
    if int(sent) < now_s - tolerance_s:
        raise WebhookRefused("too_old")
    if int(sent) > now_s + tolerance_s:
        raise WebhookRefused("too_new")


def _key(secret: str) -> bytes:
    text = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise UnusableSecret("a webhook secret is whsec_ and base64") from exc
    if len(key) < _SECRET_BYTES_MIN:
        raise UnusableSecret("this webhook secret is too short to be one")
    return key


def _matches(signed: bytes, keys: Sequence[bytes], signatures: str) -> bool:
    expected = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()) for key in keys]
    matched = False
    for signature in signatures.split(" ")[:_SIGNATURES_MAX]:
        version, _, value = signature.partition(",")
        if version != "v1":
            continue
        for wanted in expected:
            matched |= hmac.compare_digest(wanted, value.encode("utf-8", "surrogatepass"))
    return matched


def _event(message_id: str, body: bytes) -> WebhookEvent:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise WebhookRefused("malformed_body") from exc
    if not isinstance(found, dict) or not isinstance(found.get("data"), dict):
        raise WebhookRefused("malformed_body")
    kind, moment = found.get("type"), found.get("timestamp")
    if not isinstance(kind, str) or not isinstance(moment, str):
        raise WebhookRefused("malformed_body")
    return WebhookEvent(message_id, kind, moment, found["data"])
