"""Fees: the plan in force and the volume in its tier."""

from orion.runtime.api_routes.invoices import CURRENCY
from orion.runtime.api_schema.kinds import (
    Choice,
    Labels,
    Listing,
    Member,
    Object,
    Text,
    Whole,
    decimal,
    public_id,
)
from orion.runtime.route import Route
from orion.scopes import Scope

# As orion.billing.fees has them (a test compares): to import that would cost every function its
# start.
BPS_MAX = 5_000
SHARE_BPS_MAX = 10_000
TIERS_MAX = 16
CURRENCIES_MAX = 32
PAYERS = ("merchant", "customer")
_DAY = Text(format="date")
_BY_CURRENCY = Labels(CURRENCIES_MAX, 3, 60)

_TIER = Object(
    "FeeTier",
    (
        Member("from", decimal(), note="The volume from which it holds, in `currency`."),
        Member("bps", Whole(0, BPS_MAX), note="Basis points of what arrives."),
    ),
)
_PLAN = Object(
    "FeePlan",
    (
        Member("v", Whole(1, 1)),
        Member("name", Text(max_length=32)),
        Member("currency", CURRENCY, note="What volumes are counted in."),
        Member("tiers", Listing(_TIER, min_items=1, max_items=TIERS_MAX)),
        Member("fixed", _BY_CURRENCY, note="Once an invoice, by the invoice's currency."),
        Member("payer", Choice(PAYERS)),
        Member("referral_bps", Whole(0, SHARE_BPS_MAX), note="Of the fee, for who referred you."),
        Member("reporting", _BY_CURRENCY, note="What other currencies count in `currency`."),
    ),
)
_FEES = Object(
    "Fees",
    (
        Member("plan", _PLAN, nullable=True, note="Null: no fee is agreed for new invoices."),
        Member("subject", Text(), nullable=True, note="Whose plan it is: yours, or your lane's."),
        Member("bps", Whole(0, BPS_MAX), nullable=True, note="What your volume makes it now."),
        Member("volume", decimal(), nullable=True),
        Member(
            "unvalued",
            Whole(),
            nullable=True,
            note="Payments of these days that the volume leaves out: the market had no rate for"
            " them when their invoices were made.",
        ),
        Member("currency", CURRENCY, nullable=True),
        Member("from", _DAY, nullable=True, note="First day of the volume (UTC)."),
        Member("to", _DAY, nullable=True, note="Its last day."),
        Member("referred_by", public_id("mer"), nullable=True),
    ),
)

ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/fees",
        "billing/api",
        Scope.BALANCES_READ,
        summary="Read your fee plan and the volume in its tier",
        query=(),
        answers={200: _FEES},
    ),
)
