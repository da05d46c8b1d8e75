"""Proxy events as the gateway makes them, and the entry that answers them."""

from collections.abc import Mapping
from typing import Any

from orion.ids import public_id, random_id
from orion.runtime.http import serve
from orion.runtime.rate_limits import Limits
from orion.runtime.request import Handler

MERCHANT, KEY = random_id(), random_id()
# Without a quota: nothing is counted, so that nothing needs memcached.
NO_QUOTAS = Limits({}, lambda key, expires_s: None, lambda: 0.0, lambda: None)


def event(
    method: str, route: str, *, scopes: str = "balances:read", **more: Any
) -> dict[str, object]:
    """One request of a merchant whose key has these scopes."""
    authorizer = {
        "merchant_id": public_id("mer", MERCHANT),
        "key_id": public_id("key", KEY),
        "scopes": scopes,
        "lane": "standard",
    }
    return {
        "httpMethod": method,
        "resource": route,
        "headers": {},
        "body": None,
        "requestContext": {"authorizer": authorizer, "identity": {"sourceIp": "192.0.2.1"}},
        **more,
    }


def answer_of(
    asked: Mapping[str, object],
    handlers: Mapping[tuple[str, str], Handler],
    limits: Limits = NO_QUOTAS,
) -> Mapping[str, Any]:
    """What the entry answers."""
    return serve(asked, handlers, limits)
