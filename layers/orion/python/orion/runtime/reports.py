"""Payments, statements and exports over HTTP, and their composition.

They read only: billing's own rows with billing's login, the ledger's with the login `statements`,
which can do nothing else.
"""

from collections.abc import Mapping
from functools import cache
from urllib.parse import urlencode

from orion.adapters.mysql.billing_exports import MySqlExportStore
from orion.adapters.mysql.ledger_statement_pages import MySqlStatements
from orion.adapters.mysql.session import Database
from orion.billing.errors import InvoiceNotFound
from orion.billing.exports.csv import Part
from orion.billing.exports.service import Exports
from orion.billing.model import DepositState
from orion.billing.moments import Period, read_period
from orion.billing.payments.model import Wanted
from orion.billing.payments.service import Payments
from orion.billing.statements.model import LINES_DEFAULT, Asked, read_asked
from orion.billing.statements.service import MerchantStatements
from orion.ids import MalformedId, parse_public_id
from orion.ledger.codes import Purpose
from orion.ledger.statement import Order
from orion.ledger.transfer_record import rfc3339
from orion.runtime.api_schema.paging import PAGE_DEFAULT
from orion.runtime.body import MalformedParameter
from orion.runtime.request import Handler, Request, Response, json_response
from orion.runtime.settings import mysql_config


@cache
def _store() -> MySqlExportStore:
    return MySqlExportStore(Database(mysql_config("billing", "orion_billing", direct=False)))


@cache
def _ledger() -> MySqlStatements:
    return MySqlStatements(Database(mysql_config("statements", "orion_ledger", direct=False)))


@cache
def payments() -> Payments:
    """The merchant's list of payments."""
    return Payments(_store())


@cache
def statements() -> MerchantStatements:
    """The merchant's statements."""
    return MerchantStatements(_ledger())


@cache
def exports() -> Exports:
    """Files of all three."""
    return Exports(_store(), _ledger())


def list_payments(request: Request) -> Response:
    """GET /v1/payments?asset=&state=&invoice_id=&from=&to=&limit=&cursor="""
    asked = request.parameters
    state, invoice = asked.optional_text("state"), asked.optional_text("invoice_id")
    wanted = Wanted(
        asset=asked.optional_text("asset"),
        state=None if state is None else DepositState(state),
        invoice_id=None if invoice is None else _invoice_id(invoice),
    )
    page = payments().page(
        request.merchant(),
        wanted,
        _period(request),
        limit=asked.optional_whole("limit") or PAGE_DEFAULT,
        cursor=asked.optional_text("cursor"),
    )
    return json_response(200, page)


def get_statement(request: Request) -> Response:
    """GET /v1/statements/{asset}?account=&from=&to=&order=&limit=&cursor="""
    order = Order(request.parameters.optional_text("order") or Order.OLDEST_FIRST)
    limit = request.parameters.optional_whole("limit") or LINES_DEFAULT
    asked = _statement(request, request.path_params.get("asset", ""), order, limit)
    return json_response(200, statements().page(asked))


def export_invoices(request: Request) -> Response:
    """GET /v1/exports/invoices.csv?from=&to=&cursor="""
    part = exports().invoices(request.merchant(), _period(request), _cursor(request))
    return _csv(request, "invoices", part)


def export_payments(request: Request) -> Response:
    """GET /v1/exports/payments.csv?from=&to=&cursor="""
    part = exports().payments(request.merchant(), _period(request), _cursor(request))
    return _csv(request, "payments", part)


def export_statement(request: Request) -> Response:
    """GET /v1/exports/statement.csv?asset=&account=&from=&to=&cursor="""
    code = request.parameters.optional_text("asset")
    if code is None:
        raise MalformedParameter("a statement is of one asset", parameter="asset")
    asked = _statement(request, code, Order.OLDEST_FIRST, LINES_DEFAULT)
    found = exports().statement(asked, continued=_cursor(request) is not None)
    through = found.complete_through
    return _csv(
        request,
        "statement",
        found.part,
        {} if through is None else {"Orion-Complete-Through": rfc3339(through)},
    )


HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("GET", "/v1/payments"): list_payments,
    ("GET", "/v1/statements/{asset}"): get_statement,
    ("GET", "/v1/exports/invoices.csv"): export_invoices,
    ("GET", "/v1/exports/payments.csv"): export_payments,
    ("GET", "/v1/exports/statement.csv"): export_statement,
}


def _period(request: Request) -> Period:
    asked = request.parameters
    return read_period(asked.optional_text("from"), asked.optional_text("to"))


def _cursor(request: Request) -> str | None:
    return request.parameters.optional_text("cursor")


def _invoice_id(text: str) -> bytes:
    try:
        return parse_public_id("inv", text)
    except MalformedId as exc:
        raise InvoiceNotFound("no such invoice") from exc


def _statement(request: Request, code: str, order: Order, limit: int) -> Asked:
    return read_asked(
        request.merchant(),
        code,
        request.parameters.optional_text("account") or Purpose.AVAILABLE.value,
        _period(request),
        order=order,
        limit=limit,
        cursor=_cursor(request),
    )


def _csv(
    request: Request, name: str, part: Part, more: Mapping[str, str] | None = None
) -> Response:
    """One part. The next is named relative to this one's own address (RFC 3986 section 5.2), so
    that it holds whatever stands before our paths.
    """
    first = _cursor(request) is None
    headers = {
        "Content-Type": f"text/csv; charset=utf-8; header={'present' if first else 'absent'}",
        "Content-Disposition": f'attachment; filename="{name}.csv"',
        "Cache-Control": "no-store",
        **(more or {}),
    }
    if part.following is not None:
        query = urlencode({**request.query, "cursor": part.following})
        headers["Link"] = f'<?{query}>; rel="next"'
    return Response(200, part.text.encode(), headers)
