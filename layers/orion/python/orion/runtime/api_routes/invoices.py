"""Invoices and balances."""

from orion import i18n
from orion.billing.model import CauseType, DepositState, InvoiceStatus
from orion.runtime.api_schema.kinds import (
    MOMENT,
    Choice,
    Flag,
    Labels,
    Listing,
    Member,
    Object,
    Parameter,
    Text,
    Whole,
    decimal,
    public_id,
)
from orion.runtime.api_schema.paging import PAGING, list_of, page_of
from orion.runtime.route import Route
from orion.scopes import Scope

# As orion.billing has them (a test compares): to import that would cost every function its start.
ASSETS_MAX = 8
DEPOSITS_MAX = 100
EXPIRES_IN_S_MAX = 30 * 86_400
TOLERANCE_BPS_MAX = 1_000
ASSET = Text(max_length=64, form=r"[A-Z0-9]+\.[a-z0-9]+")
CURRENCY = Text(max_length=40, form="[A-Z]{3}")
_RFC3339 = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,18}(Z|[+-][0-9]{2}:[0-9]{2})"
_TRACE_ID = Text(max_length=32, pattern="[0-9a-f]{32}")

_ASKED = Object(
    "InvoiceAsked",
    (
        Member("amount", decimal(), note="The price, in `currency`."),
        Member("currency", CURRENCY),
        Member("assets", Listing(ASSET, min_items=1, max_items=ASSETS_MAX)),
        Member(
            "reference",
            Text(max_length=255),
            optional=True,
            note="Your own; customers never see it.",
        ),
        Member(
            "expires_in_s",
            Whole(1, EXPIRES_IN_S_MAX),
            optional=True,
            note="Your setting, where nothing is said.",
        ),
        Member(
            "metadata",
            Labels(20, 40, 500),
            optional=True,
            note="Your own names and texts; customers never see them.",
        ),
        Member(
            "success_url",
            Text(max_length=2048),
            optional=True,
            note="Where the paid page leads the customer: https.",
        ),
        Member("language", Choice(i18n.LANGUAGES), optional=True, note="Of the customer's page."),
    ),
)

RATE_LOCK = Object(
    "RateLock",
    (
        Member("source", Text(), note="`fixed`, the merchant's own, or `market`."),
        Member("providers", Listing(Text()), note="Who agreed on the market's rate."),
        Member("path", Listing(Text()), note="By which markets, such as `TRX/BTC`, `BTC/EUR`."),
        Member("spread_bps", Whole()),
        Member("observed_at", MOMENT, note="Of a fixed rate, when it was set."),
    ),
)
_OPTION = Object(
    "PaymentOption",
    (
        Member("asset", ASSET),
        Member("chain", Text()),
        Member("address", Text()),
        Member("amount", decimal()),
        Member("paid", decimal(), note="What has arrived and is in a block."),
        Member("unconfirmed", decimal(), note="What was seen and is in no block yet."),
        Member("remaining", decimal(), note="What this asset alone must still bring."),
        Member("rate", decimal(), note="Price of one whole coin, locked."),
        Member("rate_lock", RATE_LOCK, nullable=True, note="Why it is this one."),
        Member("payment_link", Text(), note="For wallets: BIP-21, EIP-681, Solana Pay, Tron."),
    ),
)
_DEPOSIT = Object(
    "InvoiceDeposit",
    (
        Member("id", public_id("dep")),
        Member("asset", ASSET),
        Member("amount", decimal()),
        Member("txid", Text()),
        Member("state", Choice(tuple(DepositState))),
        Member("confirmations", Whole()),
        Member("confirmations_required", Whole()),
        Member("credited", Flag()),
    ),
)
_REFUND = Object(
    "InvoiceRefund",
    (
        Member("id", public_id("ref")),
        Member("asset", ASSET),
        Member("amount", decimal()),
        Member("at", MOMENT),
    ),
)
_CAUSE = Object(
    "Cause",
    (
        Member("type", Choice(tuple(CauseType))),
        Member("at", MOMENT),
        Member("trace_id", _TRACE_ID),
    ),
)
_CHANGE = Object(
    "InvoiceChange",
    (
        Member("number", Whole(1), note="From 1, without gaps."),
        Member("from_status", Choice(tuple(InvoiceStatus)), nullable=True),
        Member(
            "to_status",
            Choice(tuple(InvoiceStatus)),
            note="Equal to `from_status` where a further payment or refund changed nothing else.",
        ),
        Member("cause", _CAUSE),
    ),
)
_PUBLIC = (
    Member("id", public_id("inv")),
    Member("status", Choice(tuple(InvoiceStatus))),
    Member("amount", decimal()),
    Member("currency", CURRENCY),
    Member("customer_fee", decimal(), note="Asked on top of the amount; see the fee plan."),
    Member("created_at", MOMENT),
    Member("expires_at", MOMENT),
    Member("cancelled_at", MOMENT, nullable=True),
    Member("success_url", Text(), nullable=True),
    Member("cancel_url", Text(), nullable=True),
    Member("language", Choice(i18n.LANGUAGES), nullable=True),
    Member("checkout_url", Text(format="uri")),
    Member("payment_options", Listing(_OPTION, max_items=ASSETS_MAX)),
    Member("deposits", Listing(_DEPOSIT, max_items=DEPOSITS_MAX), note="The newest."),
    Member("deposits_count", Whole(), note="Of all, also those that are not shown."),
    Member("refunds", Listing(_REFUND, max_items=DEPOSITS_MAX), note="The newest."),
    Member("refunds_count", Whole(), note="Of all, also those that are not shown."),
    Member("cause", _CAUSE),
)
INVOICE = Object(
    "Invoice",
    (
        *_PUBLIC,
        Member("reference", Text(), nullable=True),
        Member("metadata", Labels(20, 40, 500)),
        Member("tolerance_bps", Whole(0, TOLERANCE_BPS_MAX)),
        Member("payment_link_id", public_id("pl"), nullable=True),
        Member("session_id", public_id("cs"), nullable=True),
    ),
)
INVOICE_STATUS = Object("InvoicePublic", _PUBLIC)

