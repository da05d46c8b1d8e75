"""Which groups a request for wallets may bring about."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.kms.errors import GroupOutOfTurn, GroupsMadeTooFast
from orion.kms.requested import MADE_MAX, MADE_WITHIN, check_turn, judged_by

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)


def test_the_group_after_an_existing_one_may_be_made() -> None:
    check_turn(1, {0: LONG_AGO}, NOW)
    check_turn(7, {6: NOW}, NOW)


@pytest.mark.parametrize("existing", [(), (0,), (0, 1, 2, 3), (5, 6)])
def test_a_group_whose_predecessor_is_missing_is_refused(existing: tuple[int, ...]) -> None:
    with pytest.raises(GroupOutOfTurn):
        check_turn(5, dict.fromkeys(existing, LONG_AGO), NOW)


def test_no_request_makes_the_first_group_of_a_stage() -> None:
    with pytest.raises(GroupOutOfTurn):
        check_turn(0, {}, NOW)


def test_six_groups_of_one_hour_are_the_last_for_that_hour() -> None:
    made = {number: NOW - timedelta(minutes=number) for number in range(10, 10 + MADE_MAX)}
    with pytest.raises(GroupsMadeTooFast):
        check_turn(10 + MADE_MAX, made, NOW)
    check_turn(10 + MADE_MAX, made | {10: NOW - MADE_WITHIN}, NOW)
    with pytest.raises(GroupsMadeTooFast):
        check_turn(10 + MADE_MAX, made | {10: NOW - MADE_WITHIN + timedelta(microseconds=1)}, NOW)


@given(
    waits_s=st.lists(st.integers(0, 4_000), min_size=1, max_size=60),
    first=st.integers(0, 3),
)
def test_however_often_it_is_asked_no_hour_sees_more_than_six_new_groups(
    waits_s: list[int], first: int
) -> None:
    made, now = {first: LONG_AGO}, NOW
    for wait_s in waits_s:
        now += timedelta(seconds=wait_s)
        wanted = max(made) + 1
        try:
            check_turn(wanted, {n: made[n] for n in judged_by(wanted) if n in made}, now)
        except GroupsMadeTooFast:
            continue
        made[wanted] = now
    for begin in made.values():
        assert sum(begin <= at < begin + MADE_WITHIN for at in made.values()) <= MADE_MAX


def test_a_group_is_judged_by_itself_and_the_six_before_it() -> None:
    assert judged_by(10) == range(4, 11)
    assert judged_by(2) == range(3)
