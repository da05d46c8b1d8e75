"""Every route of the public API, once: the functions answer from this table, the CDK app builds the
gateway from it, and the OpenAPI document is written from it. A theme a file of `api_routes`.
"""

from orion.runtime.api_routes import (
    fees,
    invoices,
    links,
    pages,
    rates,
    reference,
    reports,
    user,
    webhooks,
)
from orion.runtime.route import RateClass, Route
from orion.scopes import Scope

__all__ = ["ROUTES", "RateClass", "Route", "Scope", "find"]

ROUTES: tuple[Route, ...] = (
    *user.ROUTES,
    *rates.ROUTES,
    *webhooks.ROUTES,
    *invoices.ROUTES,
    *fees.ROUTES,
    *links.ROUTES,
    *reports.ROUTES,
    *pages.ROUTES,
    *reference.ROUTES,
)

_BY_PLACE = {(route.method, route.path): route for route in ROUTES}
_COUNTED = frozenset(route.path for route in ROUTES if route.rate_class is not RateClass.NONE)


def find(method: str, path: str) -> Route | None:
    """The route of this method and path template."""
    return _BY_PLACE.get((method, path))


def counts(path: str) -> bool:
    """Whether callers of this path template are counted, by whichever method."""
    return path in _COUNTED
