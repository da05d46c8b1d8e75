"""How a relay speaks with SQS: batches within its quotas, and what a queue took of them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from orion.adapters.mysql.outbox import Unsent
from orion.errors import Unavailable
from orion.runtime.settings import stage

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

# Amazon SQS Developer Guide, "Amazon SQS message quotas": ten messages a call. A message, and all
# of a call together, had 262,144 bytes; queues made since August 2025 take 1 MiB, and those made
# before keep what they have. What counts is the body and each attribute's name, type and value.
BATCH_MESSAGES = 10
MESSAGE_BYTES = BATCH_BYTES = 262_144
_EVENT_ID, _TEXT = "event-id", "String"
_ATTRIBUTE_BYTES = len(_EVENT_ID) + len(_TEXT) + 2 * 16
# A queue that hangs costs the others 4 s: the relay itself tries again, when they have theirs.
_CLIENT = Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1})
_WHY_LENGTH = 300
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")


class QueueRefused(Unavailable):
    """A queue did not take a call, or not all of its messages; what it refused stays unsent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """By place in the batch: what the queue took, and why it will never take others. What is in
    neither it may take another time.
    """

    taken: frozenset[int]
    never: Mapping[int, str]


def text_of(unsent: Unsent) -> str:
    """The payload in ASCII, the same JSON: beyond ASCII are characters of its texts only, and SQS
    does not take all of them (Amazon SQS API Reference, `SendMessageBatch`).
    """
    text = unsent.row.payload.decode()
    if text.isascii():
        return text
    return _BEYOND_ASCII.sub(lambda found: json.dumps(found[0], ensure_ascii=True)[1:-1], text)


def size_bytes(unsent: Unsent) -> int:
    """What a message counts against the quotas."""
    return len(text_of(unsent)) + _ATTRIBUTE_BYTES


def batches(rows: Sequence[Unsent]) -> Iterator[Sequence[Unsent]]:
    """`rows`, none of them too large by itself, in order in as few calls as the quotas allow."""
    batch: list[Unsent] = []
    left_bytes = BATCH_BYTES
    for unsent in rows:
        size = size_bytes(unsent)
        if batch and (len(batch) == BATCH_MESSAGES or size > left_bytes):
            yield batch
            batch, left_bytes = [], BATCH_BYTES
        batch.append(unsent)
        left_bytes -= size
    if batch:
        yield batch


def send(purpose: str, batch: Sequence[Unsent]) -> Answer:
    """What the queue says of each. Raises QueueRefused where no call went through: it may have
    taken all of them.
    """
    try:
        answer = _sqs().send_message_batch(
            QueueUrl=_queue_url(purpose),
            Entries=[
                {
                    "Id": str(place),
                    "MessageBody": text_of(unsent),
                    "MessageAttributes": {
                        _EVENT_ID: {"DataType": _TEXT, "StringValue": unsent.row.event_id.hex()}
                    },
                }
                for place, unsent in enumerate(batch)
            ],
        )
    except (BotoCoreError, ClientError) as exc:
        raise QueueRefused("the queue does not answer", queue=purpose) from exc
    return Answer(
        frozenset(int(entry["Id"]) for entry in answer.get("Successful", [])),
        {
            int(entry["Id"]): f"{entry['Code']}: {entry.get('Message', '')}"[:_WHY_LENGTH]
            for entry in answer.get("Failed", [])
            if entry["SenderFault"]
        },
    )


@cache
def _sqs() -> "SQSClient":
    return boto3.client("sqs", config=_CLIENT)


@cache
def _queue_url(purpose: str) -> str:
    return _sqs().get_queue_url(QueueName=f"orion-{stage()}-{purpose}")["QueueUrl"]
