"""Audit segments as objects of one S3 bucket: gzip, JSON Lines, written once.

S3 lists objects as strongly consistent and honours If-None-Match on PutObject (Amazon S3 User
Guide, "Conditional writes"), which is all that the port asks for.
"""

import gzip
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from orion.log.errors import SegmentStoreUnavailable, SegmentUnreadable
from orion.log.model import MAX_SEGMENT_SPAN, Segment, Span, segment_key

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_LAST = "last-offset"
_NAME_LETTERS = len("00000000000000000000.jsonl.gz")
# 412: the key exists. 409: another conditional write of it is under way; both mean "look again".
_LOST_RACE = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
# No more segments can begin within two spans; the walk ends at the batch's last key anyway.
_LISTED_MAX = 2 * MAX_SEGMENT_SPAN


class S3SegmentStore:
    """`SegmentStore` in `bucket`."""

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def written(self, topic: str, partition: int, span: Span) -> Sequence[Span]:
        """As the port says. A segment that reaches into `span` begins at most `_REACH` offsets
        before it.
        """
        try:
            firsts = list(self._firsts(topic, partition, span))
            # Segments do not overlap: of those that begin before the span only the last can reach
            # it.
            before = [first for first in firsts if first < span.first][-1:]
            inside = [first for first in firsts if first >= span.first]
            spans = [self._span(topic, partition, first) for first in before + inside]
        except (BotoCoreError, ClientError) as exc:
            raise SegmentStoreUnavailable("the segments cannot be read") from exc
        return [known for known in spans if known.last >= span.first]

    def put_new(self, segment: Segment) -> bool:
        """As the port says. Equal lines give equal bytes: the gzip header carries no time."""
        body = gzip.compress(b"".join(line + b"\n" for line in segment.lines), mtime=0)
        try:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=segment_key(segment.topic, segment.partition, segment.span.first),
                Body=body,
                IfNoneMatch="*",
                ContentType="application/gzip",
                Metadata={_LAST: str(segment.span.last)},
                ChecksumAlgorithm="SHA256",
            )
        except ClientError as exc:
            if exc.response["Error"].get("Code") in _LOST_RACE:
                return False
            raise SegmentStoreUnavailable("the segment was not written") from exc
        except BotoCoreError as exc:
            raise SegmentStoreUnavailable("the segment was not written") from exc
        return True

    def _firsts(self, topic: str, partition: int, span: Span) -> Iterator[int]:
        earliest = max(0, span.first - MAX_SEGMENT_SPAN)
        last_key = segment_key(topic, partition, span.last)
        prefix = last_key[:-_NAME_LETTERS]
        after = f"{prefix}{earliest:020d}"  # Sorts just before the key of `earliest` itself.
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket,
            Prefix=prefix,
            StartAfter=after,
            PaginationConfig={"MaxItems": _LISTED_MAX},
        )
        for page in pages:
            for entry in page.get("Contents", []):
                key = entry["Key"]
                if key > last_key:
                    return
                yield _first_offset(key)

    def _span(self, topic: str, partition: int, first: int) -> Span:
        key = segment_key(topic, partition, first)
        head = self._s3.head_object(Bucket=self._bucket, Key=key)
        last = head["Metadata"].get(_LAST, "")
        if not (last.isascii() and last.isdigit()) or int(last) < first:
            raise SegmentUnreadable("a segment does not say where it ends", key=key)
        return Span(first, int(last))


def _first_offset(key: str) -> int:
    digits = key[-_NAME_LETTERS : -_NAME_LETTERS + 20]
    if not (digits.isascii() and digits.isdigit()):
        raise SegmentUnreadable("an object among the segments has another name", key=key[:256])
    return int(digits)
