"""Segments of the log book as objects of one S3 bucket, versioned and locked.

Sources: Amazon S3 API reference, "ListObjectsV2" and "ListObjectVersions" (names rising, the newest
version of a name first); Amazon S3 User Guide, "How S3 Object Lock works" (a locked version stays;
a newer one, or the marker of a deletion, may still be put on top).
"""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from orion.adapters.aws.write_once import WriteOnceObjects, reading
from orion.ledger.book import FIRST_NUMBER
from orion.ledger.segment_header import MAX_ENTRIES
from orion.log.errors import SegmentUnreadable
from orion.log.ledger_book.model import ROOM, segment_key, shard_prefix
from orion.log.ledger_book.ports import Listed, Listing, Stored
from orion.log.segment_names import first_of, is_segment_name, just_before

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectVersionsOutputTypeDef

_LAST = "last-number"
_SHARD = re.compile(rf"{ROOM}[0-9]{{5}}/", re.ASCII)
_NAMES_A_CALL = 1_000  # S3's own limit.
# A record has at least one entry, so no segment spans more numbers than it may have entries.
_SPAN = MAX_ENTRIES
_REACHES = (64, 2_048, 2 * _SPAN)
# Objects under way at once; a client of boto3 keeps ten connections.
READ_AHEAD = 8
_MAX_OBJECT_BYTES = 64_000_000  # Ten times a segment of the longest entries.
_MAX_VERSIONS = 100_000  # Of the segments of one range; nobody but a vandal makes so many.


