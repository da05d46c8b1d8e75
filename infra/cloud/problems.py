"""What API Gateway answers by itself, in the form of the functions' own problems
(`orion.runtime.problems`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from orion.runtime.http import HTTPS_ONLY
from orion.runtime.problems import PAGES, texts

LANGUAGE = "en"  # The gateway does not choose by Accept-Language.


@dataclass(frozen=True, slots=True)
class GatewayProblem:
    """One gateway response type (API Gateway, "Gateway response types") and what it means here."""

    response_type: str
    status: int
    code: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def retry(self) -> str:
        """What a caller may do (`orion.errors.Retry`). A lost answer leaves the outcome unknown."""
        if self.status < 429:
            return "never"
        return "later" if self.status == 429 else "same_key"

    def response_parameters(self) -> dict[str, str]:
        """Headers as the gateway wants them: literals in quotes, or values that it knows."""
        return {
            "gatewayresponse.header.Content-Type": "'application/problem+json'",
            "gatewayresponse.header.Cache-Control": "'no-store'",
            "gatewayresponse.header.Strict-Transport-Security": f"'{HTTPS_ONLY}'",
            "gatewayresponse.header.X-Request-Id": "context.requestId",
            **self.headers,
        }


_RETRY = {"gatewayresponse.header.Retry-After": "'2'"}
_CHALLENGE = {"gatewayresponse.header.WWW-Authenticate": "'Bearer'"}

_BUSY = ("temporarily_unavailable", "retry with the same idempotency key")
_SLOW_DOWN = ("rate_limited", "too many requests; retry later and more slowly")

GATEWAY_PROBLEMS: tuple[GatewayProblem, ...] = (
    GatewayProblem(
        "UNAUTHORIZED", 401, "unauthorized", "this request needs an API key", _CHALLENGE
    ),
    # The authorizer denies for one reason only: a key of the other lane.
    GatewayProblem("ACCESS_DENIED", 403, "wrong_lane", "this API key belongs to the other host"),
    # What API Gateway calls a missing authentication token is a path that it does not know.
    GatewayProblem("MISSING_AUTHENTICATION_TOKEN", 404, "not_found", "there is nothing here"),
    GatewayProblem("RESOURCE_NOT_FOUND", 404, "not_found", "there is nothing here"),
    GatewayProblem(
        "REQUEST_TOO_LARGE", 413, "payload_too_large", "the request is larger than 10 MB"
    ),
    GatewayProblem("THROTTLED", 429, *_SLOW_DOWN, headers=_RETRY),
    GatewayProblem("QUOTA_EXCEEDED", 429, *_SLOW_DOWN, headers=_RETRY),
    GatewayProblem("AUTHORIZER_FAILURE", 503, *_BUSY, headers=_RETRY),
    GatewayProblem("INTEGRATION_FAILURE", 503, *_BUSY, headers=_RETRY),
    GatewayProblem("INTEGRATION_TIMEOUT", 504, *_BUSY, headers=_RETRY),
    GatewayProblem("DEFAULT_4XX", 400, "malformed_field", "the request cannot be read"),
    GatewayProblem("DEFAULT_5XX", 500, "internal", "something went wrong on our side"),
)


def problem_template(problem: GatewayProblem) -> str:
    """The body; `$context.requestId` is what the access log calls request_id.

    The link is relative to the host: the API's public address is not known when it is deployed.
    """
    return json.dumps(
        {
            "type": f"{PAGES}/{problem.code}",
            "title": texts(LANGUAGE)[problem.code].title,
            "status": problem.status,
            "detail": problem.detail,
            "code": problem.code,
            "trace_id": "$context.requestId",
            "retry": problem.retry,
        }
    )
