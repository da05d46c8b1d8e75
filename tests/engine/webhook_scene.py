"""Endpoints, and the senders' side of deliveries, over a scene of billing."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from orion.adapters.mysql.billing import MySqlBillingStore
from orion.billing.delivery import Endpoint, Outcome, Result
from orion.ids import parse_public_id
from tests.engine.billing_scene import MERCHANT, BillingScene

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
    store = MySqlBillingStore(scene.database())
    store.transact(lambda tx: tx.add_endpoint(endpoint, scene.now))
    return endpoint_id


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