class S3LedgerBook:
    """`SegmentStore` and `SegmentArchive` in `bucket`. `names_a_call` is at most 1,000."""

    def __init__(self, s3: "S3Client", bucket: str, *, names_a_call: int = _NAMES_A_CALL) -> None:
        self._objects = WriteOnceObjects(s3, bucket)
        self._names_a_call = names_a_call

    def newest(self, shard: int, near: int) -> int | None:
        """As the ports say.

        S3 lists names only upwards. So this looks where the segment is expected, and where it is
        not: first up in steps that double, then halving what is left. Each call answers a whole
        page, and the one that ends within its page has the newest name.
        """
        low = FIRST_NUMBER - 1  # The newest begins here or above it, and below `high`.
        high: int | None = None
        found: int | None = None
        at, step = max(FIRST_NUMBER, near - _SPAN), _SPAN
        while True:
            firsts, is_more = self._page(shard, at)
            if firsts and not is_more:
                return firsts[-1]
            if firsts:
                found = low = firsts[-1]
            else:
                high = at
            if high is None:
                at, step = low + step, 2 * step
            elif high <= low + 1:
                return found
            else:
                at = (low + 1 + high) // 2

    def get(self, shard: int, first_number: int) -> Stored:
        """As the ports say."""
        return self._get(segment_key(shard, first_number), None)

    def put_new(self, shard: int, first_number: int, last_number: int, body: bytes) -> bool:
        """As the port says."""
        metadata = {_LAST: str(last_number)}
        return self._objects.put_new(segment_key(shard, first_number), body, metadata)

    def last_number(self, shard: int, first_number: int) -> int | None:
        """As the port says."""
        with reading():
            head = self._objects.s3.head_object(
                Bucket=self._objects.bucket, Key=segment_key(shard, first_number)
            )
        return _number(head["Metadata"].get(_LAST, ""))

    def shards(self) -> Sequence[int]:
        """As the port says."""
        with reading():
            answer = self._objects.s3.list_objects_v2(
                Bucket=self._objects.bucket, Prefix=ROOM, Delimiter="/"
            )
        names = [row["Prefix"] for row in answer.get("CommonPrefixes", [])]
        return [int(name[len(ROOM) : -1]) for name in names if _SHARD.fullmatch(name)]

    def listed(self, shard: int, first_number: int, last_number: int) -> Listing:
        """As the port says."""
        known: list[Listed] = []
        behind: list[Listed] = []
        strays: Sequence[str] = ()
        for reach in _REACHES:
            # The last segment that begins at or before the range may hold its first number, and
            # the one before it is its predecessor. Most lie near; where they do not, look farther.
            start = max(FIRST_NUMBER, first_number - reach)
            known, strays = self._versions(shard, start, last_number)
            behind = [listed for listed in known if listed.first_number <= first_number]
            if len(behind) >= 2 or start == FIRST_NUMBER:
                break
        inside = known[max(0, len(behind) - 1) :]
        return Listing(behind[-2] if len(behind) >= 2 else None, inside, strays)

    def oldest(self, shard: int, listed: Sequence[Listed]) -> Iterator[Stored]:
        """As the port says: while one is looked at, at most the next READ_AHEAD are fetched."""
        under_way: deque[Future[Stored]] = deque()
        with ThreadPoolExecutor(READ_AHEAD) as readers:
            try:
                for each in listed:
                    if len(under_way) == READ_AHEAD:
                        yield under_way.popleft().result()
                    key = segment_key(shard, each.first_number)
                    under_way.append(readers.submit(self._get, key, each.version))
                while under_way:
                    yield under_way.popleft().result()
            finally:
                # Of a reading that was broken off, nothing more is fetched.
                for waiting in under_way:
                    waiting.cancel()

    def _page(self, shard: int, at: int) -> tuple[list[int], bool]:
        """First numbers from `at` on, as many as one call answers, and whether there are more."""
        prefix = shard_prefix(shard)
        with reading():
            answer = self._objects.s3.list_objects_v2(
                Bucket=self._objects.bucket,
                Prefix=prefix,
                StartAfter=just_before(prefix, at),
                MaxKeys=self._names_a_call,
            )
        return [first_of(prefix, row["Key"]) for row in answer.get("Contents", [])], answer[
            "IsTruncated"
        ]

    def _versions(self, shard: int, first: int, last: int) -> tuple[list[Listed], Sequence[str]]:
        """The segments that begin from `first` to `last`, by all their versions; and strays."""
        ids: dict[str, list[str]] = {}
        deleted: set[str] = set()
        rows = 0
        prefix, last_key = shard_prefix(shard), segment_key(shard, last)
        for page in self._version_pages(shard, first):
            for row in page.get("Versions", []):
                ids.setdefault(row["Key"], []).append(row["VersionId"])
            deleted |= {marker["Key"] for marker in page.get("DeleteMarkers", [])}
            rows += len(page.get("Versions", [])) + len(page.get("DeleteMarkers", []))
            if rows > _MAX_VERSIONS:
                raise SegmentUnreadable("too many versions of segments", shard=shard)
            if any(is_segment_name(prefix, key) and key > last_key for key in ids.keys() | deleted):
                break
        found, strays = [], []
        for key in sorted(ids.keys() | deleted):
            versions = ids.get(key, [])
            if not is_segment_name(prefix, key):
                strays.append(key)
            elif key <= last_key:
                # Newest first, so the oldest is the last.
                oldest = versions[-1] if versions else None
                found.append(Listed(first_of(prefix, key), oldest, len(versions), key in deleted))
        return found, strays

    def _version_pages(self, shard: int, first: int) -> Iterator["ListObjectVersionsOutputTypeDef"]:
        prefix = shard_prefix(shard)
        key, version = just_before(prefix, first), ""
        while True:
            after: dict[str, str] = {"VersionIdMarker": version} if version else {}
            with reading():
                page = self._objects.s3.list_object_versions(
                    Bucket=self._objects.bucket,
                    Prefix=prefix,
                    KeyMarker=key,
                    MaxKeys=self._names_a_call,
                    **after,  # type: ignore[arg-type]  # One name, and its value is text.
                )
            yield page
            if not page.get("IsTruncated"):
                return
            key, version = page["NextKeyMarker"], page.get("NextVersionIdMarker", "")

    def _get(self, key: str, version: str | None) -> Stored:
        s3, bucket = self._objects.s3, self._objects.bucket
        with reading():
            if version is None:
                answer = s3.get_object(Bucket=bucket, Key=key)
            else:
                answer = s3.get_object(Bucket=bucket, Key=key, VersionId=version)
            body = answer["Body"].read(_MAX_OBJECT_BYTES + 1)
        if len(body) > _MAX_OBJECT_BYTES:
            raise SegmentUnreadable("no segment is so large", key=key)
        return Stored(body, _number(answer["Metadata"].get(_LAST, "")))


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else None
