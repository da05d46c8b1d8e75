"""A merchant's good request of every operation, in an order in which each finds what it needs.

What a good request cannot be made from its description alone (a rate must be set before an invoice
is priced) stands here by operation; an operation without a body needs nothing.
"""

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orion.runtime.api_schema.path_parameters import PATH_PARAMETERS

_COINS = ["BTC.bitcoin"]
_PRICE = {"amount": "25.00", "currency": "EUR", "assets": _COINS}
_ADDRESS = "https://hooks.example.com/orion"

BODIES: Mapping[str, Mapping[str, object]] = {
    "post_merchants": {"name": "Fuzzed"},
    "post_api_keys": {"name": "spare", "scopes": ["invoices:read"]},
    "put_rates_asset_currency": {"rate": "60000.00"},
    "put_rate_settings": {"sources": ["fixed"]},
    "put_settings": {"tolerance_bps": 10},
    "post_webhook_endpoints": {"url": _ADDRESS, "events": ["*"]},
    "patch_webhook_endpoints_endpoint_id": {"events": ["*"]},
    "post_webhook_endpoints_endpoint_id_rotate_secret": {"overlap_s": 60},
    "post_invoices": _PRICE,
    "post_payment_links": {"title": "Tea", **_PRICE},
    "patch_payment_links_link_id": {"title": "Green tea"},
    "post_checkout_sessions": {**_PRICE, "success_url": "https://shop.example.com/paid"},
}
QUERIES: Mapping[str, Mapping[str, str]] = {
    "get_rates": {"currency": "EUR", "assets": ",".join(_COINS)},
    "get_exports_statement_csv": {"asset": _COINS[0]},
}
# A refusal that is as good an answer: who was never paid has no account, what a sender holds at
# this moment is not sent again, and a form that the page did not show is not taken.
AS_GOOD: Mapping[str, int] = {
    "get_statements_asset": 404,
    "get_exports_statement_csv": 404,
    "post_pay_link_id": 400,
    "post_webhook_deliveries_delivery_id_redeliver": 409,
}
# What a path names that nobody makes.
FIXED = {
    "asset": "BTC.bitcoin",
    "currency": "EUR",
    "code": "not_found",
}
# Of a path's own: the same name stands for different things.
FIXED_IN: Mapping[str, Mapping[str, str]] = {
    "/problems/assets/{file}": {"file": "problems.css"},
    "/checkout/assets/{file}": {"file": "checkout.css"},
    "/pay/assets/{file}": {"file": "shared.css"},
    "/merchant/{page}": {"page": "invoices"},
    "/merchant/assets/{version}/{file}": {"version": "0" * 16, "file": "shared.css"},
}
_ORDER = ("PUT", "POST", "GET", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Place:
    """One operation: where it is, and what the document calls it."""

    method: str
    path: str
    name: str
    has_body: bool

    @property
    def needs(self) -> tuple[str, ...]:
        """Names in its path."""
        return tuple(re.findall(r"\{([a-z_]+)\}", self.path))


def places(document: Mapping[str, Any]) -> list[Place]:
    """All operations: what makes things first, then what reads, acts on and ends them."""
    found = [
        Place(method.upper(), path, operation["operationId"], "requestBody" in operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return sorted(found, key=_turn)


def _turn(place: Place) -> tuple[int, bool, int]:
    acts = place.method == "POST" and bool(place.needs)
    return (_ORDER.index(place.method), acts, len(place.needs))


@dataclass(slots=True)
class Known:
    """Identities that answers gave, by the name that paths have for them."""

    ids: dict[str, str] = field(default_factory=lambda: dict(FIXED))

    def learn(self, body: object) -> None:
        """Remember the ids of one answer, or of the first of a list."""
        if isinstance(body, dict):
            rows = body.get("data")
            found = rows[0] if isinstance(rows, list) and rows else body
            for name, value in _ids(found):
                self.ids.setdefault(name, value)

    def path(self, place: Place) -> dict[str, str] | None:
        """What fills the path; None while something of it is not known."""
        ids = {**self.ids, **FIXED_IN.get(place.path, {})}
        if not all(name in ids for name in place.needs):
            return None
        return {name: ids[name] for name in place.needs}


def _ids(found: object) -> Iterator[tuple[str, str]]:
    for value in found.values() if isinstance(found, dict) else ():
        for name, kind in PATH_PARAMETERS.items():
            if (
                name.endswith("_id")
                and isinstance(value, str)
                and kind.pattern is not None
                and re.fullmatch(kind.pattern, value)
            ):
                yield name, value


def key() -> dict[str, str]:
    """A header that no other request has."""
    return {"Idempotency-Key": secrets.token_hex(16)}
