"""The entry of Kafka consumers: from a true `aws:kafka` event to the records of each partition, in
order.

Form of the event: AWS Lambda Developer Guide, "Using Lambda with Amazon MSK".
"""

import base64
import binascii
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar, cast

from orion.records import MalformedRecord, Record, parse_json

__all__ = ["MalformedRecord", "Record", "each_partition", "parse_json", "partitions"]

T = TypeVar("T")


def partitions(event: Mapping[str, object]) -> Sequence[Sequence[Record]]:
    """The records of each partition, by rising offset. Raises MalformedRecord when this is not such
    an event.
    """
    by_partition = event.get("records")
    if event.get("eventSource") not in ("aws:kafka", "SelfManagedKafka") or not isinstance(
        by_partition, dict
    ):
        raise MalformedRecord("not an event of a Kafka event source mapping")
    return [
        sorted((_record(row) for row in rows), key=lambda record: record.offset)
        for _, rows in sorted(
            cast(Mapping[str, Sequence[Mapping[str, object]]], by_partition).items()
        )
    ]


def each_partition(
    event: Mapping[str, object], work: Callable[[Sequence[Record]], T]
) -> Sequence[T]:
    """`work` for every partition; then the first failure, if any, is raised.

    A real event may mix partitions and comes again whole: one that cannot go on must not starve the
    others, whose fences make the repeat harmless.
    """
    results: list[T] = []
    failure: Exception | None = None
    for records in partitions(event):
        try:
            results.append(work(records))
        except Exception as exc:
            logging.getLogger(__name__).exception("partition failed")
            failure = failure or exc
    if failure is not None:
        raise failure
    return results


def _record(row: Mapping[str, object]) -> Record:
    try:
        return Record(
            topic=str(row["topic"]),
            partition=int(cast(int, row["partition"])),
            offset=int(cast(int, row["offset"])),
            key=base64.b64decode(cast(str, row.get("key") or ""), validate=True),
            value=base64.b64decode(cast(str, row.get("value") or ""), validate=True),
            headers={
                # AWS writes them as signed bytes: -1 is 0xff.
                name: bytes(value & 0xFF for value in body)
                for header in cast(Sequence[Mapping[str, Sequence[int]]], row.get("headers") or ())
                for name, body in header.items()
            },
            timestamp_ms=int(cast(int, row.get("timestamp") or 0)),
        )
    except (KeyError, TypeError, ValueError, binascii.Error) as exc:
        raise MalformedRecord("a record of the event is not of the documented form") from exc
