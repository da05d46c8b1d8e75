"""What a handler gets and gives: one request, read as its route describes it, and one answer."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orion.errors import OrionError
from orion.runtime.api_schema.reading import Fields

NO_STORE = {"Cache-Control": "no-store"}
NOTHING = Fields({})


class Unauthorized(OrionError):
    """No key, or one that is not ours."""

    code = "unauthorized"


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Header names are lower case; `merchant_id` is None on routes that are open to
    everyone. `fields` is the body and `parameters` the query, read as the route describes them;
    `body` and `query` are what they were read from.
    """

    method: str
    route: str
    path_params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    merchant_id: bytes | None
    key_id: bytes | None
    scopes: frozenset[str]
    lane: str
    trace_id: str
    source_ip: str
    fields: Fields = NOTHING
    parameters: Fields = NOTHING

    def merchant(self) -> bytes:
        """The merchant whose key came with the request. Raises Unauthorized."""
        if self.merchant_id is None:
            raise Unauthorized("this request needs an API key")
        return self.merchant_id


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; a body that is not text in UTF-8 must not be built."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Response]


def json_response(
    status: int, body: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON answer that nobody between us and the client keeps."""
    return Response(
        status,
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode(),
        {"Content-Type": "application/json", **NO_STORE, **(headers or {})},
    )


def answered_once(status: int, body: bytes, *, replayed: bool) -> Response:
    """The answer to a request with an idempotency key, stored or new."""
    headers = {"Idempotent-Replayed": "true"} if replayed else {}
    return Response(status, body, {**json_response(status, {}).headers, **headers})
