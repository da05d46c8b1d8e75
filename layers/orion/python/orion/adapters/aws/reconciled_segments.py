"""The log book as one of three, through its own reader; and where reports are kept beside it."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from orion.adapters.aws.segment_survey import SegmentSurvey
from orion.ledger.book import skim
from orion.ledger.merkle import HASH_BYTES, leaf
from orion.log.ledger_book.checking import Fault
from orion.log.ledger_book.model import Segment, shard_prefix
from orion.log.ledger_book.reading import Checked, LedgerBookReader
from orion.log.reconciliation.errors import BookUnavailable
from orion.log.reconciliation.lines import moment
from orion.log.reconciliation.model import (
    Difference,
    DifferenceKind,
    PlacedLine,
    RecordLeaves,
    Wrong,
    clipped,
)
from orion.log.reconciliation.planning import Head, Span, first_where
from orion.log.segment_names import just_before

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NUMBER, _POSITION = 3, 4  # Of a line that is skimmed.
_NAME = b',"number":'
# What the comparison of the three books names better: entry by entry, and who is wrong.
_COMPARED = frozenset(
    {
        DifferenceKind.ENTRY_MISSING,
        DifferenceKind.ENTRY_ADDED,
        DifferenceKind.NUMBER_MISSING,
    }
)


class S3SegmentBook:
    """The port SegmentReader."""

    def __init__(self, s3: "S3Client", bucket: str, reader: LedgerBookReader) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._reader = reader

    def heads(self) -> Mapping[int, Head]:
        return self.survey()[0]

    def survey(self) -> tuple[Mapping[int, Head], Sequence[Difference]]:
        seen = SegmentSurvey(self._s3, self._bucket)
        return seen.heads(), seen.differences()

    def checked(
        self, shard: int, span: Span
    ) -> tuple[Sequence[RecordLeaves], Sequence[Difference]]:
        records: list[RecordLeaves] = []
        found: list[Difference] = []
        for segment in self._reader.read(shard, span.first, span.last):
            found += [_difference(fault) for fault in segment.faults]
            records += _records(segment, span)
        found = [difference for difference in found if difference.kind not in _COMPARED]
        return records, found

    def recent_from(self, shard: int, through: int, since: datetime) -> int:
        """By S3's own clock: no segment was written before its entries were posted, and nobody can
        set the time of an object back.
        """
        prefix = shard_prefix(shard)

        def is_recent(number: int) -> bool:
            try:
                page = self._s3.list_objects_v2(
                    Bucket=self._bucket,
                    Prefix=prefix,
                    StartAfter=just_before(prefix, number),
                    MaxKeys=1,
                )
            except (BotoCoreError, ClientError) as exc:
                raise BookUnavailable("the segments cannot be listed") from exc
            return all(row["LastModified"] >= since for row in page.get("Contents", []))

        return first_where(through, is_recent)

    def records(self, shard: int, span: Span) -> Iterator[RecordLeaves]:
        yield from self.checked(shard, span)[0]

    def lines(self, shard: int, numbers: Sequence[int]) -> Sequence[PlacedLine]:
        if not numbers:
            return []
        wanted = frozenset(numbers)
        return [
            placed
            for segment in self._reader.read(shard, min(numbers), max(numbers))
            for placed in _placed(segment)
            if placed.number in wanted
        ]


def _placed(checked: Checked) -> Iterator[PlacedLine]:
    """Lines at the places that they name; one that names none follows the one before."""
    if checked.segment is None:
        return
    lines = checked.segment.lines
    rows = skim(lines)
    if rows is not None:
        for row, line in zip(rows, lines, strict=True):
            yield PlacedLine(int(row[_NUMBER]), int(row[_POSITION]), line)
        return
    number, position = checked.first_number, -1
    for line in lines:
        known = skim([line])
        if known:
            number, position = int(known[0][_NUMBER]), int(known[0][_POSITION])
        else:
            position += 1
        yield PlacedLine(number, position, line)


def _records(checked: Checked, span: Span) -> Iterator[RecordLeaves]:
    segment = checked.segment
    if segment is None:
        return
    found = _spoiled(checked) if checked.faults else _sound(segment)
    yield from (record for record in found if span.first <= record.number <= span.last)


def _sound(segment: Segment) -> Iterator[RecordLeaves]:
    """Of a segment without a fault: its lines stand in order, so records are found by halving."""
    lines, leaves = segment.lines, segment.leaves
    start = 0
    while start < len(lines):
        number = _number(lines[start])
        end = bisect_right(lines, number, lo=start, key=_number)
        yield RecordLeaves(
            number, moment(lines[start]), leaves[start * HASH_BYTES : end * HASH_BYTES], whole=True
        )
        start = end


def _number(line: bytes) -> int:
    """Of a line whose form was checked: what follows the cause has no such words."""
    at = line.rfind(_NAME) + len(_NAME)
    return int(line[at : line.index(b",", at)])


def _spoiled(checked: Checked) -> Iterator[RecordLeaves]:
    for number, group in groupby(_placed(checked), key=lambda placed: placed.number):
        held = list(group)
        yield RecordLeaves(
            number,
            moment(held[0].line),
            b"".join(leaf(placed.line) for placed in held),
            all(placed.position == at for at, placed in enumerate(held)),
        )


def _difference(fault: Fault) -> Difference:
    return Difference(
        DifferenceKind(fault.kind.value),
        Wrong.SEGMENTS,
        shard=fault.shard,
        number=fault.first_number if fault.number is None else fault.number,
        position=fault.position,
        found=clipped(f"segment from number {fault.first_number}: {fault.detail}"),
    )


class S3ReportStore:
    """The port ReportStore, in the bucket of the ledger book."""

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def put(self, key: str, body: bytes, content_type: str) -> None:
        try:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                ChecksumAlgorithm="SHA256",
            )
        except (BotoCoreError, ClientError) as exc:
            raise BookUnavailable("the report was not written") from exc
