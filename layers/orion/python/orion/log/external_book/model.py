"""What is new among told records, what only repeats, and where a partition must stop. Pure.

A shard's numbers have no gap, so they alone say what the book lacks. The offset beside them tells a
repetition of the broker's from a topic that was made anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from orion.errors import OrionError
from orion.ledger.book import entry_line
from orion.ledger.transfer_record import PostedRecord
from orion.log.errors import GapInBook
from orion.log.external_book.errors import BookDiffers, OffsetsWentBack

FIRST_NUMBER = 1


@dataclass(frozen=True, slots=True)
class Told:
    """One record of `ledger.posted`, read, with its offset."""

    offset: int
    record: PostedRecord


@dataclass(frozen=True, slots=True)
class Place:
    """How far a partition has been written: the next offset and the next number."""

    next_offset: int = 0
    next_number: int = FIRST_NUMBER


@dataclass(frozen=True, slots=True)
class Plan:
    """`fresh` is to be written, `repeated` to be compared, both in their order; then the partition
    stands at `place`, and `fault`, if any, stops it there.
    """

    fresh: tuple[Told, ...]
    repeated: tuple[Told, ...]
    place: Place
    fault: OrionError | None


def plan(place: Place, batch: Sequence[Told]) -> Plan:
    """What to do with `batch`, records of one partition by rising offset, from `place` on."""
    fresh: list[Told] = []
    repeated: list[Told] = []
    for told in batch:
        fault = _fault(place, told)
        if fault is not None:
            return Plan(tuple(fresh), tuple(repeated), place, fault)
        if told.record.number < place.next_number:
            repeated.append(told)
            place = replace(place, next_offset=max(place.next_offset, told.offset + 1))
        else:
            fresh.append(told)
            place = Place(told.offset + 1, place.next_number + 1)
    return Plan(tuple(fresh), tuple(repeated), place, None)


def _fault(place: Place, told: Told) -> OrionError | None:
    record = told.record
    if record.number < place.next_number:
        return None
    if told.offset < place.next_offset:
        return OffsetsWentBack(
            "a new number under an offset that was taken: was the topic made anew?",
            shard=record.shard,
            number=record.number,
            offset=told.offset,
        )
    if record.number > place.next_number:
        return GapInBook(
            "a number is missing before this record",
            shard=record.shard,
            expected=place.next_number,
            number=record.number,
            offset=told.offset,
        )
    return None


def compared(
    place: Place, batch: Sequence[Told], planned: Plan, stored: Mapping[int, Sequence[bytes]]
) -> Plan:
    """`planned` for `batch` from `place`, unless a repetition differs from what the book holds:
    then the plan for what stands before it, which stops there. `stored` has the lines of each
    number that the book holds, in order, as far as `planned.repeated` names them.
    """
    for told in planned.repeated:
        record = told.record
        first = next(
            (other for other in planned.fresh if other.record.number == record.number), None
        )
        held = lines(first.record) if first is not None else stored.get(record.number, ())
        if list(held) != list(lines(record)):
            # Offsets rise, so they say what stands before.
            before = plan(place, [other for other in batch if other.offset < told.offset])
            fault = BookDiffers(
                "a number was told again with other entries",
                shard=record.shard,
                number=record.number,
                offset=told.offset,
            )
            return replace(before, fault=fault)
    return planned


def lines(record: PostedRecord) -> Sequence[bytes]:
    """The canonical lines of a record's entries."""
    return [
        entry_line(record.shard, record.number, position, entry, record.posted_at)
        for position, entry in enumerate(record.entries)
    ]
