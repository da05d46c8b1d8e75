"""What can go wrong, one class a condition that a caller can act on.

The `code` of a problem never changes (https://www.rfc-editor.org/rfc/rfc9457, with the extension
members `code`, `trace_id` and `retry`). Codes that have no class of their own raise the class of
their status, so that a new code never breaks a program that catches these.
"""

from collections.abc import Mapping


class OrionError(Exception):
    """Anything that this package raises on purpose."""


class NotSent(OrionError):
    """The request was refused here, before it left: an address, key or argument is unusable."""


class NoAnswer(OrionError):
    """No whole answer came, also after all retries. Whether it happened is unknown: call again with
    the same `idempotency_key`, which is kept here.
    """

    def __init__(self, text: str, idempotency_key: str | None) -> None:
        super().__init__(text)
        self.idempotency_key = idempotency_key


class UnreadableAnswer(OrionError):
    """The answer was no JSON object, or larger than this client reads. What was asked for may have
    happened: of a POST, `idempotency_key` is kept here as in NoAnswer.
    """

    def __init__(self, text: str, idempotency_key: str | None = None) -> None:
        super().__init__(text)
        self.idempotency_key = idempotency_key


class ApiError(OrionError):
    """A refusal by the API. `fields` are the problem's typed members, under their own names."""

    def __init__(self, status: int, problem: Mapping[str, object]) -> None:
        self.status = status
        self.code = _text(problem.get("code")) or "unknown"
        self.title = _text(problem.get("title")) or f"status {status}"
        self.detail = _text(problem.get("detail")) or self.title
        self.trace_id = _text(problem.get("trace_id"))
        self.retry = _text(problem.get("retry"))
        self.retry_after_s: float | None = None
        self.idempotency_key: str | None = None
        self.fields = dict(problem)
        super().__init__(f"{self.code} ({status}): {self.detail}")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


class BadRequest(ApiError):
    """400: the request is not of the agreed form; `fields["field"]` names what is wrong."""


class Unauthorized(ApiError):
    """401: no API key, or one that is wrong or revoked."""


class Forbidden(ApiError):
    """403: the key may not do this; `fields["scope_needed"]` says what it lacks."""


class NotFound(ApiError):
    """404: no such thing of this merchant."""


class Conflict(ApiError):
    """409: the state of things does not allow it now."""


class Unprocessable(ApiError):
    """422: well formed, but it cannot be done as asked."""


class RateLimited(ApiError):
    """429: too many requests; `retry_after_s` says how long to wait."""


class ServerError(ApiError):
    """5xx: not the caller's fault. With `retry` "same_key" the outcome is unknown."""


class IdempotencyKeyReused(Unprocessable):
    """The key belongs to a request with another payload."""


class IdempotencyKeyInFlight(Conflict):
    """The first request with this key has not finished."""


class RateUnavailable(ApiError):
    """No rate, a stale one, or sources that disagree: nothing was made and no rate guessed."""


class InvoiceNotFound(NotFound):
    """No such invoice of this merchant."""


class InvoiceNotCancellable(Conflict):
    """Something was paid already, or it is over."""


class WebhookUrlRefused(Unprocessable):
    """The target must be a public https address."""


_BY_CODE: Mapping[str, type[ApiError]] = {
    "idempotency_key_reused": IdempotencyKeyReused,
    "idempotency_key_in_flight": IdempotencyKeyInFlight,
    "rate_unavailable": RateUnavailable,
    "rate_stale": RateUnavailable,
    "rate_disputed": RateUnavailable,
    "invoice_not_found": InvoiceNotFound,
    "invoice_not_cancellable": InvoiceNotCancellable,
    "webhook_url_refused": WebhookUrlRefused,
}
_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    422: Unprocessable,
    429: RateLimited,
}


def api_error(status: int, problem: Mapping[str, object]) -> ApiError:
    """The error of one problem document: by its code, else by its status."""
    code = problem.get("code")
    kind = _BY_CODE.get(code) if isinstance(code, str) else None
    if kind is None:
        kind = _BY_STATUS.get(status, ServerError if status >= 500 else ApiError)
    return kind(status, problem)
