"""Reads the log book as it was first written, and says what is wrong with it on the way."""

from collections.abc import Iterator
from dataclasses import dataclass

from orion.ledger.book import FIRST_NUMBER
from orion.ledger.segment_header import (
    FIRST_PREVIOUS,
    MalformedSegmentHeader,
    SegmentHeader,
    header_digest,
    read_header,
)
from orion.log.errors import SegmentUnreadable
from orion.log.ledger_book.checking import Fault, FaultKind, Place, faults
from orion.log.ledger_book.model import Segment, opened
from orion.log.ledger_book.ports import Listed, RootKeys, SegmentArchive, Stored


@dataclass(frozen=True, slots=True)
class Checked:
    """A segment with all that is wrong with it and with its place in the chain.

    `segment` is None where the object has no lines that could be read, `header` where the segment's
    has not its form.
    """

    first_number: int
    segment: Segment | None
    header: SegmentHeader | None
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class _Before:
    """What the chain needs of the segment before; None is: it cannot be known."""

    last_number: int | None
    digest: bytes | None


@dataclass(frozen=True, slots=True)
class LedgerBookReader:
    """The book of one stage, for reading."""

    stage: str
    archive: SegmentArchive
    keys: RootKeys

    def last_number(self, shard: int, near: int = FIRST_NUMBER) -> int:
        """How far the shard's book goes by its newest segment's word; 0 where it has none.

        Raises SegmentStoreUnavailable, SegmentUnreadable.
        """
        first = self.archive.newest(shard, near)
        if first is None:
            return FIRST_NUMBER - 1
        last = self.archive.last_number(shard, first)
        if last is None:
            raise SegmentUnreadable("a segment does not say where it ends", shard=shard)
        return last

    def read(self, shard: int, first_number: int, last_number: int) -> Iterator[Checked]:
        """Every segment that may hold a number from `first_number` to `last_number`, few in memory
        at a time, checked whole: also what of it lies outside the range.

        Ends early where the book does; that, whoever knows what was posted must notice. Raises
        SegmentStoreUnavailable, and LogSignerUnavailable or LogSignerRefused without the public
        key.
        """
        listing = self.archive.listed(shard, first_number, last_number)
        before = _Before(FIRST_NUMBER - 1, FIRST_PREVIOUS)
        wanted = [*([listing.before] if listing.before else []), *listing.segments]
        bodies = self.archive.oldest(shard, [each for each in wanted if each.version is not None])
        if listing.before is not None:
            _, before = self._checked(shard, listing.before, _Before(None, None), bodies)
        for listed in listing.segments:
            checked, before = self._checked(shard, listed, before, bodies)
            yield checked
        for name in listing.strays:
            yield _stray(Place(self.stage, shard, last_number), name)

    def _checked(
        self, shard: int, listed: Listed, before: _Before, bodies: Iterator[Stored]
    ) -> tuple[Checked, _Before]:
        place = Place(self.stage, shard, listed.first_number)
        found = list(_version_faults(place, listed))
        segment = header = None
        if listed.version is not None:
            stored = next(bodies)
            try:
                segment = opened(stored.body)
            except SegmentUnreadable as exc:
                found.append(place.fault(FaultKind.SEGMENT_UNREADABLE, exc.detail))
            else:
                found += faults(segment, place, self.keys.known_key)
                header = _header(segment)
                found += _chain_faults(place, header, stored.last_number, before)
        checked = Checked(listed.first_number, segment, header, tuple(found))
        if segment is None or header is None:
            return checked, _Before(None, None)
        return checked, _Before(header.last_number, header_digest(segment.header_line))


def _stray(place: Place, name: str) -> Checked:
    fault = place.fault(FaultKind.SEGMENT_UNREADABLE, f"{name[:256]} is no name of a segment")
    return Checked(place.first_number, None, None, (fault,))


def _header(segment: Segment) -> SegmentHeader | None:
    try:
        return read_header(segment.header_line)
    except MalformedSegmentHeader:
        return None


def _version_faults(place: Place, listed: Listed) -> Iterator[Fault]:
    if listed.versions > 1:
        yield place.fault(FaultKind.SEGMENT_REWRITTEN, f"{listed.versions} versions of one segment")
    if listed.deleted:
        yield place.fault(FaultKind.SEGMENT_DELETED, "a deletion stands on it")


def _chain_faults(
    place: Place, header: SegmentHeader | None, last_number: int | None, before: _Before
) -> Iterator[Fault]:
    if header is None:
        return
    if header.last_number != last_number:
        yield place.fault(
            FaultKind.SEGMENT_MISPLACED, "it was put with another last number than its header's"
        )
    if before.digest is not None and header.previous != before.digest:
        yield place.fault(FaultKind.CHAIN_BROKEN, "its header does not name the segment before it")
    if before.last_number is None:
        return
    if place.first_number > before.last_number + 1:
        yield place.fault(
            FaultKind.NUMBER_MISSING,
            f"no segment holds the numbers {before.last_number + 1} to {place.first_number - 1}",
            before.last_number + 1,
        )
    elif place.first_number <= before.last_number:
        yield place.fault(
            FaultKind.ENTRY_ADDED,
            f"begins within the segment before it, which ends at {before.last_number}",
            place.first_number,
            0,
        )
