"""Three books beside each other: roots first, then the entries of what differs. The book that is
wrong is the one that stands alone against two.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from orion.ledger import merkle
from orion.ledger.book import hour_of
from orion.ledger.legs import MAX_ANSWERED
from orion.log.reconciliation.lines import AccountNames, Subject, differing, parts, subject
from orion.log.reconciliation.model import (
    Book,
    BookRange,
    Difference,
    DifferenceKind,
    HourRoot,
    PlacedLine,
    RecordLeaves,
    Wrong,
    clipped,
)
from orion.log.reconciliation.planning import Range, Span

# Records whose entries are read in full for one range; what differs beyond is counted by record.
MAX_RECORDS_IN_DETAIL = 200

Place = tuple[int, int]


def book_range(records: Iterable[RecordLeaves]) -> BookRange:
    """What a book holds of a range; `records` by rising number."""
    leaves: dict[object, list[bytes]] = {}
    hours = {}
    count, whole = 0, True
    for record in records:
        hour = hour_of(record.posted_at)
        hours[hour] = hour
        leaves.setdefault(hour, []).append(record.leaves)
        count += 1
        whole = whole and record.whole
    roots = []
    for hour in sorted(hours):
        joined = b"".join(leaves[hour])
        roots.append(HourRoot(hour, len(joined) // merkle.HASH_BYTES, merkle.root(joined)))
    return BookRange(count, whole, tuple(roots))


def agree(books: Mapping[Book, BookRange], wanted: Range) -> bool:
    """Whether the books that were read hold the same, and no number or position is missing in all
    of them.
    """
    first, *others = books.values()
    if any(other != first for other in others) or not first.whole:
        return False
    expected = 0 if wanted.strays else wanted.span.last - wanted.span.first + 1
    return first.records == expected


@dataclass(frozen=True, slots=True)
class Suspects:
    """Numbers whose records differ, rising, and spans of numbers that no book has."""

    numbers: tuple[int, ...]
    holes: tuple[Span, ...]


def suspects(books: Mapping[Book, Sequence[RecordLeaves]], wanted: Range) -> Suspects:
    """Where the books differ, by record."""
    held: dict[Book, dict[int, list[RecordLeaves]]] = {}
    for book, records in books.items():
        by_number: dict[int, list[RecordLeaves]] = {}
        for record in records:
            by_number.setdefault(record.number, []).append(record)
        held[book] = by_number
    every = sorted(set().union(*held.values()))
    numbers = [number for number in every if _differs(held, number)]
    holes = () if wanted.strays else tuple(_holes(every, wanted.span))
    return Suspects(tuple(numbers), holes)


def _differs(held: Mapping[Book, Mapping[int, list[RecordLeaves]]], number: int) -> bool:
    found = [known.get(number, []) for known in held.values()]
    return (
        any(len(records) != 1 for records in found)
        or len({records[0].leaves for records in found}) > 1
        or not found[0][0].whole
    )


def _holes(numbers: Sequence[int], span: Span) -> Iterable[Span]:
    awaited = span.first
    for number in (*numbers, span.last + 1):
        if number > awaited:
            yield Span(awaited, number - 1)
        awaited = number + 1


def missing_numbers(shard: int, holes: Iterable[Span]) -> list[Difference]:
    """Numbers that no book has: each shard's run from 1 without a gap."""
    return [
        Difference(
            DifferenceKind.NUMBER_MISSING,
            Wrong.UNKNOWN,
            shard=shard,
            number=hole.first,
            found="no entry in any book",
            expected=f"numbers {hole.first} to {hole.last}",
        )
        for hole in holes
    ]


def line_differences(
    shard: int, books: Mapping[Book, Sequence[PlacedLine]], names: AccountNames
) -> list[Difference]:
    """Every entry on which the books do not agree, by place. `names` explains account ids."""
    held: dict[Book, dict[Place, bytes]] = {book: {} for book in books}
    found: list[Difference] = []
    for book, lines in books.items():
        for placed in lines:
            place = (placed.number, placed.position)
            if place in held[book]:
                found.append(_added(shard, place, Wrong(book), placed.line, names))
            else:
                held[book][place] = placed.line
    places = sorted(set().union(*held.values()))
    for place in places:
        difference = _judge(shard, place, {b: held[b].get(place) for b in books}, names)
        if difference is not None:
            found.append(difference)
    agreed = [p for p in places if sum(p in known for known in held.values()) > 1]
    found += _lost_positions(shard, agreed)
    return found


