"""Endpoints, deliveries and events through the functions, as a merchant and its server see them."""

import base64
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import boto3
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from orion.adapters.aws.webhook_secrets import KmsSecretKeeper, KmsSecretReader, SecretUnusable
from orion.errors import Unavailable
from orion.ids import public_id
from orion.records import canonical_json
from orion.runtime import wakeup
from tests.engine.billing_scene import MERCHANT, STRANGER, BillingScene
from tests.engine.billing_stage import KEY_ALIAS, call, run, sqs_event
from tests.engine.billing_stage import stage_scene as scene

__all__ = ["scene"]  # A fixture, used by its name.
pytestmark = pytest.mark.engine
ASKED = {"amount": "25.00", "currency": "EUR", "assets": ["BTC.bitcoin"]}
Got = tuple[str, list[tuple[dict[str, str], bytes]]]


@pytest.fixture
def receiver() -> Iterator[Got]:
    """The URL of a merchant's server, and what it got."""
    got: list[tuple[dict[str, str], bytes]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"thank\nyou")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hooks", got
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_webhook_travels_from_the_outbox_to_the_merchant_and_its_answer_back(
    scene: BillingScene, receiver: Got
) -> None:
    url, got = receiver
    body = {"url": url, "events": ["*"]}
    status, endpoint = call("POST", "/v1/webhook-endpoints", body, key="e1")
    assert status == 201
    replay = call("POST", "/v1/webhook-endpoints", body, key="e1")
    assert replay == (201, {**endpoint, "secret": None})
    secret = base64.b64decode(endpoint["secret"].removeprefix("whsec_"))
    assert len(secret) == 32
    stored = scene.one("SELECT secret_ciphertext FROM orion_billing.webhook_endpoint")
    assert secret not in stored
    call("POST", "/v1/invoices", ASKED, key="k1")

    [wake] = scene.outbox("sqs:webhook-dispatch")
    dispatched = run("webhook_dispatch", sqs_event([canonical_json(wake).decode(), "{broken"]))
    assert dispatched == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    (message,) = scene.outbox("sqs:webhooks")
    texts = [canonical_json(message).decode(), "{broken"]
    sent = run("webhook_sender", sqs_event(texts))
    assert sent == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    ((headers, content),) = got
    assert headers["webhook-id"] == public_id("evt", bytes.fromhex(message["event_id"]))
    assert Webhook(endpoint["secret"]).verify(content, headers)["type"] == "invoice.created"

    answers = boto3.client("sqs").receive_message(
        QueueUrl=wakeup.queue_url("webhook-results"), WaitTimeSeconds=2
    )["Messages"]
    results = [answers[0]["Body"], answers[0]["Body"], "{broken"]
    recorded = run("webhook_results", sqs_event(results))
    assert recorded == {"batchItemFailures": [{"itemIdentifier": "m2"}]}
    assert scene.one("SELECT state FROM orion_billing.webhook_delivery") == "delivered"


def test_a_batch_of_which_nothing_was_sent_fails_as_a_whole(scene: BillingScene) -> None:
    with pytest.raises(Unavailable):
        run("webhook_sender", sqs_event(["{broken"]))


@pytest.mark.parametrize(
    "url,events,code",
    [
        ("http://shop.example.com/h", ["*"], "webhook_url_refused"),
        ("https://10.0.0.1/h", ["*"], "webhook_url_refused"),
        ("https://shop.example.com/h", ["invoice.lost"], "unknown_event_type"),
    ],
)
def test_an_endpoint_that_could_not_work_is_refused(
    scene: BillingScene, url: str, events: list[str], code: str
) -> None:
    status, problem = call("POST", "/v1/webhook-endpoints", {"url": url, "events": events}, key="e")
    assert (status, problem["code"]) == (422, code)
    assert scene.one("SELECT COUNT(*) FROM orion_billing.webhook_endpoint") == 0


def test_a_merchant_has_a_bounded_number_of_endpoints(scene: BillingScene) -> None:
    body = {"url": "https://shop.example.com/h", "events": ["*"]}
    found = [call("POST", "/v1/webhook-endpoints", body, key=f"e{n}") for n in range(17)]
    assert [status for status, _ in found] == [201] * 16 + [422]
    assert found[-1][1]["code"] == "webhook_endpoint_limit"


