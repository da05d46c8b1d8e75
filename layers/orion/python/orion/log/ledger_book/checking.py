"""What is wrong with a stored segment. Pure; every lie has a name of its own.

The names are those of a reconciliation's differences (docs/books.md). A segment is walked once, and
each kind is told once for it, at the first place where it shows: what exactly differs in an entry,
the comparison with the other books says.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from orion.ledger.book import Skimmed, posted_at_text, skim
from orion.ledger.merkle import root
from orion.ledger.segment_header import (
    MalformedSegmentHeader,
    SegmentHeader,
    header_digest,
    read_header,
)
from orion.ledger.signature import is_signed
from orion.log.ledger_book.model import MalformedTrailer, Segment, Trailer, read_trailer

KeyByFingerprint = Callable[[str], bytes | None]


class FaultKind(StrEnum):
    """The lies of a segment, or of the place where it should stand."""

    SEGMENT_UNREADABLE = "segment_unreadable"
    SEGMENT_MISPLACED = "segment_misplaced"
    SEGMENT_REWRITTEN = "segment_rewritten"
    SEGMENT_DELETED = "segment_deleted"
    ROOT_DIFFERS = "root_differs"
    SIGNATURE_INVALID = "signature_invalid"
    CHAIN_BROKEN = "chain_broken"
    NUMBER_MISSING = "number_missing"
    ENTRY_MISSING = "entry_missing"
    ENTRY_ADDED = "entry_added"
    ACCOUNT_DIFFERS = "account_differs"


@dataclass(frozen=True, slots=True)
class Fault:
    """`kind` in the segment that begins at `first_number`; number and position where they are
    known.
    """

    kind: FaultKind
    shard: int
    first_number: int
    detail: str
    number: int | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a segment stands by its name."""

    stage: str
    shard: int
    first_number: int

    def fault(
        self, kind: FaultKind, detail: str, number: int | None = None, position: int | None = None
    ) -> Fault:
        return Fault(kind, self.shard, self.first_number, detail, number, position)


def faults(
    segment: Segment, place: Place, key_by_fingerprint: KeyByFingerprint
) -> tuple[Fault, ...]:
    """Everything that is wrong with the segment by itself; its chain is checked beside others."""
    found: dict[FaultKind, Fault] = {}
    for fault in _all(segment, place, key_by_fingerprint):
        found.setdefault(fault.kind, fault)
    return tuple(found.values())


def _all(segment: Segment, place: Place, key_by_fingerprint: KeyByFingerprint) -> Iterator[Fault]:
    header = trailer = None
    try:
        header = read_header(segment.header_line)
    except MalformedSegmentHeader as exc:
        yield place.fault(FaultKind.SEGMENT_UNREADABLE, f"header: {exc.detail}")
    try:
        trailer = read_trailer(segment.trailer_line)
    except MalformedTrailer as exc:
        yield place.fault(FaultKind.SEGMENT_UNREADABLE, f"trailer: {exc.detail}")
    if header is not None:
        yield from _header_faults(segment, header, place)
    if trailer is not None:
        yield from _signature_faults(segment, trailer, place, key_by_fingerprint)
    yield from _line_faults(segment, header, place)


def _header_faults(segment: Segment, header: SegmentHeader, place: Place) -> Iterator[Fault]:
    where = (header.stage, header.shard, header.first_number)
    if where != (place.stage, place.shard, place.first_number):
        yield place.fault(
            FaultKind.SEGMENT_MISPLACED,
            f"its header is that of {header.stage}, shard {header.shard},"
            f" from number {header.first_number}",
        )
    if root(segment.leaves) != header.root:
        yield place.fault(FaultKind.ROOT_DIFFERS, "its lines do not give the root that was signed")


def _signature_faults(
    segment: Segment, trailer: Trailer, place: Place, key_by_fingerprint: KeyByFingerprint
) -> Iterator[Fault]:
    public_key = key_by_fingerprint(trailer.key)
    if public_key is None:
        yield place.fault(FaultKind.SIGNATURE_INVALID, f"signed by a foreign key, {trailer.key}")
    elif not is_signed(public_key, header_digest(segment.header_line), trailer.signature):
        yield place.fault(FaultKind.SIGNATURE_INVALID, "the signature is not of this header")


def _line_faults(segment: Segment, header: SegmentHeader | None, place: Place) -> Iterator[Fault]:
    rows = skim(segment.lines)
    if header is not None and rows is not None and _in_order(rows, header):
        yield from _directory_faults(rows, header, place)
        return
    walk = _Walk(place, place.first_number)
    for at, line in enumerate(segment.lines):
        yield from walk.step(line, f"line {at + 2}")
    if header is not None:
        yield from walk.end(header, len(segment.lines))
    if header is not None and rows is not None:
        yield from _directory_faults(rows, header, place)


