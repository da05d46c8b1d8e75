"""The HTTP entry: an API Gateway REST proxy event in, a proxy response out.

Form of both: Amazon API Gateway Developer Guide, "Lambda proxy integrations". Every error leaves as
an RFC 9457 problem document with the trace id under which the logs know the request.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from orion.errors import OrionError
from orion.ids import parse_public_id
from orion.runtime import problems, routes
from orion.runtime.api_schema.reading import Fields, read_body, read_query
from orion.runtime.body import MalformedField
from orion.runtime.idempotency import key_of
from orion.runtime.log import logger, new_trace_id, set_trace_id
from orion.runtime.routes import Route, Scope

_AMAZON_TRACE = re.compile(r"Root=1-([0-9a-f]{8})-([0-9a-f]{24})")
_NO_STORE = {"Cache-Control": "no-store"}
_NOTHING = Fields({})


class NotFound(OrionError):
    """No such route."""

    code = "not_found"


class MethodNotAllowed(OrionError):
    """The address exists, this method does not; `allowed` lists those that do."""

    code = "method_not_allowed"


class ForbiddenScope(OrionError):
    """The key may not do this."""

    code = "forbidden_scope"


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
    fields: Fields = _NOTHING
    parameters: Fields = _NOTHING

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
        {"Content-Type": "application/json", **_NO_STORE, **(headers or {})},
    )


def serve(
    event: Mapping[str, object], handlers: Mapping[tuple[str, str], Handler]
) -> Mapping[str, object]:
    """Answer one proxy event by the handler of its method and route template."""
    log = logger()
    trace_id = _trace_id(event)
    set_trace_id(trace_id)
    method, route = str(event.get("httpMethod")), str(event.get("resource"))
    try:
        response = _answer(event, handlers, method, route, trace_id)
    except OrionError as error:
        status, body = problems.of_error(error, trace_id)
        headers = {"Content-Type": problems.CONTENT_TYPE, **_NO_STORE}
        if status == 405:
            headers["Allow"] = str(error.fields.get("allowed", ""))
        if status == 503:
            headers["Retry-After"] = str(problems.RETRY_AFTER_S)
        response = Response(status, body, headers)
        log.log(
            40 if status >= 500 else 20, "refused", extra={"code": error.code, "detail": str(error)}
        )
    except Exception:
        # The last line of defence: the caller learns the trace id, the log everything else.
        log.exception("unexpected failure", extra={"route": route})
        status, body = problems.problem(
            "internal", "something went wrong on our side", trace_id, {}
        )
        response = Response(status, body, {"Content-Type": problems.CONTENT_TYPE, **_NO_STORE})
    log.info("answered", extra={"method": method, "route": route, "status": response.status})
    return {
        "statusCode": response.status,
        "headers": {
            "X-Request-Id": trace_id,
            "X-Content-Type-Options": "nosniff",
            **response.headers,
        },
        "body": response.body.decode(),
        "isBase64Encoded": False,
    }


def _answer(
    event: Mapping[str, object],
    handlers: Mapping[tuple[str, str], Handler],
    method: str,
    route: str,
    trace_id: str,
) -> Response:
    known = routes.find(method, route)
    handler = handlers.get((method, route))
    if known is None or handler is None:
        allowed = sorted(place[0] for place in handlers if place[1] == route)
        if allowed and method not in allowed:
            raise MethodNotAllowed("this address takes other methods", allowed=", ".join(allowed))
        raise NotFound("there is nothing here")
    request = _request(event, method, route, trace_id)
    if known.scope is not None:
        request.merchant()
        _check_scope(request, known.scope)
    return handler(_read(request, known))


def _read(request: Request, route: Route) -> Request:
    """The request with what its route describes: nothing reaches a handler that does not fit."""
    if route.needs_idempotency_key:
        key_of(request)
    parameters = _NOTHING if route.query is None else read_query(request.query, route.query)
    fields = _NOTHING if route.request is None else read_body(request.body, route.request)
    return replace(request, fields=fields, parameters=parameters)


def _check_scope(request: Request, scope: Scope) -> None:
    if scope.value not in request.scopes:
        raise ForbiddenScope("this API key may not do that", scope_needed=scope.value)


def _request(event: Mapping[str, object], method: str, route: str, trace_id: str) -> Request:
    context = _mapping(event.get("requestContext"))
    authorizer = _texts(context.get("authorizer"))
    merchant, key = authorizer.get("merchant_id"), authorizer.get("key_id")
    return Request(
        method=method,
        route=route,
        path_params=_texts(event.get("pathParameters")),
        query=_texts(event.get("queryStringParameters")),
        headers={name.lower(): value for name, value in _texts(event.get("headers")).items()},
        body=_body(event),
        merchant_id=parse_public_id("mer", merchant) if merchant else None,
        key_id=parse_public_id("key", key) if key else None,
        scopes=frozenset((authorizer.get("scopes") or "").split()),
        lane=authorizer.get("lane") or "",
        trace_id=trace_id,
        source_ip=_texts(context.get("identity")).get("sourceIp", ""),
    )


def _body(event: Mapping[str, object]) -> bytes:
    body = event.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise MalformedField("the body is not text", field="body")
    if not event.get("isBase64Encoded"):
        return body.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as exc:
        raise MalformedField("the body is not base 64", field="body") from exc


def _trace_id(event: Mapping[str, object]) -> str:
    for name, value in _texts(event.get("headers")).items():
        if name.lower() == "x-amzn-trace-id":
            match = _AMAZON_TRACE.search(value)
            if match:
                return match.group(1) + match.group(2)
    return new_trace_id()


def _mapping(value: object) -> Mapping[str, object]:
    return cast(Mapping[str, object], value) if isinstance(value, dict) else {}


def _texts(value: object) -> Mapping[str, str]:
    return {name: str(item) for name, item in _mapping(value).items() if item is not None}
