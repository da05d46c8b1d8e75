"""Rates: the merchant's own."""

from orion.runtime.api_routes.invoices import ASSET, CURRENCY
from orion.runtime.api_schema.kinds import Member, Object, decimal
from orion.runtime.route import Route
from orion.scopes import Scope

_ASKED = Object(
    "RateAsked", (Member("rate", decimal(), note="Price of one whole coin: `60000.00`."),)
)
_RATE = Object(
    "FixedRate", (Member("asset", ASSET), Member("currency", CURRENCY), Member("rate", decimal()))
)

ROUTES: tuple[Route, ...] = (
    Route(
        "PUT",
        "/v1/rates/{asset}/{currency}",
        "billing/api",
        Scope.RATES_WRITE,
        summary="Set the merchant's own rate",
        request=_ASKED,
        answers={200: _RATE},
        refuses=(
            "malformed_amount",
            "inexact_amount",
            "amount_not_positive",
            "amount_too_large",
            "unknown_asset",
            "unknown_currency",
        ),
    ),
)
