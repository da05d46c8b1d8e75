"""Making merchants and keys. Every deed leaves an audit event in the same transaction."""

import secrets
from collections.abc import Collection
from datetime import datetime

from orion.ids import fact_id, public_id, random_id
from orion.scopes import Scope
from orion.user import model
from orion.user.model import ApiKey, KeyNotFound, Merchant, TooManyKeys
from orion.user.ports import UserTransaction


def register(
    transaction: UserTransaction, name: str, now: datetime, trace_id: str
) -> tuple[Merchant, str]:
    """A new merchant on the standard lane, and its first key, which may only make other keys."""
    merchant = Merchant(random_id(), name, "standard", now)
    transaction.add_merchant(merchant)
    _audit(transaction, "merchant.registered", merchant.id, _mer(merchant.id), now, trace_id)
    _, text = _add_key(transaction, merchant.id, "first key", model.FIRST_KEY_SCOPES, now, trace_id)
    return merchant, text


def make_key(
    transaction: UserTransaction,
    merchant_id: bytes,
    name: str,
    scope_names: Collection[str],
    now: datetime,
    trace_id: str,
) -> tuple[ApiKey, str]:
    """A new key and its text, which is not kept. Raises UnknownScope, TooManyKeys."""
    wanted = model.scopes(scope_names)
    if transaction.count_keys(merchant_id) >= model.MAX_KEYS:
        raise TooManyKeys("revoke a key first", limit=model.MAX_KEYS)
    return _add_key(transaction, merchant_id, name, wanted, now, trace_id)


def revoke_key(
    transaction: UserTransaction, merchant_id: bytes, key_id: bytes, now: datetime, trace_id: str
) -> None:
    """End a key. The gateway may honour it for as long as it keeps an authorizer's answer: 60 s.

    Raises KeyNotFound, also for a key that was revoked before.
    """
    if not transaction.revoke(merchant_id, key_id, now):
        raise KeyNotFound("no such key")
    _audit(transaction, "api_key.revoked", key_id, _mer(merchant_id), now, trace_id)


def _add_key(
    transaction: UserTransaction,
    merchant_id: bytes,
    name: str,
    scopes: frozenset[Scope],
    now: datetime,
    trace_id: str,
) -> tuple[ApiKey, str]:
    secret = secrets.token_bytes(model.SECRET_BYTES)
    key = ApiKey(random_id(), merchant_id, name, scopes, model.secret_hash(secret), now)
    transaction.add_key(key)
    _audit(transaction, "api_key.created", key.id, _mer(merchant_id), now, trace_id)
    return key, model.write_key(key.id, secret)


def _mer(merchant_id: bytes) -> str:
    return public_id("mer", merchant_id)


def _audit(
    transaction: UserTransaction,
    action: str,
    subject: bytes,
    actor: str,
    now: datetime,
    trace_id: str,
) -> None:
    prefix = "key" if action.startswith("api_key") else "mer"
    transaction.audit(
        fact_id("audit", action, subject),
        {
            "v": 1,
            "trace_id": trace_id,
            "module": "user",
            "action": action,
            "at": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "actor": actor,
            "subject": public_id(prefix, subject),
            "details": {},
        },
    )