_SETTING_MEMBERS = (
    ("tolerance_bps", Whole(0, TOLERANCE_BPS_MAX), "Basis points that may be missing; 0."),
    ("expires_in_s", Whole(1, EXPIRES_IN_S_MAX), "How long a new invoice waits; 900."),
)
_SETTINGS = Object(
    "Settings", tuple(Member(name, kind, note=note) for name, kind, note in _SETTING_MEMBERS)
)
_SETTINGS_WANTED = Object(
    "SettingsWanted",
    tuple(Member(name, kind, optional=True, note=note) for name, kind, note in _SETTING_MEMBERS),
)

_FILTERS = (
    Parameter("status", Choice(tuple(InvoiceStatus)), "Only invoices of this status."),
    Parameter("reference", Text(max_length=255), "Only invoices with exactly this reference."),
    Parameter(
        "created_from", Text(max_length=40, form=_RFC3339), "Created at this moment or later."
    ),
    Parameter("created_to", Text(max_length=40, form=_RFC3339), "Created before this moment."),
)

_BALANCE = Object(
    "Balance",
    (
        Member("asset", ASSET),
        Member("settling", decimal(), note="Credited, but not final yet."),
        Member("available", decimal()),
        Member("total", decimal(), note="Less what reversals left owing."),
    ),
)

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/invoices",
        "billing/api",
        Scope.INVOICES_WRITE,
        summary="Make an invoice",
        request=_ASKED,
        answers={201: INVOICE},
        refuses=(
            "malformed_amount",
            "inexact_amount",
            "amount_not_positive",
            "amount_too_large",
            "unknown_asset",
            "unknown_currency",
            "rate_unavailable",
            "rate_stale",
            "rate_disputed",
            "no_address_available",
            "return_url_refused",
        ),
    ),
    Route(
        "GET",
        "/v1/invoices",
        "billing/api",
        Scope.INVOICES_READ,
        summary="List invoices, newest first",
        query=(*_FILTERS, *PAGING),
        answers={200: page_of(INVOICE)},
        refuses=("moment_malformed",),
    ),
    Route(
        "GET",
        "/v1/invoices/{invoice_id}",
        "billing/api",
        Scope.INVOICES_READ,
        summary="Read an invoice",
        query=(),
        answers={200: INVOICE},
        refuses=("invoice_not_found",),
    ),
    Route(
        "GET",
        "/v1/invoices/{invoice_id}/changes",
        "billing/api",
        Scope.INVOICES_READ,
        summary="How an invoice came to its status, oldest first",
        query=PAGING,
        answers={200: page_of(_CHANGE)},
        refuses=("invoice_not_found",),
    ),
    Route(
        "POST",
        "/v1/invoices/{invoice_id}/cancel",
        "billing/api",
        Scope.INVOICES_WRITE,
        summary="End an invoice to which nothing was paid",
        query=(),
        answers={200: INVOICE},
        refuses=("invoice_not_found", "invoice_not_cancellable"),
    ),
    Route(
        "GET",
        "/v1/settings",
        "billing/api",
        Scope.SETTINGS_READ,
        summary="Read what new invoices take where their request says nothing",
        query=(),
        answers={200: _SETTINGS},
    ),
    Route(
        "PUT",
        "/v1/settings",
        "billing/api",
        Scope.SETTINGS_WRITE,
        summary="Replace the settings; what is left out goes back to its default",
        request=_SETTINGS_WANTED,
        query=(),
        answers={200: _SETTINGS},
    ),
    Route(
        "GET",
        "/v1/balances",
        "billing/api",
        Scope.BALANCES_READ,
        summary="Read the balances of all assets ever credited",
        query=(),
        answers={200: list_of(_BALANCE, max_items=1000)},
    ),
)
