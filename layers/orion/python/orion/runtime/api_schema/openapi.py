"""The OpenAPI 3.1 document of a table of routes.

Source: OpenAPI Specification 3.1.1. Nothing here is read when requests are served.
"""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from orion.runtime import problems
from orion.runtime.api_schema.json_schema import Schemas, anchored
from orion.runtime.api_schema.kinds import Listing, Media, Object, Parameter
from orion.runtime.api_schema.path_parameters import PATH_PARAMETERS
from orion.runtime.route import RateClass, Route

VERSION = "1"
_JSON = "application/json"
_IN_PATH = re.compile(r"\{([a-z_]+)\}")
# A bare key, or a String of Structured Fields (RFC 9651) in its quotes.
_KEY_FORM = r'[!#-~][!-~]{0,254}|"[!#-\[\]-~]{1,255}"'

# Always; with a body; with a query; with an idempotency key; with a scope.
_OURS = ("internal", "temporarily_unavailable")
_BODY = ("malformed_json", "unknown_field", "missing_field", "malformed_field", "payload_too_large")
_QUERY = ("unknown_parameter", "malformed_parameter")
_KEYED = (
    "idempotency_key_missing",
    "idempotency_key_malformed",
    "idempotency_key_in_flight",
    "idempotency_key_reused",
)
_SCOPED = ("unauthorized", "forbidden_scope", "wrong_lane")
# The gateway's own: what it cannot read, and what takes too long.
_UNREADABLE, _TIMEOUT = "malformed_field", HTTPStatus.GATEWAY_TIMEOUT

_HEADERS: Mapping[str, tuple[str, str]] = {
    "X-Request-Id": ("string", "Names this request in the logs: say it when you ask for help."),
    "RateLimit-Policy": ("string", "The quotas that this request is counted in."),
    "RateLimit": ("string", "What is left of the quota that ends first, and when it is new."),
    "Retry-After": ("integer", "Seconds to wait before the next try."),
    "ETag": ("string", "Changes exactly when the answer does; for If-None-Match."),
    "Idempotent-Replayed": ("string", "`true`: the stored answer of an earlier request."),
}


class UnknownCode(Exception):
    """A route names a problem that `problems.STATUS` does not have."""


def document(routes: Sequence[Route]) -> Mapping[str, object]:
    """The whole document, in the order of `routes`."""
    written = _Writer()
    paths: dict[str, dict[str, object]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = written.operation(route)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Orion-Pay",
            "version": VERSION,
            "summary": "Payments in crypto currencies, for merchants.",
            "description": "Money is decimal text. Refusals are problem documents (RFC 9457), each"
            " with a page at /problems. Lists are keyset pages.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {"Problem": _PROBLEM, **dict(sorted(written.schemas.components.items()))},
            "responses": dict(sorted(written.responses.items())),
            "parameters": {"IdempotencyKey": _KEY_PARAMETER, "IfNoneMatch": _ETAG_PARAMETER},
            "headers": {
                name: {"description": text, "schema": {"type": kind}}
                for name, (kind, text) in _HEADERS.items()
            },
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, `ok_…`. The scopes of a route stand with it.",
                }
            },
        },
    }


_PROBLEM: Mapping[str, object] = {
    "type": "object",
    "description": "RFC 9457, with typed members of the code's own beside these.",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "trace_id": {"type": "string"},
        "retry": {"type": "string", "enum": ["never", "same_key", "later"]},
    },
    "required": ["type", "title", "status", "detail", "code", "trace_id", "retry"],
}
_KEY_PARAMETER: Mapping[str, object] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "draft-ietf-httpapi-idempotency-key-header; kept for 7 days.",
    "schema": {"type": "string", "pattern": anchored(_KEY_FORM)},
}
_ETAG_PARAMETER: Mapping[str, object] = {
    "name": "If-None-Match",
    "in": "header",
    "description": "ETags that the caller has: 304 while one of them is the answer's.",
    "schema": {"type": "string"},
}


