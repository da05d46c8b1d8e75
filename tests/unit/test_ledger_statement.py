"""What a statement may be asked, its cursors, and through which moment it is complete."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orion.ledger.following import StatementsBehind, Step, follow_shard
from orion.ledger.model import AccountKey, Purpose
from orion.ledger.statement import (
    Followed,
    MalformedStatementRequest,
    Order,
    Place,
    Question,
    StatementCursorMalformed,
    complete_through,
    cursor_text,
    read_cursor,
    read_question,
)

KEY = AccountKey("merchant:" + "0f" * 16, Purpose.AVAILABLE, "BTC.bitcoin")
NAME = f"{KEY.owner}/available/BTC.bitcoin"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)
PLACES = st.builds(
    Place,
    st.integers(-(10**15), 10**15).map(lambda micros: NOON + micros * MICROSECOND),
    st.integers(0, 65535),
    st.integers(0, 2**64 - 1),
    st.integers(0, 65535),
)


def test_an_account_is_named_by_its_parts_or_its_id() -> None:
    named = read_question({"account": NAME})
    assert named == Question(KEY.id, 100, None, None, Order.NEWEST_FIRST)
    assert read_question({"account": KEY.id.hex()}) == named


def test_a_question_may_have_a_limit_a_moment_an_order_and_a_cursor() -> None:
    place = Place(NOON, 3, 17, 699)
    asked = {
        "account": NAME,
        "limit": 500,
        "at": "2026-11-23T14:00:00+02:00",
        "order": "oldest_first",
        "cursor": cursor_text(KEY.id, place),
    }
    assert read_question(asked) == Question(KEY.id, 500, NOON, place, Order.OLDEST_FIRST)


@pytest.mark.parametrize(
    "field, value",
    [
        ("account", None), ("account", 7), ("account", "0f"), ("account", KEY.id.hex().upper()),
        ("account", f"{KEY.owner}/pocket/BTC.bitcoin"), ("account", f"{KEY.owner}/available"),
        ("account", "merchant:1/available/BTC.bitcoin"), ("account", NAME + "\n"),
        ("account", f"{KEY.owner}/available/" + "A" * 33),
        ("limit", 0), ("limit", 501), ("limit", "5"), ("limit", True), ("limit", -1),
        ("at", "yesterday"), ("at", "2026-11-23T12:00:00"), ("at", 5), ("at", "2026-11-23" * 9),
        ("at", "0001-01-01T00:00:00+14:00"),
        ("order", "up"), ("order", 1), ("order", None), ("colour", "red"),
    ],
)  # fmt: skip
def test_another_question_is_refused_by_the_part_that_is_wrong(field: str, value: object) -> None:
    with pytest.raises(MalformedStatementRequest) as caught:
        read_question({"account": NAME} | {field: value})
    assert caught.value.fields["field"] == field
    assert caught.value.code == "malformed_statement_request"


@settings(max_examples=40)
@given(PLACES)
def test_a_cursor_leads_back_to_its_place(place: Place) -> None:
    assert read_cursor(cursor_text(KEY.id, place), KEY.id) == place


@settings(max_examples=60)
@given(PLACES, st.integers(0, 57), st.sampled_from("ABab01-_"))
def test_a_changed_cursor_is_refused(place: Place, at: int, letter: str) -> None:
    text = cursor_text(KEY.id, place)
    changed = text[:at] + letter + text[at + 1 :]
    if changed != text:
        with pytest.raises(StatementCursorMalformed):
            read_cursor(changed, KEY.id)


@pytest.mark.parametrize(
    "text", [None, 5, "", "A" * 57, "A" * 58, "A" * 59, "=" * 58, "\u00e9" * 58]
)
def test_what_is_no_cursor_is_refused(text: object) -> None:
    with pytest.raises(StatementCursorMalformed) as caught:
        read_cursor(text, KEY.id)
    assert caught.value.code == "cursor_malformed"


def test_a_cursor_of_another_account_is_refused() -> None:
    with pytest.raises(StatementCursorMalformed):
        read_cursor(cursor_text(b"?" * 16, Place(NOON, 0, 1, 0)), KEY.id)


def test_a_moment_beyond_the_calendar_is_no_place() -> None:
    import hashlib
    import struct

    packed = struct.pack(">B16sqHQH", 1, KEY.id, 2**62, 0, 1, 0)
    check = hashlib.sha256(b"orion-statement-cursor-1" + packed).digest()[:6]
    text = base64.urlsafe_b64encode(packed + check).rstrip(b"=").decode()
    with pytest.raises(StatementCursorMalformed):
        read_cursor(text, KEY.id)


@pytest.mark.parametrize(
    "own, earlier, expected",
    [
        (Followed(None, NOON), [], NOON),
        (Followed(None, None), [], None),
        (Followed(NOON, NOON + SECOND), [], NOON - MICROSECOND),
        # Followed to its end; the shard where the account lived before is not.
        (Followed(None, NOON), [Followed(NOON - SECOND, NOON)], NOON - SECOND - MICROSECOND),
        (Followed(NOON, NOON), [Followed(NOON + SECOND, NOON)], NOON - MICROSECOND),
        # An earlier shard's end says nothing about this one's.
        (Followed(None, NOON), [Followed(None, NOON + SECOND)], NOON),
        (Followed(None, None), [Followed(NOON, NOON)], NOON - MICROSECOND),
    ],
)
def test_a_statement_is_complete_up_to_the_first_record_that_is_not_entered(
    own: Followed, earlier: list[Followed], expected: datetime | None
) -> None:
    assert complete_through(own, earlier) == expected


class Logs:
    """Steps as a follower would take them: shard to the steps still to come."""

    def __init__(self, steps: dict[int, list[Step]]) -> None:
        self.steps = steps
        self.order: list[int] = []

    def follow(self, shard: int) -> Step:
        self.order.append(shard)
        return self.steps[shard].pop(0)


def test_what_a_shard_waits_for_is_followed_to_its_end_first() -> None:
    logs = Logs(
        {
            2: [Step(3, at_end=False), Step(0, at_end=False, waits_for=1), Step(1, at_end=True)],
            1: [Step(0, at_end=False, waits_for=0), Step(2, at_end=True)],
            0: [Step(5, at_end=False), Step(5, at_end=True)],
        }
    )
    assert follow_shard(logs, 2) == 16
    assert logs.order == [2, 2, 1, 0, 0, 1, 2]


def test_a_log_without_end_is_left_after_the_allowed_steps() -> None:
    logs = Logs({0: [Step(1, at_end=False)] * 9})
    with pytest.raises(StatementsBehind):
        follow_shard(logs, 0, steps=9)
    assert logs.steps == {0: []}
