"""Audit segments as objects of one S3 bucket: gzip, JSON Lines, written once."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from orion.adapters.aws.write_once import WriteOnceObjects, reading
from orion.log.errors import SegmentUnreadable
from orion.log.gzip_lines import packed
from orion.log.model import MAX_SEGMENT_SPAN, Segment, Span, segment_key, segment_prefix
from orion.log.segment_names import first_of, just_before

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_LAST = "last-offset"
# No more segments can begin within two spans; the walk ends at the batch's last key anyway.
_LISTED_MAX = 2 * MAX_SEGMENT_SPAN


class S3SegmentStore:
    """`SegmentStore` in `bucket`."""

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._objects = WriteOnceObjects(s3, bucket)

    def written(self, topic: str, partition: int, span: Span) -> Sequence[Span]:
        """As the port says. A segment that reaches into `span` begins at most a span before it."""
        with reading():
            firsts = list(self._firsts(topic, partition, span))
            # Segments do not overlap: of those that begin before the span only the last can reach
            # it.
            before = [first for first in firsts if first < span.first][-1:]
            inside = [first for first in firsts if first >= span.first]
            spans = [self._span(topic, partition, first) for first in before + inside]
        return [known for known in spans if known.last >= span.first]

    def put_new(self, segment: Segment) -> bool:
        """As the port says."""
        key = segment_key(segment.topic, segment.partition, segment.span.first)
        return self._objects.put_new(key, packed(segment.lines), {_LAST: str(segment.span.last)})

    def _firsts(self, topic: str, partition: int, span: Span) -> Iterator[int]:
        prefix = segment_prefix(topic, partition)
        after = just_before(prefix, span.first - MAX_SEGMENT_SPAN)
        last_key = segment_key(topic, partition, span.last)
        for key in self._objects.keys(prefix, after, limit=_LISTED_MAX):
            if key > last_key:
                return
            yield first_of(prefix, key)

    def _span(self, topic: str, partition: int, first: int) -> Span:
        key = segment_key(topic, partition, first)
        head = self._objects.s3.head_object(Bucket=self._objects.bucket, Key=key)
        last = head["Metadata"].get(_LAST, "")
        if not (last.isascii() and last.isdigit()) or int(last) < first:
            raise SegmentUnreadable("a segment does not say where it ends", key=key)
        return Span(first, int(last))