def test_no_endpoint_is_added_while_too_many_deleted_ones_are_being_cleared(
    scene: BillingScene,
) -> None:
    def added(key: str) -> tuple[int, dict[str, Any]]:
        body = {"url": "https://shop.example.com/h", "events": ["*"]}
        return call("POST", "/v1/webhook-endpoints", body, key=key)

    assert {added(f"e{number}")[0] for number in range(15)} == {201}
    # As deleted ones are whose last delivery is not finished, or not yet seen to be.
    scene.rows("UPDATE orion_billing.webhook_endpoint SET slot = NULL")
    assert added("e15")[0] == 201
    scene.rows("UPDATE orion_billing.webhook_endpoint SET slot = NULL")
    status, problem = added("e16")
    said = (status, problem["code"], problem["retry"])
    assert said == (422, "webhook_endpoint_limit", "later")
    run("webhook_due", {})
    assert added("e16")[0] == 201


def test_a_secret_moved_to_another_endpoint_cannot_be_read(scene: BillingScene) -> None:
    kms = boto3.client("kms")
    ciphertext = KmsSecretKeeper(kms, KEY_ALIAS).encrypt(b"s" * 32, b"1" * 16, MERCHANT)
    reader = KmsSecretReader(kms, KEY_ALIAS)
    assert reader.decrypt(ciphertext, b"1" * 16, MERCHANT) == b"s" * 32
    for endpoint, merchant in ((b"2" * 16, MERCHANT), (b"1" * 16, STRANGER)):
        with pytest.raises(SecretUnusable):
            reader.decrypt(ciphertext, endpoint, merchant)


ENDPOINT = "/v1/webhook-endpoints/{endpoint_id}"
DELIVERY = "/v1/webhook-deliveries/{delivery_id}"


class Pump:
    """Carries messages from the outbox through the functions and back, as the queues would."""

    def __init__(self, scene: BillingScene) -> None:
        self._scene = scene
        self._seen = {"webhook-dispatch": 0, "webhooks": 0, "webhooks-slow": 0}

    def run(self) -> int:
        """Until nothing is left to carry; how many attempts were made."""
        sent = 0
        while any(attempts := [self._carry(purpose) for purpose in self._seen]):
            sent += sum(attempts[1:])
        return sent

    def _carry(self, purpose: str) -> int:
        waiting = self._scene.outbox(f"sqs:{purpose}")[self._seen[purpose] :]
        for message in waiting:
            self._seen[purpose] += 1
            event = sqs_event([canonical_json(message).decode()])
            if purpose == "webhook-dispatch":
                run("webhook_dispatch", event)
            else:
                run("webhook_sender" if purpose == "webhooks" else "webhook_sender_slow", event)
                run("webhook_results", sqs_event([self._answer()]))
        return len(waiting)

    def _answer(self) -> str:
        client, url = boto3.client("sqs"), wakeup.queue_url("webhook-results")
        [found] = client.receive_message(QueueUrl=url, WaitTimeSeconds=2)["Messages"]
        client.delete_message(QueueUrl=url, ReceiptHandle=found["ReceiptHandle"])
        return found["Body"]


def add(url: str, *events: str, key: str = "e1") -> dict[str, Any]:
    status, made = call(
        "POST", "/v1/webhook-endpoints", {"url": url, "events": events or ["*"]}, key=key
    )
    assert status == 201
    return made


def verified(secret: str, request: tuple[dict[str, str], bytes]) -> bool:
    headers, body = request
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


def test_after_a_rotation_both_secrets_verify_until_the_overlap_ends(
    scene: BillingScene, receiver: Got
) -> None:
    url, got = receiver
    made = add(url)
    path, pump = {"endpoint_id": made["id"]}, Pump(scene)
    status, rotated = call("POST", f"{ENDPOINT}/rotate-secret", {}, key="r1", path=path)
    assert (status, rotated["secret"] != made["secret"]) == (200, True)
    again = call("POST", f"{ENDPOINT}/rotate-secret", {}, key="r1", path=path)[1]
    assert again == {**rotated, "secret": None}
    shown = call("GET", ENDPOINT, path=path)[1]
    assert shown["previous_secret_expires_at"] == rotated["previous_secret_expires_at"]
    assert "secret" not in shown
    call("POST", f"{ENDPOINT}/test", key="t1", path=path)
    pump.run()
    assert len(got[0][0]["webhook-signature"].split(" ")) == 2
    assert verified(made["secret"], got[0])
    assert verified(rotated["secret"], got[0])
    call("POST", f"{ENDPOINT}/rotate-secret", {"overlap_s": 0}, key="r2", path=path)
    call("POST", f"{ENDPOINT}/test", key="t2", path=path)
    pump.run()
    assert not verified(made["secret"], got[1])
    assert not verified(rotated["secret"], got[1])


