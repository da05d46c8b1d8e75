"""The composition of billing inside the network: its store and services, and the entries of its
functions.

Neither a Kafka client nor the webhook sender's HTTP is imported here.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache

from orion.adapters.mysql.billing import MySqlBillingStore
from orion.adapters.mysql.session import Database
from orion.billing.creation import Asked
from orion.billing.errors import InvoiceNotFound
from orion.billing.fees.desk import FeeDesk
from orion.billing.listing import Wanted
from orion.billing.merchant_settings import EXPIRES_IN_S_DEFAULT, MerchantSettings
from orion.billing.model import InvoiceStatus
from orion.billing.moments import read_moment
from orion.billing.payment_link import Networks
from orion.billing.progress import InvoiceProgress
from orion.billing.rates.desk import RateDesk
from orion.billing.service import PAGE_DEFAULT, Billing, Surroundings
from orion.ids import MalformedId, parse_public_id, public_id
from orion.runtime import rates
from orion.runtime.clock import now
from orion.runtime.kafka import Record, each_partition
from orion.runtime.keyed import created, keyed
from orion.runtime.log import logger
from orion.runtime.metrics import count
from orion.runtime.request import Handler, Request, Response, json_response
from orion.runtime.settings import (
    Settings,
    mysql_config,
    settings,
)
from orion.runtime.status_cache import statuses
from orion.runtime.wakeup import wake

_MODULE = "billing"
_NAMED = 20  # Lost deposits that one pass names in the log; the metric counts all.


@cache
def billing_store(direct: bool) -> MySqlBillingStore:
    """One store a process; `direct` is past the proxy, for the few writers."""
    database = Database(mysql_config(_MODULE, "orion_billing", direct=direct))
    return MySqlBillingStore(database, _committed)


def _committed(invoice_ids: frozenset[bytes], told: int) -> None:
    """What was kept of these invoices is old; and open pages wait for `told` messages."""
    statuses().changed(invoice_ids)
    if told:
        wake(_MODULE)


def _lanes(known: Settings) -> Mapping[str, str]:
    return {lane: known.text(f"api/{lane}-url") for lane in ("standard", "vip")}


def _texts(known: Settings, name: str) -> Mapping[str, str]:
    return {key: str(value) for key, value in known.document(name).items()}


def _watched(known: Settings) -> Mapping[str, str]:
    """Networks of the chains that have a row in `policy/confirmations`. A wallet may have an
    address on more: a payment there would be seen by nobody, so nothing is offered there.
    """
    followed = known.document("policy/confirmations")
    networks = _texts(known, "chains/networks")
    return {chain: network for chain, network in networks.items() if chain in followed}


@cache
def places() -> Networks:
    """Where this stage can be paid."""
    known = settings()
    return Networks(_watched(known), _texts(known, "chains/contracts"))


@cache
def invoices() -> Billing:
    """The merchant's and the customer's side, for request functions: through the proxy."""
    known = settings()
    return Billing(
        billing_store(direct=False),
        Surroundings(
            checkout_urls=_lanes(known),
            places=places(),
            rates=rates.source(),
        ),
        now,
    )


@cache
def rate_desk() -> RateDesk:
    """What merchants ask about rates, through the proxy."""
    return RateDesk(billing_store(direct=False), rates.source(), places(), now)


@cache
def fee_desk() -> FeeDesk:
    """What merchants see of their fees, through the proxy."""
    return FeeDesk(billing_store(direct=False), now)


@cache
def progress() -> InvoiceProgress:
    """What moves invoices: few writers, each directly at the database."""
    return InvoiceProgress(billing_store(direct=True), now, _lanes(settings()))


def deposits(event: Mapping[str, object]) -> Mapping[str, int]:
    """Deposit events, one transaction a partition."""
    logger()
    return _each(event, progress().apply_deposits)


def ledger_posted(event: Mapping[str, object]) -> Mapping[str, int]:
    """Posted transfers, one transaction a shard."""
    logger()
    return _each(event, progress().apply_posted)


def expire() -> Mapping[str, int]:
    """Invoices whose time is over, and payments whose block stays gone; run by the schedule."""
    logger()
    # First: it is told also where time cannot move an invoice.
    _name_lost()
    return _told(progress().expire())


def _name_lost() -> None:
    lost = progress().lost_deposits()
    count(_MODULE, "Deposits reversed long", len(lost))
    for one in lost[:_NAMED]:
        logger().warning(
            "a deposit stays reversed",
            extra={
                "deposit": public_id("dep", one.deposit_id),
                "invoice": public_id("inv", one.invoice_id),
                "asset": one.asset,
                "txid": one.txid,
                "since": one.since.isoformat(),
            },
        )


def _each(
    event: Mapping[str, object], work: Callable[[Sequence[Record]], int]
) -> Mapping[str, int]:
    # One wake-up a partition: what one committed must not wait for the failure of the next.
    counts = each_partition(event, lambda records: _told(work(records))["changes"])
    return {"changes": sum(counts)}


def _told(changes: int) -> Mapping[str, int]:
    if changes:
        wake(_MODULE)
    logger().info("billing done", extra={"changes": changes})
    return {"changes": changes}


def create_invoice(request: Request) -> Response:
    """POST /v1/invoices"""
    asked_once = keyed(request)
    fields = request.fields
    asked = Asked(
        amount=fields.text("amount"),
        currency=fields.text("currency"),
        assets=fields.texts("assets"),
        reference=fields.optional_text("reference"),
        expires_in_s=fields.optional_whole("expires_in_s"),
        metadata=fields.optional_labels("metadata") or {},
        success_url=fields.optional_text("success_url"),
        language=fields.optional_text("language"),
    )
    return created(
        invoices().create_invoice(asked_once, asked, lane=request.lane, trace_id=request.trace_id)
    )


def get_invoice(request: Request) -> Response:
    """GET /v1/invoices/{invoice_id}"""
    return json_response(200, invoices().invoice(request.merchant(), _invoice_id(request)))


def cancel_invoice(request: Request) -> Response:
    """POST /v1/invoices/{invoice_id}/cancel"""
    asked_once, invoice_id = keyed(request), _invoice_id(request)
    return created(invoices().cancel_invoice(asked_once, invoice_id, trace_id=request.trace_id))


def _invoice_id(request: Request) -> bytes:
    try:
        return parse_public_id("inv", request.path_params.get("invoice_id", ""))
    except MalformedId as exc:
        raise InvoiceNotFound("no such invoice") from exc


def list_invoices(request: Request) -> Response:
    """GET /v1/invoices?status=&reference=&created_from=&created_to=&limit=&cursor="""
    asked = request.parameters
    status = asked.optional_text("status")
    wanted = Wanted(
        status=None if status is None else InvoiceStatus(status),
        reference=asked.optional_text("reference"),
        created_from=_moment(request, "created_from"),
        created_to=_moment(request, "created_to"),
    )
    page = invoices().invoices(
        request.merchant(),
        wanted,
        limit=asked.optional_whole("limit") or PAGE_DEFAULT,
        cursor=asked.optional_text("cursor"),
    )
    return json_response(200, page)


def _moment(request: Request, name: str) -> datetime | None:
    text = request.parameters.optional_text(name)
    return None if text is None else read_moment(text, name)


def get_settings(request: Request) -> Response:
    """GET /v1/settings"""
    return json_response(200, invoices().settings(request.merchant()))


def put_settings(request: Request) -> Response:
    """PUT /v1/settings"""
    fields = request.fields
    wanted = MerchantSettings(
        tolerance_bps=fields.optional_whole("tolerance_bps") or 0,
        expires_in_s=fields.optional_whole("expires_in_s") or EXPIRES_IN_S_DEFAULT,
    )
    stored = invoices().put_settings(request.merchant(), wanted, trace_id=request.trace_id)
    wake(_MODULE)
    return json_response(200, stored)


def get_balances(request: Request) -> Response:
    """GET /v1/balances"""
    return json_response(200, invoices().balances(request.merchant()))


HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("POST", "/v1/invoices"): create_invoice,
    ("GET", "/v1/invoices"): list_invoices,
    ("GET", "/v1/invoices/{invoice_id}"): get_invoice,
    ("POST", "/v1/invoices/{invoice_id}/cancel"): cancel_invoice,
    ("GET", "/v1/settings"): get_settings,
    ("PUT", "/v1/settings"): put_settings,
    ("GET", "/v1/balances"): get_balances,
}
