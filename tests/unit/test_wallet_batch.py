"""Batches of groups: what a call may say, and what is left to do."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion.kms.batch import MAX_GROUPS, RANGES, Batch, batch_call, networks_id, plan
from orion.kms.errors import MalformedRequest
from orion.kms.model import MAX_GROUP, Networks
from orion.records import canonical_json
from orion.wallet.addresses import GROUP_WALLETS, MAX_RANGE

TRACE = "ab" * 16
# What passes between two states (Step Functions, "Quotas").
STATE_BYTES = 256 * 1024


def test_the_ranges_of_a_group_cover_each_index_once() -> None:
    indexes = [index for first in RANGES for index in range(first, first + MAX_RANGE)]
    assert indexes == list(range(GROUP_WALLETS))


def test_a_batch_names_its_groups_and_keeps_a_given_trace() -> None:
    assert batch_call({"first_group": 3, "groups": 2}, TRACE) == Batch(3, 2, TRACE)
    given_trace = {"first_group": 0, "groups": 1, "trace_id": "cd" * 16}
    assert batch_call(given_trace, TRACE).trace_id == "cd" * 16
    assert list(Batch(3, 2, TRACE).numbers()) == [3, 4]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"first_group": 0},
        {"groups": 1},
        {"first_group": 0, "groups": 0},
        {"first_group": 0, "groups": MAX_GROUPS + 1},
        {"first_group": -1, "groups": 1},
        {"first_group": MAX_GROUP, "groups": 2},
        {"first_group": 0, "groups": True},
        {"first_group": False, "groups": 1},
        {"first_group": "0", "groups": 1},
        {"first_group": 0, "groups": 1, "trace_id": "x"},
        {"first_group": 0, "groups": 1, "again": True},
    ],
)
def test_a_call_of_another_form_is_refused(body: Mapping[str, object]) -> None:
    with pytest.raises(MalformedRequest):
        batch_call(body, TRACE)


@given(st.sets(st.tuples(st.integers(0, 6), st.sampled_from(RANGES))))
def test_a_plan_has_every_range_that_was_not_told_once_and_no_other(
    told: set[tuple[int, int]],
) -> None:
    planned = [
        (found.group_no, first)
        for found in plan(Batch(1, 4, TRACE), told)
        for first in found.first_indexes
    ]
    wanted = {(group, first) for group in range(1, 5) for first in RANGES}
    assert len(planned) == len(set(planned))
    assert set(planned) == wanted - told


def test_a_group_that_is_told_whole_is_not_named_again() -> None:
    told = {(1, first) for first in RANGES}
    assert [found.group_no for found in plan(Batch(0, 3, TRACE), told)] == [0, 2]


def test_the_largest_plan_passes_between_two_states() -> None:
    batch = Batch(MAX_GROUP + 1 - MAX_GROUPS, MAX_GROUPS, TRACE)
    items = [
        {"group": found.group_no, "first_indexes": list(found.first_indexes)}
        for found in plan(batch, set())
    ]
    assert len(canonical_json({"items": items})) < STATE_BYTES // 2


def test_a_stage_that_gets_a_chain_has_told_no_range() -> None:
    two = Networks("regtest", "31337")
    assert networks_id(two) != networks_id(Networks("regtest", "31337", tron="private"))
    assert networks_id(two) != networks_id(Networks("regtest", "1"))
    assert networks_id(two) == networks_id(Networks("regtest", "31337"))
