"""Where the log book of each shard begins and ends, by all versions of its segments.

A deletion hides a segment from whoever lists names only; its versions are still there, and so is
its number. Source: Amazon S3 API reference, "ListObjectVersions" (names rising, the newest version
of a name first; markers of deletions listed beside versions).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from orion.ledger.book import FIRST_NUMBER
from orion.ledger.segment_header import MAX_ENTRIES
from orion.log.ledger_book.model import ROOM, segment_key, shard_prefix
from orion.log.reconciliation.errors import BookUnavailable
from orion.log.reconciliation.model import Difference, DifferenceKind, Wrong, clipped
from orion.log.reconciliation.planning import MAX_NUMBER, Head
from orion.log.segment_names import first_of, is_segment_name, just_before

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectVersionsOutputTypeDef

MAX_SHARDS = 1_024
_DIGITS = 5
_NAMES_A_CALL = 1_000
# Pages without any segment's name that are walked through before the rest is given up.
_MAX_ODD_PAGES = 20
_MAX_TOLD = 100
_LAST = "last-number"


@dataclass(slots=True)
class SegmentSurvey:
    """One look at the names of the book. `odd` are names that no segment or shard has."""

    s3: "S3Client"
    bucket: str
    odd: dict[str, int | None] = field(default_factory=dict)

    def heads(self) -> Mapping[int, Head]:
        """Each shard's lowest and highest number. Raises BookUnavailable."""
        return {shard: self._head(shard) for shard in self._shards()}

    def differences(self) -> list[Difference]:
        """What was seen on the way that is no segment."""
        return [
            Difference(
                DifferenceKind.SEGMENT_UNREADABLE,
                Wrong.SEGMENTS,
                shard=shard,
                found=clipped(f"{name!r} is no name of a segment, or does not say where it ends"),
            )
            for name, shard in list(self.odd.items())[:_MAX_TOLD]
        ]

    def _shards(self) -> Sequence[int]:
        # Versions, so that a shard whose every segment was deleted is still seen.
        page = self._page(ROOM, {"Delimiter": "/"})
        found = []
        for row in page.get("CommonPrefixes", []):
            name = str(row["Prefix"])
            digits = name.removeprefix(ROOM).rstrip("/")
            if len(digits) == _DIGITS and digits.isascii() and digits.isdigit():
                found.append(int(digits))
            else:
                self.odd[name] = None
        for key in _keys(page):
            self.odd[key] = None
        if page.get("IsTruncated"):
            self.odd[f"{ROOM}: more folders than a ledger has shards"] = None
        return found[:MAX_SHARDS]

    def _head(self, shard: int) -> Head:
        # From the very beginning: names that sort before all segments' are seen here only.
        first, _ = self._firsts(shard, "")
        newest = self._newest(shard)
        if newest is None:
            return Head(FIRST_NUMBER, FIRST_NUMBER - 1)
        lowest = first[0] if first else newest
        return Head(lowest, self._last_number(shard, newest))

    def _newest(self, shard: int) -> int | None:
        """As S3LedgerBook.newest, by versions: up in steps that double, then by halving."""
        low, high, found = FIRST_NUMBER - 1, MAX_NUMBER + 1, None
        at, step, doubling = FIRST_NUMBER, MAX_ENTRIES, True
        while low + 1 < high:
            firsts, is_more = self._firsts(shard, just_before(shard_prefix(shard), at))
            if firsts:
                found = low = firsts[-1]
                if not is_more:
                    break
            else:
                high, doubling = at, False
            at = min(low + step, high - 1) if doubling else (low + 1 + high) // 2
            step *= 2
        return found

    def _firsts(self, shard: int, after: str) -> tuple[list[int], bool]:
        """First numbers behind the name `after`, of the first page that has any."""
        prefix = shard_prefix(shard)
        for page in self._pages(prefix, after):
            names = []
            for key in _keys(page):
                if is_segment_name(prefix, key) and first_of(prefix, key) <= MAX_NUMBER:
                    names.append(first_of(prefix, key))
                else:
                    self.odd[key] = shard
            if names:
                return sorted(set(names)), bool(page.get("IsTruncated"))
        return [], False

    def _pages(self, prefix: str, after: str) -> Iterator["ListObjectVersionsOutputTypeDef"]:
        marker = {"KeyMarker": after} if after else {}
        for _ in range(_MAX_ODD_PAGES):
            page = self._page(prefix, marker)
            yield page
            if not page.get("IsTruncated"):
                return
            marker = {"KeyMarker": page["NextKeyMarker"]}
            if page.get("NextVersionIdMarker"):
                marker["VersionIdMarker"] = page["NextVersionIdMarker"]

    def _page(self, prefix: str, more: Mapping[str, str]) -> "ListObjectVersionsOutputTypeDef":
        try:
            return self.s3.list_object_versions(
                Bucket=self.bucket,
                Prefix=prefix,
                MaxKeys=_NAMES_A_CALL,
                **more,  # type: ignore[arg-type]  # Names of text only.
            )
        except (BotoCoreError, ClientError) as exc:
            raise BookUnavailable("the segments cannot be listed") from exc

    def _last_number(self, shard: int, first: int) -> int:
        """By the oldest version's word, as far as a segment can span so many numbers."""
        key = segment_key(shard, first)
        page = self._page(key, {})
        versions = [row["VersionId"] for row in page.get("Versions", []) if row["Key"] == key]
        if versions:
            try:
                head = self.s3.head_object(Bucket=self.bucket, Key=key, VersionId=versions[-1])
            except (BotoCoreError, ClientError) as exc:
                raise BookUnavailable("a segment cannot be read") from exc
            text = head["Metadata"].get(_LAST, "")
            last = int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else 0
            if first <= last <= min(first + MAX_ENTRIES, MAX_NUMBER):
                return last
        self.odd[key] = shard
        return first


def _keys(page: "ListObjectVersionsOutputTypeDef") -> Iterator[str]:
    for row in page.get("Versions", []):
        yield row["Key"]
    for marker in page.get("DeleteMarkers", []):
        yield marker["Key"]