def test_the_overlap_ends_by_itself(scene: BillingScene, receiver: Got) -> None:
    url, got = receiver
    made = add(url)
    path = {"endpoint_id": made["id"]}
    call("POST", f"{ENDPOINT}/rotate-secret", {}, key="r1", path=path)
    scene.rows(
        "UPDATE orion_billing.webhook_endpoint SET previous_secret_until ="
        " previous_secret_until - INTERVAL 1 DAY"
    )
    call("POST", f"{ENDPOINT}/test", key="t1", path=path)
    Pump(scene).run()
    assert not verified(made["secret"], got[0])


def test_a_test_event_goes_to_its_endpoint_alone_whatever_it_wants(
    scene: BillingScene, receiver: Got
) -> None:
    url, got = receiver
    made = add(url, "invoice.settled")
    add(url, "*", key="e2")
    status, sent = call("POST", f"{ENDPOINT}/test", key="t1", path={"endpoint_id": made["id"]})
    Pump(scene).run()
    [(headers, body)] = got
    assert (status, headers["webhook-id"]) == (202, sent["event_id"])
    assert Webhook(made["secret"]).verify(body, headers)["type"] == "webhook_endpoint.test"
    event = call("GET", "/v1/events/{event_id}", path={"event_id": sent["event_id"]})[1]
    assert (event["position"], event["data"]["id"]) == (1, made["id"])
    assert (event["data"]["host"], "url" in event["data"]) == ("127.0.0.1", False)


def test_the_log_shows_each_attempt_and_a_redelivery_has_the_same_event_id(
    scene: BillingScene, receiver: Got
) -> None:
    url, got = receiver
    made = add(url)
    call("POST", "/v1/invoices", ASKED, key="k1")
    pump = Pump(scene)
    pump.run()
    page = call("GET", f"{ENDPOINT}/deliveries", path={"endpoint_id": made["id"]})[1]
    [delivery] = page["data"]
    assert (delivery["state"], delivery["event_type"]) == ("delivered", "invoice.created")
    path = {"delivery_id": delivery["id"]}
    status, asked = call("POST", f"{DELIVERY}/redeliver", key="d1", path=path)
    assert (status, asked["attempt"], asked["state"]) == (202, 2, "queued")
    refused = call("POST", f"{DELIVERY}/redeliver", key="d2", path=path)
    assert (refused[0], refused[1]["code"]) == (409, "webhook_delivery_under_way")
    pump.run()
    assert [headers["webhook-id"] for headers, _ in got] == [delivery["event_id"]] * 2
    attempts = call("GET", DELIVERY, path=path)[1]["attempts"]
    assert [one["attempt"] for one in attempts] == [1, 2]
    assert all(one["status"] == 200 and one["duration_ms"] >= 0 for one in attempts)
    assert {one["answer"] for one in attempts} == {"thank you"}


