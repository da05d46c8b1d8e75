"""What the log book needs from outside: where its segments lie, and who signs their roots."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Listed:
    """A segment as its versions show it. `version` is the oldest one, None where only the marker
    of a deletion is left; `versions` counts those with content.
    """

    first_number: int
    version: str | None
    versions: int
    deleted: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """Segments by rising first number, the one before them where there is one, and the names of
    objects among them that are no segments.
    """

    before: Listed | None
    segments: Sequence[Listed]
    strays: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """An object's bytes, and the last number that it was put with."""

    body: bytes
    last_number: int | None


class SegmentStore(Protocol):
    """Where a writer keeps segments. One is written once and never changed.

    All raise SegmentStoreUnavailable; SegmentUnreadable where an object has no segment's name.
    """

    def newest(self, shard: int, near: int) -> int | None:
        """The first number of the shard's last segment, None where it has none.

        Sees every segment whose `put_new` returned before. One call where it begins within some
        ten thousand numbers around `near`, else a few dozen at most.
        """
        ...

    def get(self, shard: int, first_number: int) -> Stored:
        """The segment as it stands now."""
        ...

    def put_new(self, shard: int, first_number: int, last_number: int, body: bytes) -> bool:
        """Write the segment whole; False when one of the same first number exists, which then
        stays as it is. Where the outcome is unknown, repeat the same batch.
        """
        ...


class SegmentArchive(Protocol):
    """Where readers find segments, with what was done to them since. Raises as SegmentStore."""

    def newest(self, shard: int, near: int) -> int | None:
        """As of SegmentStore."""
        ...

    def last_number(self, shard: int, first_number: int) -> int | None:
        """The last number that a segment was put with, without reading it."""
        ...

    def shards(self) -> Sequence[int]:
        """Every shard that has a segment, also one that the ledger does not know."""
        ...

    def listed(self, shard: int, first_number: int, last_number: int) -> Listing:
        """The segments that may hold a number of this range, deleted ones too. Where the range goes
        to the book's end, all strays behind it as well.
        """
        ...

    def oldest(self, shard: int, listed: Sequence[Listed]) -> Iterator[Stored]:
        """The segments in this order as they were first written, which the lock keeps, few of them
        in memory. No `version` of `listed` is None.
        """
        ...


class RootSigner(Protocol):
    """The one key that signs roots."""

    def public_key(self) -> bytes:
        """Its SubjectPublicKeyInfo. Raises LogSignerUnavailable, LogSignerRefused."""
        ...

    def sign(self, digest: bytes) -> bytes:
        """The verified signature (DER) of a SHA-256 digest. Raises as `public_key`."""
        ...


class RootKeys(Protocol):
    """The keys that may have signed roots."""

    def known_key(self, key: str) -> bytes | None:
        """The public key of this fingerprint; None where it is foreign. Raises as RootSigner."""
        ...
