"""Tells open pages to look again, through API Gateway's management API. Runs outside the network:
neither database nor Kafka.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from functools import cache
from time import monotonic
from typing import Any, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from orion.billing.sockets import MAX_TOLD, read_connections
from orion.ids import random_id
from orion.records import canonical_json, parse_json
from orion.runtime.log import logger
from orion.runtime.settings import settings, stage

MANAGEMENT_URL = "sockets/management-url"
GONE_QUEUE = "socket-gone"
# Ten messages of billing's own name at most 80 pages: two rounds.
POSTS_AT_ONCE = 40
# A page that is not told now looks by itself within a minute: no long waits, one repeat. One post
# takes at most twice both time-outs and, between them, a pause of 1 s (botocore, standard mode).
_CONNECT_S, _ANSWER_S, _ATTEMPTS = 2, 3, 2
POST_MAX_S = _ATTEMPTS * (_CONNECT_S + _ANSWER_S) + 1
# Posts that would begin later are left to the next receive of their message: with what a begun one
# takes and with the telling of who is gone, a batch stays below the function's time-out of 30 s.
BEGIN_WITHIN_S = 12.0
_CLIENT = Config(
    connect_timeout=_CONNECT_S,
    read_timeout=_ANSWER_S,
    max_pool_connections=POSTS_AT_ONCE,
    retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
)
# Who is gone is told in what is left then, in two calls of one try each.
TELL_MAX_S = 6
_TELLER = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
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
    begin_by = monotonic() + BEGIN_WITHIN_S
    log = logger()
    wanted: dict[str, Sequence[str]] = {}
    failed: list[str] = []
    for message in cast(Sequence[Mapping[str, str]], event.get("Records") or []):
        try:
            wanted[message["messageId"]] = read_connections(parse_json(message["body"].encode()))
        except Exception:
            # The queue keeps the message, counts its tries and sets it aside in the end.
            log.exception("message to pages not read")
            failed.append(message["messageId"])
    told = _post_all({name for names in wanted.values() for name in names}, begin_by)
    gone = sorted(name for name, outcome in told.items() if outcome is Told.GONE)
    failed += [
        message_id
        for message_id, names in wanted.items()
        if any(told[name] is Told.FAILED for name in names)
    ]
    if gone:
        _tell_gone(gone[:MAX_TOLD])
    log.info("pages told", extra={"gone": len(gone), "failed": len(failed)})
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _post_all(connections: Collection[str], begin_by: float) -> Mapping[str, Told]:
    """What became of each. Never raises: who is gone is told, whatever else happened."""
    if not connections:
        return {}
    log = logger()
    try:
        management = _management()
    except Exception:
        log.exception("no way to the pages")
        return dict.fromkeys(connections, Told.FAILED)

    def post(connection_id: str) -> Told:
        if monotonic() >= begin_by:
            return Told.FAILED
        try:
            management.post_to_connection(ConnectionId=connection_id, Data=_LOOK_AGAIN)
        except management.exceptions.GoneException:
            return Told.GONE
        except (BotoCoreError, ClientError) as exc:
            log.warning("page not told", extra={"error": type(exc).__name__})
            return Told.FAILED
        except Exception:
            log.exception("page not told")
            return Told.FAILED
        return Told.YES

    with ThreadPoolExecutor(POSTS_AT_ONCE) as threads:
        return dict(zip(connections, threads.map(post, connections), strict=True))


def _tell_gone(connections: Sequence[str]) -> None:
    """Ten messages hold at most 80 names. A lost one costs a row that lives for two hours."""
    body = {"v": 1, "trace_id": random_id().hex(), "connections": list(connections)}
    try:
        sqs = boto3.client("sqs", config=_TELLER)
        url = sqs.get_queue_url(QueueName=f"orion-{stage()}-{GONE_QUEUE}")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=canonical_json(body).decode())
    except (BotoCoreError, ClientError) as exc:
        logger().warning("gone pages not told", extra={"error": type(exc).__name__})
