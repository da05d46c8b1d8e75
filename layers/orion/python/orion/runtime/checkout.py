"""The hosted checkout page: rendered from the public status of an invoice, whose id is the page's
only secret.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from orion import i18n
from orion.billing.checkout_page import Page
from orion.ids import MalformedId, parse_public_id
from orion.runtime.billing import invoices
from orion.runtime.http import Handler, NotFound, Request, Response

# The page needs nothing from anywhere else, so nothing else may run, load or frame it.
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": _POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


def _invoice_id(request: Request) -> bytes:
    try:
        return parse_public_id("inv", request.path_params.get("invoice_id", ""))
    except MalformedId as exc:
        raise NotFound("there is no such invoice") from exc


def handlers(folder: Path) -> Mapping[tuple[str, str], Handler]:
    """The page, its status and its assets, rendered from `folder`."""

    @cache
    def page() -> Page:
        return Page(folder)

    def show(request: Request) -> Response:
        """GET /checkout/{invoice_id}"""
        status = invoices().public_status(_invoice_id(request))
        language = i18n.choose(request.query.get("lang"), request.headers.get("accept-language"))
        headers = {**_PAGE_HEADERS, "Content-Language": language, "Vary": "Accept-Language"}
        return Response(200, page().render(status.fields, language), headers)

    def status(request: Request) -> Response:
        """GET /checkout/{invoice_id}/status: 304 while nothing changed."""
        found = invoices().public_status(_invoice_id(request))
        headers = {"ETag": found.etag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == found.etag:
            return Response(304, b"", headers)
        return Response(200, found.body, {**headers, "Content-Type": "application/json"})

    def asset_file(request: Request) -> Response:
        """GET /checkout/assets/{file}"""
        content_type, body = page().asset(request.path_params.get("file", ""))
        headers = {"Content-Type": content_type, "Cache-Control": "public, max-age=300"}
        return Response(200, body, headers)

    return {
        ("GET", "/checkout/{invoice_id}"): show,
        ("GET", "/checkout/{invoice_id}/status"): status,
        ("GET", "/checkout/assets/{file}"): asset_file,
    }
