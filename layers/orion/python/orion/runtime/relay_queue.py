"""How a relay speaks with SQS: batches within its quotas, and what a queue took of them."""

from collections.abc import Iterator, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from orion.adapters.mysql.outbox import Unsent
from orion.errors import Unavailable
from orion.runtime.wakeup import queue_url, sqs

# Amazon SQS Developer Guide, "Amazon SQS message quotas": ten messages a call. A message, and all
# of a call together, had 262,144 bytes; queues made since August 2025 take 1 MiB, and those made
# before keep what they have. What counts is the body and each attribute's name, type and value.
BATCH_MESSAGES = 10
MESSAGE_BYTES = BATCH_BYTES = 262_144
_EVENT_ID, _TEXT = "event-id", "String"
_ATTRIBUTE_BYTES = len(_EVENT_ID) + len(_TEXT) + 2 * 16


class QueueRefused(Unavailable):
    """A queue did not take a call, or not all of its messages; what it refused stays unsent."""


def size_bytes(unsent: Unsent) -> int:
    """What a message counts against the quotas."""
    return len(unsent.row.payload) + _ATTRIBUTE_BYTES


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


def send(purpose: str, batch: Sequence[Unsent]) -> frozenset[int]:
    """The places in `batch` of what the queue took. Raises QueueRefused where no call went
    through: it may have taken all of them.
    """
    try:
        answer = sqs().send_message_batch(
            QueueUrl=queue_url(purpose),
            Entries=[
                {
                    "Id": str(place),
                    "MessageBody": unsent.row.payload.decode(),
                    "MessageAttributes": {
                        _EVENT_ID: {"DataType": _TEXT, "StringValue": unsent.row.event_id.hex()}
                    },
                }
                for place, unsent in enumerate(batch)
            ],
        )
    except (BotoCoreError, ClientError) as exc:
        raise QueueRefused("the queue does not answer", queue=purpose) from exc
    return frozenset(int(entry["Id"]) for entry in answer.get("Successful", []))
