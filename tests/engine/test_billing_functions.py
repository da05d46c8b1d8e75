"""Billing's functions as Lambda runs them: true events in, settings from SSM, secrets under KMS."""

import base64
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import pytest
from standardwebhooks import Webhook

from orion.adapters.aws.webhook_secrets import KmsSecretKeeper, KmsSecretReader, SecretUnusable
from orion.errors import Unavailable
from orion.ids import public_id
from orion.records import Record, canonical_json
from orion.runtime import billing, cache, rates, settings, wakeup, webhook_sender
from tests.engine.billing_scene import MERCHANT, STRANGER, TOKEN, BillingScene, scene_of

pytestmark = pytest.mark.engine
ROOT = Path(__file__).parents[2]
STAGE = "billing"
TRON_TOKEN = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
SCOPES = "rates:write webhooks:write invoices:write invoices:read balances:read"
KEY_ALIAS = f"alias/orion/{STAGE}/webhook-secrets"
CACHED = (
    settings.settings,
    settings._secret,
    wakeup.sqs,
    wakeup.queue_url,
    billing._store,
    billing.invoices,
    billing.rate_desk,
    billing.progress,
    billing.deliveries,
    cache.cache,
    rates.source,
    webhook_sender._secrets,
    webhook_sender._sender,
)


def forget() -> None:
    for cached in CACHED:
        cached.cache_clear()


@pytest.fixture
def scene(
    mysql_admin: Any, aws_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[BillingScene]:
    """A stage with parameters, secrets, queues and a key, and an emptied database."""
    found = scene_of(mysql_admin)
    found.prepare()
    environment = {**aws_engine.environment(), "ORION_STAGE": STAGE, "ORION_MODULE": "billing"}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    parameters = {
        "mysql/proxy-host": mysql_admin.host,
        "mysql/proxy-port": str(mysql_admin.port),
        "mysql/writer-host": mysql_admin.host,
        "mysql/writer-port": str(mysql_admin.port),
        "mysql/writer-ca-pem": mysql_admin.ca_pem,
        "mysql/proxy-ca-pem": mysql_admin.ca_pem,
        "api/standard-url": "https://pay.example",
        "api/vip-url": "https://vip.example",
        # Wallets have four addresses, but nobody watches the last two chains.
        "chains/networks": json.dumps(
            {"bitcoin": "regtest", "ethereum": "31337", "tron": "private", "solana": "localnet"}
        ),
        "chains/contracts": json.dumps({"USDT.ethereum": TOKEN, "USDT.tron": TRON_TOKEN}),
        "policy/confirmations": json.dumps(
            {"bitcoin": {"settled": 2, "final": 3}, "ethereum": {"settled": 3, "final": 5}}
        ),
        "webhooks/allowed-private-networks": '["127.0.0.0/8"]',
    }
    ssm, kms, sqs = boto3.client("ssm"), boto3.client("kms"), boto3.client("sqs")
    for name, value in parameters.items():
        ssm.put_parameter(Name=f"/orion/{STAGE}/{name}", Value=value, Type="String", Overwrite=True)
    secrets = boto3.client("secretsmanager")
    login = {"username": found.config.user, "password": found.config.password}
    name = f"orion/{STAGE}/mysql/billing"
    if not any(row["Name"] == name for row in secrets.list_secrets()["SecretList"]):
        secrets.create_secret(Name=name, SecretString=json.dumps(login))
    if not any(row["AliasName"] == KEY_ALIAS for row in kms.list_aliases()["Aliases"]):
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName=KEY_ALIAS, TargetKeyId=key)
    for purpose in ("outbox-billing", "webhooks", "webhook-results"):
        queue = sqs.create_queue(QueueName=f"orion-{STAGE}-{purpose}")["QueueUrl"]
        sqs.purge_queue(QueueUrl=queue)
    forget()
    yield found
    forget()
    found.close()


def run(file: str, event: Mapping[str, object]) -> Any:
    return importlib.import_module(f"functions.billing.{file}").handler(event, None)


