"""Segments of the log book: what is written reads back whole, and every change of it is named."""

import gzip
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.ledger.model import AccountKey
from orion.ledger.segment_header import (
    FIRST_PREVIOUS,
    MAX_ENTRIES,
    MalformedSegmentHeader,
    SegmentHeader,
    read_header,
)
from orion.ledger.transfer_record import PostedRecord
from orion.log.errors import SegmentUnreadable
from orion.log.gzip_lines import packed, unpacked
from orion.log.ledger_book.checking import Fault, FaultKind, Place, faults
from orion.log.ledger_book.model import (
    MAX_SEGMENT_BYTES,
    Draft,
    cut,
    drafted,
    following,
    opened,
    sealed,
    segment_key,
)
from tests.unit.ledger_book_records import (
    MOMENT,
    STAGE,
    Key,
    merchant,
    new_key,
    posted,
    sealed_segments,
)

KEY = new_key()
RECORDS = [posted(number, entries=3) for number in range(5, 9)]  # Lines 1 to 12 of the segment.
DRAFT = drafted(STAGE, FIRST_PREVIOUS, RECORDS)
BODY = sealed(DRAFT, KEY.public, KEY.sign(DRAFT.digest))
PLACE = Place(STAGE, 0, 5)
ENTRY = posted(1, entries=1).entries
Lines = list[bytes]


def found(body: bytes, place: Place = PLACE) -> tuple[Fault, ...]:
    return faults(opened(body), place, KEY.known)


def kinds(body: bytes, place: Place = PLACE) -> set[str]:
    return {fault.kind.value for fault in found(body, place)}


def tampered(change: Callable[[Lines], object]) -> bytes:
    lines = unpacked(BODY, limit_bytes=MAX_SEGMENT_BYTES)
    change(lines)
    return packed(lines)


def lied(header: Mapping[str, object], key: Key = KEY) -> bytes:
    """A segment whose writer lies in its header and signs that."""
    changed = replace(DRAFT.header, **header)  # type: ignore[arg-type]
    line = changed.line()
    lie = Draft(changed, line, DRAFT.lines)
    return sealed(lie, key.public, key.sign(lie.digest))


def test_what_was_sealed_has_no_fault_and_keeps_every_line() -> None:
    segment = opened(BODY)
    header = read_header(segment.header_line)

    assert found(BODY) == ()
    assert segment.lines == DRAFT.lines
    assert (header.first_number, header.last_number, header.entries) == (5, 8, 12)
    assert header.posted_from == MOMENT + timedelta(seconds=5)
    assert header.posted_to == MOMENT + timedelta(seconds=8)
    assert header == DRAFT.header


def test_the_same_records_give_the_same_bytes_but_for_the_signature() -> None:
    again = drafted(STAGE, FIRST_PREVIOUS, RECORDS)

    assert (again.header_line, again.lines) == (DRAFT.header_line, DRAFT.lines)
    assert sealed(again, KEY.public, b"\x30") == sealed(DRAFT, KEY.public, b"\x30")
    assert segment_key(3, 42) == "segments/00003/00000000000000000042.jsonl.gz"


def test_segments_are_chained_by_the_digests_of_their_headers() -> None:
    records = [PostedRecord(0, number, bytes(16), MOMENT, ENTRY * 700) for number in range(1, 16)]
    first, second = sealed_segments(records, KEY)
    head, next_head = (read_header(opened(body).header_line) for _, body in (first, second))

    assert (first[0], second[0]) == (1, 15)
    assert (head.entries, next_head.entries) == (9_800, 700)
    assert head.previous == FIRST_PREVIOUS
    assert next_head.previous == drafted(STAGE, FIRST_PREVIOUS, records[:14]).digest


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 700), max_size=40))
def test_a_cut_keeps_records_whole_and_segments_within_their_limit(sizes: list[int]) -> None:
    records = [
        PostedRecord(0, number, bytes(16), MOMENT, ENTRY * size)
        for number, size in enumerate(sizes)
    ]
    runs = list(cut(records))

    assert [record for run in runs for record in run] == records
    totals = [sum(len(record.entries) for record in run) for run in runs]
    assert all(0 < total <= MAX_ENTRIES for total in totals)
    following_sizes = [len(run[0].entries) for run in runs[1:]]
    assert all(
        total + size > MAX_ENTRIES for total, size in zip(totals, following_sizes, strict=False)
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 12), st.lists(st.integers(1, 12), max_size=14))
def test_whatever_comes_the_book_goes_on_without_gap_or_repetition(
    last: int, numbers: list[int]
) -> None:
    fresh, gap = following([posted(number, entries=1) for number in numbers], last)
    kept = [record.number for record in fresh]

    assert kept == list(range(last + 1, last + 1 + len(kept)))
    beyond = {number for number in numbers if number > last + len(kept)}
    assert (gap is None) == (not beyond)
    assert last + len(kept) + 1 not in numbers
    if gap is not None:
        assert gap.fields == {"shard": 0, "number": last + len(kept) + 1, "came": min(beyond)}


