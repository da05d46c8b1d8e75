"""Webhook endpoints on MySQL, and with them the whole port `WebhookTransaction`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pymysql

from orion.adapters.mysql.billing_deliveries import BillingDeliveries
from orion.adapters.mysql.billing_events import BillingEvents
from orion.adapters.mysql.billing_rows import maybe_read, maybe_stored, read, stored
from orion.adapters.mysql.one_trip import Columns, Question
from orion.billing.delivery import MAX_ENDPOINTS, Endpoint
from orion.billing.errors import TooManyEndpoints
from orion.billing.webhook_pace import DisabledReason, Lane, Pace

_DUPLICATE = 1062
_COLUMNS = Columns(
    {
        "endpoint_id": bytes,
        "merchant_id": bytes,
        "url": str,
        "event_types": str,
        "secret_ciphertext": bytes,
        "created_at": datetime,
        "changes": int,
        "disabled_reason": str,
        "disabled_at": datetime,
        "previous_secret_ciphertext": bytes,
        "previous_secret_until": datetime,
        "lane": str,
        "share": int,
        "failures": int,
        "failing_since": datetime,
        "last_sent_at": datetime,
        "slot": int,
    }
)
_ENDPOINT = f"SELECT {', '.join(_COLUMNS.names)} FROM webhook_endpoint"  # noqa: S608 - only our names


def endpoints_question(merchant_id: bytes) -> Question:
    """A merchant's endpoints that are not deleted, in no order."""
    rest = "FROM webhook_endpoint WHERE merchant_id = %s AND slot IS NOT NULL"
    return Question(_COLUMNS, rest, (merchant_id,))


class BillingWebhooks(BillingEvents, BillingDeliveries):
    """The part of the port `Transaction` that tells merchants."""

    def endpoints(self, merchant_id: bytes) -> Sequence[Endpoint]:
        rows: Any = self._ask(endpoints_question(merchant_id))
        return [_endpoint(row) for row in sorted(rows)]

    def lock_endpoints(self, merchant_id: bytes) -> Sequence[Endpoint]:
        # By any other index (small tables tempt the optimizer to the primary key's) it would wait
        # for the rows of other merchants, which it reads past.
        self._cursor.execute(
            f"{_ENDPOINT} FORCE INDEX (of_merchant) WHERE merchant_id = %s"
            " ORDER BY endpoint_id FOR UPDATE",
            (merchant_id,),
        )
        return [_endpoint(row) for row in self._cursor.fetchall()]

    def add_endpoint(self, endpoint: Endpoint, now: datetime) -> None:
        self._cursor.execute(
            "SELECT slot FROM webhook_endpoint WHERE merchant_id = %s AND slot IS NOT NULL",
            (endpoint.merchant_id,),
        )
        taken = {int(row[0]) for row in self._cursor.fetchall()}
        for slot in range(MAX_ENDPOINTS):
            if slot not in taken and self._insert_endpoint(endpoint, slot, now):
                return
        raise TooManyEndpoints(f"a merchant has at most {MAX_ENDPOINTS} endpoints")

    def _insert_endpoint(self, endpoint: Endpoint, slot: int, now: datetime) -> bool:
        """False when a concurrent request took the slot."""
        try:
            self._cursor.execute(
                "INSERT INTO webhook_endpoint (endpoint_id, merchant_id, slot, url, event_types,"
                " secret_ciphertext, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s)",
                (
                    endpoint.endpoint_id,
                    endpoint.merchant_id,
                    slot,
                    endpoint.url,
                    " ".join(sorted(endpoint.event_types)),
                    endpoint.secret_ciphertext,
                    stored(now),
                ),
            )
        except pymysql.err.IntegrityError as exc:
            if exc.args[0] != _DUPLICATE:
                raise
            return False
        return True

    def put_endpoint(self, endpoint: Endpoint) -> None:
        reason = endpoint.disabled_reason
        self._cursor.execute(
            "UPDATE webhook_endpoint SET url = %s, event_types = %s, secret_ciphertext = %s,"
            " changes = %s, disabled_reason = %s, disabled_at = %s,"
            " previous_secret_ciphertext = %s, previous_secret_until = %s,"
            " slot = IF(%s, NULL, slot) WHERE endpoint_id = %s",
            (
                endpoint.url,
                " ".join(sorted(endpoint.event_types)),
                endpoint.secret_ciphertext,
                endpoint.changes,
                None if reason is None else reason.value,
                maybe_stored(endpoint.disabled_at),
                endpoint.previous_secret,
                maybe_stored(endpoint.previous_secret_until),
                endpoint.deleted,
                endpoint.endpoint_id,
            ),
        )
        self.put_pace(endpoint.endpoint_id, endpoint.pace)

    def put_pace(self, endpoint_id: bytes, pace: Pace) -> None:
        self._cursor.execute(
            "UPDATE webhook_endpoint SET lane = %s, share = %s, failures = %s, failing_since = %s,"
            " last_sent_at = %s WHERE endpoint_id = %s",
            (
                pace.lane.value,
                pace.share,
                pace.failures,
                maybe_stored(pace.failing_since),
                maybe_stored(pace.last_sent_at),
                endpoint_id,
            ),
        )

    def forget_endpoint(self, endpoint_id: bytes) -> None:
        self._cursor.execute(
            "DELETE FROM webhook_endpoint WHERE endpoint_id = %s AND slot IS NULL", (endpoint_id,)
        )


def _endpoint(row: tuple[Any, ...]) -> Endpoint:
    return Endpoint(
        endpoint_id=row[0],
        merchant_id=row[1],
        url=row[2],
        event_types=frozenset(row[3].split()),
        secret_ciphertext=row[4],
        created_at=read(row[5]),
        changes=int(row[6]),
        disabled_reason=None if row[7] is None else DisabledReason(row[7]),
        disabled_at=maybe_read(row[8]),
        previous_secret=row[9],
        previous_secret_until=maybe_read(row[10]),
        pace=Pace(
            lane=Lane(row[11]),
            share=int(row[12]),
            failures=int(row[13]),
            failing_since=maybe_read(row[14]),
            last_sent_at=maybe_read(row[15]),
        ),
        deleted=row[16] is None,
    )
