"""What a `ledger.transfers` record must look like, and how answers are packed."""

import json
from collections.abc import Mapping, Sequence

import pytest

from orion.adapters.mysql.outbox import MAX_PAYLOAD_BYTES
from orion.ledger.codes import SECOND_PHASE
from orion.ledger.model import Code, Entry, Kind, Purpose, Reason, Refusal
from orion.ledger.transfer_record import (
    MAX_ANSWERED,
    MAX_CAUSE_BYTES,
    MAX_CHAIN,
    MAX_TRANSFERS,
    MalformedTransfer,
    entry_body,
    packed,
    read_transfers,
    refusal_body,
)
from orion.money import ASSETS
from orion.records import MalformedRecord, canonical_json

Body = dict[str, object]


def row() -> Body:
    return {
        "id": "00" * 16,
        "kind": "direct",
        "code": "deposit_credit",
        "asset": "BTC.bitcoin",
        "units": "41234",
        "debit": {"owner": "system:bitcoin", "purpose": "custody"},
        "credit": {"owner": "merchant:" + "ab" * 16, "purpose": "settling"},
        "cause": {"type": "deposit", "deposit_id": "cd" * 16, "credit_epoch": 0},
        "linked": False,
    }


def record(*rows: Body, **changes: object) -> bytes:
    body: Body = {"v": 1, "trace_id": "ef" * 16, "transfers": list(rows)}
    return json.dumps(body | changes).encode()


def test_the_record_of_the_contract_is_read() -> None:
    (transfer,) = read_transfers(record(row()))
    assert (transfer.code, transfer.units) == (Code.DEPOSIT_CREDIT, 41234)
    assert transfer.debit.purpose is Purpose.CUSTODY
    assert transfer.credit.owner == "merchant:" + "ab" * 16
    assert transfer.cause == b'{"credit_epoch":0,"deposit_id":"%s","type":"deposit"}' % (b"cd" * 16)


def test_the_largest_amount_is_read() -> None:
    (transfer,) = read_transfers(record(row() | {"units": str(2**128 - 1)}))
    assert transfer.units == 2**128 - 1


OTHER_FORMS: Mapping[str, Sequence[object]] = {
    "units": ["0", "-5", "1.0", "1e3", "", " 1", "01", "1_0", "\u0663", 5, None, True, str(2**128)],
    "id": ["", "AB" * 16, "ab" * 15, 5, None],
    "kind": ["", None, 1, "direct\n", ["direct"], {}],
    "code": ["deposit", "", None],
    "asset": ["BTC", "btc.bitcoin", None, 1],
    "linked": [0, None, "false", 1],
    "pending_id": ["ab" * 16, None],
    "cause": ["x", None, [], {"x": "y" * MAX_CAUSE_BYTES}, {"x": "\ud800"}],
    "debit": [
        None,
        {},
        {"owner": "merchant:x", "purpose": "custody"},
        {"owner": "system:bitcoin'", "purpose": "custody"},
        {"owner": "system:bitcoin", "purpose": "vault"},
        {"owner": "system:bitcoin", "purpose": "custody", "more": 1},
        {"owner": "shard:01", "purpose": "clearing"},
        {"owner": "shard:100000", "purpose": "clearing"},
        {"owner": "system:bitcoin\n", "purpose": "custody"},
    ],
    "surprise": [1],
}


@pytest.mark.parametrize(
    "change", [{name: value} for name, values in OTHER_FORMS.items() for value in values]
)
def test_a_transfer_of_another_form_is_refused_by_name(change: Body) -> None:
    with pytest.raises(MalformedTransfer) as caught:
        read_transfers(record(row() | change))
    assert next(iter(change)) in str(caught.value.fields["field"])


@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.DIRECT}))
def test_the_second_phase_names_a_transfer_and_the_first_one_does_not(kind: Kind) -> None:
    body = row() | {"kind": kind.value}
    if kind is Kind.PENDING:
        assert read_transfers(record(body))[0].pending_id is None
        body["pending_id"] = "ab" * 16
    else:
        (transfer,) = read_transfers(record(body | {"pending_id": "ab" * 16}))
        assert (transfer.kind, transfer.pending_id) == (kind, b"\xab" * 16)
    with pytest.raises(MalformedTransfer) as caught:
        read_transfers(record(body))
    assert caught.value.fields["field"] == "transfer.pending_id"


