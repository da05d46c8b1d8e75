"""The checkout page served to a real browser: the product's own handlers over a real database."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import boto3

from orion.ids import parse_public_id
from orion.runtime import billing, cache, checkout, settings, sockets, status_cache, wakeup
from orion.runtime import http as entry
from orion.runtime.rate_limits import Limits
from tests.engine.billing_scene import TOKEN, BillingScene, scene_of
from tests.engine.page_gateway import gateway

ROOT = Path(__file__).parents[2]
STAGE = "checkout"
HANDLERS = checkout.handlers(ROOT / "web" / "checkout", ROOT / "web" / "shared")
UNLIMITED = Limits({}, lambda key, window_s: None, time.time, lambda: None)
SECRETS_ARN = "arn:aws:kms:eu-west-1:000000000000:key/6f1d1c1e-95a1-4d0c-9a5e-3f0e1b7a2c44"
QUEUES = ("outbox-billing", "socket-messages", "socket-gone")
_CACHED: tuple[Any, ...] = (
    settings.settings,
    settings._secret,
    wakeup.sqs,
    wakeup.queue_url,
    billing.billing_store,
    billing.places,
    billing.invoices,
    billing.progress,
    cache.cache,
    status_cache.statuses,
    sockets._sockets,
)


def forget() -> None:
    """The product reads its stage once a process; tests have several."""
    for cached in _CACHED:
        cached.cache_clear()


def parameters_of(admin: Any, memcached: str, **more: str) -> dict[str, str]:
    """What a stage must know to show and change invoices."""
    return {
        **{f"mysql/{way}-host": admin.host for way in ("proxy", "writer")},
        **{f"mysql/{way}-port": str(admin.port) for way in ("proxy", "writer")},
        **{f"mysql/{way}-ca-pem": admin.ca_pem for way in ("proxy", "writer")},
        "memcached/servers": memcached,
        "keys/service-secrets-arn": SECRETS_ARN,
        "sockets/url": "none",
        "api/standard-url": "https://pay.example",
        "api/vip-url": "https://vip.example",
        "chains/networks": json.dumps({"bitcoin": "regtest", "ethereum": "31337"}),
        "chains/contracts": json.dumps({"USDT.ethereum": TOKEN}),
        "policy/confirmations": json.dumps(
            {"bitcoin": {"settled": 2, "final": 3}, "ethereum": {"settled": 3, "final": 5}}
        ),
        "webhooks/allowed-private-networks": "none",
        **more,
    }


@dataclass
class CheckoutScene:
    """A stage of its own over an emptied database."""

    billing: BillingScene
    base_url: str = ""

    def invoice(self, *assets: str, key: str = "k1") -> tuple[bytes, str]:
        """A new invoice that is payable now, and the address of its page."""
        made = json.loads(self.billing.create(key, *assets).body)
        return parse_public_id("inv", made["id"]), f"{self.base_url}/checkout/{made['id']}"

    def force(self, invoice_id: bytes, status: str) -> None:
        """Another status without its facts: for looking at what the page makes of it."""
        self.billing.rows(
            "UPDATE orion_billing.invoice SET status = %s WHERE invoice_id = %s", status, invoice_id
        )
        status_cache.statuses().changed([invoice_id])

    def pay(self, invoice_id: bytes, version: int = 1, **fields: object) -> int:
        """A deposit's event, through what the consumer calls; how many changes it caused."""
        record = self.billing.deposit(invoice_id, version, **fields)
        return billing.progress().apply_deposits([record])


@contextmanager
def checkout_stage(
    admin: Any, aws: Any, memcached: str, setenv: Callable[[str, str], None], **more: str
) -> Iterator[CheckoutScene]:
    """Parameters, secrets and queues of one stage."""
    found = scene_of(admin)
    found.now = datetime.now(UTC)
    found.prepare()
    found.rows("DELETE FROM orion_billing.socket_connection")
    environment = {**aws.environment(), "ORION_STAGE": STAGE, "ORION_MODULE": "billing"}
    for name, value in environment.items():
        setenv(name, value)
    ssm, secrets = boto3.client("ssm"), boto3.client("secretsmanager")
    for name, value in parameters_of(admin, memcached, **more).items():
        ssm.put_parameter(Name=f"/orion/{STAGE}/{name}", Value=value, Type="String", Overwrite=True)
    login = json.dumps({"username": found.config.user, "password": found.config.password})
    secret = f"orion/{STAGE}/mysql/billing"
    if not any(row["Name"] == secret for row in secrets.list_secrets()["SecretList"]):
        secrets.create_secret(Name=secret, SecretString=login)
    for purpose in QUEUES:
        boto3.client("sqs").create_queue(QueueName=f"orion-{STAGE}-{purpose}")
    forget()
    try:
        yield CheckoutScene(found)
    finally:
        forget()
        found.close()


def event_of(path: str, headers: Mapping[str, str]) -> Mapping[str, object]:
    """A GET as API Gateway's REST proxy hands it over."""
    parts = urlsplit(path)
    names = parts.path.strip("/").split("/")
    if names[1:2] == ["assets"]:
        resource, params = "/checkout/assets/{file}", {"file": names[-1]}
    else:
        tail = "/status" if names[-1] == "status" else ""
        resource, params = f"/checkout/{{invoice_id}}{tail}", {"invoice_id": names[1]}
    return {
        "httpMethod": "GET",
        "resource": resource,
        "pathParameters": params,
        "queryStringParameters": dict(parse_qsl(parts.query)) or None,
        "headers": {name.lower(): value for name, value in headers.items()},
        "body": None,
        "isBase64Encoded": False,
        "requestContext": {"identity": {"sourceIp": "203.0.113.9"}},
    }


@contextmanager
def served() -> Iterator[str]:
    """A gateway in front of the handlers; its base URL."""
    with gateway(
        lambda method, path, headers, body: entry.serve(
            event_of(path, headers), HANDLERS, UNLIMITED
        )
    ) as url:
        yield url
