"""Webhooks and events inside the network: what the dispatcher's functions run, and the routes of
endpoints, deliveries and events. The senders, outside it, are `runtime.webhook_sender`.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import boto3

from orion.adapters.aws.webhook_secrets import KmsSecretKeeper
from orion.billing.errors import DeliveryNotFound, EndpointNotFound, EventNotFound
from orion.billing.event_stream import PAGE_DEFAULT, EventStream
from orion.billing.reading import Fields
from orion.billing.webhook_dispatch import WebhookDeliveries, read_result
from orion.billing.webhook_endpoints import OVERLAP_MAX_S, Changed, WebhookEndpoints
from orion.billing.webhook_log import PAGE_DEFAULT as LOG_PAGE_DEFAULT
from orion.billing.webhook_log import WebhookLog
from orion.errors import OrionError
from orion.ids import ID_BYTES, MalformedId, parse_public_id
from orion.records import parse_json
from orion.runtime.billing import billing_store
from orion.runtime.clock import now
from orion.runtime.keyed import created, keyed
from orion.runtime.log import logger, set_trace_id
from orion.runtime.request import Handler, Request, Response, json_response
from orion.runtime.settings import AWS_CLIENT, settings
from orion.runtime.wakeup import wake
from orion.runtime.webhook_targets import allowed_private_networks

_MODULE = "billing"


@cache
def deliveries() -> WebhookDeliveries:
    """Where webhooks stand: few writers, each directly at the database."""
    return WebhookDeliveries(billing_store(direct=True), now)


@cache
def stream(direct: bool) -> EventStream:
    """The events in their order."""
    return EventStream(billing_store(direct=direct))


@cache
def endpoints() -> WebhookEndpoints:
    """The merchants' side, for request functions: through the proxy."""
    known = settings()
    return WebhookEndpoints(
        billing_store(direct=False),
        KmsSecretKeeper(
            boto3.client("kms", config=AWS_CLIENT), f"alias/orion/{known.stage}/webhook-secrets"
        ),
        allowed_private_networks(known),
        now,
        os.urandom,
    )


@cache
def delivery_log() -> WebhookLog:
    """What was tried, and asking for more."""
    return WebhookLog(billing_store(direct=False), now)


def due() -> Mapping[str, int]:
    """Deliveries whose next attempt is due, those of endpoints that are gone, and old attempts; run
    by the schedule.
    """
    log = logger()
    try:
        moved = deliveries().dispatch_due(os.urandom(ID_BYTES))
    finally:
        # Also when a merchant's turn failed: those of others are committed.
        wake(_MODULE)
        orphans = deliveries().give_up_orphans(os.urandom(ID_BYTES))
        forgotten = deliveries().forget_attempts()
    log.info("webhooks due", extra={"moved": moved, "orphans": orphans, "forgotten": forgotten})
    return {"changes": moved + orphans}


def place_events() -> Mapping[str, int]:
    """Positions for events that nobody has read yet; run by the schedule."""
    log = logger()
    placed = stream(direct=True).place_all()
    log.info("events placed", extra={"placed": placed})
    return {"placed": placed}


def results(event: Mapping[str, object]) -> Mapping[str, object]:
    """Answers of the senders. Messages that failed are named, so that SQS repeats only them."""
    return _each_message(event, lambda body: deliveries().apply(read_result(body)))


def dispatch(event: Mapping[str, object]) -> Mapping[str, object]:
    """Merchants to whom something happened. One that is named often is looked at once."""
    seen: set[bytes] = set()

    def once(body: Mapping[str, object]) -> bool:
        merchant_id = Fields(body).id("merchant_id")
        if merchant_id in seen:
            return False
        moved = deliveries().dispatch(merchant_id) > 0
        seen.add(merchant_id)
        return moved

    return _each_message(event, once)


def _each_message(
    event: Mapping[str, object], work: Callable[[Mapping[str, object]], bool]
) -> Mapping[str, object]:
    log = logger()
    records = event.get("Records")
    messages: Sequence[Mapping[str, str]] = records if isinstance(records, list) else []
    failed: list[Mapping[str, str]] = []
    changed = False
    for message in messages:
        try:
            body = parse_json(message["body"].encode())
            set_trace_id(str(body.get("trace_id")))
            changed |= work(body)
        except Exception:
            # Whatever it was, the queue keeps the message, counts its tries and sets it aside in
            # the end.
            log.exception("webhook message not handled")
            failed.append({"itemIdentifier": message["messageId"]})
    if changed:
        wake(_MODULE)
    return {"batchItemFailures": failed}


def create_endpoint(request: Request) -> Response:
    """POST /v1/webhook-endpoints"""
    fields = request.fields
    answer = endpoints().create(
        keyed(request), fields.text("url"), fields.texts("events"), trace_id=request.trace_id
    )
    return created(answer)


