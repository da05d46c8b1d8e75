"""What merchants ask about their webhook endpoints and deliveries (docs/webhooks.md)."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from orion.billing.audit import Origin, audit
from orion.billing.delivery import ALL_TYPES, UNSENT, Endpoint
from orion.billing.errors import (
    EndpointClosing,
    EndpointDisabled,
    EndpointNotFound,
    LimitOutOfRange,
    TooManyEndpoints,
    UnknownEventType,
)
from orion.billing.ports import Answer, BillingStore, KeyedRequest, SecretKeeper, Transaction
from orion.billing.webhook_dispatch import close_and_hand_over, hand_over
from orion.billing.webhook_notices import disable, endpoint_host, endpoint_news, tell_of_endpoint
from orion.billing.webhook_pace import DisabledReason, enabled_again
from orion.billing.webhook_target import Network, check_url
from orion.billing.webhooks import (
    ENDPOINT_ENABLED,
    ENDPOINT_TEST,
    EVENT_TYPES,
    endpoint_view,
    new_event,
    publish,
)
from orion.errors import Retry
from orion.ids import public_id, random_id
from orion.records import canonical_json

SECRET_BYTES = 32
OVERLAP_MAX_S = 86_400
# Deleted endpoints whose rows still stand: whoever locks the merchant's endpoints reads them too.
CLEARED_AT_ONCE = 16


class EndpointsClearing(TooManyEndpoints):
    """As many deleted endpoints of the merchant as may be are still being cleared."""

    retry = Retry.LATER


@dataclass(frozen=True, slots=True)
class Changed:
    """What a merchant wants changed of an endpoint; None leaves it."""

    url: str | None = None
    event_types: Sequence[str] | None = None
    enabled: bool | None = None


class WebhookEndpoints:
    """Each method is one transaction. `allowed_private` is docs/webhooks.md, "Targets"."""

    def __init__(
        self,
        store: BillingStore,
        secrets: SecretKeeper,
        allowed_private: Sequence[Network],
        clock: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._allowed_private = allowed_private
        self._clock = clock
        self._random_bytes = random_bytes

    def create(
        self, request: KeyedRequest, url: str, event_types: Sequence[str], *, trace_id: str
    ) -> Answer:
        """Add an endpoint; its secret is in this answer only, a replay carries null.

        Raises WebhookUrlRefused, UnknownEventType, TooManyEndpoints, EndpointsClearing, Unavailable
        (no KMS).
        """
        check_url(url, self._allowed_private)
        _check_types(event_types)
        origin = Origin(request.merchant_id, "", trace_id, self._clock())
        endpoint_id = random_id()
        ciphertext, shown = self._new_secret(endpoint_id, request.merchant_id)
        types = frozenset(event_types)
        endpoint = Endpoint(
            endpoint_id, request.merchant_id, url, types, ciphertext, created_at=origin.at
        )
        body = endpoint_view(endpoint, origin.at)

        def create(tx: Transaction) -> Answer:
            deleted = sum(one.deleted for one in tx.lock_endpoints(request.merchant_id))
            if deleted >= CLEARED_AT_ONCE:
                raise EndpointsClearing(f"{deleted} deleted endpoints are still being cleared")
            tx.add_endpoint(endpoint, origin.at)
            _tell_audit(tx, "created", origin, endpoint)
            return Answer(
                201,
                canonical_json({**body, "secret": shown}),
                canonical_json({**body, "secret": None}),
            )

        return self._once(request, create)

    def list(self, merchant_id: bytes) -> Mapping[str, object]:
        """All endpoints of the merchant."""
        now = self._clock()
        found = self._store.transact(lambda tx: tx.endpoints(merchant_id))
        return {"data": [endpoint_view(one, now) for one in found]}

    def get(self, merchant_id: bytes, endpoint_id: bytes) -> Mapping[str, object]:
        """One endpoint. Raises EndpointNotFound."""
        found = self._store.transact(lambda tx: tx.endpoints(merchant_id))
        return endpoint_view(_of(found, endpoint_id), self._clock())

    def change(
        self, merchant_id: bytes, endpoint_id: bytes, changed: Changed, *, trace_id: str
    ) -> Mapping[str, object]:
        """The endpoint as it is then; repeating it changes nothing.

        Raises EndpointNotFound, EndpointClosing, WebhookUrlRefused, UnknownEventType.
        """
        if changed.url is not None:
            check_url(changed.url, self._allowed_private)
        if changed.event_types is not None:
            _check_types(changed.event_types)
        origin = Origin(merchant_id, "", trace_id, self._clock())

        def change(tx: Transaction) -> Endpoint:
            endpoints = tx.lock_endpoints(merchant_id)
            before = _of(endpoints, endpoint_id)
            after = _rewritten(before, changed)
            if after != before:
                tx.put_endpoint(after)
            after = _switched(tx, endpoints, after, changed.enabled, (origin.at, trace_id))
            if after != before:
                _tell_audit(tx, "changed", origin, after)
                move = hand_over if after.open else close_and_hand_over
                move(tx, _with(endpoints, after), origin.at)
            return after

        return endpoint_view(self._store.transact(change), origin.at)

    def delete(self, merchant_id: bytes, endpoint_id: bytes, *, trace_id: str) -> None:
        """Nothing is sent there any more. Raises EndpointNotFound, also the second time."""
        origin = Origin(merchant_id, "", trace_id, self._clock())

        def delete(tx: Transaction) -> None:
            endpoints = tx.lock_endpoints(merchant_id)
            before = _of(endpoints, endpoint_id)
            # The secrets go at once, the row when its last delivery is finished.
            gone = replace(before, deleted=True, secret_ciphertext=b"", previous_secret=None)
            tx.put_endpoint(gone)
            _tell_audit(tx, "deleted", origin, gone)
            close_and_hand_over(tx, _with(endpoints, gone), origin.at)

        self._store.transact(delete)

    def rotate(
        self, request: KeyedRequest, endpoint_id: bytes, overlap_s: int, *, trace_id: str
    ) -> Answer:
        """A new secret; the old one signs too for `overlap_s` (0 to OVERLAP_MAX_S).

        Raises EndpointNotFound, LimitOutOfRange, Unavailable (no KMS).
        """
        if not 0 <= overlap_s <= OVERLAP_MAX_S:
            raise LimitOutOfRange(f"secrets overlap for 0 to {OVERLAP_MAX_S} s", limit=overlap_s)
        origin = Origin(request.merchant_id, "", trace_id, self._clock())
        ciphertext, shown = self._new_secret(endpoint_id, request.merchant_id)
        until = origin.at + timedelta(seconds=overlap_s) if overlap_s else None

        def rotate(tx: Transaction) -> Answer:
            before = _of(tx.lock_endpoints(request.merchant_id), endpoint_id)
            after = replace(
                before,
                secret_ciphertext=ciphertext,
                previous_secret=before.secret_ciphertext if until else None,
                previous_secret_until=until,
            )
            tx.put_endpoint(after)
            _tell_audit(tx, "secret_rotated", origin, after)
            view = endpoint_view(after, origin.at)
            body = {name: view[name] for name in ("id", "previous_secret_expires_at")}
            return Answer(
                200,
                canonical_json({**body, "secret": shown}),
                canonical_json({**body, "secret": None}),
            )

        return self._once(request, rotate)

    def test(self, request: KeyedRequest, endpoint_id: bytes, *, trace_id: str) -> Answer:
        """Send `webhook_endpoint.test` to this endpoint alone. Raises EndpointNotFound,
        EndpointDisabled.
        """
        at = self._clock()

        def test(tx: Transaction) -> Answer:
            endpoints = tx.lock_endpoints(request.merchant_id)
            before = _of(endpoints, endpoint_id)
            if not before.open:
                raise EndpointDisabled("nothing is sent to a disabled endpoint")
            after = replace(before, changes=before.changes + 1)
            tx.put_endpoint(after)
            whose = (after.merchant_id, after.endpoint_id, after.changes)
            event = new_event(whose, ENDPOINT_TEST, endpoint_news(after), at, trace_id)
            [delivery] = publish(tx, event, [after])
            body = canonical_json(
                {
                    "event_id": public_id("evt", event.event_id),
                    "delivery_id": public_id("whd", delivery.delivery_id),
                }
            )
            return Answer(202, body, body)

        return self._once(request, test)

    def _new_secret(self, endpoint_id: bytes, merchant_id: bytes) -> tuple[bytes, str]:
        """Ciphertext and what is shown, made before the transaction: a replay wastes one
        encryption, but no lock waits for KMS.
        """
        secret = self._random_bytes(SECRET_BYTES)
        ciphertext = self._secrets.encrypt(secret, endpoint_id, merchant_id)
        return ciphertext, "whsec_" + base64.b64encode(secret).decode()

    def _once(self, request: KeyedRequest, work: Callable[[Transaction], Answer]) -> Answer:
        at = self._clock()
        return self._store.transact(lambda tx: tx.once(request, at, lambda: work(tx)))


def _check_types(event_types: Sequence[str]) -> None:
    for kind in event_types:
        if kind != ALL_TYPES and kind not in EVENT_TYPES:
            raise UnknownEventType("no change causes this event", event_type=kind[:64])


def _of(endpoints: Sequence[Endpoint], endpoint_id: bytes) -> Endpoint:
    for one in endpoints:
        if one.endpoint_id == endpoint_id and not one.deleted:
            return one
    raise EndpointNotFound("no such webhook endpoint")


def _with(endpoints: Sequence[Endpoint], changed: Endpoint) -> Sequence[Endpoint]:
    return [*(one for one in endpoints if one.endpoint_id != changed.endpoint_id), changed]


def _rewritten(endpoint: Endpoint, changed: Changed) -> Endpoint:
    types = changed.event_types
    return replace(
        endpoint,
        url=endpoint.url if changed.url is None else changed.url,
        event_types=endpoint.event_types if types is None else frozenset(types),
    )


def _switched(
    tx: Transaction,
    endpoints: Sequence[Endpoint],
    endpoint: Endpoint,
    enabled: bool | None,
    when: tuple[datetime, str],
) -> Endpoint:
    if enabled is None or enabled == (endpoint.disabled_reason is None):
        return endpoint
    if not enabled:
        return disable(tx, endpoints, endpoint, DisabledReason.MERCHANT, when)
    if tx.any_left(endpoint.endpoint_id, UNSENT):
        raise EndpointClosing("what waited when it was disabled is still being given up")
    anew = replace(
        endpoint,
        disabled_reason=None,
        disabled_at=None,
        changes=endpoint.changes + 1,
        pace=enabled_again(endpoint.pace),
    )
    tx.put_endpoint(anew)
    tell_of_endpoint(tx, endpoints, anew, ENDPOINT_ENABLED, when)
    return anew


def _tell_audit(tx: Transaction, deed: str, origin: Origin, endpoint: Endpoint) -> None:
    details = {
        "host": endpoint_host(endpoint),
        "events": sorted(endpoint.event_types),
        "enabled": endpoint.disabled_reason is None,
    }
    subject = public_id("whe", endpoint.endpoint_id)
    tx.tell([audit(f"webhook_endpoint.{deed}", origin, subject, details)], origin.at)
