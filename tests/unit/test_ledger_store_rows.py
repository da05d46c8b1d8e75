"""The ledger's records and rows as text are what the writing library would make of them."""

import json
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from orion.adapters.mysql.ledger_store_rows import (
    Names,
    literal,
    log_statement,
    posted_record,
    sql_moment,
)
from orion.ledger.codes import SECOND_PHASE
from orion.ledger.model import (
    MAX_COUNTER,
    AccountKey,
    Code,
    Entry,
    Kind,
    Purpose,
    Transfer,
    clearing,
)
from orion.ledger.transfer_record import PostedRecord, posted_body
from orion.records import canonical_json

AT = datetime(2026, 11, 23, 10, 0, 0, 5, tzinfo=UTC)
IDS = st.binary(min_size=16, max_size=16)
# Few, so that the same one comes again.
TRACES = st.sampled_from([b"\x01" * 16, b"\x02" * 16])
WORDS = st.text(max_size=20).filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))
ACCOUNTS = st.sampled_from(
    [
        AccountKey("system:bitcoin", Purpose.CUSTODY, "BTC.bitcoin"),
        AccountKey("merchant:" + "0a" * 16, Purpose.SETTLING, "BTC.bitcoin"),
        clearing(7, "BTC.bitcoin"),
    ]
)


@st.composite
def entries(draw: st.DrawFn, *, plain: bool) -> Entry:
    kind = Kind.DIRECT if plain else draw(st.sampled_from(list(Kind)))
    transfer = Transfer(
        id=draw(IDS),
        kind=kind,
        code=draw(st.sampled_from(list(Code))),
        units=draw(st.integers(1, MAX_COUNTER)),
        debit=draw(ACCOUNTS),
        credit=draw(ACCOUNTS),
        cause=canonical_json({"type": draw(WORDS)}),
        trace_id=draw(TRACES),
        linked=not plain and draw(st.booleans()),
        pending_id=draw(IDS) if kind in SECOND_PHASE else None,
    )
    return Entry(transfer, draw(IDS), None if plain else draw(st.none() | ACCOUNTS))


@settings(max_examples=60)
@given(st.booleans().flatmap(lambda p: st.lists(entries(plain=p), min_size=1, max_size=4)))
def test_a_posted_record_is_the_canonical_json_of_its_entries(batch: list[Entry]) -> None:
    made = posted_record(3, 17, batch, AT, Names())
    told = PostedRecord(3, 17, batch[0].transfer.trace_id, AT, tuple(batch))
    assert made.payload.encode() == canonical_json(posted_body(told))


@given(st.text(max_size=40))
def test_a_literal_ends_only_where_its_statement_does(text: str) -> None:
    """Read as MySQL reads it: a backslash takes the next character, a quote ends."""
    quoted, read, place = literal(text), "", 0
    while place < len(quoted):
        assert quoted[place] != "'"
        place += quoted[place] == "\\"
        read += quoted[place]
        place += 1
    assert read == text


def test_a_plain_record_names_no_column_that_has_its_default() -> None:
    one, other = (AccountKey(f"merchant:{n:032x}", Purpose.SETTLING, "BTC.bitcoin") for n in (1, 2))
    cause = canonical_json({"type": "x"})
    plain = Transfer(b"i" * 16, Kind.DIRECT, Code.PAYOUT, 5, one, other, cause, b"t" * 16)
    alike = posted_record(0, 1, [Entry(plain, b"d" * 16)], AT, Names())
    linked = posted_record(0, 1, [Entry(plain._replace(linked=True), b"d" * 16)], AT, Names())
    assert alike.plain
    assert "kind" not in log_statement([alike])
    assert not linked.plain
    assert "'direct',1,NULL,NULL)" in log_statement([linked])
    assert sql_moment(AT) in alike.rows
    assert json.loads(linked.payload)["transfers"][0]["linked"] is True
