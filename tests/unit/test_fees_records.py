"""What fees read of the ledger and what they ask of it, against the ledger's own reader."""

from datetime import UTC, datetime

import pytest

from orion.billing.fact_records import read_posted
from orion.billing.fees.posted import FinalCredit
from orion.billing.fees.transfers import FeeTransfer, records
from orion.ids import fact_id
from orion.ledger.codes import CODES, Code
from orion.ledger.model import Entry, bucket
from orion.ledger.transfer_record import PostedRecord, posted_body, read_transfers
from orion.records import MalformedRecord, Record, canonical_json
from tests.unit.ledger_scene import MERCHANT, OTHER, Books, move

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TRACE = "ab" * 16
DEPOSIT = b"\xd1" * 16
ME, THEM = bytes.fromhex(MERCHANT[9:]), bytes.fromhex(OTHER[9:])
CAUSE = canonical_json({"type": "deposit", "deposit_id": DEPOSIT.hex(), "credit_epoch": 3})


def told(*entries: Entry) -> list[object]:
    body = posted_body(PostedRecord(0, 1, bytes.fromhex(TRACE), NOW, entries))
    return list(read_posted(Record("ledger.posted", 0, 0, b"0", canonical_json(body)), NOW))


def test_final_credits_and_their_reversals_are_read_from_the_ledgers_bytes() -> None:
    books = Books()
    posted = books.post(
        move(Code.DEPOSIT_CREDIT, 9)._replace(cause=CAUSE),
        move(Code.DEPOSIT_FINAL, 9)._replace(cause=CAUSE, trace_id=bytes.fromhex(TRACE)),
        move(Code.FEE, 4),
        # Two entries, because the fee is gone: one reversal.
        move(Code.DEPOSIT_REVERSAL_FINAL, 9)._replace(cause=CAUSE, trace_id=bytes.fromhex(TRACE)),
    ).accepted
    assert len(posted) == 5
    assert told(*posted)[1:] == [
        FinalCredit(TRACE, DEPOSIT, 3, ME, "BTC.bitcoin", 9),
        FinalCredit(TRACE, DEPOSIT, 3, reversed=True),
    ]


def test_a_final_credit_of_nobody_is_malformed() -> None:
    books = Books()
    books.post(move(Code.DEPOSIT_CREDIT, 9))
    (entry,) = books.post(move(Code.DEPOSIT_FINAL, 9)._replace(cause=CAUSE)).accepted
    body = posted_body(PostedRecord(0, 1, bytes.fromhex(TRACE), NOW, (entry,)))
    text = canonical_json(body).replace(MERCHANT.encode(), b"system:bitcoin")
    with pytest.raises(MalformedRecord):
        read_posted(Record("ledger.posted", 0, 0, b"0", text), NOW)


FEES = (Code.FEE, Code.FEE_RETURNED, Code.REFERRAL_SHARE, Code.REFERRAL_RETURNED)


@pytest.mark.parametrize("code", FEES)
@pytest.mark.parametrize("coin", ["BTC.bitcoin", "USDT.tron"])
def test_what_is_asked_is_what_the_ledger_carries_out(code: Code, coin: str) -> None:
    asked = FeeTransfer(code, ME, coin, 7, DEPOSIT, 3)
    (record,) = records([asked], TRACE)
    (transfer,) = read_transfers(canonical_json(record.body))
    assert transfer.id == asked.id == fact_id(code.value, DEPOSIT, 3)
    assert (transfer.debit.purpose, transfer.credit.purpose) == (
        CODES[code].debit,
        CODES[code].credit,
    )
    assert not Books().post(transfer).refused
    assert record.key == f"bucket:{bucket(MERCHANT)}"


def test_transfers_of_two_merchants_go_to_their_buckets_in_their_order() -> None:
    assert bucket(MERCHANT) != bucket(OTHER)
    asked = [
        FeeTransfer(code, merchant, "BTC.bitcoin", 7, DEPOSIT, epoch)
        for epoch in range(600)
        for code, merchant in ((Code.FEE, ME), (Code.REFERRAL_SHARE, THEM), (Code.FEE_RETURNED, ME))
    ]
    made = records(asked, TRACE)
    assert [record.key for record in made] == [
        f"bucket:{bucket(MERCHANT)}",
        f"bucket:{bucket(MERCHANT)}",
        f"bucket:{bucket(OTHER)}",
    ]
    sent = [transfer.id for r in made for transfer in read_transfers(canonical_json(r.body))]
    mine = [one.id for one in asked if one.merchant_id == ME]
    assert sent == mine + [one.id for one in asked if one.merchant_id == THEM]
    assert len({record.event_id for record in made}) == 3