def _move(lines: Lines, place: int, to: int) -> None:
    lines.insert(to, lines.pop(place))


def _change(lines: Lines, place: int, old: bytes, new: bytes) -> None:
    assert lines[place].count(old) >= 1
    lines[place] = lines[place].replace(old, new, 1)


def _renumber(lines: Lines, places: range, old: bytes, new: bytes) -> None:
    for place in places:
        _change(lines, place, old, new)


TAMPERINGS: list[tuple[str, Callable[[Lines], object], set[str]]] = [
    ("an amount", lambda x: _change(x, 4, b'"41234"', b'"51234"'), {"root_differs"}),
    ("a cause", lambda x: _change(x, 4, b'"deposit"', b'"depozit"'), {"root_differs"}),
    ("a form", lambda x: _change(x, 4, b"{", b"["), {"root_differs", "segment_unreadable"}),
    ("a line that is none", lambda x: x.insert(5, b"{}"),
     {"root_differs", "segment_unreadable", "entry_added"}),
    ("the last record's form", lambda x: _renumber(x, range(10, 13), b"{", b"["),
     {"root_differs", "segment_unreadable"}),
    ("a line removed", lambda x: x.pop(5), {"root_differs", "entry_missing"}),
    ("a record's begin removed", lambda x: x.pop(4), {"root_differs", "entry_missing"}),
    ("the last line removed", lambda x: x.pop(12), {"root_differs", "entry_missing"}),
    ("a line doubled", lambda x: x.insert(5, x[5]), {"root_differs", "entry_added"}),
    ("a line moved up", lambda x: _move(x, 9, 2),
     {"root_differs", "entry_added", "number_missing"}),
    ("two lines swapped", lambda x: _move(x, 4, 5),
     {"root_differs", "entry_added", "entry_missing"}),
    ("two lines of a record swapped", lambda x: _move(x, 5, 6),
     {"root_differs", "entry_added", "entry_missing"}),
    ("a record's number", lambda x: _renumber(x, range(4, 7), b'"number":6', b'"number":9'),
     {"root_differs", "number_missing", "entry_added"}),
    ("a line of another shard", lambda x: _change(x, 6, b'"shard":0', b'"shard":1'),
     {"root_differs", "entry_added"}),
    ("a moment", lambda x: _change(x, 6, b":06.000000Z", b":06.000001Z"),
     {"root_differs", "segment_unreadable"}),
    ("a root", lambda x: _change(x, 0, DRAFT.header.root.hex().encode(), b"0" * 64),
     {"root_differs", "signature_invalid"}),
    ("a previous", lambda x: _change(x, 0, b'"previous":"0', b'"previous":"1'),
     {"signature_invalid"}),
    ("an owner", lambda x: _change(x, 0, b'"system:bitcoin"', b'"system:litecoin"'),
     {"segment_unreadable", "signature_invalid"}),
    ("a first number", lambda x: _change(x, 0, b'"first_number":5', b'"first_number":4'),
     {"segment_misplaced", "signature_invalid"}),
    ("a signature", lambda x: _change(x, 13, b'"signature":"ME', b'"signature":"MF'),
     {"signature_invalid"}),
    ("a key's name", lambda x: _change(x, 13, b'"key":"', b'"key":"0'), {"segment_unreadable"}),
    ("a trailer's spelling", lambda x: _change(x, 13, b'","signature"', b'", "signature"'),
     {"segment_unreadable"}),
    ("a trailer removed", lambda x: x.pop(),
     {"segment_unreadable", "root_differs", "entry_missing"}),
    ("a header removed", lambda x: x.pop(0), {"segment_unreadable", "signature_invalid",
                                              "entry_missing"}),
]  # fmt: skip


@pytest.mark.parametrize("name, change, expected", TAMPERINGS, ids=[row[0] for row in TAMPERINGS])
def test_a_changed_segment_is_named(
    name: str, change: Callable[[Lines], object], expected: set[str]
) -> None:
    assert kinds(tampered(change)) == expected


@pytest.mark.parametrize(
    "change, number, position",
    [
        (lambda x: x.pop(5), 6, 1),
        (lambda x: x.pop(4), 6, 0),
        (lambda x: x.pop(12), 8, 2),
        (lambda x: x.insert(5, x[5]), 6, 1),
        (lambda x: x.insert(13, x[12].replace(b'"position":2', b'"position":3')), 8, 3),
    ],
)
def test_the_entry_that_is_missing_or_added_is_named(
    change: Callable[[Lines], object], number: int, position: int
) -> None:
    about = [fault for fault in found(tampered(change)) if fault.kind.value.startswith("entry_")]

    assert [(fault.number, fault.position) for fault in about] == [(number, position)]


