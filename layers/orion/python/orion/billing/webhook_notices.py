"""What a merchant is told of an endpoint itself: that it was disabled, enabled or tried out
(docs/webhooks.md, "Events", "Disabling").
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlsplit

from orion.billing.delivery import Endpoint
from orion.billing.ports import Transaction
from orion.billing.webhook_pace import DisabledReason
from orion.billing.webhooks import ENDPOINT_DISABLED, maybe_moment, new_event, publish
from orion.ids import public_id


def endpoint_host(endpoint: Endpoint) -> str:
    """The host of its URL. Paths and queries of webhook addresses often carry a token, so nobody
    but the merchant's own requests is shown more.
    """
    return urlsplit(endpoint.url).hostname or ""


def endpoint_news(endpoint: Endpoint) -> dict[str, object]:
    """The data of `webhook_endpoint.*`, which other endpoints get too."""
    reason = endpoint.disabled_reason
    return {
        "id": public_id("whe", endpoint.endpoint_id),
        "host": endpoint_host(endpoint),
        "enabled": reason is None,
        "disabled_reason": None if reason is None else reason.value,
        "disabled_at": maybe_moment(endpoint.disabled_at),
        "failing_since": maybe_moment(endpoint.pace.failing_since),
    }


def disable(
    tx: Transaction,
    endpoints: Sequence[Endpoint],
    endpoint: Endpoint,
    reason: DisabledReason,
    when: tuple[datetime, str],
) -> Endpoint:
    """Disable a locked endpoint and tell the merchant's others. `when`: moment and trace."""
    disabled = replace(
        endpoint, disabled_reason=reason, disabled_at=when[0], changes=endpoint.changes + 1
    )
    tx.put_endpoint(disabled)
    tell_of_endpoint(tx, endpoints, disabled, ENDPOINT_DISABLED, when)
    return disabled


def tell_of_endpoint(
    tx: Transaction,
    endpoints: Sequence[Endpoint],
    endpoint: Endpoint,
    kind: str,
    when: tuple[datetime, str],
) -> None:
    """The event of an endpoint's last change, for the stream and the merchant's other ones."""
    now, trace_id = when
    event = new_event(
        (endpoint.merchant_id, endpoint.endpoint_id, endpoint.changes),
        kind,
        endpoint_news(endpoint),
        now,
        trace_id,
    )
    wanting = [
        one
        for one in endpoints
        if one.open and one.endpoint_id != endpoint.endpoint_id and one.wants(kind)
    ]
    publish(tx, event, wanting)