class _Writer:
    """Writes operations, and collects what they share."""

    def __init__(self) -> None:
        self.schemas = Schemas()
        self.responses: dict[str, Mapping[str, object]] = {}

    def operation(self, route: Route) -> Mapping[str, object]:
        parts = [part for part in route.path.strip("/").split("/") if part != "v1"]
        name = "_".join([route.method.lower(), *parts])
        written: dict[str, object] = {
            "operationId": re.sub(r"[^a-z0-9]+", "_", name).strip("_"),
            "summary": route.summary,
            "tags": [parts[0]],
            "security": [] if route.scope is None else [{"key": [route.scope.value]}],
            "parameters": self._parameters(route),
        }
        if route.request is not None:
            schema = self.schemas.of(route.request, asked=True)
            written["requestBody"] = {"required": True, "content": {_JSON: {"schema": schema}}}
        written["responses"] = self._answers(route)
        return written

    def _parameters(self, route: Route) -> list[Mapping[str, object]]:
        found: list[Mapping[str, object]] = [
            {
                "name": name,
                "in": "path",
                "required": True,
                "schema": self.schemas.of(PATH_PARAMETERS[name], asked=True),
            }
            for name in _IN_PATH.findall(route.path)
        ]
        found += [self._parameter(parameter) for parameter in route.query or ()]
        if route.needs_idempotency_key:
            found.append({"$ref": "#/components/parameters/IdempotencyKey"})
        if _has_etag(route):
            found.append({"$ref": "#/components/parameters/IfNoneMatch"})
        return found

    def _parameter(self, parameter: Parameter) -> Mapping[str, object]:
        commas = {"style": "form", "explode": False} if isinstance(parameter.kind, Listing) else {}
        return {
            "name": parameter.name,
            "in": "query",
            "description": parameter.note,
            **commas,
            "schema": self.schemas.of(parameter.kind, asked=True),
        }

    def _answers(self, route: Route) -> Mapping[str, object]:
        found = {status: self._answer(route, status) for status in route.answers}
        if _has_etag(route):
            found.setdefault(304, {"description": HTTPStatus(304).phrase})
        for status, codes in _refused(route).items():
            problem = self._problem(status, codes)
            known = found.get(status)
            if known is None:
                found[status] = problem
            else:
                content = {**_content(known), **_content(_problem_response(status, codes))}
                found[status] = {**known, "content": content}
        return {str(status): found[status] for status in sorted(found)}

    def _answer(self, route: Route, status: int) -> dict[str, object]:
        names = ["X-Request-Id"]
        if route.rate_class is not RateClass.NONE:
            names += ["RateLimit-Policy", "RateLimit"]
        if _has_etag(route) and status == 200:
            names.append("ETag")
        if route.needs_idempotency_key and status < 300:
            names.append("Idempotent-Replayed")
        found: dict[str, object] = {
            "description": HTTPStatus(status).phrase,
            "headers": _header_references(names),
        }
        described = route.answers[status]
        if isinstance(described, Media):
            kind = "object" if described.content_type == _JSON else "string"
            found["content"] = {described.content_type: {"schema": {"type": kind}}}
        elif isinstance(described, Object):
            schema = self.schemas.of(described, asked=False)
            found["content"] = {_JSON: {"schema": schema}}
        return found

    def _problem(self, status: int, codes: Sequence[str]) -> dict[str, object]:
        if len(codes) > 2:
            return _problem_response(status, codes)
        name = f"{status}.{'.'.join(codes)}"
        self.responses[name] = _problem_response(status, codes)
        return {"$ref": f"#/components/responses/{name}"}


def _has_etag(route: Route) -> bool:
    return route.has_etag or 304 in route.answers


def _refused(route: Route) -> Mapping[int, Sequence[str]]:
    """The codes of a route's problems by status, its own and those of its kind."""
    codes = [*_OURS, _UNREADABLE, *route.refuses]
    if route.request is not None:
        codes += _BODY
    if route.query is not None and route.path.startswith("/v1/"):
        codes += [*_QUERY, *(p.refused.code for p in route.query if p.refused is not None)]
    if route.needs_idempotency_key:
        codes += _KEYED
    if route.scope is not None:
        codes += _SCOPED
    if _IN_PATH.search(route.path):
        codes.append("not_found")
    if route.rate_class is not RateClass.NONE:
        codes.append("rate_limited")
    found: dict[int, set[str]] = {_TIMEOUT: {"temporarily_unavailable"}}
    for code in codes:
        status = problems.STATUS.get(code)
        if status is None:
            raise UnknownCode(f"{route.method} {route.path} refuses with {code}, which has no row")
        found.setdefault(status, set()).add(code)
    return {status: sorted(names) for status, names in found.items()}


def _problem_response(status: int, codes: Sequence[str]) -> dict[str, object]:
    names = ["X-Request-Id"]
    if status in {429, 503, 504}:
        names.append("Retry-After")
    schema = {
        "allOf": [
            {"$ref": "#/components/schemas/Problem"},
            {"properties": {"code": {"enum": list(codes)}}},
        ]
    }
    return {
        "description": " ".join(f"`{code}`" for code in codes),
        "headers": _header_references(names),
        "content": {problems.CONTENT_TYPE: {"schema": schema}},
    }


def _content(response: Mapping[str, object]) -> Mapping[str, object]:
    content = response.get("content")
    return content if isinstance(content, dict) else {}


def _header_references(names: Sequence[str]) -> Mapping[str, object]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
