"""The HTTP entry: an API Gateway REST proxy event in, a proxy response out.

Form of both: Amazon API Gateway Developer Guide, "Lambda proxy integrations". Every error leaves as
an RFC 9457 problem document with the trace id under which the logs know the request.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from orion import i18n
from orion.errors import OrionError, Unavailable
from orion.ids import parse_public_id
from orion.runtime import problems, rate_limits, routes, settings
from orion.runtime.api_schema.reading import read_body, read_query
from orion.runtime.body import MalformedField
from orion.runtime.idempotency import key_of
from orion.runtime.log import logger, new_trace_id, set_trace_id
from orion.runtime.log import trace_id as log_trace_id
from orion.runtime.rate_limits import Limits
from orion.runtime.request import NO_STORE, NOTHING, Handler, Request, Response
from orion.runtime.route import RateClass, Route
from orion.scopes import Scope

_AMAZON_TRACE = re.compile(r"Root=1-([0-9a-f]{8})-([0-9a-f]{24})")
# RFC 6797: a browser that has been here once asks over HTTPS only, for a year.
HTTPS_ONLY = "max-age=31536000"


class NotFound(OrionError):
    """No such route."""

    code = "not_found"


class MethodNotAllowed(OrionError):
    """The address exists, this method does not; `allowed` lists those that do."""

    code = "method_not_allowed"


class ForbiddenScope(OrionError):
    """The key may not do this."""

    code = "forbidden_scope"


def serve(
    event: Mapping[str, object],
    handlers: Mapping[tuple[str, str], Handler],
    limits: Limits | None = None,
) -> Mapping[str, object]:
    """Answer one proxy event by the handler of its method and route template.

    `limits` None are those of this stage and lane.
    """
    log = logger()
    trace_id = _trace_id(event)
    set_trace_id(trace_id)
    method, route = str(event.get("httpMethod")), str(event.get("resource"))
    quota_headers: dict[str, str] = {}
    try:
        response = _answer(event, handlers, (method, route), limits, quota_headers)
    except OrionError as error:
        response = _refusal(error, _reader(event, error))
        log.log(
            40 if response.status >= 500 else 20,
            "refused",
            extra={"code": error.code, "detail": str(error)},
        )
    except Exception:
        # The last line of defence: the caller learns the trace id, the log everything else.
        log.exception("unexpected failure", extra={"route": route})
        response = _refusal(OrionError("unexpected"), _reader(event, None))
    log.info("answered", extra={"method": method, "route": route, "status": response.status})
    return {
        "statusCode": response.status,
        "headers": {
            "X-Request-Id": trace_id,
            "X-Content-Type-Options": "nosniff",
            "Strict-Transport-Security": HTTPS_ONLY,
            **quota_headers,
            **response.headers,
        },
        "body": response.body.decode(),
        "isBase64Encoded": False,
    }


def _refusal(error: OrionError, reader: problems.Reader) -> Response:
    status, body = problems.of_error(error, reader)
    headers = {
        "Content-Type": problems.CONTENT_TYPE,
        "Content-Language": reader.language,
        **NO_STORE,
    }
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"  # RFC 9110, section 11.6.1: every 401 names a way.
    if status == 405:
        headers["Allow"] = str(error.fields.get("allowed", ""))
    if status in {429, 503}:
        headers["Retry-After"] = str(error.fields.get("retry_after_s", problems.RETRY_AFTER_S))
    return Response(status, body, headers)


def _reader(event: Mapping[str, object], error: OrionError | None) -> problems.Reader:
    """For whom a problem is written. Where the settings are what failed, links are relative."""
    accepted = _header(event, "accept-language")
    base = ""
    if error is None or not isinstance(error, Unavailable | settings.MissingSetting):
        try:
            base = settings.settings().text("api/standard-url")
        except OrionError:
            logger().warning("no base for links to problems")
    return problems.Reader(log_trace_id(), i18n.choose(None, accepted), base)


def _answer(
    event: Mapping[str, object],
    handlers: Mapping[tuple[str, str], Handler],
    place: tuple[str, str],
    limits: Limits | None,
    quota_headers: dict[str, str],
) -> Response:
    """Fills `quota_headers` as soon as they are known: refusals have them too."""

    def count(request: Request, rate_class: RateClass) -> None:
        standings = (limits or rate_limits.live()).spend(request, rate_class)
        quota_headers.update(rate_limits.headers(standings))
        refused = rate_limits.refusal(standings)
        if refused is not None:
            raise refused

    known, handler = routes.find(*place), handlers.get(place)
    if known is None or handler is None:
        if routes.counts(place[1]):
            count(_request(event, *place, log_trace_id()), RateClass.REFUSED)
        allowed = sorted(method for method, path in handlers if path == place[1])
        if allowed and place[0] not in allowed:
            raise MethodNotAllowed("this address takes other methods", allowed=", ".join(allowed))
        raise NotFound("there is nothing here")
    request = _request(event, *place, log_trace_id())
    if known.scope is not None:
        if request.merchant_id is None:
            count(request, RateClass.REFUSED)
        request.merchant()
    if known.rate_class is not RateClass.NONE:
        count(request, known.rate_class)
    # After counting: else a key could ask without end for what it may not do.
    if known.scope is not None:
        _check_scope(request, known.scope)
    # Last, because it costs: a body of many megabytes is decoded for nobody who is refused.
    request = replace(request, body=_body(event))
    response = handler(_read(request, known))
    return _unless_known(request, response) if known.has_etag else response


def _unless_known(request: Request, response: Response) -> Response:
    """The answer with its ETag, or 304 where the caller has it (RFC 9110, If-None-Match)."""
    if response.status != 200 or "ETag" in response.headers:
        return response
    etag = f'"{hashlib.sha256(response.body).hexdigest()[:32]}"'
    headers = {**response.headers, "ETag": etag}
    wanted = request.headers.get("if-none-match", "")
    if etag in (item.strip().removeprefix("W/") for item in wanted.split(",")):
        del headers["Content-Type"]
        return Response(304, b"", headers)
    return Response(200, response.body, headers)


def _read(request: Request, route: Route) -> Request:
    """The request with what its route describes: nothing reaches a handler that does not fit."""
    if route.needs_idempotency_key:
        key_of(request)
    parameters = NOTHING if route.query is None else read_query(request.query, route.query)
    fields = NOTHING if route.request is None else read_body(request.body, route.request)
    return replace(request, fields=fields, parameters=parameters)


def _check_scope(request: Request, scope: Scope) -> None:
    if scope.value not in request.scopes:
        raise ForbiddenScope("this API key may not do that", scope_needed=scope.value)


def _request(event: Mapping[str, object], method: str, route: str, trace_id: str) -> Request:
    """All but the body."""
    context = _mapping(event.get("requestContext"))
    authorizer = _texts(context.get("authorizer"))
    merchant, key = authorizer.get("merchant_id"), authorizer.get("key_id")
    return Request(
        method=method,
        route=route,
        path_params=_texts(event.get("pathParameters")),
        query=_texts(event.get("queryStringParameters")),
        headers={name.lower(): value for name, value in _texts(event.get("headers")).items()},
        body=b"",
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
    match = _AMAZON_TRACE.search(_header(event, "x-amzn-trace-id"))
    return match.group(1) + match.group(2) if match else new_trace_id()


def _header(event: Mapping[str, object], wanted: str) -> str:
    for name, value in _texts(event.get("headers")).items():
        if name.lower() == wanted:
            return value
    return ""


def _mapping(value: object) -> Mapping[str, object]:
    return cast(Mapping[str, object], value) if isinstance(value, dict) else {}


def _texts(value: object) -> Mapping[str, str]:
    return {name: str(item) for name, item in _mapping(value).items() if item is not None}
