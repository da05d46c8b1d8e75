"""Objects of one S3 bucket that are written once: conditional puts, and walks along their names.

S3 lists objects as strongly consistent and honours If-None-Match on PutObject (Amazon S3 User
Guide, "Conditional writes"), which is all that the books of `orion.log` ask for.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from orion.log.errors import SegmentStoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# 412: the key exists. 409: another conditional write of it is under way; both mean "look again".
_LOST_RACE = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


class WriteOnceObjects:
    """The objects of `bucket`; `s3` is for calls that only one of the books makes."""

    def __init__(self, s3: "S3Client", bucket: str) -> None:
        self.s3 = s3
        self.bucket = bucket

    def put_new(self, key: str, body: bytes, metadata: Mapping[str, str]) -> bool:
        """Write the object whole; False when one of this name exists, which stays as it is.

        Raises SegmentStoreUnavailable when the outcome is unknown.
        """
        try:
            self.s3.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=body,
                IfNoneMatch="*",
                ContentType="application/gzip",
                Metadata=metadata,
                ChecksumAlgorithm="SHA256",
            )
        except ClientError as exc:
            if exc.response["Error"].get("Code") in _LOST_RACE:
                return False
            raise SegmentStoreUnavailable("the segment was not written") from exc
        except BotoCoreError as exc:
            raise SegmentStoreUnavailable("the segment was not written") from exc
        return True

    def keys(self, prefix: str, after: str, *, limit: int) -> Iterator[str]:
        """Names under `prefix` behind `after`, rising, at most `limit`; within `reading`."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket,
            Prefix=prefix,
            StartAfter=after,
            PaginationConfig={"MaxItems": limit},
        )
        for page in pages:
            for entry in page.get("Contents", []):
                yield entry["Key"]


@contextmanager
def reading() -> Iterator[None]:
    """Around calls that read: what S3 fails with is raised as SegmentStoreUnavailable."""
    try:
        yield
    except (BotoCoreError, ClientError) as exc:
        raise SegmentStoreUnavailable("the segments cannot be read") from exc
