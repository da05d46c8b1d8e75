"""Rates: the market's, the merchant's own, and which of them invoices take."""

from orion.runtime.api_routes.invoices import ASSET, ASSETS_MAX, CURRENCY, RATE_LOCK
from orion.runtime.api_schema.kinds import (
    Choice,
    Listing,
    Member,
    Object,
    Parameter,
    Text,
    Whole,
    decimal,
)
from orion.runtime.api_schema.paging import list_of
from orion.runtime.route import Route
from orion.scopes import Scope

# As orion.billing.rates has them (a test compares): to import that would cost every function its
# start.
SOURCES = ("fixed", "market")
SPREAD_BPS_MAX = 2_000
_SHOWN_MAX = 100

_ASKED = Object(
    "RateAsked", (Member("rate", decimal(), note="Price of one whole coin: `60000.00`."),)
)
_FIXED = Object(
    "FixedRate", (Member("asset", ASSET), Member("currency", CURRENCY), Member("rate", decimal()))
)
_RATE = Object(
    "Rate",
    (
        Member("asset", ASSET),
        Member("currency", CURRENCY),
        Member("rate", decimal(), nullable=True, note="Price of one whole coin."),
        Member("rate_lock", RATE_LOCK, nullable=True),
        Member(
            "house_rate",
            decimal(),
            nullable=True,
            note="The market's rate without your own rates and spread, which fees are computed by."
            " Null: the market has none now.",
        ),
        Member(
            "code",
            Text(),
            nullable=True,
            note="What an invoice would be refused with: `rate_unavailable`, `rate_stale` or"
            " `rate_disputed`.",
        ),
        Member("reason", Text(), nullable=True),
    ),
)
_SPREAD = "Basis points by which the market's rate is made smaller, in the merchant's favour."
_WANTED = Object(
    "RateSettingsWanted",
    (
        Member(
            "sources",
            Listing(Text(max_length=16, form="|".join(SOURCES)), min_items=1, max_items=2),
            note="`fixed` and `market`, in the order in which they are asked.",
        ),
        Member("spread_bps", Whole(0, SPREAD_BPS_MAX), optional=True, note=_SPREAD),
    ),
)
_SETTINGS = Object(
    "RateSettings",
    (
        Member("sources", Listing(Choice(SOURCES), min_items=1, max_items=2)),
        Member("spread_bps", Whole(0, SPREAD_BPS_MAX), note=_SPREAD),
    ),
)
_QUERY = (
    Parameter("currency", CURRENCY, "The currency, for instance `EUR`. Needed."),
    Parameter(
        "assets",
        Listing(ASSET, min_items=1, max_items=ASSETS_MAX),
        "The assets, with commas; without it, all that can be paid here.",
    ),
)

ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/rates",
        "billing/api",
        Scope.RATES_READ,
        summary="What an invoice made now would lock",
        query=_QUERY,
        answers={200: list_of(_RATE, max_items=_SHOWN_MAX)},
        refuses=("unknown_asset", "unknown_currency"),
    ),
    Route(
        "PUT",
        "/v1/rates/{asset}/{currency}",
        "billing/api",
        Scope.RATES_WRITE,
        summary="Set the merchant's own rate",
        request=_ASKED,
        answers={200: _FIXED},
        refuses=(
            "malformed_amount",
            "inexact_amount",
            "amount_not_positive",
            "amount_too_large",
            "unknown_asset",
            "unknown_currency",
        ),
    ),
    Route(
        "DELETE",
        "/v1/rates/{asset}/{currency}",
        "billing/api",
        Scope.RATES_WRITE,
        summary="Forget the merchant's own rate",
        answers={204: None},
        refuses=("unknown_asset", "unknown_currency"),
    ),
    Route(
        "GET",
        "/v1/rate-settings",
        "billing/api",
        Scope.SETTINGS_READ,
        summary="Which sources of rates invoices take, in which order",
        query=(),
        answers={200: _SETTINGS},
    ),
    Route(
        "PUT",
        "/v1/rate-settings",
        "billing/api",
        Scope.SETTINGS_WRITE,
        summary="Choose sources of rates, their order and the spread",
        request=_WANTED,
        query=(),
        answers={200: _SETTINGS},
        refuses=("rate_setting_refused",),
    ),
)
