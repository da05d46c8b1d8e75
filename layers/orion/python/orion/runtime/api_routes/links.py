"""Payment links and checkout sessions (docs/payment-links.md)."""

from orion import i18n
from orion.runtime.api_routes.invoices import ASSET, ASSETS_MAX, CURRENCY, EXPIRES_IN_S_MAX
from orion.runtime.api_schema.kinds import (
    MOMENT,
    Choice,
    Flag,
    Labels,
    Listing,
    Media,
    Member,
    Object,
    Text,
    Whole,
    decimal,
    public_id,
)
from orion.runtime.api_schema.paging import PAGING, page_of
from orion.runtime.route import RateClass, Route
from orion.scopes import Scope

# As orion.billing has them (a test compares): to import that would cost every function its start.
TITLE_MAX_LENGTH = 120
USE_LIMIT_MAX = 10_000
LINK_STATUSES = ("active", "inactive", "ended", "used_up")
SESSION_STATUSES = ("open", "complete", "expired")
_HTML = Media("text/html; charset=utf-8")
_URL = Text(max_length=2_048)
_METADATA = Labels(20, 40, 500)
_AMOUNTS = ("malformed_amount", "inexact_amount", "amount_not_positive", "amount_too_large")

_LIMIT = Member("use_limit", Whole(1, USE_LIMIT_MAX), optional=True)
_ENDS = Member("ends_at", MOMENT, optional=True, note="From then on no invoice is made.")
_BACK = Member("success_url", _URL, optional=True, note="Where the paid page leads: https.")
_LABELS = Member("metadata", _METADATA, optional=True, note="Copied into each invoice.")
_EXPIRES = Member("expires_in_s", Whole(1, EXPIRES_IN_S_MAX), optional=True)