def _judge(
    shard: int, place: Place, lines: Mapping[Book, bytes | None], names: AccountNames
) -> Difference | None:
    values = list(lines.values())
    if values.count(values[0]) == len(values):
        return None
    alone = [book for book, line in lines.items() if values.count(line) == 1]
    if len(alone) > 1:
        return _all_differ(shard, place, lines, names)
    wrong = alone[0]
    line = lines[wrong]
    agreed = next(value for book, value in lines.items() if book is not wrong)
    if agreed is None:
        if line is None:
            raise ValueError("two absent lines cannot stand against a third")
        return _added(shard, place, Wrong(wrong), line, names)
    about = subject(agreed, names)
    if line is None:
        return _difference(DifferenceKind.ENTRY_MISSING, Wrong(wrong), shard, place, about, None,
                           _summary(agreed))  # fmt: skip
    found, expected, changed = differing(line, agreed)
    if changed & {"debit", "credit", "counterpart"}:
        about = subject(agreed, names, prefer=changed)
    return _difference(
        DifferenceKind.ENTRY_DIFFERS, Wrong(wrong), shard, place, about, found, expected
    )


def _all_differ(
    shard: int, place: Place, lines: Mapping[Book, bytes | None], names: AccountNames
) -> Difference:
    present = [line for line in lines.values() if line is not None]
    changed = set().union(*(differing(line, present[0])[2] for line in present[1:]))
    told = []
    for book, line in lines.items():
        if line is None:
            told.append(f"{book}: nothing")
        else:
            held = parts(line)
            told.append(f"{book}: " + ", ".join(f"{n} {held.get(n)}" for n in sorted(changed)))
    return _difference(
        DifferenceKind.ENTRY_DIFFERS, Wrong.UNKNOWN, shard, place, subject(present[0], names),
        "; ".join(told), None,
    )  # fmt: skip


def _added(shard: int, place: Place, wrong: Wrong, line: bytes, names: AccountNames) -> Difference:
    return _difference(
        DifferenceKind.ENTRY_ADDED, wrong, shard, place, subject(line, names), _summary(line), None
    )


def _lost_positions(shard: int, places: Sequence[Place]) -> list[Difference]:
    # A position that no book has while two have a later one of the same record.
    found: list[Difference] = []
    awaited: dict[int, int] = {}
    for number, position in places:
        first = awaited.get(number, 0)
        lost = range(first, min(position, first + MAX_ANSWERED))
        found += [_lost(shard, number, place) for place in lost]
        awaited[number] = position + 1
    return found


def _lost(shard: int, number: int, position: int) -> Difference:
    return Difference(
        DifferenceKind.ENTRY_MISSING,
        Wrong.UNKNOWN,
        shard=shard,
        number=number,
        position=position,
        found="no entry in any book",
        expected="positions of a record without a gap",
    )


def records_beyond(shard: int, numbers: Iterable[int]) -> list[Difference]:
    """Records that differ, without their entries: where a range has more than can be read."""
    return [
        Difference(
            DifferenceKind.ENTRY_DIFFERS,
            Wrong.UNKNOWN,
            shard=shard,
            number=number,
            found="the books differ in this record; too many differ to name its entries",
        )
        for number in numbers
    ]


def _summary(line: bytes) -> str:
    held = parts(line)
    return clipped(
        ", ".join(f"{name} {held.get(name)}" for name in ("code", "units", "debit", "credit"))
    )


def _difference(
    kind: DifferenceKind,
    wrong: Wrong,
    shard: int,
    place: Place,
    about: Subject,
    found: str | None,
    expected: str | None,
) -> Difference:
    return Difference(
        kind,
        wrong,
        shard=shard,
        number=place[0],
        position=place[1],
        transfer_id=about.transfer_id,
        account=about.account,
        asset=about.asset,
        found=None if found is None else clipped(found),
        expected=None if expected is None else clipped(expected),
    )
