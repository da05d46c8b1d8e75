"""What a `ledger.transfers` record must look like, and how answers are packed."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from orion.adapters.mysql.outbox import MAX_PAYLOAD_BYTES
from orion.ledger.model import Code, Entry, Purpose, Reason, Refusal
from orion.ledger.transfer_record import (
    MAX_ANSWERED,
    MAX_CAUSE_BYTES,
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
    "kind": ["pending", "post", "void", "", None, 1],
    "code": ["deposit", "", None],
    "asset": ["BTC", "btc.bitcoin", None, 1],
    "linked": [True, 0, None, "false"],
    "cause": ["x", None, [], {"x": "y" * MAX_CAUSE_BYTES}],
    "debit": [
        None,
        {},
        {"owner": "merchant:x", "purpose": "custody"},
        {"owner": "system:bitcoin'", "purpose": "custody"},
        {"owner": "system:bitcoin", "purpose": "vault"},
        {"owner": "system:bitcoin", "purpose": "custody", "more": 1},
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
        "debit": {"owner": "system:" + "x" * 32, "purpose": "reversal_receivable"},
        "credit": {"owner": "system:" + "x" * 32, "purpose": "reversal_receivable"},
        "cause": {"x": "\u0663" * ((MAX_CAUSE_BYTES - len('{"x":""}')) // 2)},
    }
    (transfer,) = read_transfers(record(largest))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for body in (
        entry_body(Entry(transfer, b""), now),
        refusal_body(Refusal(transfer, b"", max(Reason, key=len))),
    ):
        (full, rest) = packed([body] * (MAX_ANSWERED + 1))
        assert (len(full), len(rest)) == (MAX_ANSWERED, 1)
        message = {"v": 1, "trace_id": "00" * 16, "shard": 0, "number": 2**63, "transfers": full}
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
    ]
    digests = {read_transfers(record(row() | change))[0].digest for change in changes}
    assert len(digests) == len(changes)
