"""The quick reader reads what the strict one reads, or leaves it to the strict one."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.errors import OrionError
from orion.ledger.canonical_record import read_canonical
from orion.ledger.model import Code, Kind
from orion.ledger.record_parts import MAX_CAUSE_BYTES
from orion.ledger.transfer_record import MAX_TRANSFERS, read_record, transfers_body
from orion.records import canonical_json
from tests.unit.ledger_scene import move, then

PAYOUT = move(Code.PAYOUT, 5)
RECORD = canonical_json(
    transfers_body(
        [
            move(Code.DEPOSIT_CREDIT, 2**128 - 1, linked=True)._replace(
                cause='{"a":0,"b":-17,"type":"größer"}'.encode()
            ),
            PAYOUT,
            then(Kind.VOID, PAYOUT),
        ],
        b"\xef" * 16,
    )
)
# Pieces whose presence, absence or place could make a record mean something else.
PIECES = [
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"\n", b"0", b"-", b".", b"e", b"1.0",
    b"true", b"null", b"\x00", b"\xff", b"\xc3", b"a", b'"v":1', b'"linked":true', b'"type":"b"',
    b'"asset":"BTC.bitcoin",', b'"units":"1"', b'"pending_id":"', b'","', b"leg", b"\\u0061",
]  # fmt: skip


def strictly(value: bytes) -> object:
    """A space in front leaves the meaning as it was, and the quick reader has to pass."""
    try:
        return read_record(b" " + value)
    except OrionError:
        return None


def test_what_outboxes_send_is_read_quickly_and_as_the_strict_reader_reads_it() -> None:
    read = read_canonical(RECORD, MAX_TRANSFERS)
    assert read is not None
    assert read == strictly(RECORD)
    assert read_record(RECORD) == read


@given(
    st.lists(
        st.tuples(st.integers(0, len(RECORD)), st.integers(0, 12), st.sampled_from([b"", *PIECES])),
        min_size=1,
        max_size=2,
    )
)
@settings(max_examples=120, deadline=None)
def test_a_changed_record_is_read_as_the_strict_reader_reads_it(
    changes: list[tuple[int, int, bytes]],
) -> None:
    value = RECORD
    for start, length, piece in changes:
        value = value[:start] + piece + value[start + length :]
    read = read_canonical(value, MAX_TRANSFERS)
    assert read is None or read == strictly(value)


def without(text: bytes) -> Callable[[], bytes]:
    return lambda: RECORD.replace(text, b"", 1)


def instead(old: bytes, new: bytes) -> Callable[[], bytes]:
    def changed() -> bytes:
        assert old in RECORD
        return RECORD.replace(old, new, 1)

    return changed


OTHERS = {
    "a name twice in a cause": instead(b'"a":0,"b"', b'"a":0,"a"'),
    "names of a cause in another order": instead(b'"a":0,"b"', b'"b":0,"a"'),
    "a number of another form": instead(b"-17", b"-017"),
    "a zero below zero": instead(b"-17", b"-0"),
    "a fraction": instead(b"-17", b"1.5"),
    "an exponent": instead(b"-17", b"1e5"),
    "a number of many digits": instead(b"-17", b"9" * 20),
    "an escape": instead(b'"type":"gr', b'"type":"\\u0067r'),
    "a control character": instead(b'"type":"gr', b'"type":"\x01gr'),
    "a space": instead(b",", b", "),
    "another version": instead(b'"v":1', b'"v":2'),
    "text behind": lambda: RECORD + b"x",
    "a line behind": lambda: RECORD + b"\n",
    "no UTF-8": instead(b'"type":"gr', b'"type":"\xffgr'),
    "no such asset": instead(b'"BTC.bitcoin"', b'"DOGE.dogecoin"'),
    "no such code": instead(b"deposit_credit", b"deposit_debit"),
    "no such kind": instead(b'"direct"', b'"both"'),
    "no such purpose": instead(b'"custody"', b'"vault"'),
    "another owner": instead(b'"system:bitcoin"', b'"chain:bitcoin"'),
    "too many units": instead(str(2**128 - 1).encode(), str(2**128).encode()),
    "no units": instead(str(2**128 - 1).encode(), b"0"),
    "a first phase with a pending id": instead(b'"kind":"void"', b'"kind":"pending"'),
    "a second phase without": instead(b'"kind":"pending"', b'"kind":"void"'),
    "a cause too long": instead(b'"type":"gr', b'"type":"' + b"x" * MAX_CAUSE_BYTES),
    "no cause": instead(b'{"a":0', b'{"a":,0'),
    "one name too few": without(b'"linked":true,'),
    "a transfer cut off": lambda: RECORD[:-20],
    "a leg": instead(b'"code":"deposit_credit"', b'"code":"leg"'),
}


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS.keys())
def test_what_is_not_canonical_is_left_to_the_strict_reader(change: Callable[[], bytes]) -> None:
    assert read_canonical(change(), MAX_TRANSFERS) is None


def test_more_transfers_than_a_record_may_have_are_left_to_the_strict_reader() -> None:
    assert read_canonical(RECORD, 3) is not None
    assert read_canonical(RECORD, 2) is None


def test_the_canonical_cause_is_the_strict_readers_too() -> None:
    body = json.loads(RECORD)
    spaced = json.dumps(body, ensure_ascii=True, indent=1).encode()
    assert read_record(spaced) == read_record(RECORD)
