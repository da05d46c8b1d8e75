"""The composition of the webhook sender, which runs outside the network: KMS, SQS and strangers,
nothing else.
"""

import base64
import binascii
import ssl
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from orion.adapters.aws.webhook_secrets import KmsSecretReader, SecretUnusable
from orion.adapters.webhook.sender import Attempt, WebhookSender
from orion.billing.delivery import Outcome
from orion.billing.reading import Fields
from orion.errors import Unavailable
from orion.ids import public_id
from orion.records import MalformedRecord, canonical_json, parse_json
from orion.runtime.clock import now
from orion.runtime.log import logger
from orion.runtime.settings import AWS_CLIENT, settings
from orion.runtime.wakeup import queue_url, sqs
from orion.runtime.webhook_targets import allowed_private_networks

BATCH_MAX = (
    10  # Messages of one invocation, each in a thread: a slow endpoint delays none of the others.
)
_BODY_MAX = 900_000


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt to make."""

    trace_id: str
    delivery_id: bytes
    event_id: bytes
    endpoint_id: bytes
    merchant_id: bytes
    url: str
    secrets: tuple[bytes, ...]
    body: bytes
    attempt: int


def read_task(text: str) -> Task:
    """Raises MalformedRecord."""
    fields = Fields(parse_json(text.encode()))
    secrets = fields.texts("secrets", max_items=2, max_length=4_096)
    try:
        ciphertexts = tuple(base64.b64decode(one, validate=True) for one in secrets)
    except binascii.Error as exc:
        raise MalformedRecord("a secret is not base 64") from exc
    return Task(
        trace_id=fields.trace_id(),
        delivery_id=fields.id("delivery_id"),
        event_id=fields.id("event_id"),
        endpoint_id=fields.id("endpoint_id"),
        merchant_id=fields.id("merchant_id"),
        url=fields.text("url", max_length=4_096),
        secrets=ciphertexts,
        body=fields.text("body", max_length=_BODY_MAX).encode(),
        attempt=fields.integer("attempt", maximum=1_000),
    )


@cache
def _secrets() -> KmsSecretReader:
    kms = boto3.client("kms", config=AWS_CLIENT)
    return KmsSecretReader(kms, f"alias/orion/{settings().stage}/webhook-secrets")


@cache
def _sender() -> WebhookSender:
    return WebhookSender(allowed_private_networks(settings()), ssl.create_default_context())


def send_batch(event: Mapping[str, object]) -> Mapping[str, object]:
    """One SQS event: each message attempted once and answered. Messages without an answer sent are
    named as failed.
    """
    logger()
    records = event.get("Records")
    messages: Sequence[Mapping[str, str]] = records if isinstance(records, list) else []
    # Built before the threads start, so that they share one of each.
    _secrets(), _sender(), queue_url("webhook-results")
    with ThreadPoolExecutor(max_workers=BATCH_MAX) as pool:
        done = list(pool.map(_handled, messages))
    if messages and not any(done):
        # Also right where the mapping reads no list of failures, as with batches of one.
        raise Unavailable("no webhook of this batch was attempted")
    return {
        "batchItemFailures": [
            {"itemIdentifier": message["messageId"]}
            for message, handled in zip(messages, done, strict=True)
            if not handled
        ]
    }


def _handled(message: Mapping[str, str]) -> bool:
    log = logger()
    try:
        task = read_task(message["body"])
        at = now()
        attempt = _attempt(task)
        sqs().send_message(
            QueueUrl=queue_url("webhook-results"), MessageBody=_answer(task, attempt, at)
        )
    except (MalformedRecord, Unavailable, BotoCoreError, ClientError):
        # The queue repeats the message, and sets it aside in the end; the receiver knows a repeat
        # by its id.
        log.exception("webhook not attempted or not answered")
        return False
    log.info(
        "webhook attempted",
        extra={
            "trace": task.trace_id,
            "delivery": task.delivery_id.hex(),
            "outcome": attempt.outcome.value,
            "status": attempt.status,
            "duration_ms": attempt.duration_ms,
        },
    )
    return True


def _attempt(task: Task) -> Attempt:
    try:
        secrets = [
            _secrets().decrypt(one, task.endpoint_id, task.merchant_id) for one in task.secrets
        ]
    except SecretUnusable as exc:
        return Attempt(Outcome.REFUSED, None, exc.code, 0)
    return _sender().send(
        task.url, public_id("evt", task.event_id), task.body, secrets, int(time.time())
    )


def _answer(task: Task, attempt: Attempt, at: datetime) -> str:
    return canonical_json(
        {
            "v": 1,
            "trace_id": task.trace_id,
            "delivery_id": task.delivery_id.hex(),
            "attempt": task.attempt,
            "outcome": attempt.outcome.value,
            "status": attempt.status,
            "error": attempt.error,
            "at": at.isoformat(timespec="milliseconds"),
            "duration_ms": attempt.duration_ms,
            "answer": attempt.answer,
        }
    ).decode()
