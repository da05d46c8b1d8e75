"""The `Idempotency-Key` header and the fingerprint of what was asked under it.

Source: IETF draft-ietf-httpapi-idempotency-key-header-07, sections 2.1 and 2.4. The draft's form is
a String of Structured Fields (RFC 9651, section 3.3.3), in double quotes; most clients send the
bare key, which is the same key here.
"""

import hashlib
import re
from typing import TYPE_CHECKING

from orion.errors import OrionError

if TYPE_CHECKING:
    from orion.runtime.request import Request

_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")
_QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,510})"')
_ESCAPED = re.compile(r'\\(["\\])')
_PUBLIC_SCOPE = b"public:"


class IdempotencyKeyMissing(OrionError):
    """A request with an effect came without the key that would make its retry safe."""

    code = "idempotency_key_missing"


class IdempotencyKeyMalformed(OrionError):
    """The key is empty, longer than 255 characters, or has other than visible ASCII characters."""

    code = "idempotency_key_malformed"


def key_of(request: "Request") -> str:
    """The request's key. Raises IdempotencyKeyMissing, IdempotencyKeyMalformed."""
    value = request.headers.get("idempotency-key")
    if value is None:
        raise IdempotencyKeyMissing("this request needs the header Idempotency-Key")
    value = value.strip(" ")
    if value.startswith('"'):
        quoted = _QUOTED.fullmatch(value)
        value = "" if quoted is None else _ESCAPED.sub(r"\1", quoted.group(1))
    if not _VISIBLE.fullmatch(value):
        raise IdempotencyKeyMalformed("a key has 1 to 255 visible ASCII characters")
    return value


def scope_of(request: "Request") -> bytes:
    """Whose keys these are: the merchant's, or without an API key the caller's address's.

    Strangers must not meet under one key: one would get the other's answer, or be refused by it.
    """
    if request.merchant_id is not None:
        return request.merchant_id
    return _PUBLIC_SCOPE + hashlib.sha256(request.source_ip.encode()).digest()[:16]


def fingerprint(request: "Request") -> bytes:
    """SHA-256 over method, path and body: equal for a retry, different for another request."""
    digest = hashlib.sha256()
    path = "/".join(f"{name}={value}" for name, value in sorted(request.path_params.items()))
    for part in (request.method, request.route, path):
        digest.update(len(part.encode()).to_bytes(4, "big") + part.encode())
    digest.update(request.body)
    return digest.digest()