def list_endpoints(request: Request) -> Response:
    """GET /v1/webhook-endpoints"""
    return json_response(200, endpoints().list(request.merchant()))


def get_endpoint(request: Request) -> Response:
    """GET /v1/webhook-endpoints/{endpoint_id}"""
    return json_response(200, endpoints().get(request.merchant(), _endpoint_id(request)))


def change_endpoint(request: Request) -> Response:
    """PATCH /v1/webhook-endpoints/{endpoint_id}"""
    fields = request.fields
    changed = Changed(
        fields.optional_text("url"),
        fields.optional_texts("events"),
        fields.optional_flag("enabled"),
    )
    after = endpoints().change(
        request.merchant(), _endpoint_id(request), changed, trace_id=request.trace_id
    )
    wake(_MODULE)
    return json_response(200, after)


def delete_endpoint(request: Request) -> Response:
    """DELETE /v1/webhook-endpoints/{endpoint_id}"""
    endpoints().delete(request.merchant(), _endpoint_id(request), trace_id=request.trace_id)
    wake(_MODULE)
    return Response(204)


def rotate_secret(request: Request) -> Response:
    """POST /v1/webhook-endpoints/{endpoint_id}/rotate-secret"""
    overlap_s = request.fields.optional_whole("overlap_s")
    answer = endpoints().rotate(
        keyed(request),
        _endpoint_id(request),
        OVERLAP_MAX_S if overlap_s is None else overlap_s,
        trace_id=request.trace_id,
    )
    return created(answer)


def test_endpoint(request: Request) -> Response:
    """POST /v1/webhook-endpoints/{endpoint_id}/test"""
    answer = endpoints().test(keyed(request), _endpoint_id(request), trace_id=request.trace_id)
    return created(answer)


def list_deliveries(request: Request) -> Response:
    """GET /v1/webhook-endpoints/{endpoint_id}/deliveries?limit=&cursor="""
    page = delivery_log().deliveries(
        request.merchant(),
        _endpoint_id(request),
        limit=request.parameters.optional_whole("limit") or LOG_PAGE_DEFAULT,
        cursor=request.parameters.optional_text("cursor"),
    )
    return json_response(200, page)


def get_delivery(request: Request) -> Response:
    """GET /v1/webhook-deliveries/{delivery_id}"""
    return json_response(200, delivery_log().delivery(request.merchant(), _delivery_id(request)))


def redeliver(request: Request) -> Response:
    """POST /v1/webhook-deliveries/{delivery_id}/redeliver"""
    return created(delivery_log().redeliver(keyed(request), _delivery_id(request)))


def list_events(request: Request) -> Response:
    """GET /v1/events?after=&limit=&types="""
    asked = request.parameters
    page = stream(direct=False).page(
        request.merchant(),
        after=asked.optional_text("after"),
        limit=asked.optional_whole("limit") or PAGE_DEFAULT,
        types=asked.optional_texts("types") or (),
    )
    return json_response(200, page)


def get_event(request: Request) -> Response:
    """GET /v1/events/{event_id}"""
    event_id = _id(request, "event_id", "evt", EventNotFound("no such event"))
    return json_response(200, stream(direct=False).event(request.merchant(), event_id))


def _endpoint_id(request: Request) -> bytes:
    return _id(request, "endpoint_id", "whe", EndpointNotFound("no such webhook endpoint"))


def _delivery_id(request: Request) -> bytes:
    return _id(request, "delivery_id", "whd", DeliveryNotFound("no such delivery"))


def _id(request: Request, name: str, prefix: str, missing: OrionError) -> bytes:
    try:
        return parse_public_id(prefix, request.path_params.get(name, ""))
    except MalformedId as exc:
        raise missing from exc


_ENDPOINT = "/v1/webhook-endpoints/{endpoint_id}"
HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("POST", "/v1/webhook-endpoints"): create_endpoint,
    ("GET", "/v1/webhook-endpoints"): list_endpoints,
    ("GET", _ENDPOINT): get_endpoint,
    ("PATCH", _ENDPOINT): change_endpoint,
    ("DELETE", _ENDPOINT): delete_endpoint,
    ("POST", f"{_ENDPOINT}/rotate-secret"): rotate_secret,
    ("POST", f"{_ENDPOINT}/test"): test_endpoint,
    ("GET", f"{_ENDPOINT}/deliveries"): list_deliveries,
    ("GET", "/v1/webhook-deliveries/{delivery_id}"): get_delivery,
    ("POST", "/v1/webhook-deliveries/{delivery_id}/redeliver"): redeliver,
    ("GET", "/v1/events"): list_events,
    ("GET", "/v1/events/{event_id}"): get_event,
}
