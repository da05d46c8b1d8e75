"""Writes the records of one partition into segments, each record once.

Why each offset lies in one segment only, however batches are repeated, grow or run beside each
other: a batch begins at a committed offset, and offsets are committed after their segments are
written, so everything below it is in segments already. A writer only ever begins a segment at the
first offset that none holds; two writers at that place meet in one key, where the store lets one
win, and the loser looks again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from orion.log.errors import SegmentContended
from orion.log.model import Line, Segment, Span, line_of, uncovered
from orion.log.ports import SegmentStore
from orion.records import Record

MAX_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Written:
    """What one batch of one partition came to; `refused` counts records kept with a reason
    instead of an event.
    """

    topic: str
    partition: int
    first_offset: int
    last_offset: int
    received: int
    new: int
    refused: int
    segments: int


@dataclass(frozen=True, slots=True)
class AuditBook:
    """The log module's use case."""

    store: SegmentStore

    def record(self, records: Sequence[Record]) -> Written:
        """Keep every record of a batch: one partition, rising offsets, at least one record.

        Raises SegmentStoreUnavailable, SegmentContended: repeat the batch. SegmentUnreadable: a
        person must look.
        """
        lines = _lines(records)
        topic, partition = records[0].topic, records[0].partition
        span = Span(lines[0].offset, lines[-1].offset)
        kept: list[Line] = []
        segments = 0
        for _ in range(MAX_ATTEMPTS):
            runs = uncovered(lines, self.store.written(topic, partition, span))
            if not runs:
                return _report(topic, partition, lines, kept, segments)
            for run in runs:
                if not self._put(topic, partition, run):
                    break
                kept += run
                segments += 1
        raise SegmentContended("other writers kept winning", topic=topic, partition=partition)

    def _put(self, topic: str, partition: int, run: Sequence[Line]) -> bool:
        span = Span(run[0].offset, run[-1].offset)
        return self.store.put_new(Segment(topic, partition, span, [line.body for line in run]))


def _lines(records: Sequence[Record]) -> Sequence[Line]:
    offsets = [record.offset for record in records]
    same = len({(record.topic, record.partition) for record in records}) == 1
    if not same or offsets != sorted(set(offsets)):
        raise ValueError("a batch is of one partition with rising offsets")
    return [line_of(record) for record in records]


def _report(
    topic: str, partition: int, lines: Sequence[Line], kept: Sequence[Line], segments: int
) -> Written:
    return Written(
        topic=topic,
        partition=partition,
        first_offset=lines[0].offset,
        last_offset=lines[-1].offset,
        received=len(lines),
        new=len(kept),
        refused=sum(line.refusal is not None for line in kept),
        segments=segments,
    )
