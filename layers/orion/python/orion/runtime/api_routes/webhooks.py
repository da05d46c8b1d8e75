"""Webhook endpoints, deliveries and events (docs/webhooks.md)."""

from orion.billing.delivery import MAX_ENDPOINTS, DeliveryState, Outcome
from orion.billing.errors import CursorMalformed
from orion.billing.webhook_pace import DisabledReason, Lane
from orion.billing.webhook_target import URL_MAX_LENGTH
from orion.runtime.api_schema.kinds import (
    MOMENT,
    AnyObject,
    Choice,
    Flag,
    Listing,
    Member,
    Object,
    Parameter,
    Text,
    Whole,
    public_id,
)
from orion.runtime.api_schema.paging import LIMIT, PAGE_MAX, PAGING, list_of, page_of
from orion.runtime.route import Route
from orion.scopes import Scope

EVENT_TYPES_MAX = 16
# As orion.billing has it (a test compares): to import that would cost every function its start.
OVERLAP_MAX_S = 86_400
_API = "billing/api"
_URL = Text(max_length=URL_MAX_LENGTH, format="uri")
_TYPE = Text(max_length=64, form=r"[a-z_]+\.[a-z_]+")
_TYPES = Listing(
    Text(max_length=64, form=r"\*|[a-z_]+\.[a-z_]+"), min_items=1, max_items=EVENT_TYPES_MAX
)
_CURSOR = Text(max_length=200, pattern="[A-Za-z0-9_-]+")
_STATUS = Whole(100, 999)

