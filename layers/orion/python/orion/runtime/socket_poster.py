"""Tells open pages to look again, through API Gateway's management API. Runs outside the network:
neither database nor Kafka.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from functools import cache
from typing import Any, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from orion.billing.sockets import MAX_OF_INVOICE, read_connections
from orion.ids import random_id
from orion.records import canonical_json, parse_json
from orion.runtime.log import logger
from orion.runtime.settings import settings
from orion.runtime.wakeup import queue_url, sqs

MANAGEMENT_URL = "sockets/management-url"
GONE_QUEUE = "socket-gone"
# A page that is not told now looks by itself within a minute: no long waits, one repeat.
_CLIENT = Config(
    connect_timeout=2,
    read_timeout=3,
    max_pool_connections=MAX_OF_INVOICE,
    retries={"mode": "standard", "max_attempts": 2},
)
_LOOK_AGAIN = b'{"v":1,"type":"changed"}'


class Told(StrEnum):
    """What became of one post."""

    YES = "yes"
    GONE = "gone"
    FAILED = "failed"


@cache
def _management() -> Any:  # No types of this service are published with boto3's own.
    url = settings().text(MANAGEMENT_URL)
    session: Any = boto3
    return session.client("apigatewaymanagementapi", endpoint_url=url, config=_CLIENT)


def post_batch(event: Mapping[str, object]) -> Mapping[str, object]:
    """One batch of the queue `socket-messages`; messages of which a post failed are named
    (ReportBatchItemFailures). A repeated post says the same again, which harms nobody.
    """
    log = logger()
    failed: list[Mapping[str, str]] = []
    gone: list[str] = []
    with ThreadPoolExecutor(MAX_OF_INVOICE) as threads:
        for message in cast(Sequence[Mapping[str, str]], event.get("Records") or []):
            try:
                connections = read_connections(parse_json(message["body"].encode()))
                told = dict(zip(connections, threads.map(_post, connections), strict=True))
            except Exception:
                # The queue keeps the message, counts its tries and sets it aside in the end.
                log.exception("message to pages not read")
                failed.append({"itemIdentifier": message["messageId"]})
                continue
            gone += [name for name, outcome in told.items() if outcome is Told.GONE]
            if Told.FAILED in told.values():
                failed.append({"itemIdentifier": message["messageId"]})
    if gone:
        _tell_gone(sorted(set(gone)))
    log.info("pages told", extra={"gone": len(gone), "failed": len(failed)})
    return {"batchItemFailures": failed}


def _post(connection_id: str) -> Told:
    management = _management()
    try:
        management.post_to_connection(ConnectionId=connection_id, Data=_LOOK_AGAIN)
    except management.exceptions.GoneException:
        return Told.GONE
    except (BotoCoreError, ClientError) as exc:
        logger().warning("page not told", extra={"error": type(exc).__name__})
        return Told.FAILED
    return Told.YES


def _tell_gone(connections: Sequence[str]) -> None:
    """Ten messages hold at most 80 names. A lost one costs a row that lives for two hours."""
    body = {"v": 1, "trace_id": random_id().hex(), "connections": list(connections)}
    try:
        sqs().send_message(
            QueueUrl=queue_url(GONE_QUEUE), MessageBody=canonical_json(body).decode()
        )
    except (BotoCoreError, ClientError) as exc:
        logger().warning("gone pages not told", extra={"error": type(exc).__name__})
