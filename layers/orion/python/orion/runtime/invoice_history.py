"""How an invoice came to its status, over HTTP: every change with its cause, time and trace id."""

from collections.abc import Mapping
from functools import cache

from orion.adapters.mysql.billing_history import MySqlInvoiceHistory
from orion.adapters.mysql.session import Database
from orion.billing.errors import CursorMalformed, InvoiceNotFound
from orion.billing.invoice import Change, moment
from orion.ids import MalformedId, parse_public_id
from orion.runtime.api_schema.paging import PAGE_DEFAULT
from orion.runtime.request import Handler, Request, Response, json_response
from orion.runtime.settings import mysql_config

_NUMBER_DIGITS = 10  # A number of INT UNSIGNED.


@cache
def _history() -> MySqlInvoiceHistory:
    return MySqlInvoiceHistory(Database(mysql_config("billing", "orion_billing", direct=False)))


def list_changes(request: Request) -> Response:
    """GET /v1/invoices/{invoice_id}/changes?limit=&cursor="""
    try:
        invoice_id = parse_public_id("inv", request.path_params.get("invoice_id", ""))
    except MalformedId as exc:
        raise InvoiceNotFound("no such invoice") from exc
    limit = request.parameters.optional_whole("limit") or PAGE_DEFAULT
    after = _number(request.parameters.optional_text("cursor"))
    found = _history().changes(request.merchant(), invoice_id, after=after, limit=limit + 1)
    if found is None:
        raise InvoiceNotFound("no such invoice")
    page = found[:limit]
    following = str(page[-1].number) if len(found) > limit else None
    return json_response(200, {"data": [_view(row) for row in page], "next_cursor": following})


def _number(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _NUMBER_DIGITS):
        raise CursorMalformed("not a cursor of this list")
    return int(cursor)


def _view(change: Change) -> Mapping[str, object]:
    return {
        "number": change.number,
        "from_status": None if change.old is None else change.old.value,
        "to_status": change.new.value,
        "cause": {
            "type": change.cause.type.value,
            "at": moment(change.cause.at),
            "trace_id": change.cause.trace_id,
        },
    }


HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("GET", "/v1/invoices/{invoice_id}/changes"): list_changes,
}
