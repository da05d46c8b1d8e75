"""Invoices and balances."""

from orion.billing.model import CauseType, DepositState, InvoiceStatus
from orion.runtime.api_schema.kinds import (
    MOMENT,
    Choice,
    Flag,
    Listing,
    Member,
    Object,
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
ASSET = Text(max_length=64, form=r"[A-Z0-9]+\.[a-z0-9]+")
CURRENCY = Text(max_length=40, form="[A-Z]{3}")
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
        Member("expires_in_s", Whole(1, EXPIRES_IN_S_MAX), optional=True),
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
        Member("rate", decimal(), note="Price of one whole coin, locked."),
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
_CAUSE = Object(
    "Cause",
    (
        Member("type", Choice(tuple(CauseType))),
        Member("at", MOMENT),
        Member("trace_id", _TRACE_ID),
    ),
)
_PUBLIC = (
    Member("id", public_id("inv")),
    Member("status", Choice(tuple(InvoiceStatus))),
    Member("amount", decimal()),
    Member("currency", CURRENCY),
    Member("created_at", MOMENT),
    Member("expires_at", MOMENT),
    Member("checkout_url", Text(format="uri")),
    Member("payment_options", Listing(_OPTION, max_items=ASSETS_MAX)),
    Member("deposits", Listing(_DEPOSIT, max_items=DEPOSITS_MAX)),
    Member("cause", _CAUSE),
)
INVOICE = Object("Invoice", (*_PUBLIC, Member("reference", Text(), nullable=True)))
INVOICE_STATUS = Object("InvoicePublic", _PUBLIC)

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
            "no_address_available",
        ),
    ),
    Route(
        "GET",
        "/v1/invoices",
        "billing/api",
        Scope.INVOICES_READ,
        summary="List invoices, newest first",
        query=PAGING,
        answers={200: page_of(INVOICE)},
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
        "/v1/balances",
        "billing/api",
        Scope.BALANCES_READ,
        summary="Read the balances of all assets ever credited",
        query=(),
        answers={200: list_of(_BALANCE, max_items=1000)},
    ),
)