_ASKED = Object("WebhookEndpointAsked", (Member("url", _URL), Member("events", _TYPES)))
_CHANGED = Object(
    "WebhookEndpointChanged",
    (
        Member("url", _URL, optional=True),
        Member("events", _TYPES, optional=True),
        Member("enabled", Flag(), optional=True),
    ),
)
_ROTATION = Object(
    "WebhookSecretRotation",
    (
        Member(
            "overlap_s",
            Whole(0, OVERLAP_MAX_S),
            optional=True,
            note="For how long the previous secret signs too; a day where nothing is said.",
        ),
    ),
)
_SHOWN_ONCE = Member(
    "secret",
    Text(),
    nullable=True,
    note="Verifies signatures. Shown in this answer only; null when it is repeated.",
)
_OVERLAP = Member("previous_secret_expires_at", MOMENT, nullable=True)
_MEMBERS = (
    Member("id", public_id("whe")),
    Member("url", _URL),
    Member("events", _TYPES),
    Member("enabled", Flag()),
    Member("disabled_reason", Choice(tuple(DisabledReason)), nullable=True),
    Member("disabled_at", MOMENT, nullable=True),
    Member("failing_since", MOMENT, nullable=True, note="First failure since the last success."),
    Member("lane", Choice(tuple(Lane)), note="Slow where the last answer took over a second."),
    _OVERLAP,
    Member("created_at", MOMENT),
)
ENDPOINT = Object("WebhookEndpoint", _MEMBERS)
_MADE = Object("WebhookEndpointMade", (*_MEMBERS, _SHOWN_ONCE))
_ROTATED = Object("WebhookSecretRotated", (_MEMBERS[0], _OVERLAP, _SHOWN_ONCE))
_TESTED = Object(
    "WebhookTest",
    (Member("event_id", public_id("evt")), Member("delivery_id", public_id("whd"))),
)
_DELIVERY_MEMBERS = (
    Member("id", public_id("whd")),
    Member("event_id", public_id("evt")),
    Member("event_type", _TYPE),
    Member("endpoint_id", public_id("whe")),
    Member("state", Choice(tuple(DeliveryState))),
    Member("attempt", Whole(), note="How many attempts were made or are under way."),
    Member("next_attempt_at", MOMENT, nullable=True, note="At the earliest."),
    Member("last_status", _STATUS, nullable=True),
    Member("last_error", Text(max_length=64), nullable=True),
    Member("created_at", MOMENT),
    Member("finished_at", MOMENT, nullable=True),
)
DELIVERY = Object("WebhookDelivery", _DELIVERY_MEMBERS)
_ATTEMPT = Object(
    "WebhookAttempt",
    (
        Member("attempt", Whole()),
        Member("at", MOMENT),
        Member("duration_ms", Whole(), nullable=True),
        Member("outcome", Choice(tuple(Outcome))),
        Member("status", _STATUS, nullable=True),
        Member("error", Text(max_length=64), nullable=True),
        Member("answer", Text(), nullable=True, note="The first 1,024 bytes of the body, as text."),
    ),
)
_LOGGED = Object(
    "WebhookDeliveryLogged",
    (*_DELIVERY_MEMBERS, Member("attempts", Listing(_ATTEMPT), note="Of the last 30 days.")),
)
EVENT = Object(
    "Event",
    (
        Member("id", public_id("evt"), note="The same in the header webhook-id."),
        Member("position", Whole(minimum=1), note="Without gaps, from 1."),
        Member("type", _TYPE),
        Member("timestamp", MOMENT),
        Member(
            "data",
            AnyObject(
                "The object as it was then: of invoice.* the invoice, of webhook_endpoint.* its id,"
                " host and state, without the URL."
            ),
        ),
    ),
)
_EVENTS = Object(
    "EventPage",
    (
        Member("data", Listing(EVENT, max_items=PAGE_MAX)),
        Member("next_cursor", Text(max_length=200), note="Keep it, and pass it as `after`."),
        Member("has_more", Flag()),
    ),
)
_STREAM = (
    Parameter("after", _CURSOR, "`next_cursor` of the page before.", CursorMalformed),
    LIMIT,
    Parameter("types", Listing(_TYPE, min_items=1, max_items=EVENT_TYPES_MAX), "Only these types."),
)
_MISSING = ("webhook_endpoint_not_found",)
_UNFIT = ("webhook_url_refused", "unknown_event_type")
_ENDPOINTS = "/v1/webhook-endpoints"
_ENDPOINT = f"{_ENDPOINTS}/{{endpoint_id}}"
_READ, _WRITE = Scope.WEBHOOKS_READ, Scope.WEBHOOKS_WRITE

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        _ENDPOINTS,
        _API,
        _WRITE,
        summary="Add a webhook endpoint",
        request=_ASKED,
        answers={201: _MADE},
        refuses=(*_UNFIT, "webhook_endpoint_limit"),
    ),
    Route(
        "GET",
        _ENDPOINTS,
        _API,
        _READ,
        summary="List the webhook endpoints",
        query=(),
        answers={200: list_of(ENDPOINT, max_items=MAX_ENDPOINTS)},
    ),
    Route(
        "GET",
        _ENDPOINT,
        _API,
        _READ,
        summary="Read a webhook endpoint",
        query=(),
        answers={200: ENDPOINT},
        refuses=_MISSING,
    ),
    Route(
        "PATCH",
        _ENDPOINT,
        _API,
        _WRITE,
        summary="Change, disable or enable a webhook endpoint",
        request=_CHANGED,
        answers={200: ENDPOINT},
        refuses=(*_MISSING, *_UNFIT, "webhook_endpoint_closing"),
    ),
    Route(
        "DELETE",
        _ENDPOINT,
        _API,
        _WRITE,
        summary="Delete a webhook endpoint",
        answers={204: None},
        refuses=_MISSING,
    ),
    Route(
        "POST",
        f"{_ENDPOINT}/rotate-secret",
        _API,
        _WRITE,
        summary="Give a webhook endpoint a new secret",
        request=_ROTATION,
        answers={200: _ROTATED},
        refuses=_MISSING,
    ),
    Route(
        "POST",
        f"{_ENDPOINT}/test",
        _API,
        _WRITE,
        summary="Send a test event to a webhook endpoint",
        answers={202: _TESTED},
        refuses=(*_MISSING, "webhook_endpoint_disabled"),
    ),
    Route(
        "GET",
        f"{_ENDPOINT}/deliveries",
        _API,
        _READ,
        summary="List the deliveries to a webhook endpoint, newest first",
        query=PAGING,
        answers={200: page_of(DELIVERY)},
        refuses=_MISSING,
    ),
    Route(
        "GET",
        "/v1/webhook-deliveries/{delivery_id}",
        _API,
        _READ,
        summary="Read a delivery with its attempts",
        query=(),
        answers={200: _LOGGED},
        refuses=("webhook_delivery_not_found",),
    ),
    Route(
        "POST",
        "/v1/webhook-deliveries/{delivery_id}/redeliver",
        _API,
        _WRITE,
        summary="Deliver an event once more",
        answers={202: DELIVERY},
        refuses=(
            "webhook_delivery_not_found",
            "webhook_delivery_under_way",
            "webhook_attempt_limit",
            "webhook_endpoint_disabled",
        ),
    ),
    Route(
        "GET",
        "/v1/events",
        _API,
        Scope.EVENTS_READ,
        summary="Read the stream of events, oldest first",
        query=_STREAM,
        answers={200: _EVENTS},
        refuses=("unknown_event_type",),
    ),
    Route(
        "GET",
        "/v1/events/{event_id}",
        _API,
        Scope.EVENTS_READ,
        summary="Read an event",
        query=(),
        answers={200: EVENT},
        refuses=("event_not_found",),
    ),
)
