"""Endpoints, and the senders' side of deliveries, over a scene of billing."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from orion.adapters.mysql.billing import MySqlBillingStore
from orion.billing.delivery import Delivery, Endpoint, Outcome, Result
from orion.billing.ports import Transaction
from orion.billing.webhook_endpoints import Changed
from orion.billing.webhooks import new_event, publish
from orion.ids import parse_public_id
from tests.engine.billing_scene import MERCHANT, TRACE, BillingScene

FAST, SLOW = "sqs:webhooks", "sqs:webhooks-slow"
QUICK_MS, SLOW_MS = 20, 8_000


def new_invoice(scene: BillingScene, key: str = "k1") -> bytes:
    return parse_public_id("inv", json.loads(scene.create(key).body)["id"])


def listen(
    scene: BillingScene,
    number: int = 1,
    *types: str,
    merchant: bytes = MERCHANT,
    url: str = "https://shop.example.com/h",
) -> bytes:
    """An endpoint without a secret of KMS."""
    endpoint_id = bytes([number]) * 16
    endpoint = Endpoint(endpoint_id, merchant, url, frozenset(types or ("*",)), b"c")
    store(scene).transact(lambda tx: tx.add_endpoint(endpoint, scene.now))
    return endpoint_id


def store(scene: BillingScene) -> MySqlBillingStore:
    return MySqlBillingStore(scene.database())


def tell(
    tx: Transaction,
    scene: BillingScene,
    thing: int,
    number: int,
    wanting: Sequence[Endpoint],
    merchant: bytes = MERCHANT,
) -> Sequence[Delivery]:
    """Change `number` of a thing, told to these endpoints."""
    whose, kind = (merchant, thing.to_bytes(16, "big"), number), "invoice.created"
    return publish(tx, new_event(whose, kind, {"thing": thing}, scene.now, TRACE), wanting)


def happens(scene: BillingScene, thing: int, number: int = 1, merchant: bytes = MERCHANT) -> None:
    """As `tell`, to whoever listens."""

    def work(tx: Transaction) -> None:
        open_ones = [one for one in tx.endpoints(merchant) if one.open]
        tell(tx, scene, thing, number, open_ones, merchant)

    store(scene).transact(work)


def switch(scene: BillingScene, endpoint_id: bytes, *, on: bool) -> None:
    """The merchant enables or disables."""
    changed = Changed(enabled=on)
    scene.endpoints().change(MERCHANT, endpoint_id, changed, trace_id=TRACE)


def delete(scene: BillingScene, endpoint_id: bytes) -> None:
    scene.endpoints().delete(MERCHANT, endpoint_id, trace_id=TRACE)


def states(scene: BillingScene) -> list[tuple[int, int, str, str | None]]:
    """(thing, number, state, last error) of each delivery."""
    rows = scene.rows(
        "SELECT object_id, number, state, last_error FROM orion_billing.webhook_delivery"
        " ORDER BY object_id, number"
    )
    return [(int.from_bytes(row[0], "big"), *row[1:]) for row in rows]


def dispatch(scene: BillingScene, merchant: bytes = MERCHANT) -> int:
    return scene.deliveries().dispatch(merchant)


def tasks(scene: BillingScene, queue: str = FAST) -> list[dict[str, Any]]:
    """What left for the senders of this queue, oldest first."""
    return scene.outbox(queue)


def told(scene: BillingScene) -> list[str]:
    """Types of the events that left for the fast senders, in order."""
    return [json.loads(task["body"])["type"] for task in tasks(scene)]


def result_of(task: Mapping[str, Any], outcome: Outcome, **said: Any) -> Result:
    fields = {"status": None, "error": None, "duration_ms": QUICK_MS, **said}
    return Result(bytes.fromhex(task["delivery_id"]), task["attempt"], outcome, **fields)


def answer(scene: BillingScene, task: Mapping[str, Any], outcome: Outcome, **said: Any) -> bool:
    return scene.deliveries().apply(result_of(task, outcome, **said))


def deliver_all(scene: BillingScene, queue: str = FAST, most: int = 100) -> int:
    """Answer what leaves, as it leaves, with success; how many."""
    done = 0
    while done < len(tasks(scene, queue)) and done < most:
        answer(scene, tasks(scene, queue)[done], Outcome.DELIVERED, status=204)
        done += 1
    return done


def pass_(scene: BillingScene, after: timedelta = timedelta()) -> int:
    """One pass of the schedule, later."""
    scene.now += after
    return scene.deliveries().dispatch_due(b"")


def state_of(scene: BillingScene, task: Mapping[str, Any]) -> str:
    return str(
        scene.one(
            "SELECT state FROM orion_billing.webhook_delivery WHERE delivery_id = %s",
            bytes.fromhex(task["delivery_id"]),
        )
    )
