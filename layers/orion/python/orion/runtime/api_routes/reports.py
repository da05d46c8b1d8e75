"""Payments, statements and exports (docs/payment-links.md)."""

from orion.billing.errors import LimitOutOfRange
from orion.billing.model import DepositState
from orion.runtime.api_routes.invoices import ASSET, CURRENCY
from orion.runtime.api_schema.kinds import (
    MOMENT,
    AnyObject,
    Choice,
    Flag,
    Listing,
    Media,
    Member,
    Object,
    Parameter,
    Text,
    Whole,
    decimal,
    public_id,
)
from orion.runtime.api_schema.paging import CURSOR, PAGING, page_of
from orion.runtime.route import RateClass, Route
from orion.scopes import Scope

_FUNCTION = "billing/reports"
# As orion.billing has them (a test compares): to import that would cost every function its start.
LINES_MAX = 500
LINES_DEFAULT = 100
ACCOUNTS = ("available", "reversal_receivable", "settling")
_ORDERS = ("oldest_first", "newest_first")
_FROM = Parameter("from", MOMENT, "The first moment that counts, with its offset.")
_TO = Parameter("to", MOMENT, "The first moment that counts no more, with its offset.")
_PERIOD = (_FROM, _TO)
_ACCOUNT = Parameter("account", Choice(ACCOUNTS), "`available` where nothing is said.")
_ASSET = Parameter("asset", ASSET, "Of one asset.")
_CSV = Media("text/csv; charset=utf-8")
_PERIODS = ("moment_malformed", "period_refused")

PAYMENT = Object(
    "Payment",
    (
        Member("id", public_id("dep")),
        Member("invoice_id", public_id("inv")),
        Member("reference", Text(), nullable=True, note="The invoice's."),
        Member("asset", ASSET),
        Member("chain", Text()),
        Member("amount", decimal()),
        Member("currency", CURRENCY, note="The invoice's."),
        Member("rate", decimal(), nullable=True, note="Locked; null: the asset was not offered."),
        Member("txid", Text()),
        Member("state", Choice(tuple(DepositState))),
        Member("confirmations", Whole()),
        Member("confirmations_required", Whole()),
        Member("credited", Flag()),
        Member("first_seen_at", MOMENT),
        Member("block_time", MOMENT, nullable=True),
    ),
)
_LINE = Object(
    "StatementLine",
    (
        Member("posted_at", MOMENT),
        Member("transfer_id", Text(max_length=32, pattern="[0-9a-f]{32}")),
        Member("code", Text(), note="Why money moved: docs/ledger.md."),
        Member("kind", Text()),
        Member("direction", Choice(("credit", "debit"))),
        Member("amount", decimal()),
        Member("balance_before", decimal()),
        Member("balance_after", decimal(), note="Credits less debits that are posted."),
        Member("movable_after", decimal(), note="Less what pending transfers hold."),
        Member("cause", AnyObject("`type`, and `payment_id` and `invoice_id`, null where none.")),
    ),
)
_STATEMENT = Object(
    "Statement",
    (
        Member("asset", ASSET),
        Member("account", Text()),
        Member("order", Choice(_ORDERS)),
        Member("complete_through", MOMENT, nullable=True, note="Nothing before it is missing."),
        Member("opening_balance", decimal(), nullable=True, note="At `from`; null: not known."),
        Member("closing_balance", decimal(), nullable=True, note="At `to`; null: not known."),
        Member("data", Listing(_LINE, max_items=LINES_MAX)),
        Member("next_cursor", Text(max_length=200), nullable=True),
    ),
)
_LINES = Parameter(
    "limit",
    Whole(1, LINES_MAX),
    f"How many lines a page has at most; {LINES_DEFAULT} where nothing is said.",
    LimitOutOfRange,
)


def _export(name: str, summary: str, *more: Parameter, refuses: tuple[str, ...] = ()) -> Route:
    return Route(
        "GET",
        f"/v1/exports/{name}.csv",
        _FUNCTION,
        Scope.EXPORTS_READ,
        summary=summary,
        query=(*_PERIOD, *more, CURSOR),
        answers={200: _CSV},
        refuses=(*_PERIODS, *refuses),
        counted_in=RateClass.EXPENSIVE,
    )


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/v1/payments",
        _FUNCTION,
        Scope.PAYMENTS_READ,
        summary="List payments, newest first; a page may be short and still have a next one",
        query=(
            _ASSET,
            Parameter("state", Choice(tuple(DepositState)), "Of one state."),
            Parameter("invoice_id", public_id("inv"), "Of one invoice."),
            *_PERIOD,
            *PAGING,
        ),
        answers={200: page_of(PAYMENT)},
        refuses=_PERIODS,
    ),
    Route(
        "GET",
        "/v1/statements/{asset}",
        _FUNCTION,
        Scope.STATEMENTS_READ,
        summary="Read an account's lines and its balances before and after them",
        query=(
            _ACCOUNT,
            *_PERIOD,
            Parameter("order", Choice(_ORDERS), "`oldest_first` where nothing is said."),
            _LINES,
            CURSOR,
        ),
        answers={200: _STATEMENT},
        refuses=(*_PERIODS, "unknown_asset", "unknown_account"),
    ),
    _export("invoices", "Invoices as CSV, in parts"),
    _export("payments", "Payments as CSV, in parts"),
    _export(
        "statement",
        "A statement as CSV, in parts",
        _ASSET,
        _ACCOUNT,
        refuses=("malformed_parameter", "unknown_asset", "unknown_account"),
    ),
)
