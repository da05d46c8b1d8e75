"""Finds a posted transfer in the log book and proves that it stands there."""

from dataclasses import dataclass
from typing import Protocol

from orion.errors import OrionError, Retry
from orion.ledger.book import read_line, skim
from orion.ledger.proof import Proof, make_proof
from orion.log.ledger_book.checking import FaultKind
from orion.log.ledger_book.model import Segment, read_trailer, segment_key
from orion.log.ledger_book.ports import RootKeys
from orion.log.ledger_book.reading import Checked, LedgerBookReader


@dataclass(frozen=True, slots=True)
class PostedPlace:
    """Where a transfer stands in its shard's order."""

    shard: int
    number: int
    position: int


class TransferPlaces(Protocol):
    """The ledger's own book, for finding transfers only: nothing it says goes into a proof."""

    def place(self, transfer_id: bytes) -> PostedPlace | None:
        """Where the transfer of this id was posted; None where it was not. Raises Unavailable."""
        ...


class TransferNotPosted(OrionError):
    """The ledger posted no transfer of this id: it was refused, or never came."""

    code = "transfer_not_posted"


class NotInLogBook(OrionError):
    """The transfer is posted, but its number is not in the log book yet: some seconds later it is,
    unless the book's writer stands still.
    """

    code = "not_in_log_book"
    retry = Retry.LATER


class SegmentFaulty(OrionError):
    """The segment that should hold the transfer is not as it was signed, or the chain to it is
    broken; `fault` says how. A proof from it would prove nothing.
    """

    code = "segment_faulty"


def prove(
    reader: LedgerBookReader, keys: RootKeys, places: TransferPlaces, transfer_id: bytes
) -> Proof:
    """The proof of one posted transfer.

    Raises TransferNotPosted, NotInLogBook, SegmentFaulty, and what the ports raise.
    """
    place = places.place(transfer_id)
    if place is None:
        raise TransferNotPosted("no transfer of this id was posted", transfer=transfer_id.hex())
    for checked in reader.read(place.shard, place.number, place.number):
        if not _ends_before(checked, place.number):
            return _proof(checked, keys, place, transfer_id)
    raise NotInLogBook(
        "its number is not in the log book yet", shard=place.shard, number=place.number
    )


def _ends_before(checked: Checked, number: int) -> bool:
    return checked.header is not None and checked.header.last_number < number


def _proof(checked: Checked, keys: RootKeys, place: PostedPlace, transfer_id: bytes) -> Proof:
    segment, name = checked.segment, segment_key(place.shard, checked.first_number)
    if checked.faults or segment is None:
        kind = checked.faults[0].kind if checked.faults else FaultKind.SEGMENT_UNREADABLE
        raise SegmentFaulty("a faulty segment proves nothing", segment=name, fault=kind.value)
    trailer = read_trailer(segment.trailer_line)
    public_key = keys.known_key(trailer.key)
    index = _index(segment, place)
    if public_key is None or index is None or read_line(segment.lines[index]).id != transfer_id:
        raise SegmentFaulty(
            "the books differ on this transfer",
            segment=name,
            fault="entry_differs",
            number=place.number,
            position=place.position,
        )
    return make_proof(
        segment.header_line,
        segment.lines[index],
        segment.leaves,
        index,
        signature=trailer.signature,
        public_key=public_key,
    )


def _index(segment: Segment, place: PostedPlace) -> int | None:
    wanted = (b"%d" % place.number, b"%d" % place.position)
    rows = skim(segment.lines) or []
    return next((index for index, row in enumerate(rows) if row[3:5] == wanted), None)
