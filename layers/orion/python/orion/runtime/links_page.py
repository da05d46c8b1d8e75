"""The page of a payment link over HTTP: a form, and a 303 to the checkout page of its invoice.

Whatever a visitor is refused with is a page in their language, never a problem document.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from urllib.parse import parse_qsl

from orion import i18n
from orion.billing.payment_links.errors import (
    PaymentLinkEnded,
    PaymentLinkInactive,
    PaymentLinkUsedUp,
)
from orion.billing.payment_links.model import LinkStatus
from orion.billing.payment_links.page import LinkPage, Refused
from orion.billing.payment_links.typed import TYPED_MAX_LENGTH
from orion.billing.payment_links.visiting import VISITOR_BYTES, Visit
from orion.errors import OrionError
from orion.ids import public_id
from orion.runtime import problems
from orion.runtime.body import MalformedField, PayloadTooLarge
from orion.runtime.http import serve
from orion.runtime.links import lane_urls, link_id_of, visits
from orion.runtime.rate_limits import Limits
from orion.runtime.request import Handler, Request, Response
from orion.runtime.wakeup import wake

FORM_MAX_BYTES = 4_096
COOKIE_MAX_AGE_S = 86_400
_FORM_FIELDS_MAX = 8
_FORM_TYPE = "application/x-www-form-urlencoded"
_VISITOR = re.compile(rf"[0-9a-f]{{{2 * VISITOR_BYTES}}}", re.ASCII)
# Only the form may be sent, only to us; nothing runs.
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
        " base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Language, Cookie",
}
_STATUS = {
    LinkStatus.ACTIVE: 200,
    LinkStatus.INACTIVE: problems.STATUS[PaymentLinkInactive.code],
    LinkStatus.ENDED: problems.STATUS[PaymentLinkEnded.code],
    LinkStatus.USED_UP: problems.STATUS[PaymentLinkUsedUp.code],
}


def handlers(page: Callable[[], LinkPage]) -> Mapping[tuple[str, str], Handler]:
    """The page, its form and its style sheets."""

    def show(request: Request) -> Response:
        """GET /pay/{link_id}"""
        link_id = link_id_of(request)
        visit = visits().look(link_id, _cookie(request))
        return _shown(page(), request, visit, _STATUS[visit.status], None)

    def pay(request: Request) -> Response:
        """POST /pay/{link_id}: 303 to the invoice's own page."""
        link_id, language = link_id_of(request), _language(request)
        visitor, typed = _form(request)
        try:
            invoice_id = visits().pay(
                link_id, visitor, typed, language=language, trace_id=request.trace_id
            )
        except OrionError as refusal:
            status = problems.STATUS.get(refusal.code, 500)
            if status == 500:
                raise
            visit = visits().look(link_id, visitor)
            retry_after_s = refusal.fields.get("retry_after_s", problems.RETRY_AFTER_S)
            shown = _shown(page(), request, visit, status, Refused(typed, refusal.code))
            return _later(shown, retry_after_s)
        wake("billing")
        # Relative, so that it is the form's own origin whatever stands before our paths.
        location = f"../checkout/{public_id('inv', invoice_id)}?lang={language}"
        return Response(303, b"", {"Location": location, "Cache-Control": "no-store"})

    def file(request: Request) -> Response:
        """GET /pay/assets/{file}"""
        content_type, body = page().file(request.path_params.get("file", ""))
        kept = "public, max-age=300"
        return Response(200, body, {"Content-Type": content_type, "Cache-Control": kept})

    return {
        ("GET", "/pay/{link_id}"): show,
        ("POST", "/pay/{link_id}"): pay,
        ("GET", "/pay/assets/{file}"): file,
    }


def answer(
    event: Mapping[str, object], folder: Path, shared: Path, limits: Limits | None = None
) -> Mapping[str, object]:
    """One proxy event; a refusal becomes a page. `limits` as in `serve`."""
    page = _page(folder, shared)
    answered = serve(event, handlers(lambda: page), limits)
    headers = answered["headers"]
    if not isinstance(headers, dict) or headers.get("Content-Type") != problems.CONTENT_TYPE:
        return answered
    language = str(headers.get("Content-Language", i18n.LANGUAGES[0]))
    code = str(json.loads(str(answered["body"]))["code"])
    text = problems.texts(language)[code]
    body = page.problem(text.title, text.meaning.replace("`", ""), language)
    return {**answered, "headers": {**headers, **_HEADERS}, "body": body.decode()}


@cache
def _page(folder: Path, shared: Path) -> LinkPage:
    return LinkPage(folder, shared)


def _shown(
    page: LinkPage, request: Request, visit: Visit, status: int, refused: Refused | None
) -> Response:
    language = _language(request)
    headers = {
        **_HEADERS,
        "Content-Language": language,
        "Set-Cookie": _set_cookie(request, visit),
    }
    return Response(status, page.render(visit, language, refused), headers)


def _later(response: Response, retry_after_s: object) -> Response:
    """With `Retry-After` where the same form may be taken later."""
    if response.status not in {429, 503}:
        return response
    headers = {**response.headers, "Retry-After": str(retry_after_s)}
    return replace(response, headers=headers)


def _language(request: Request) -> str:
    return i18n.choose(request.query.get("lang"), request.headers.get("accept-language"))


def _cookie_name(request: Request) -> str:
    # Its path is left to the browser, which takes the folder of the page: /pay.
    return f"visitor-{request.path_params.get('link_id', '')}"


def _set_cookie(request: Request, visit: Visit) -> str:
    secure = "; Secure" if lane_urls()[visit.link.lane].startswith("https:") else ""
    return (
        f"{_cookie_name(request)}={visit.visitor.hex()}; Max-Age={COOKIE_MAX_AGE_S}; HttpOnly;"
        f" SameSite=Lax{secure}"
    )


def _cookie(request: Request) -> bytes | None:
    wanted = _cookie_name(request)
    for pair in request.headers.get("cookie", "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == wanted and _VISITOR.fullmatch(value):
            return bytes.fromhex(value)
    return None


def _form(request: Request) -> tuple[bytes, str]:
    """The visitor's token and what was typed. Raises PayloadTooLarge, MalformedField."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != _FORM_TYPE:
        raise MalformedField("a form is wanted", field="content-type")
    if len(request.body) > FORM_MAX_BYTES:
        raise PayloadTooLarge("a form of this page is shorter", limit=FORM_MAX_BYTES)
    try:
        fields = dict(
            parse_qsl(
                request.body.decode("ascii"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=_FORM_FIELDS_MAX,
            )
        )
    except ValueError as exc:
        raise MalformedField("not a form", field="body") from exc
    visitor = fields.get("visitor", "")
    if not _VISITOR.fullmatch(visitor):
        raise MalformedField("the form lacks its token", field="visitor")
    # One character more than is taken says that there was more.
    return bytes.fromhex(visitor), fields.get("amount", "")[: TYPED_MAX_LENGTH + 1]
