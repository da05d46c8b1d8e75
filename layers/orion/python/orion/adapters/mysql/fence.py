"""The offset fence: a partition's position is stored with what its records caused.

An invocation that timed out may still run beside its retry. Whoever commits second waits for the
row lock of the first, then finds the position moved and changes nothing.
"""

from collections.abc import Sequence

from orion.adapters.mysql.session import Cursor
from orion.errors import OrionError
from orion.records import Record


class OffsetsWentBack(OrionError):
    """Offsets started again (a topic or cluster made anew): the fence would drop what is new."""

    code = "offsets_went_back"


def fresh(cursor: Cursor, records: Sequence[Record]) -> Sequence[Record]:
    """The records of one partition that have had no effect yet, in order; the fence moves past the
    last.

    Call it first in the transaction: it holds the partition's row lock until commit. `records` are
    of one partition with rising offsets. Offsets may have gaps (compaction, transaction markers).
    Raises OffsetsWentBack.
    """
    remaining = unapplied(cursor, records)
    if remaining:
        advance(cursor, remaining)
    return remaining


def unapplied(cursor: Cursor, records: Sequence[Record]) -> Sequence[Record]:
    """As `fresh`, but the fence stays where it is: `advance` it before the commit."""
    if not records:
        return []
    topic, partition = records[0].topic, records[0].partition
    offsets = [record.offset for record in records]
    if any(r.topic != topic or r.partition != partition for r in records) or offsets != sorted(
        set(offsets)
    ):
        raise ValueError("a fence takes the records of one partition with rising offsets")
    cursor.execute(
        "INSERT INTO consumer_offset (topic, partition_no, next_offset) VALUES (%s, %s, 0)"
        " ON DUPLICATE KEY UPDATE next_offset = next_offset",
        (topic, partition),
    )
    cursor.execute(
        "SELECT next_offset, newest_ms FROM consumer_offset"
        " WHERE topic = %s AND partition_no = %s FOR UPDATE",
        (topic, partition),
    )
    row = cursor.fetchone()
    if row is None:
        raise RuntimeError("the fence row vanished inside its own transaction")
    next_offset, newest_ms = int(row[0]), int(row[1])
    remaining = [record for record in records if record.offset >= next_offset]
    for record in records:
        if record.offset < next_offset and record.timestamp_ms > newest_ms:
            raise OffsetsWentBack(
                "a record behind the fence is newer than all before it: was the topic made anew?",
                topic=topic,
                partition=partition,
                offset=record.offset,
            )
    return remaining


def advance(cursor: Cursor, records: Sequence[Record]) -> None:
    """Move the fence past `records`, the first of those that were unapplied, at least one."""
    last = records[-1]
    cursor.execute(
        "UPDATE consumer_offset SET next_offset = %s, newest_ms = GREATEST(newest_ms, %s)"
        " WHERE topic = %s AND partition_no = %s",
        (
            last.offset + 1,
            max(record.timestamp_ms for record in records),
            last.topic,
            last.partition,
        ),
    )
