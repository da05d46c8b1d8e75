"""A stage for billing's functions: parameters, secrets, queues, a key, and an emptied database."""

import base64
import importlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest

from infra.local.seed import QUOTAS
from orion.ids import public_id
from orion.records import Record
from orion.runtime import (
    billing,
    cache,
    rate_limits,
    rates,
    settings,
    wakeup,
    webhook_sender,
    webhooks,
)
from tests.engine.billing_scene import MERCHANT, TOKEN, BillingScene, scene_of

STAGE = "billing"
TRON_TOKEN = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
SCOPES = (
    "rates:write webhooks:write webhooks:read events:read invoices:write invoices:read"
    " balances:read"
)
KEY_ALIAS = f"alias/orion/{STAGE}/webhook-secrets"
CACHED = (
    settings.settings,
    settings._secret,
    wakeup.sqs,
    wakeup.queue_url,
    billing.billing_store,
    billing.invoices,
    billing.rate_desk,
    billing.progress,
    cache.cache,
    rates.source,
    webhook_sender._secrets,
    webhook_sender._sender,
    rate_limits.live,
    webhooks.deliveries,
    webhooks.stream,
    webhooks.endpoints,
    webhooks.delivery_log,
)


def forget() -> None:
    for cached in CACHED:
        cached.cache_clear()


@pytest.fixture
def stage_scene(
    mysql_admin: Any, aws_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[BillingScene]:
    """A stage with parameters, secrets, queues and a key, and an emptied database."""
    found = scene_of(mysql_admin)
    found.prepare()
    environment = {**aws_engine.environment(), "ORION_STAGE": STAGE, "ORION_MODULE": "billing"}
    environment["ORION_LANE"] = "standard"
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
        "policy/rate-limits": json.dumps(QUOTAS),
        "keys/service-secrets-arn": "arn:aws:kms:eu-west-1:000000000000:key/of-this-stage",
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
    for purpose in (
        "outbox-billing",
        "webhooks",
        "webhooks-slow",
        "webhook-results",
        "webhook-dispatch",
    ):
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
    return answer["statusCode"], json.loads(answer["body"] or "{}")


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


def sqs_event(bodies: list[str]) -> Mapping[str, object]:
    return {"Records": [{"messageId": f"m{n}", "body": body} for n, body in enumerate(bodies)]}
