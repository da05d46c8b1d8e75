"""Open pages on a real database: who may connect, who is told, and that no change passes unseen."""

import json
from collections.abc import Iterator
from datetime import timedelta
from threading import Thread
from typing import Any

import boto3
import pytest

from functions.billing import socket_gone, socket_poster, sockets
from orion.adapters.mysql.billing import MySqlBillingStore
from orion.billing.errors import InvoiceNotFound
from orion.billing.sockets import LIFE, MAX_OF_INVOICE, Sockets, TooManySockets
from orion.ids import public_id, random_id
from orion.runtime import settings, wakeup
from orion.runtime import socket_poster as poster
from orion.runtime import sockets as room
from tests.engine.checkout_scene import CheckoutScene, checkout_stage

pytestmark = pytest.mark.engine


@pytest.fixture
def scene(
    mysql_admin: Any, aws_engine: Any, memcached_server: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[CheckoutScene]:
    nowhere = {"sockets/management-url": f"{aws_engine.url}/_aws/execute-api/none/live"}
    poster._management.cache_clear()
    with checkout_stage(
        mysql_admin, aws_engine, memcached_server.servers, monkeypatch.setenv, **nowhere
    ) as found:
        yield found
    poster._management.cache_clear()


def pages(scene: CheckoutScene) -> Sockets:
    return Sockets(MySqlBillingStore(scene.billing.database()), lambda: scene.billing.now)


def stored(scene: CheckoutScene) -> list[str]:
    found = scene.billing.rows(
        "SELECT connection_id FROM orion_billing.socket_connection ORDER BY connection_id"
    )
    return [str(row[0]) for row in found]


def told(scene: CheckoutScene) -> list[list[str]]:
    return [sorted(body["connections"]) for body in scene.billing.outbox("sqs:socket-messages")]


def test_every_open_page_of_a_changed_invoice_is_told_in_the_changes_transaction(
    scene: CheckoutScene,
) -> None:
    paid, _ = scene.invoice("BTC.bitcoin", key="k1")
    other, _ = scene.invoice("BTC.bitcoin", key="k2")
    for connection, invoice_id in (("a=", paid), ("b=", paid), ("c=", other)):
        pages(scene).open(connection, invoice_id)
    scene.pay(paid)
    assert told(scene) == [["a=", "b="]]
    # Confirmations alone are no change of status, and they are shown.
    scene.pay(paid, version=2, confirmations=2)
    assert told(scene) == [["a=", "b="]] * 2


def test_a_change_that_is_rolled_back_tells_nobody(scene: CheckoutScene) -> None:
    invoice_id, _ = scene.invoice("BTC.bitcoin")
    pages(scene).open("a=", invoice_id)
    store = MySqlBillingStore(scene.billing.database())

    def fail(tx: Any) -> None:
        tx.lock_invoices([invoice_id])
        raise InvoiceNotFound("on purpose")

    with pytest.raises(InvoiceNotFound):
        store.transact(fail)
    assert told(scene) == []


def test_an_invoice_without_open_pages_sends_no_message(scene: CheckoutScene) -> None:
    invoice_id, _ = scene.invoice("BTC.bitcoin")
    pages(scene).open("a=", invoice_id)
    scene.billing.rows("UPDATE orion_billing.socket_connection SET expires_at = '2020-01-01'")
    scene.pay(invoice_id)
    assert told(scene) == []


def test_a_page_that_connects_during_a_change_waits_for_it(scene: CheckoutScene) -> None:
    """Else it would ask before the commit, and be stored after the change looked for it."""
    invoice_id, _ = scene.invoice("BTC.bitcoin")
    store = MySqlBillingStore(scene.billing.database())
    order: list[str] = []

    def connect() -> None:
        pages(scene).open("late=", invoice_id)
        order.append("connected")

    thread = Thread(target=connect)

    def change(tx: Any) -> None:
        tx.lock_invoices([invoice_id])
        thread.start()
        thread.join(timeout=0.5)
        order.append("changed")

    store.transact(change)
    thread.join()
    assert order == ["changed", "connected"]
    assert stored(scene) == ["late="]


def test_an_invoice_has_a_bounded_number_of_pages_and_expired_ones_do_not_count(
    scene: CheckoutScene,
) -> None:
    invoice_id, _ = scene.invoice("BTC.bitcoin")
    open_pages = pages(scene)
    for number in range(MAX_OF_INVOICE):
        open_pages.open(f"c{number}=", invoice_id)
    with pytest.raises(TooManySockets):
        open_pages.open("more=", invoice_id)
    scene.billing.now += LIFE + timedelta(seconds=1)
    open_pages.open("more=", invoice_id)
    assert open_pages.forget_expired() == MAX_OF_INVOICE
    assert stored(scene) == ["more="]


def event(kind: str, connection: str, invoice: str | None, address: str) -> dict[str, object]:
    return {
        "requestContext": {
            "eventType": kind,
            "routeKey": f"${kind.lower()}",
            "connectionId": connection,
            "identity": {"sourceIp": address},
        },
        "queryStringParameters": None if invoice is None else {"invoice": invoice},
    }


def test_a_connection_needs_an_invoice_and_one_address_opens_only_so_many(
    scene: CheckoutScene,
) -> None:
    invoice_id, _ = scene.invoice("BTC.bitcoin")
    name = public_id("inv", invoice_id)

    def connect(connection: str, invoice: str | None, address: str = "203.0.113.1") -> object:
        return sockets.handler(event("CONNECT", connection, invoice, address), None)["statusCode"]

    assert connect("a=", name) == 200
    assert stored(scene) == ["a="]
    unknown = public_id("inv", random_id())
    assert [connect("b=", invoice) for invoice in (None, "inv_x", unknown)] == [404] * 3
    assert connect("no such id!", name) == 500
    for _ in range(room.NEW_OF_ADDRESS):
        connect("a=", unknown, "203.0.113.2")
    assert connect("c=", name, "203.0.113.2") == 429
    assert connect("c=", name, "203.0.113.3") == 200
    left = sockets.handler(event("DISCONNECT", "a=", None, "203.0.113.1"), None)
    assert left == {"statusCode": 200}
    assert stored(scene) == ["c="]


def batch(*bodies: str) -> dict[str, object]:
    return {"Records": [{"messageId": f"m{n}", "body": body} for n, body in enumerate(bodies)]}


def test_pages_that_are_gone_are_told_back_and_forgotten(scene: CheckoutScene) -> None:
    invoice_id, _ = scene.invoice("BTC.bitcoin")
    for connection in ("gone1=", "gone2="):
        pages(scene).open(connection, invoice_id)
    scene.pay(invoice_id)
    (message,) = scene.billing.outbox("sqs:socket-messages")
    # No page of this stage is connected, so the gateway says that they are gone.
    answer = socket_poster.handler(batch(json.dumps(message), "{broken"), None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    queue = wakeup.queue_url("socket-gone")
    found = boto3.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=2)["Messages"]
    answer = socket_gone.handler(batch(found[0]["Body"], "{}"), None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert stored(scene) == []
    assert socket_gone.handler({}, None) == {"removed": 0}


def test_a_gateway_that_does_not_answer_leaves_the_message_in_its_queue(
    scene: CheckoutScene,
) -> None:
    name = "/orion/checkout/sockets/management-url"
    boto3.client("ssm").put_parameter(
        Name=name, Value="http://127.0.0.1:9/live", Type="String", Overwrite=True
    )
    settings.settings.cache_clear()
    body = json.dumps({"v": 1, "trace_id": "ab" * 16, "connections": ["a="]})
    answer = socket_poster.handler(batch(body), None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
