"""The client's verification of webhooks, beside the package of Standard Webhooks itself.

The vector is that of the package's own tests (standard-webhooks/standard-webhooks,
libraries/python/tests/test_webhooks.py).
"""

import base64
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from orion_client import UnusableSecret, WebhookEvent, WebhookRefused, webhooks

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"another secret of 24 byt").decode()
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
EVENT = {"type": "invoice.settled", "timestamp": "2026-01-02T03:04:05Z", "data": {"id": "inv_1"}}


def signed(body: bytes, secret: str = SECRET, at: int = AT) -> dict[str, str]:
    """Headers as the package makes them."""
    moment = datetime.fromtimestamp(at, UTC)
    signature = Webhook(secret).sign(ID, moment, body.decode())
    return {
        "webhook-id": ID,
        "webhook-timestamp": str(at),
        "webhook-signature": signature,
    }


def check(body: bytes, headers: dict[str, str], secrets: Any = SECRET, now_s: float = AT) -> str:
    return webhooks.check(body, headers, secrets, now_s=now_s)


def test_the_packages_vector_is_accepted() -> None:
    headers = {"webhook-id": ID, "webhook-timestamp": str(AT), "webhook-signature": SIGNATURE}
    assert check(BODY, headers) == ID
    assert signed(BODY) == headers


@settings(max_examples=30)
@given(body=st.text(max_size=200), key=st.binary(min_size=24, max_size=64))
def test_whatever_the_package_signs_is_accepted(body: str, key: bytes) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    raw = body.encode("utf-8", "replace")
    assert check(raw, signed(raw, secret), secret) == ID


def test_what_is_accepted_is_read() -> None:
    body = json.dumps(EVENT).encode()
    event = webhooks.verify(body, signed(body), SECRET, now_s=AT)
    assert event == WebhookEvent(ID, "invoice.settled", "2026-01-02T03:04:05Z", {"id": "inv_1"})


def test_headers_of_any_case_are_found() -> None:
    headers = {name.title(): value for name, value in signed(BODY).items()}
    assert check(BODY, headers) == ID


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_is_needed(name: str) -> None:
    headers = signed(BODY)
    del headers[name]
    with pytest.raises(WebhookRefused, match="missing_header"):
        check(BODY, headers)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": ID + "x"},
        {"webhook-timestamp": str(AT + 1)},
        {"webhook-signature": SIGNATURE[:-3] + "AA="},
        {"webhook-signature": SIGNATURE.replace("v1,", "v2,")},
        {"webhook-signature": SIGNATURE.removeprefix("v1,")},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,\u00e9\ud800"},
    ],
)
def test_anything_else_than_what_was_signed_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(WebhookRefused, match="no_matching_signature"):
        check(BODY, {**signed(BODY), **change})


def test_a_changed_body_is_refused() -> None:
    with pytest.raises(WebhookRefused, match="no_matching_signature"):
        check(BODY + b" ", signed(BODY))


def test_while_secrets_change_one_match_of_several_is_enough() -> None:
    old, new = signed(BODY), signed(BODY, OTHER)
    both = f"{new['webhook-signature']} {old['webhook-signature']}"
    for secrets in (SECRET, OTHER, [OTHER, SECRET]):
        assert check(BODY, {**old, "webhook-signature": both}, secrets) == ID
    assert check(BODY, old, [OTHER, SECRET]) == ID
    with pytest.raises(WebhookRefused):
        check(BODY, old, OTHER)


def test_signatures_of_other_versions_are_passed_over() -> None:
    headers = signed(BODY)
    headers["webhook-signature"] = f"v1a,AAAA {headers['webhook-signature']}"
    assert check(BODY, headers) == ID


@pytest.mark.parametrize(
    "off_s, reason", [(301, "too_old"), (-301, "too_new"), (300, None), (-300, None), (0, None)]
)
def test_a_message_may_be_five_minutes_off(off_s: int, reason: str | None) -> None:
    if reason is None:
        assert check(BODY, signed(BODY), now_s=AT + off_s) == ID
        return
    with pytest.raises(WebhookRefused, match=reason):
        check(BODY, signed(BODY), now_s=AT + off_s)


@pytest.mark.parametrize("stamp", ["soon", "-1", "1.5", "", "1" * 13, "\u0661"])
def test_a_time_is_whole_seconds(stamp: str) -> None:
    with pytest.raises(WebhookRefused, match=r"malformed_timestamp|missing_header"):
        check(BODY, {**signed(BODY), "webhook-timestamp": stamp})


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"nothing", b"{}", b'{"type": 1, "timestamp": "x", "data": {}}', b"\xff"]
)
def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    stamp = f"{ID}.{AT}.".encode() + body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    value = base64.b64encode(hmac.digest(key, stamp, "sha256")).decode()
    headers = {**signed(b""), "webhook-signature": f"v1,{value}"}
    with pytest.raises(WebhookRefused, match="malformed_body"):
        webhooks.verify(body, headers, SECRET, now_s=AT)


def test_a_body_without_end_is_not_hashed() -> None:
    body = b"x" * (webhooks.BODY_MAX_BYTES + 1)
    with pytest.raises(WebhookRefused, match="too_large"):
        check(body, signed(BODY))


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_????", "whsec_AAAA", []])
def test_what_is_no_secret_is_said_at_once(secret: object) -> None:
    with pytest.raises(UnusableSecret):
        check(BODY, signed(BODY), secret)
