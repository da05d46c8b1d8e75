"""What the books read of `ledger.posted` is what the ledger posted, or an error."""

import json
from datetime import UTC, datetime

import pytest

from orion.ledger.model import Code, Entry, Kind, clearing
from orion.ledger.transfer_record import (
    MAX_ANSWERED,
    MalformedTransfer,
    PostedRecord,
    entry_body,
    posted_body,
    read_posted,
)
from orion.records import MalformedRecord, canonical_json
from tests.unit.ledger_scene import AVAILABLE, BTC, CUSTODY, FEE_INCOME, Books, move, then

AT = datetime(2026, 11, 23, 10, 0, 0, 7, tzinfo=UTC)
TRACE = b"\xef" * 16
Body = dict[str, object]
# What every entry has.
SHORTEST = (
    "id", "kind", "code", "asset", "units", "debit", "credit", "cause", "linked", "digest",
)  # fmt: skip


def merchants_only(owner: str) -> bool:
    return owner.startswith("merchant:")


def entries() -> tuple[Entry, ...]:
    """Of all kinds, with and without an account of another shard."""
    payout = move(Code.PAYOUT, 5)
    records = [
        [move(Code.DEPOSIT_CREDIT, 9, linked=True), move(Code.DEPOSIT_FINAL, 9)],
        [payout, then(Kind.SIGNED, payout), then(Kind.POST, payout, 3)],
        [move(Code.DEPOSIT_REVERSAL_FINAL, 9)],
        [move(Code.DEPOSIT_CREDIT, 9, fact=1), move(Code.DEPOSIT_FINAL, 9, fact=1)],
        [move(Code.FEE, 9), move(Code.FEE_RETURNED, 9)],
        [move(Code.REFERRAL_SHARE, 2), move(Code.REFERRAL_RETURNED, 3)],
    ]
    far = Books(0, merchants_only).post_records(records)
    leg = far.legs[0].as_transfer()
    near = Books(0).post_records([*records, [leg]])
    return far.accepted + near.accepted


def body(*posted: Entry) -> Body:
    return posted_body(PostedRecord(3, 17, TRACE, AT, posted))


def test_every_kind_of_entry_is_read_as_it_was_posted() -> None:
    posted = entries()
    assert {e.transfer.code for e in posted} == set(Code) - {Code.DEPOSIT_REVERSAL}
    assert {e.counterpart for e in posted} == {None, CUSTODY, FEE_INCOME}
    assert read_posted(canonical_json(body(*posted))) == PostedRecord(3, 17, TRACE, AT, posted)


def test_an_entry_has_the_form_of_the_contract() -> None:
    payout = move(Code.PAYOUT, 5)
    end = then(Kind.POST, payout, 3)
    entry = Entry(end._replace(credit=clearing(0, BTC)), end.digest, CUSTODY)
    assert entry_body(entry, TRACE) == {
        "id": end.id.hex(),
        "kind": "post",
        "code": "payout",
        "asset": BTC,
        "units": "3",
        "debit": {"owner": AVAILABLE.owner, "purpose": "available"},
        "credit": {"owner": "shard:0", "purpose": "clearing"},
        "cause": {"type": "test"},
        "linked": False,
        "pending_id": payout.id.hex(),
        "digest": end.digest.hex(),
        "counterpart": {"owner": "system:bitcoin", "purpose": "custody"},
        "trace_id": "00" * 16,
    }


def test_a_record_has_the_form_of_the_contract() -> None:
    (one, other) = entries()[:2]
    alike = other._replace(transfer=other.transfer._replace(trace_id=TRACE))
    assert body(one, alike) == {
        "v": 1,
        "trace_id": TRACE.hex(),
        "shard": 3,
        "number": 17,
        "posted_at": "2026-11-23T10:00:00.000007Z",
        "transfers": [entry_body(one, TRACE), entry_body(alike, TRACE)],
    }
    assert entry_body(alike, TRACE).keys() == set(SHORTEST)
    assert read_posted(canonical_json(body(one, alike))).entries == (one, alike)


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2}, {"shard": -1}, {"shard": "0"}, {"shard": True}, {"number": 0}, {"number": 2**63},
        {"trace_id": "x"}, {"posted_at": "2026-11-23T10:00:00Z"}, {"transfers": []},
        {"transfers": {}}, {"more": 1}, {"transfers": [1]},
    ],
)  # fmt: skip
def test_a_posted_record_of_another_form_is_refused(change: Body) -> None:
    with pytest.raises(MalformedTransfer) as caught:
        read_posted(canonical_json(body(entries()[0]) | change))
    assert next(iter(change)) in str(caught.value.fields["field"])


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "x"}, {"digest": None}, {"trace_id": None}, {"counterpart": {}},
        {"counterpart": "system:bitcoin"}, {"counterpart": None},
        {"posted_at": "2026-11-23T10:00:00.000007Z"},
        {"pending_id": "ab" * 16}, {"pending_id": 5}, {"pending_id": None},
        {"reason": "overflow"}, {"units": "0"}, {"kind": "both"}, {"linked": None},
    ],
)  # fmt: skip
def test_an_entry_of_another_form_is_refused(change: Body) -> None:
    row = json.loads(json.dumps(entry_body(entries()[0], TRACE)))
    with pytest.raises(MalformedTransfer) as caught:
        read_posted(canonical_json(body() | {"transfers": [row | change]}))
    assert next(iter(change)) in str(caught.value.fields["field"])


@pytest.mark.parametrize("name", SHORTEST)
def test_an_entry_that_lacks_a_name_is_refused(name: str) -> None:
    row = entry_body(entries()[0], TRACE)
    del row[name]
    with pytest.raises(MalformedTransfer):
        read_posted(canonical_json(body() | {"transfers": [row]}))


@pytest.mark.parametrize("name", sorted(body(entries()[0])))
def test_a_record_that_lacks_a_name_is_refused(name: str) -> None:
    whole = body(entries()[0])
    del whole[name]
    with pytest.raises(MalformedTransfer):
        read_posted(canonical_json(whole))


def test_an_entry_of_the_second_phase_names_what_it_acts_on() -> None:
    row = next(entry_body(e, TRACE) for e in entries() if e.transfer.kind is Kind.POST)
    del row["pending_id"]
    with pytest.raises(MalformedTransfer):
        read_posted(canonical_json(body() | {"transfers": [row]}))


def test_a_record_holds_at_most_700_entries() -> None:
    row = entry_body(entries()[0], TRACE)
    with pytest.raises(MalformedTransfer):
        read_posted(canonical_json(body() | {"transfers": [row] * (MAX_ANSWERED + 1)}))
    full = read_posted(canonical_json(body() | {"transfers": [row] * MAX_ANSWERED}))
    assert len(full.entries) == MAX_ANSWERED


@pytest.mark.parametrize("value", [b"", b"[]", b'{"v":1,"v":1}', b'{"v":1.0}', b"\xff"])
def test_bytes_that_are_no_strict_json_object_are_refused(value: bytes) -> None:
    with pytest.raises(MalformedRecord):
        read_posted(value)
