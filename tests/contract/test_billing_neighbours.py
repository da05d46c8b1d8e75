"""Billing beside the ledger: the bytes that the ledger posts, through billing's reader."""

from datetime import UTC, datetime

from orion.billing.fact_records import PostedCredit, read_posted
from orion.ledger.model import Entry
from orion.ledger.transfer_record import PostedRecord, posted_body, read_transfers
from orion.records import Record, canonical_json

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TRACE = "ab" * 16
DEPOSIT = "d1" * 16


def transfer(code: str, debit: dict[str, str], credit: dict[str, str]) -> dict[str, object]:
    return {
        "id": "c1" * 16,
        "kind": "direct",
        "code": code,
        "asset": "BTC.bitcoin",
        "units": "41234",
        "debit": debit,
        "credit": credit,
        "cause": {"type": "deposit", "deposit_id": DEPOSIT, "credit_epoch": 3},
        "linked": False,
    }


def test_billing_reads_the_credits_that_the_ledger_posts_and_nothing_else() -> None:
    custody = {"owner": "system:bitcoin", "purpose": "custody"}
    settling = {"owner": "merchant:" + "aa" * 16, "purpose": "settling"}
    asked = {
        "v": 1,
        "trace_id": TRACE,
        "transfers": [
            transfer("deposit_credit", custody, settling),
            transfer("deposit_reversal", settling, custody),
        ],
    }
    entries = tuple(Entry(one, b"0" * 16) for one in read_transfers(canonical_json(asked)))
    for trace_id in (bytes(16), bytes.fromhex(TRACE)):
        posted = posted_body(PostedRecord(0, 1, trace_id, NOW, entries))
        read = read_posted(Record("ledger.posted", 0, 0, b"0", canonical_json(posted)), NOW)
        assert read == [PostedCredit(TRACE, bytes.fromhex(DEPOSIT), 3, b"\xc1" * 16)]
