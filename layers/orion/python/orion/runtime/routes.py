"""Every route of the public API, once: the functions answer from this table and the CDK app builds
the gateway from it.
"""

from dataclasses import dataclass

from orion.scopes import Scope

__all__ = ["ROUTES", "Route", "Scope", "find"]


@dataclass(frozen=True, slots=True)
class Route:
    """`function` is `<module>/<file>` under functions/; `scope` None is open to everyone, without a
    key.
    """

    method: str
    path: str
    function: str
    scope: Scope | None


ROUTES: tuple[Route, ...] = (
    Route("POST", "/v1/merchants", "user/api", None),
    Route("POST", "/v1/api-keys", "user/api", Scope.KEYS_WRITE),
    Route("GET", "/v1/api-keys", "user/api", Scope.KEYS_WRITE),
    Route("DELETE", "/v1/api-keys/{key_id}", "user/api", Scope.KEYS_WRITE),
    Route("PUT", "/v1/rates/{asset}/{currency}", "billing/api", Scope.RATES_WRITE),
    Route("POST", "/v1/webhook-endpoints", "billing/api", Scope.WEBHOOKS_WRITE),
    Route("POST", "/v1/invoices", "billing/api", Scope.INVOICES_WRITE),
    Route("GET", "/v1/invoices", "billing/api", Scope.INVOICES_READ),
    Route("GET", "/v1/invoices/{invoice_id}", "billing/api", Scope.INVOICES_READ),
    Route("GET", "/v1/balances", "billing/api", Scope.BALANCES_READ),
    Route("GET", "/checkout/{invoice_id}", "billing/checkout", None),
    Route("GET", "/checkout/{invoice_id}/status", "billing/checkout", None),
    Route("GET", "/checkout/assets/{file}", "billing/checkout", None),
    Route("GET", "/health", "system_doctor/health", None),
)

_BY_PLACE = {(route.method, route.path): route for route in ROUTES}


def find(method: str, path: str) -> Route | None:
    """The route of this method and path template."""
    return _BY_PLACE.get((method, path))