def test_a_missing_record_is_named_by_its_number() -> None:
    def drop_number_six(lines: Lines) -> None:
        del lines[4:7]

    about = [fault for fault in found(tampered(drop_number_six)) if fault.number is not None]
    assert [(fault.kind, fault.number) for fault in about] == [(FaultKind.NUMBER_MISSING, 6)]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_byte_of_any_line_can_be_changed_unnoticed(data: st.DataObject) -> None:
    text = bytearray(b"\n".join(unpacked(BODY, limit_bytes=MAX_SEGMENT_BYTES)) + b"\n")
    text[data.draw(st.integers(0, len(text) - 1))] ^= data.draw(st.integers(1, 255))
    whole = bytes(text)
    if not whole.endswith(b"\n"):
        whole += b"\n"

    assert kinds(packed(whole[:-1].split(b"\n")))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_byte_of_the_object_can_be_changed_into_other_lines(data: st.DataObject) -> None:
    body = bytearray(BODY)
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(SegmentUnreadable):
        assert opened(bytes(body)) == opened(BODY)


LIES: list[tuple[str, dict[str, object], set[str]]] = [
    ("stage", {"stage": "prod"}, {"segment_misplaced"}),
    ("shard", {"shard": 1}, {"segment_misplaced"}),
    ("from", {"posted_from": MOMENT}, {"segment_misplaced"}),
    ("to", {"posted_to": MOMENT + timedelta(days=1)}, {"segment_misplaced"}),
    ("last number high", {"last_number": 9}, {"number_missing"}),
    ("last number low", {"last_number": 7}, {"entry_added"}),
    ("entries many", {"entries": 13}, {"entry_missing"}),
    ("entries few", {"entries": 11}, {"entry_added"}),
    ("an account more",
     {"accounts": dict(sorted({**DRAFT.header.accounts, merchant(77).id: merchant(77)}.items()))},
     {"account_differs"}),
    ("an account less", {"accounts": dict(list(DRAFT.header.accounts.items())[1:])},
     {"account_differs"}),
]  # fmt: skip


@pytest.mark.parametrize("name, header, expected", LIES, ids=[row[0] for row in LIES])
def test_a_lie_that_is_signed_is_named_all_the_same(
    name: str, header: dict[str, object], expected: set[str]
) -> None:
    assert kinds(lied(header)) == expected


def test_a_segment_under_another_name_is_misplaced() -> None:
    assert "segment_misplaced" in kinds(BODY, Place(STAGE, 0, 6))
    assert "segment_misplaced" in kinds(BODY, Place(STAGE, 1, 5))
    assert kinds(BODY, Place("prod", 0, 5)) == {"segment_misplaced"}


def test_a_foreign_key_signs_nothing() -> None:
    assert kinds(lied({}, key=new_key(8))) == {"signature_invalid"}


@pytest.mark.parametrize(
    "body",
    [b"", b"\x1f\x8b", BODY[:-1], BODY + b"\0", BODY + BODY, packed([]), packed([b"{}"]),
     gzip.compress(b"{}\n{}\n{}")],
    ids=["empty", "short", "cut", "continued", "doubled", "no line", "one line", "no line end"],
)  # fmt: skip
def test_what_is_no_file_of_lines_is_unreadable(body: bytes) -> None:
    with pytest.raises(SegmentUnreadable):
        opened(body)


def test_a_small_object_that_unpacks_beyond_any_segment_is_refused() -> None:
    bomb = packed([b"\0" * 1_000] * (MAX_SEGMENT_BYTES // 1_000 + 1))
    with pytest.raises(SegmentUnreadable):
        opened(bomb)


def header_of(accounts: Sequence[AccountKey]) -> SegmentHeader:
    return replace(DRAFT.header, accounts={account.id: account for account in accounts})


def test_a_directory_that_is_unsorted_or_repeats_is_refused() -> None:
    falling = sorted((merchant(1), merchant(2)), key=lambda account: account.id, reverse=True)
    row = header_of([merchant(1)]).line()
    again = row[len(b'{"accounts":[') : row.index(b"]]") + 1]

    with pytest.raises(MalformedSegmentHeader):
        read_header(header_of(falling).line())
    with pytest.raises(MalformedSegmentHeader):
        read_header(row.replace(again, again + b"," + again, 1))
    assert len(read_header(header_of(falling[::-1]).line()).accounts) == 2


@pytest.mark.parametrize("entries", [0, MAX_ENTRIES + 1])
def test_a_header_tells_of_entries_within_a_segments_limit(entries: int) -> None:
    with pytest.raises(MalformedSegmentHeader):
        read_header(replace(DRAFT.header, entries=entries).line())
