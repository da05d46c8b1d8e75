"""One request and its repetitions: over httpx, bounded in time, size and number."""

import ipaddress
import json
import random
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import httpx

from orion_client.errors import ApiError, NoAnswer, NotSent, UnreadableAnswer, api_error
from orion_client.retrying import Retries, retry_after, worth_repeating

BODY_MAX_BYTES = 8 * 1024 * 1024  # An answer has 6 MB at most (AWS Lambda, "Quotas").
TIMEOUT_S = (
    20.0  # Of one step: connecting, sending, a piece of the answer. The API ends after 10 s.
)
WHOLE_ANSWER_S = 60.0
_AGENT = "orion-client-python/0.1.0"
_KEY_MAX = 255

Json = dict[str, Any]


class _TooSlow(Exception):
    """The answer comes in drops."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer, and the key of the request that it answers."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    idempotency_key: str | None = None

    def json(self) -> Json:
        """The body as a JSON object. Raises UnreadableAnswer."""
        try:
            found = json.loads(self.body or b"{}")
        except ValueError as exc:
            raise UnreadableAnswer("the answer is no JSON", self.idempotency_key) from exc
        if not isinstance(found, dict):
            raise UnreadableAnswer("the answer is no JSON object", self.idempotency_key)
        return cast(Json, found)


def checked_base_url(text: str) -> str:
    """https, or http to this machine only: a key never crosses a network in the clear. Raises
    NotSent.
    """
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as exc:
        raise NotSent("the base URL cannot be read") from exc
    if url.userinfo or url.query or url.fragment or not url.host:
        raise NotSent("the base URL is scheme, host, port and path only")
    if url.scheme == "https" or (url.scheme == "http" and _is_loopback(url.host)):
        return text.rstrip("/")
    raise NotSent("the base URL must be https")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def new_key() -> str:
    """An idempotency key for one call and all its repetitions."""
    return str(uuid.uuid4())


@dataclass(slots=True)
class Transport:
    """Sends requests of one API key to one base URL; safe for threads, as httpx.Client is."""

    base_url: str
    api_key: str | None = field(repr=False)
    retries: Retries
    http: httpx.Client
    language: str

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        query: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
    ) -> Answer:
        """The answer of one call. Raises ApiError, NoAnswer, UnreadableAnswer or NotSent.

        POST gets an Idempotency-Key, made once and kept over all repetitions; the other methods say
        what shall be, so that doing them twice is doing them once.
        """
        key = _key_for(method, idempotency_key)
        request = self._request(method, path, body, query, key)
        attempt = 1
        maybe_done = False
        while True:
            outcome = self._try(request, maybe_done, key)
            if isinstance(outcome, Answer):
                return outcome
            pause_s = self._pause_s(outcome, attempt)
            if pause_s is None:
                raise outcome
            time.sleep(pause_s)
            attempt += 1
            maybe_done = maybe_done or _outcome_unknown(outcome)

    def _pause_s(self, error: ApiError | NoAnswer, attempt: int) -> float | None:
        if isinstance(error, NoAnswer):
            return self.retries.pause_before_next(attempt, None, random.random)
        if not worth_repeating(error.status, error.fields):
            return None
        return self.retries.pause_before_next(attempt, error.retry_after_s, random.random)

    def _try(
        self, request: httpx.Request, maybe_done: bool, key: str | None
    ) -> Answer | ApiError | NoAnswer:
        try:
            answer = self._once(request, key)
        except (httpx.HTTPError, _TooSlow) as exc:
            error = NoAnswer(f"{request.method} {request.url.path}: {type(exc).__name__}", key)
            error.__cause__ = exc
            return error
        if 200 <= answer.status < 300:
            return answer
        if request.method == "DELETE" and maybe_done and answer.status == 404:
            # An earlier attempt removed it and its answer was lost. One that was turned away
            # (429, `retry: later`) removed nothing: after it 404 means what it says.
            return Answer(204, answer.headers, b"")
        return _refusal(answer, key)

    def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        query: Mapping[str, object] | None,
        key: str | None,
    ) -> httpx.Request:
        headers = {
            "Accept": "application/json",
            "Accept-Language": self.language,
            "User-Agent": _AGENT,
        }
        if self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key}"
        if key is not None:
            headers["Idempotency-Key"] = key
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        params = {
            name: _written(value) for name, value in (query or {}).items() if value is not None
        }
        return self.http.build_request(
            method,
            self.base_url + path,
            params=params or None,
            content=content,
            headers=headers,
            timeout=TIMEOUT_S,
        )

    def _once(self, request: httpx.Request, key: str | None) -> Answer:
        ends_at = time.monotonic() + WHOLE_ANSWER_S
        response = self.http.send(request, stream=True, follow_redirects=False)
        try:
            found = bytearray()
            for chunk in response.iter_bytes():
                found += chunk
                if time.monotonic() > ends_at:
                    raise _TooSlow(f"no whole answer within {WHOLE_ANSWER_S:.0f} s")
                if len(found) > BODY_MAX_BYTES:
                    raise UnreadableAnswer(f"the answer has more than {BODY_MAX_BYTES} bytes", key)
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, headers, bytes(found), key)
        finally:
            response.close()


def _outcome_unknown(error: ApiError | NoAnswer) -> bool:
    return isinstance(error, NoAnswer) or error.retry == "same_key"


def _refusal(answer: Answer, key: str | None) -> ApiError:
    try:
        problem = answer.json()
    except UnreadableAnswer:
        problem = {}
    error = api_error(answer.status, problem)
    error.retry_after_s = retry_after(answer.headers.get("retry-after"))
    error.idempotency_key = key
    return error


def _key_for(method: str, wanted: str | None) -> str | None:
    if method != "POST":
        return None
    key = new_key() if wanted is None else wanted
    if not 1 <= len(key) <= _KEY_MAX or not all("!" <= letter <= "~" for letter in key):
        raise NotSent("an idempotency key has 1 to 255 visible ASCII characters")
    return key


def _written(value: object) -> str:
    if isinstance(value, list | tuple):
        return ",".join(str(item) for item in value)
    return str(value)