_LINK_ASKED = Object(
    "PaymentLinkAsked",
    (
        Member("title", Text(max_length=TITLE_MAX_LENGTH), note="Visitors see it."),
        Member("currency", CURRENCY),
        Member("assets", Listing(ASSET, min_items=1, max_items=ASSETS_MAX)),
        Member(
            "amount", decimal(), optional=True, note="The price; left out: the visitor types one."
        ),
        Member("min_amount", decimal(), optional=True, note="Only without `amount`."),
        Member("max_amount", decimal(), optional=True, note="Only without `amount`."),
        _EXPIRES,
        _LIMIT,
        _ENDS,
        _BACK,
        _LABELS,
    ),
)
_LINK_CHANGE = Object(
    "PaymentLinkChange",
    (
        Member("title", Text(max_length=TITLE_MAX_LENGTH), optional=True),
        Member("active", Flag(), optional=True),
        _LIMIT,
        _ENDS,
        _BACK,
        _LABELS,
    ),
)
PAYMENT_LINK = Object(
    "PaymentLink",
    (
        Member("id", public_id("pl")),
        Member("url", Text(format="uri"), note="The page for visitors."),
        Member("status", Choice(LINK_STATUSES)),
        Member("title", Text()),
        Member("currency", CURRENCY),
        Member("amount", decimal(), nullable=True),
        Member("min_amount", decimal(), nullable=True),
        Member("max_amount", decimal(), nullable=True),
        Member("assets", Listing(ASSET, max_items=ASSETS_MAX)),
        Member("expires_in_s", Whole(), nullable=True),
        Member("use_limit", Whole(), nullable=True),
        Member("uses", Whole(), nullable=True, note="Places taken; null without a limit."),
        Member("ends_at", MOMENT, nullable=True),
        Member("active", Flag()),
        Member("success_url", Text(), nullable=True),
        Member("metadata", _METADATA),
        Member("created_at", MOMENT),
        Member("updated_at", MOMENT),
    ),
)
_SESSION_ASKED = Object(
    "CheckoutSessionAsked",
    (
        Member("amount", decimal(), note="The price, in `currency`."),
        Member("currency", CURRENCY),
        Member("assets", Listing(ASSET, min_items=1, max_items=ASSETS_MAX)),
        Member("success_url", _URL, note="https; `{session_id}` in it becomes the session's id."),
        Member("cancel_url", _URL, optional=True, note="https; for whoever gives up."),
        Member("client_reference", Text(max_length=255), optional=True),
        _EXPIRES,
        _LABELS,
        Member("language", Choice(i18n.LANGUAGES), optional=True, note="Of the customer's page."),
    ),
)
CHECKOUT_SESSION = Object(
    "CheckoutSession",
    (
        Member("id", public_id("cs")),
        Member("status", Choice(SESSION_STATUSES)),
        Member("url", Text(format="uri"), note="Lead the customer there."),
        Member("invoice_id", public_id("inv")),
        Member("invoice_status", Text()),
        Member("amount", decimal()),
        Member("currency", CURRENCY),
        Member("assets", Listing(ASSET, max_items=ASSETS_MAX)),
        Member("success_url", Text(), nullable=True),
        Member("cancel_url", Text(), nullable=True),
        Member("client_reference", Text(), nullable=True),
        Member("metadata", _METADATA),
        Member("created_at", MOMENT),
        Member("expires_at", MOMENT),
    ),
)

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/payment-links",
        "billing/api",
        Scope.LINKS_WRITE,
        summary="Make a payment link",
        request=_LINK_ASKED,
        answers={201: PAYMENT_LINK},
        refuses=(
            *_AMOUNTS,
            "unknown_asset",
            "unknown_currency",
            "amount_bounds_refused",
            "moment_malformed",
            "payment_link_end_passed",
            "return_url_refused",
        ),
    ),
    Route(
        "GET",
        "/v1/payment-links",
        "billing/api",
        Scope.LINKS_READ,
        summary="List payment links, newest first",
        query=PAGING,
        answers={200: page_of(PAYMENT_LINK)},
    ),
    Route(
        "GET",
        "/v1/payment-links/{link_id}",
        "billing/api",
        Scope.LINKS_READ,
        summary="Read a payment link",
        query=(),
        answers={200: PAYMENT_LINK},
        refuses=("payment_link_not_found",),
    ),
    Route(
        "PATCH",
        "/v1/payment-links/{link_id}",
        "billing/api",
        Scope.LINKS_WRITE,
        summary="Change what is named; null clears it (not `title` and `active`)",
        request=_LINK_CHANGE,
        answers={200: PAYMENT_LINK},
        refuses=(
            "payment_link_not_found",
            "moment_malformed",
            "payment_link_end_passed",
            "return_url_refused",
        ),
    ),
    Route(
        "POST",
        "/v1/checkout-sessions",
        "billing/api",
        Scope.INVOICES_WRITE,
        summary="Make a checkout session: an invoice, and the ways back",
        request=_SESSION_ASKED,
        answers={201: CHECKOUT_SESSION},
        refuses=(
            *_AMOUNTS,
            "unknown_asset",
            "unknown_currency",
            "rate_unavailable",
            "return_url_refused",
            "no_address_available",
        ),
    ),
    Route(
        "GET",
        "/v1/checkout-sessions/{session_id}",
        "billing/api",
        Scope.INVOICES_READ,
        summary="Read a checkout session",
        query=(),
        answers={200: CHECKOUT_SESSION},
        refuses=("checkout_session_not_found",),
    ),
    Route(
        "GET",
        "/pay/{link_id}",
        "billing/pay",
        None,
        summary="The page of a payment link",
        answers={200: _HTML, 404: _HTML, 409: _HTML, 410: _HTML, 503: _HTML},
        refuses=("payment_link_not_found",),
    ),
    Route(
        "POST",
        "/pay/{link_id}",
        "billing/pay",
        None,
        summary="The form of that page: an invoice, and the way to it",
        answers={303: None, **dict.fromkeys((400, 404, 409, 410, 413, 422, 429, 503), _HTML)},
        refuses=(
            "payment_link_not_found",
            "payment_link_inactive",
            "payment_link_ended",
            "payment_link_used_up",
            "payment_link_busy",
            "amount_out_of_bounds",
            "malformed_field",
            "payload_too_large",
        ),
        idempotency_key=False,
    ),
    Route(
        "GET",
        "/pay/assets/{file}",
        "billing/pay",
        None,
        summary="Styles of the page of payment links",
        # A name that is none leads to the page of the link "assets", which there is not.
        answers={200: Media("text/css; charset=utf-8"), 404: _HTML},
        refuses=("not_found",),
        counted_in=RateClass.NONE,
    ),
)
