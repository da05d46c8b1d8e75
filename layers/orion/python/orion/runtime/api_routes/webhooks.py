"""Webhook endpoints, deliveries and events."""

from orion.billing.webhook_target import URL_MAX_LENGTH
from orion.runtime.api_schema.kinds import Listing, Member, Object, Text, public_id
from orion.runtime.route import Route
from orion.scopes import Scope

EVENT_TYPES_MAX = 16
_URL = Text(max_length=URL_MAX_LENGTH, format="uri")
_TYPES = Listing(
    Text(max_length=64, form=r"\*|[a-z_]+\.[a-z_]+"), min_items=1, max_items=EVENT_TYPES_MAX
)

_ASKED = Object("WebhookEndpointAsked", (Member("url", _URL), Member("events", _TYPES)))
_MADE = Object(
    "WebhookEndpointMade",
    (
        Member("id", public_id("whe")),
        Member("url", _URL),
        Member("events", _TYPES),
        Member(
            "secret",
            Text(),
            nullable=True,
            note="Verifies signatures. Shown in this answer only; null when it is repeated.",
        ),
    ),
)

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/webhook-endpoints",
        "billing/api",
        Scope.WEBHOOKS_WRITE,
        summary="Add a webhook endpoint",
        request=_ASKED,
        answers={201: _MADE},
        refuses=("webhook_url_refused", "unknown_event_type", "webhook_endpoint_limit"),
    ),
)