@pytest.mark.parametrize("pending_id", ["AB" * 16, "ab" * 15, None, 5])
def test_a_transfer_is_named_by_its_id(pending_id: object) -> None:
    with pytest.raises(MalformedTransfer) as caught:
        read_transfers(record(row() | {"kind": "post", "pending_id": pending_id}))
    assert caught.value.fields["field"] == "pending_id"


@pytest.mark.parametrize("spaced", [False, True])
def test_a_chain_has_at_most_100_transfers(spaced: bool) -> None:
    chain = [row() | {"linked": True}] * (MAX_CHAIN - 1)

    def value(*rows: Body) -> bytes:
        return (b" " if spaced else b"") + canonical_json(json.loads(record(*rows)))

    read = read_transfers(value(*chain, row(), *chain, row()))
    assert [t.linked for t in read] == ([True] * (MAX_CHAIN - 1) + [False]) * 2
    for rows in ([*chain, row() | {"linked": True}, row()], [*chain, *chain[:2]]):
        with pytest.raises(MalformedTransfer) as caught:
            read_transfers(value(*rows))
        assert caught.value.fields["field"] == "linked"


@pytest.mark.parametrize("name", list(row()))
def test_a_transfer_that_lacks_a_name_is_refused(name: str) -> None:
    body = row()
    del body[name]
    with pytest.raises(MalformedTransfer):
        read_transfers(record(body))


@pytest.mark.parametrize(
    "value",
    [
        record(v=2),
        record(row(), v=True),
        record(row(), trace_id="x"),
        record(),
        record(row(), transfers={}),
        record(*[row()] * (MAX_TRANSFERS + 1)),
    ],
)
def test_a_record_of_another_form_is_refused(value: bytes) -> None:
    with pytest.raises(MalformedTransfer):
        read_transfers(value)


@pytest.mark.parametrize("value", [b"", b"[]", b"{", b'{"v":1,"v":1}', b'{"v":1.0}', b"\xff"])
def test_bytes_that_are_no_strict_json_object_are_refused(value: bytes) -> None:
    with pytest.raises(MalformedRecord):
        read_transfers(value)


def test_a_full_answer_of_the_largest_transfers_fits_into_one_message() -> None:
    largest = row() | {
        "code": max(Code, key=len),
        "asset": max(ASSETS, key=len),
        "units": str(2**128 - 1),
        "kind": max(SECOND_PHASE, key=len).value,
        "pending_id": "ab" * 16,
        "debit": {"owner": "merchant:" + "ab" * 16, "purpose": "reversal_receivable"},
        "credit": {"owner": "merchant:" + "ab" * 16, "purpose": "reversal_receivable"},
        "cause": {"x": "\u0663" * ((MAX_CAUSE_BYTES - len('{"x":""}')) // 2)},
    }
    (transfer,) = read_transfers(record(largest))
    for body in (
        entry_body(Entry(transfer, b"d" * 16, transfer.debit), bytes(16)),
        refusal_body(Refusal(transfer, b"", max(Reason, key=len))),
    ):
        (full, rest) = packed([body] * (MAX_ANSWERED + 1))
        assert (len(full), len(rest)) == (MAX_ANSWERED, 1)
        message = {
            "v": 1,
            "trace_id": "00" * 16,
            "shard": 65_535,
            "number": 2**63,
            "posted_at": "2026-01-01T00:00:00.000000Z",
            "transfers": full,
        }
        assert len(canonical_json(message)) <= MAX_PAYLOAD_BYTES


def test_the_digest_of_every_part_of_a_transfer_differs() -> None:
    changes: Sequence[Body] = [
        {},
        {"code": "deposit_final"},
        {"asset": "ETH.ethereum"},
        {"units": "41235"},
        {"debit": {"owner": "system:ethereum", "purpose": "custody"}},
        {"debit": {"owner": "system:bitcoin", "purpose": "available"}},
        {"credit": {"owner": "merchant:" + "00" * 16, "purpose": "settling"}},
        {"cause": {"type": "deposit"}},
        {"linked": True},
        {"kind": "pending"},
        {"kind": "post", "pending_id": "ab" * 16},
        {"kind": "post", "pending_id": "ac" * 16},
        {"kind": "void", "pending_id": "ab" * 16},
    ]
    digests = {read_transfers(record(row() | change))[0].digest for change in changes}
    assert len(digests) == len(changes)