def test_a_changed_endpoint_is_told_what_it_wants_now_and_a_closed_one_nothing(
    scene: BillingScene, receiver: Got
) -> None:
    url, got = receiver
    made, pump = add("https://shop.example.com/h", "invoice.settled"), Pump(scene)
    path = {"endpoint_id": made["id"]}
    status, changed = call("PATCH", ENDPOINT, {"url": url, "events": ["*"]}, path=path)
    assert (status, changed["url"], changed["events"]) == (200, url, ["*"])
    call("POST", "/v1/invoices", ASKED, key="k1")
    pump.run()
    off = call("PATCH", ENDPOINT, {"enabled": False}, path=path)[1]
    assert (off["enabled"], off["disabled_reason"]) == (False, "merchant")
    call("POST", "/v1/invoices", ASKED, key="k2")
    assert pump.run() == 0
    refused = call("POST", f"{ENDPOINT}/test", key="t1", path=path)
    assert (refused[0], refused[1]["code"]) == (409, "webhook_endpoint_disabled")
    assert call("PATCH", ENDPOINT, {"enabled": True}, path=path)[1]["enabled"]
    call("POST", "/v1/invoices", ASKED, key="k3")
    pump.run()
    assert call("DELETE", ENDPOINT, path=path)[0] == 204
    call("POST", "/v1/invoices", ASKED, key="k4")
    assert pump.run() == 0
    assert len(got) == 2
    assert call("GET", ENDPOINT, path=path)[1]["code"] == "webhook_endpoint_not_found"
    assert call("GET", "/v1/webhook-endpoints")[1] == {"data": []}
    types = [event["type"] for event in call("GET", "/v1/events")[1]["data"]]
    told_of = ["webhook_endpoint.disabled", "webhook_endpoint.enabled"]
    created = ["invoice.created"] * 2
    assert types == [created[0], told_of[0], created[0], told_of[1], *created]


def test_an_endpoint_is_not_enabled_before_the_schedule_has_given_up_what_waited(
    scene: BillingScene, receiver: Got
) -> None:
    made = add(receiver[0])
    path = {"endpoint_id": made["id"]}
    call("POST", "/v1/invoices", ASKED, key="k1")
    call("PATCH", ENDPOINT, {"enabled": False}, path=path)
    # As a transaction leaves it that had seen the endpoint before.
    scene.rows(
        "UPDATE orion_billing.webhook_delivery SET state = 'waiting', due_at = %s", scene.now
    )
    refused = call("PATCH", ENDPOINT, {"enabled": True}, path=path)
    assert (refused[0], refused[1]["code"]) == (409, "webhook_endpoint_closing")
    assert run("webhook_due", {}) == {"changes": 1}
    assert call("PATCH", ENDPOINT, {"enabled": True}, path=path)[1]["enabled"]


def test_the_schedule_ends_what_was_stored_beside_the_deletion_of_its_endpoint(
    scene: BillingScene, receiver: Got
) -> None:
    made = add(receiver[0])
    call("POST", "/v1/invoices", ASKED, key="k1")
    scene.rows("DELETE FROM orion_billing.webhook_endpoint")
    assert run("webhook_due", {}) == {"changes": 1}
    states = "SELECT state, last_error FROM orion_billing.webhook_delivery"
    assert scene.rows(states) == [("given_up", "endpoint_deleted")]
    assert call("GET", ENDPOINT, path={"endpoint_id": made["id"]})[0] == 404


def test_a_stranger_sees_neither_endpoint_nor_delivery_nor_event(
    scene: BillingScene, receiver: Got
) -> None:
    made = add(receiver[0])
    call("POST", "/v1/invoices", ASKED, key="k1")
    Pump(scene).run()
    endpoint = {"endpoint_id": made["id"]}
    [delivery] = call("GET", f"{ENDPOINT}/deliveries", path=endpoint)[1]["data"]
    one = {"delivery_id": delivery["id"]}
    event = {"event_id": delivery["event_id"]}
    tried = [
        call("GET", ENDPOINT, path=endpoint, merchant=STRANGER),
        call("PATCH", ENDPOINT, {"enabled": False}, path=endpoint, merchant=STRANGER),
        call("DELETE", ENDPOINT, path=endpoint, merchant=STRANGER),
        call("POST", f"{ENDPOINT}/rotate-secret", {}, key="s1", path=endpoint, merchant=STRANGER),
        call("POST", f"{ENDPOINT}/test", key="s2", path=endpoint, merchant=STRANGER),
        call("GET", f"{ENDPOINT}/deliveries", path=endpoint, merchant=STRANGER),
        call("GET", DELIVERY, path=one, merchant=STRANGER),
        call("POST", f"{DELIVERY}/redeliver", key="s3", path=one, merchant=STRANGER),
        call("GET", "/v1/events/{event_id}", path=event, merchant=STRANGER),
    ]
    assert {status for status, _ in tried} == {404}
    assert call("GET", "/v1/events", merchant=STRANGER)[1]["data"] == []
