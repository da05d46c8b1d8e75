"""Errors as those outside see them: RFC 9457 problem documents with a stable `code`, in the
language that the request asks for.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from orion import i18n
from orion.errors import OrionError

CONTENT_TYPE = "application/problem+json"

# One row an error code that can reach HTTP. A code without a row is our fault: 500 `internal`.
STATUS: Mapping[str, int] = {
    "malformed_json": 400,
    "unknown_field": 400,
    "missing_field": 400,
    "malformed_field": 400,
    "unknown_parameter": 400,
    "malformed_parameter": 400,
    "idempotency_key_missing": 400,
    "idempotency_key_malformed": 400,
    "limit_out_of_range": 400,
    "moment_malformed": 400,
    "period_refused": 400,
    "cursor_malformed": 400,
    "unauthorized": 401,
    "forbidden_scope": 403,
    "wrong_lane": 403,
    "not_found": 404,
    "invoice_not_found": 404,
    "key_not_found": 404,
    "payment_link_not_found": 404,
    "checkout_session_not_found": 404,
    "unknown_account": 404,
    "webhook_endpoint_not_found": 404,
    "webhook_delivery_not_found": 404,
    "event_not_found": 404,
    "method_not_allowed": 405,
    "invoice_not_cancellable": 409,
    "idempotency_key_in_flight": 409,
    "payment_link_used_up": 409,
    "payment_link_busy": 429,
    "webhook_endpoint_disabled": 409,
    "webhook_endpoint_closing": 409,
    "webhook_delivery_under_way": 409,
    "webhook_attempt_limit": 409,
    "payment_link_inactive": 410,
    "payment_link_ended": 410,
    "payload_too_large": 413,
    "rate_limited": 429,
    "malformed_amount": 422,
    "inexact_amount": 422,
    "amount_not_positive": 422,
    "amount_too_large": 422,
    "amount_out_of_bounds": 422,
    "amount_bounds_refused": 422,
    "payment_link_end_passed": 422,
    "return_url_refused": 422,
    "unknown_asset": 422,
    "unknown_currency": 422,
    "unknown_scope": 422,
    "too_many_keys": 409,
    "rate_unavailable": 422,
    "rate_setting_refused": 422,
    "webhook_url_refused": 422,
    "unknown_event_type": 422,
    "webhook_endpoint_limit": 422,
    "idempotency_key_reused": 422,
    "internal": 500,
    "no_address_available": 503,
    "rate_stale": 503,
    "rate_disputed": 503,
    "temporarily_unavailable": 503,
}
RETRY_AFTER_S = 2
PAGES = "/problems"
_OURS = {
    "internal": "something went wrong on our side",
    "no_address_available": "the pool of addresses is being refilled",
    "temporarily_unavailable": "something needed does not answer now",
}


@dataclass(frozen=True, slots=True)
class ProblemText:
    """What people read of one code: `meaning` says also what to do, with names in backticks."""

    title: str
    meaning: str


@cache
def texts(language: str) -> Mapping[str, ProblemText]:
    """All codes in one of i18n.LANGUAGES."""
    table = Path(i18n.__file__).with_name("problems.toml").read_text(encoding="utf-8")
    return {code: ProblemText(*rows[language]) for code, rows in tomllib.loads(table).items()}


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom a problem is written: `base` is the public base URL of the pages, `language` one of
    i18n.LANGUAGES.
    """

    trace_id: str
    language: str = i18n.LANGUAGES[0]
    base: str = ""


def problem(
    code: str, detail: str, reader: Reader, fields: Mapping[str, object]
) -> tuple[int, bytes]:
    """Status and body. `fields` are the error's typed fields, under their own names.

    `detail` is English and of this one case; in the other languages stands what the code means.
    """
    status = STATUS.get(code)
    if status is None:
        code, status, detail, fields = "internal", 500, _OURS["internal"], {}
    found = texts(reader.language).get(code)
    if found is not None and reader.language != i18n.LANGUAGES[0]:
        detail = found.meaning.replace("`", "")
    body = {
        **fields,
        "type": f"{reader.base}{PAGES}/{code}",
        "title": code.replace("_", " ") if found is None else found.title,
        "status": status,
        "detail": detail,
        "code": code,
        "trace_id": reader.trace_id,
    }
    return status, json.dumps(body, ensure_ascii=False).encode()


def of_error(error: OrionError, reader: Reader) -> tuple[int, bytes]:
    """The problem document of a known error. What is wrong on our side is for the logs only."""
    retry = {"retry": error.retry.value}
    if error.code in STATUS and error.code not in _OURS:
        return problem(error.code, error.detail, reader, {**error.fields, **retry})
    return problem(error.code, _OURS.get(error.code, _OURS["internal"]), reader, retry)
