"""What the log module needs from outside."""

from collections.abc import Sequence
from typing import Protocol

from orion.log.model import Segment, Span


class SegmentStore(Protocol):
    """Where segments are kept. One is written once and never changed."""

    def written(self, topic: str, partition: int, span: Span) -> Sequence[Span]:
        """The spans of all segments that hold an offset of `span`, by rising offset, as written
        by now.

        Sees every segment whose `put_new` returned before. Raises SegmentStoreUnavailable,
        SegmentUnreadable.
        """
        ...

    def put_new(self, segment: Segment) -> bool:
        """Write the segment whole; False when one of the same first offset exists, which then
        stays as it is.

        Raises SegmentStoreUnavailable when the outcome is unknown: repeat the same batch.
        """
        ...