def call(
    method: str,
    resource: str,
    body: object = None,
    *,
    key: str | None = None,
    merchant: bytes = MERCHANT,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> tuple[int, dict[str, Any]]:
    """One request as API Gateway hands it over after the authorizer; `body` as text is sent as it
    stands.
    """
    event = {
        "httpMethod": method,
        "resource": resource,
        "pathParameters": path,
        "queryStringParameters": query,
        "headers": {"idempotency-key": key} if key else {},
        "body": body if isinstance(body, str) or body is None else json.dumps(body),
        "isBase64Encoded": False,
        "requestContext": {
            "identity": {"sourceIp": "203.0.113.9"},
            "authorizer": {
                "merchant_id": public_id("mer", merchant),
                "key_id": public_id("key", b"k" * 16),
                "scopes": SCOPES,
                "lane": "standard",
            },
        },
    }
    answer = run("api", event)
    return answer["statusCode"], json.loads(answer["body"])


ASKED = {"amount": "25.00", "currency": "EUR", "assets": ["BTC.bitcoin"]}


def test_an_invoice_is_created_read_listed_and_paid_through_the_functions(
    scene: BillingScene,
) -> None:
    status, invoice = call("POST", "/v1/invoices", ASKED, key="k1")
    assert status == 201
    assert invoice["checkout_url"] == f"https://pay.example/checkout/{invoice['id']}"
    path = {"invoice_id": invoice["id"]}
    assert call("GET", "/v1/invoices/{invoice_id}", path=path) == (200, invoice)
    assert call("GET", "/v1/invoices", query={"limit": "1"})[1]["data"] == [invoice]
    code = call("GET", "/v1/invoices/{invoice_id}", path=path, merchant=STRANGER)
    assert (code[0], code[1]["code"]) == (404, "invoice_not_found")
    invoice_id = scene.one("SELECT invoice_id FROM orion_billing.invoice")
    run("deposits", kafka_event(scene.deposit(invoice_id, 1, state="confirmed")))
    run("ledger_posted", kafka_event(scene.posted()))
    assert call("GET", "/v1/invoices/{invoice_id}", path=path)[1]["status"] == "settled"
    assert run("expiry", {}) == run("webhook_due", {}) == {"changes": 0}


def kafka_event(record: Record) -> Mapping[str, object]:
    row = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": 0,
        "key": "",
        "value": base64.b64encode(record.value).decode(),
        "headers": [],
    }
    return {"eventSource": "aws:kafka", "records": {f"{record.topic}-0": [row]}}


@pytest.mark.parametrize(
    "body,status,code",
    [
        ("{", 400, "malformed_json"),
        ('{"amount": 25.00, "currency": "EUR", "assets": ["BTC.bitcoin"]}', 400, "malformed_json"),
        ('{"amount": 1e3, "currency": "EUR", "assets": ["BTC.bitcoin"]}', 400, "malformed_json"),
        ({**ASKED, "amount": 25}, 400, "malformed_field"),
        ({**ASKED, "amount": "1e3"}, 422, "malformed_amount"),
        ({**ASKED, "amount": "1" + "0" * 40}, 422, "amount_too_large"),
        ({**ASKED, "amount": "-1"}, 422, "amount_not_positive"),
        ({**ASKED, "amount": "1.001"}, 422, "inexact_amount"),
        ({**ASKED, "assets": ["DOGE.dogecoin"]}, 422, "unknown_asset"),
        # A chain that the stage has addresses on and does not follow.
        ({**ASKED, "assets": ["TRX.tron"]}, 422, "unknown_asset"),
        ({**ASKED, "assets": ["USDT.tron"]}, 422, "unknown_asset"),
        ({**ASKED, "assets": ["SOL.solana"]}, 422, "unknown_asset"),
        ({**ASKED, "assets": ["BTC.bitcoin", "SOL.solana"]}, 422, "unknown_asset"),
        ({**ASKED, "assets": []}, 400, "malformed_field"),
        ({**ASKED, "price": "1"}, 400, "unknown_field"),
        ({"amount": "1", "currency": "EUR"}, 400, "missing_field"),
        ({**ASKED, "expires_in_s": 0}, 400, "malformed_field"),
    ],
)
def test_bad_input_is_a_problem_with_a_stable_code_and_writes_nothing(
    scene: BillingScene, body: object, status: int, code: str
) -> None:
    found, problem = call("POST", "/v1/invoices", body, key="k1")
    assert (found, problem["code"]) == (status, code)
    assert scene.one("SELECT COUNT(*) FROM orion_billing.idempotency") == 0
    assert scene.one("SELECT COUNT(*) FROM orion_moneyin.wallet WHERE state = 'assigned'") == 0


def test_an_invoice_without_an_idempotency_key_is_refused(scene: BillingScene) -> None:
    status, problem = call("POST", "/v1/invoices", ASKED)
    assert (status, problem["code"]) == (400, "idempotency_key_missing")


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """The URL of a merchant's server, and what it got."""
    got: list[tuple[dict[str, str], bytes]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(200)
            self.end_headers()

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
    scene: BillingScene, receiver: tuple[str, list[tuple[dict[str, str], bytes]]]
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


def sqs_event(bodies: list[str]) -> Mapping[str, object]:
    return {"Records": [{"messageId": f"m{n}", "body": body} for n, body in enumerate(bodies)]}


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


def test_a_secret_moved_to_another_endpoint_cannot_be_read(scene: BillingScene) -> None:
    kms = boto3.client("kms")
    ciphertext = KmsSecretKeeper(kms, KEY_ALIAS).encrypt(b"s" * 32, b"1" * 16, MERCHANT)
    reader = KmsSecretReader(kms, KEY_ALIAS)
    assert reader.decrypt(ciphertext, b"1" * 16, MERCHANT) == b"s" * 32
    for endpoint, merchant in ((b"2" * 16, MERCHANT), (b"1" * 16, STRANGER)):
        with pytest.raises(SecretUnusable):
            reader.decrypt(ciphertext, endpoint, merchant)


def test_request_functions_import_neither_a_kafka_client_nor_the_senders_http() -> None:
    program = (
        "import sys, orion.runtime.billing as b;"
        "print([m for m in sys.modules if m.split('.')[0] in ('kafka', 'confluent_kafka')"
        " or m.startswith('orion.adapters.webhook') or m == 'orion.adapters.kafka.producer'])"
    )
    environment = {"PYTHONPATH": str(ROOT / "layers/orion/python")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
