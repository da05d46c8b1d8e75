"""Payment links and checkout sessions over HTTP, and their composition."""

import os
from collections.abc import Mapping
from functools import cache

from orion.adapters.mysql.billing_sessions import MySqlSalesStore
from orion.adapters.mysql.session import Database
from orion.billing.payment_links.errors import PaymentLinkNotFound
from orion.billing.payment_links.model import UNPAID_MAX
from orion.billing.payment_links.service import LinkAsked, LinkChange, PaymentLinks
from orion.billing.payment_links.visiting import LinkVisits
from orion.billing.sessions.errors import CheckoutSessionNotFound
from orion.billing.sessions.service import CheckoutSessions, SessionAsked
from orion.ids import MalformedId, parse_public_id
from orion.runtime.api_schema.paging import PAGE_DEFAULT
from orion.runtime.billing import invoices, places
from orion.runtime.clock import now
from orion.runtime.keyed import created, keyed
from orion.runtime.request import Handler, Request, Response, json_response
from orion.runtime.settings import Settings, mysql_config, settings
from orion.runtime.wakeup import wake

LANES = ("standard", "vip")
_UNPAID_MAX = "policy/payment-link-unpaid-max"
_CHANGEABLE = ("title", "active", "use_limit", "ends_at", "success_url", "metadata")


@cache
def _store() -> MySqlSalesStore:
    return MySqlSalesStore(Database(mysql_config("billing", "orion_billing", direct=False)))


@cache
def lane_urls() -> Mapping[str, str]:
    """The public base URL of each lane, without a slash at its end."""
    return {lane: settings().text(f"api/{lane}-url") for lane in LANES}


@cache
def links() -> PaymentLinks:
    """The merchant's side of payment links."""
    return PaymentLinks(_store(), lane_urls(), places(), now)


@cache
def visits() -> LinkVisits:
    """The visitor's side of payment links."""
    return LinkVisits(_store(), invoices(), now, os.urandom, unpaid_max(settings()))


def unpaid_max(known: Settings) -> int:
    """How many invoices of one link may wait for money; a stage may say another number. Raises
    MissingSetting where that is none.
    """
    return UNPAID_MAX if known.optional(_UNPAID_MAX) is None else known.number(_UNPAID_MAX)


@cache
def sessions() -> CheckoutSessions:
    """Checkout sessions."""
    return CheckoutSessions(_store(), invoices(), lane_urls(), now)


def link_id_of(request: Request) -> bytes:
    """The link in the path. Raises PaymentLinkNotFound."""
    try:
        return parse_public_id("pl", request.path_params.get("link_id", ""))
    except MalformedId as exc:
        raise PaymentLinkNotFound("no such payment link") from exc


def create_link(request: Request) -> Response:
    """POST /v1/payment-links"""
    fields = request.fields
    asked = LinkAsked(
        title=fields.text("title"),
        currency=fields.text("currency"),
        assets=fields.texts("assets"),
        amount=fields.optional_text("amount"),
        min_amount=fields.optional_text("min_amount"),
        max_amount=fields.optional_text("max_amount"),
        expires_in_s=fields.optional_whole("expires_in_s"),
        use_limit=fields.optional_whole("use_limit"),
        ends_at=fields.optional_text("ends_at"),
        success_url=fields.optional_text("success_url"),
        metadata=fields.optional_labels("metadata") or {},
    )
    return created(
        links().create(keyed(request), asked, lane=request.lane, trace_id=request.trace_id)
    )


def list_links(request: Request) -> Response:
    """GET /v1/payment-links?limit=&cursor="""
    asked = request.parameters
    page = links().links(
        request.merchant(),
        limit=asked.optional_whole("limit") or PAGE_DEFAULT,
        cursor=asked.optional_text("cursor"),
    )
    return json_response(200, page)


def get_link(request: Request) -> Response:
    """GET /v1/payment-links/{link_id}"""
    return json_response(200, links().link(request.merchant(), link_id_of(request)))


def change_link(request: Request) -> Response:
    """PATCH /v1/payment-links/{link_id}"""
    fields = request.fields
    change = LinkChange(
        named=frozenset(name for name in _CHANGEABLE if fields.given(name)),
        title=fields.optional_text("title"),
        active=fields.optional_flag("active"),
        use_limit=fields.optional_whole("use_limit"),
        ends_at=fields.optional_text("ends_at"),
        success_url=fields.optional_text("success_url"),
        metadata=fields.optional_labels("metadata"),
    )
    changed = links().change(
        request.merchant(), link_id_of(request), change, trace_id=request.trace_id
    )
    wake("billing")
    return json_response(200, changed)


def create_session(request: Request) -> Response:
    """POST /v1/checkout-sessions"""
    fields = request.fields
    asked = SessionAsked(
        amount=fields.text("amount"),
        currency=fields.text("currency"),
        assets=fields.texts("assets"),
        success_url=fields.text("success_url"),
        cancel_url=fields.optional_text("cancel_url"),
        client_reference=fields.optional_text("client_reference"),
        expires_in_s=fields.optional_whole("expires_in_s"),
        metadata=fields.optional_labels("metadata") or {},
        language=fields.optional_text("language"),
    )
    return created(
        sessions().create(keyed(request), asked, lane=request.lane, trace_id=request.trace_id)
    )


def get_session(request: Request) -> Response:
    """GET /v1/checkout-sessions/{session_id}"""
    try:
        session_id = parse_public_id("cs", request.path_params.get("session_id", ""))
    except MalformedId as exc:
        raise CheckoutSessionNotFound("no such checkout session") from exc
    return json_response(200, sessions().session(request.merchant(), session_id))


HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("POST", "/v1/payment-links"): create_link,
    ("GET", "/v1/payment-links"): list_links,
    ("GET", "/v1/payment-links/{link_id}"): get_link,
    ("PATCH", "/v1/payment-links/{link_id}"): change_link,
    ("POST", "/v1/checkout-sessions"): create_session,
    ("GET", "/v1/checkout-sessions/{session_id}"): get_session,
}
