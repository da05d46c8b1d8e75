"""The hosted checkout page: rendered from the public status of an invoice, whose id is the page's
only secret.
"""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from orion import i18n
from orion.billing.checkout_page import Page, View, policy
from orion.ids import MalformedId, parse_public_id
from orion.runtime.billing import invoices, places
from orion.runtime.clock import now
from orion.runtime.http import NotFound
from orion.runtime.request import Handler, Request, Response
from orion.runtime.settings import settings
from orion.runtime.status_cache import statuses

SOCKET_URL = "sockets/url"
_PAGE_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


def _invoice_id(request: Request) -> bytes:
    try:
        return parse_public_id("inv", request.path_params.get("invoice_id", ""))
    except MalformedId as exc:
        raise NotFound("there is no such invoice") from exc


def etag_of(body: bytes) -> str:
    """Quoted; changes exactly when the body does."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def handlers(folder: Path, shared: Path) -> Mapping[tuple[str, str], Handler]:
    """The page, its status and its assets, rendered from `folder` and `shared`."""

    @cache
    def page() -> Page:
        return Page(folder, shared)

    def show(request: Request) -> Response:
        """GET /checkout/{invoice_id}: always from the database."""
        status = invoices().public_status(_invoice_id(request))
        # The payer's own choice, else the shop's for this invoice, else the browser's.
        wanted = request.query.get("lang") or str(status.fields.get("language") or "")
        language = i18n.choose(wanted, request.headers.get("accept-language"))
        socket_url = settings().optional(SOCKET_URL)
        view = View(status.fields, status.etag.strip('"'), now(), socket_url, places())
        headers = {
            **_PAGE_HEADERS,
            "Content-Security-Policy": policy(socket_url),
            "Content-Language": language,
            "Vary": "Accept-Language",
        }
        return Response(200, page().render(view, language), headers)

    def asset_file(request: Request) -> Response:
        """GET /checkout/assets/{file}: kept only under the version of exactly these bytes. During
        a deployment a newer document may ask an older function: that answer is for now only.
        """
        name = request.path_params.get("file", "")
        content_type, body = page().asset(name)
        named = request.query.get("v") == page().version(name)
        kept = "public, max-age=31536000, immutable" if named else "no-store"
        return Response(200, body, {"Content-Type": content_type, "Cache-Control": kept})

    return {
        ("GET", "/checkout/{invoice_id}"): show,
        ("GET", "/checkout/{invoice_id}/status"): status,
        ("GET", "/checkout/assets/{file}"): asset_file,
    }


def status(request: Request) -> Response:
    """GET /checkout/{invoice_id}/status: 304 while nothing changed; from memcached where it can."""
    invoice_id = _invoice_id(request)
    body = statuses().get(invoice_id)
    if body is None:
        body = invoices().public_status(invoice_id).body
        statuses().fill(invoice_id, body)
    etag = etag_of(body)
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == etag:
        return Response(304, b"", headers)
    return Response(200, body, {**headers, "Content-Type": "application/json"})