def _in_order(rows: Sequence[Skimmed], header: SegmentHeader) -> bool:
    """Whether the lines are all entries that the header tells of, in its order: the quick answer,
    which says only that there is no fault to be named.
    """
    number, position, shard = header.first_number, -1, b"%d" % header.shard
    moment = posted_at_text(header.posted_from).encode()
    for _, _, _, number_here, position_here, posted_at, shard_here in rows:
        position += 1
        if position and position_here == b"0":
            number, position, moment = number + 1, 0, posted_at
        if (
            int(number_here) != number
            or int(position_here) != position
            or posted_at != moment
            or shard_here != shard
        ):
            return False
    told = (header.last_number, header.entries, posted_at_text(header.posted_to).encode())
    return (number, len(rows), moment) == told


def _directory_faults(
    rows: Sequence[Skimmed], header: SegmentHeader, place: Place
) -> Iterator[Fault]:
    named = {name for row in rows for name in row[:3]} - {b""}
    if named != {account.hex().encode() for account in header.accounts}:
        yield place.fault(
            FaultKind.ACCOUNT_DIFFERS, "its directory has other accounts than its entries"
        )


@dataclass(slots=True)
class _Walk:
    """The walk that names what is wrong. The next line may stand at (`number`, `position`), or
    begin the number after; behind a line that cannot be read (`lost`), anywhere. `told`: a place
    was named already, so that the count of entries says nothing new.
    """

    place: Place
    number: int
    position: int = 0
    first_moment: bytes | None = None
    moment: bytes | None = None
    lost: bool = False
    told: bool = False

    def step(self, line: bytes, name: str) -> Iterator[Fault]:
        rows = skim([line])
        if rows is None:
            yield self.place.fault(FaultKind.SEGMENT_UNREADABLE, f"{name} is no entry", self.number)
            self.lost = True
            return
        _, _, _, number_text, position_text, posted_at, shard = rows[0]
        found = (int(number_text), int(position_text))
        begins = found == (self.number + 1, 0) and self.position > 0
        if not begins and not self.lost and found != (self.number, self.position):
            self.told = True
            yield _out_of_order(self.place, found, self.number, self.position)
        if int(shard) != self.place.shard:
            yield self.place.fault(FaultKind.ENTRY_ADDED, f"of shard {int(shard)}", *found)
        if self.first_moment is None:
            self.first_moment = posted_at
        if found[0] == self.number and self.moment not in (None, posted_at):
            yield self.place.fault(FaultKind.SEGMENT_UNREADABLE, "a record has two moments", *found)
        self.moment, self.lost = posted_at, False
        self.number, self.position = found[0], found[1] + 1

    def end(self, header: SegmentHeader, entries: int) -> Iterator[Fault]:
        """Whether the lines end where the header says."""
        last = header.last_number
        if not self.lost and (self.number < last or self.position == 0):
            yield self.place.fault(
                FaultKind.NUMBER_MISSING,
                f"its lines end before number {last}",
                self.number + 1 if self.position else self.number,
            )
        elif self.number > last or (not self.told and entries > header.entries):
            yield self.place.fault(
                FaultKind.ENTRY_ADDED,
                f"its header ends at number {last}, with {header.entries} entries",
                self.number,
                self.position - 1,
            )
        elif not self.told and entries < header.entries:
            yield self.place.fault(
                FaultKind.ENTRY_MISSING,
                f"{entries} of {header.entries} entries are left",
                self.number,
                self.position,
            )
        told = [
            posted_at_text(moment).encode() for moment in (header.posted_from, header.posted_to)
        ]
        if not self.lost and [self.first_moment, self.moment] != told:
            yield self.place.fault(
                FaultKind.SEGMENT_MISPLACED,
                "its entries are of other moments than its header says",
            )


def _out_of_order(place: Place, found: tuple[int, int], number: int, position: int) -> Fault:
    """`found` where (`number`, `position`) or the number after was awaited."""
    if found < (number, position):
        return place.fault(
            FaultKind.ENTRY_ADDED, f"stands behind number {number}, position {position - 1}", *found
        )
    follows = f"number {found[0]}, position {found[1]} follows instead"
    if found[0] > number + 1 or (found[0] > number and position == 0):
        missing = number + 1 if position else number
        return place.fault(FaultKind.NUMBER_MISSING, follows, missing)
    lacking = position if found[0] == number else 0
    return place.fault(FaultKind.ENTRY_MISSING, follows, found[0], lacking)
