"""Merchants and API keys: what a key looks like, what is kept of it, and what it may do.

A key is `ok_<key id>_<secret>`: the id finds its row, the secret has 256 random bits. Of the secret
only its SHA-256 is kept; a slow password hash would add nothing, because nobody can try 2^256
secrets.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from orion.errors import OrionError
from orion.ids import MalformedId, parse_public_id, public_id
from orion.scopes import Scope

SECRET_BYTES = 32
MAX_NAME = 80
MAX_SCOPES = 20
MAX_KEYS = 100  # A merchant's keys that are not revoked.
FIRST_KEY_SCOPES = frozenset({Scope.KEYS_WRITE})
LANES = ("standard", "vip")
_KEY = re.compile(r"ok_([0-9A-Z]{26})_([A-Za-z0-9_-]{43})", re.ASCII)


class UnknownScope(OrionError):
    """A scope that this API does not have."""

    code = "unknown_scope"


class KeyNotFound(OrionError):
    """The merchant has no such key."""

    code = "key_not_found"


class TooManyKeys(OrionError):
    """The merchant must revoke a key before making another."""

    code = "too_many_keys"


@dataclass(frozen=True, slots=True)
class Merchant:
    """Who is paid. `lane` is the API host that serves this merchant: `standard` or `vip`."""

    id: bytes
    name: str
    lane: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key. `secret_hash` is the SHA-256 of its secret."""

    id: bytes
    merchant_id: bytes
    name: str
    scopes: frozenset[Scope]
    secret_hash: bytes
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a key speaks for."""

    merchant_id: bytes
    key_id: bytes
    scopes: frozenset[Scope]
    lane: str


def scopes(names: Collection[str]) -> frozenset[Scope]:
    """The scopes of these names. Raises UnknownScope."""
    try:
        return frozenset(Scope(name) for name in names)
    except ValueError as exc:
        raise UnknownScope("no such scope", known=" ".join(Scope)) from exc


def secret_hash(secret: bytes) -> bytes:
    """What is stored instead of `secret`."""
    return hashlib.sha256(secret).digest()


def write_key(key_id: bytes, secret: bytes) -> str:
    """The key as its owner sees it, once."""
    text = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    return f"ok_{public_id('key', key_id).removeprefix('key_')}_{text}"


def read_key(text: str) -> tuple[bytes, bytes] | None:
    """Key id and secret, or None when `text` was never a key."""
    match = _KEY.fullmatch(text)
    if match is None:
        return None
    try:
        key_id = parse_public_id("key", "key_" + match.group(1))
    except MalformedId:
        return None
    return key_id, base64.urlsafe_b64decode(match.group(2) + "=")


def proves(key: ApiKey, secret: bytes) -> bool:
    """Whether `secret` is the key's own and the key still holds. Takes the same time for every
    wrong secret.
    """
    return hmac.compare_digest(key.secret_hash, secret_hash(secret)) and key.revoked_at is None
