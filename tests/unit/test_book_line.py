"""The canonical line of an entry: the bytes on which three books agree."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.ledger.book import (
    BookLine,
    MalformedEntryLine,
    accounts_of,
    directory_row,
    entry_line,
    hour_of,
    read_directory_row,
    read_line,
    skim,
)
from orion.ledger.model import AccountKey, Code, Entry, Kind, Purpose, Transfer, clearing
from orion.money import MAX_UNITS
from orion.records import canonical_json

MERCHANT = "merchant:" + "0123456789abcdef" * 2
CUSTODY = AccountKey("system:bitcoin", Purpose.CUSTODY, "BTC.bitcoin")
SETTLING = AccountKey(MERCHANT, Purpose.SETTLING, "BTC.bitcoin")
AVAILABLE = AccountKey(MERCHANT, Purpose.AVAILABLE, "BTC.bitcoin")
CAUSE = canonical_json({"type": "deposit", "deposit_id": "00" * 16, "credit_epoch": 0})
MOMENT = datetime(2026, 11, 23, 10, tzinfo=UTC)

_ids = st.binary(min_size=16, max_size=16)
_accounts = st.sampled_from([CUSTODY, SETTLING, AVAILABLE, clearing(7, "BTC.bitcoin")])
_words = st.text(max_size=12) | st.integers(0, 2**63)
_causes = st.dictionaries(st.text(max_size=8), _words, max_size=4).map(canonical_json)
_entries = st.builds(
    Entry,
    st.builds(
        Transfer,
        id=_ids,
        kind=st.sampled_from(Kind),
        code=st.sampled_from(Code),
        units=st.integers(1, MAX_UNITS),
        debit=_accounts,
        credit=_accounts,
        cause=_causes,
        trace_id=_ids,
        linked=st.booleans(),
        pending_id=st.none() | _ids,
    ),
    digest=_ids,
    counterpart=st.none() | _accounts,
)
_moments = st.datetimes(datetime(2020, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
_places = st.tuples(st.integers(0, 99_999), st.integers(1, 2**62), st.integers(0, 699))


def entry(cause: bytes = CAUSE) -> Entry:
    asked = Transfer(
        id=bytes(16),
        kind=Kind.DIRECT,
        code=Code.DEPOSIT_CREDIT,
        units=41_234,
        debit=CUSTODY,
        credit=SETTLING,
        cause=cause,
        trace_id=b"\x0f" * 16,
    )
    return Entry(asked, b"\xd1" * 16)


def test_the_line_is_the_documents_example() -> None:
    line = entry_line(0, 17, 0, entry(), MOMENT)

    assert line.decode() == (
        '{"cause":{"credit_epoch":0,"deposit_id":"00000000000000000000000000000000",'
        '"type":"deposit"},"code":"deposit_credit","counterpart":null,'
        f'"credit":"{SETTLING.id.hex()}","debit":"{CUSTODY.id.hex()}",'
        '"digest":"d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1","id":"00000000000000000000000000000000",'
        '"kind":"direct","linked":false,"number":17,"pending_id":null,"position":0,'
        '"posted_at":"2026-11-23T10:00:00.000000Z","shard":0,'
        '"trace_id":"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f","units":"41234","v":1}'
    )


def spelled(line: BookLine) -> bytes:
    """The line again, by the general writer of canonical JSON."""
    body = {
        name: getattr(line, name) for name in (field.name for field in dataclasses.fields(line))
    }
    body |= {name: value.hex() for name, value in body.items() if isinstance(value, bytes)}
    moment = line.posted_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return canonical_json(
        body
        | {"cause": json.loads(line.cause), "units": str(line.units), "posted_at": moment, "v": 1}
    )


@settings(max_examples=40, deadline=None)
@given(_entries, _places, _moments)
def test_a_line_is_canonical_json_and_reads_back_whole(
    kept: Entry, place: tuple[int, int, int], posted_at: datetime
) -> None:
    line = entry_line(*place, kept, posted_at)
    read = read_line(line)
    transfer = kept.transfer

    assert (read.shard, read.number, read.position) == place
    assert (read.id, read.kind, read.code, read.units) == transfer[:4]
    assert (read.cause, read.trace_id, read.linked, read.pending_id) == transfer[6:]
    assert (read.debit, read.credit) == (transfer.debit.id, transfer.credit.id)
    assert (read.digest, read.posted_at) == (kept.digest, posted_at)
    assert read.accounts() == {account.id for account in accounts_of(kept)}
    assert spelled(read) == line


@settings(max_examples=40, deadline=None)
@given(_entries, _places, st.data())
def test_nothing_but_a_line_reads_as_one(
    kept: Entry, place: tuple[int, int, int], data: st.DataObject
) -> None:
    line = bytearray(entry_line(*place, kept, MOMENT))
    at = data.draw(st.integers(0, len(line) - 1))
    line[at] ^= data.draw(st.integers(1, 255))
    changed = bytes(line)
    try:
        read = read_line(changed)
    except MalformedEntryLine:
        return
    assert spelled(read) == changed


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(_entries, _places), max_size=4))
def test_skimming_finds_what_reading_finds(
    kept: list[tuple[Entry, tuple[int, int, int]]],
) -> None:
    lines = [entry_line(*place, entry, MOMENT) for entry, place in kept]
    found = skim(lines)

    assert found is not None
    for row, line in zip(found, map(read_line, lines), strict=True):
        counterpart, credit, debit, number, position, posted_at, shard = row
        assert (int(shard), int(number), int(position)) == (line.shard, line.number, line.position)
        assert posted_at == b"2026-11-23T10:00:00.000000Z"
        ids = [bytes.fromhex(name.decode()) for name in (counterpart, credit, debit)]
        assert ids == [line.counterpart or b"", line.credit, line.debit]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_line_that_is_none_is_noticed_among_others(place: int) -> None:
    lines = [entry_line(0, 17, position, entry(), MOMENT) for position in range(3)]
    for other in (b"", lines[place][:-1], lines[place] + b"\n", b" " + lines[place], b"x" * 9_000):
        assert skim([*lines[:place], other, *lines[place + 1 :]]) is None


def test_a_cause_that_imitates_a_line_moves_no_part_of_it() -> None:
    inner = entry_line(9, 9, 9, entry(), MOMENT).decode()
    cause = canonical_json({"a": {}, "code": "leg", "counterpart": None, "note": inner[:400]})
    line = entry_line(0, 17, 3, entry(cause=cause), MOMENT)
    assert line.count(b'},"code":') == 2

    assert read_line(line).cause == cause
    assert [row[3:5] for row in skim([line]) or []] == [(b"17", b"3")]


@pytest.mark.parametrize(
    "old, new",
    [
        (b'"number":17', b'"number":017'),
        (b'"kind":"direct"', b'"kind":"instant"'),
        (b'"code":"deposit_credit"', b'"code":"deposit"'),
        (b'"units":"41234"', b'"units":"0"'),
        (b'"units":"41234"', b'"units":"%d"' % (MAX_UNITS + 1)),
        (b"2026-11-23T10", b"2026-11-33T10"),
        (b'"type":"deposit"}', b'"type": "deposit"}'),
        (b'"credit_epoch":0', b'"credit_epoch":0.5'),
        (b'{"credit_epoch":0,"deposit_id"', b'{"zzz":0,"deposit_id"'),
        (b',"v":1}', b',"v":2}'),
        (b',"v":1}', b',"v":1}\n'),
        (b'{"cause":', b'{"cause" :'),
    ],
)
def test_a_line_in_another_form_is_refused(old: bytes, new: bytes) -> None:
    line = entry_line(0, 17, 0, entry(), MOMENT)
    assert old in line
    with pytest.raises(MalformedEntryLine):
        read_line(line.replace(old, new))


def test_a_line_longer_than_any_entry_is_refused_unread() -> None:
    line = entry_line(0, 17, 0, entry(cause=canonical_json({"note": "x" * 2_048})), MOMENT)
    assert skim([line]) is None
    with pytest.raises(MalformedEntryLine):
        read_line(line)


def test_a_moment_is_written_in_utc_whatever_zone_it_came_in() -> None:
    there = MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))

    assert entry_line(0, 1, 0, entry(), there) == entry_line(0, 1, 0, entry(), MOMENT)
    assert hour_of(there + timedelta(minutes=59, seconds=59)) == MOMENT
    assert hour_of(there + timedelta(minutes=60)) == MOMENT + timedelta(hours=1)


@settings(max_examples=20, deadline=None)
@given(_accounts)
def test_a_directory_of_accounts_proves_itself(account: AccountKey) -> None:
    row = directory_row(account)

    assert read_directory_row(row) == (account.id, account)


@pytest.mark.parametrize(
    "place, value",
    [(0, "00" * 16), (1, "merchant:" + "00" * 16), (2, "available"), (3, "ETH.ethereum")],
)
def test_a_name_under_another_accounts_id_is_refused(place: int, value: str) -> None:
    row = directory_row(SETTLING)
    row[place] = value
    with pytest.raises(MalformedEntryLine):
        read_directory_row(row)


@pytest.mark.parametrize("row", [None, [], ["", "", "", ""], ["a", "b", "c"], ["", "", 1, ""]])
def test_what_is_no_row_of_a_directory_is_refused(row: object) -> None:
    with pytest.raises(MalformedEntryLine):
        read_directory_row(row)
