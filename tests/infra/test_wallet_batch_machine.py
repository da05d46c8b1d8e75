"""The wallet-batch state machine as its file states it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.cloud.names import ROOT
from orion.kms.batch import MAX_GROUPS
from orion.wallet.addresses import MAX_RANGE

MACHINE: Mapping[str, Any] = json.loads(
    (ROOT / "statemachines" / "wallet-batch.asl.json").read_text()
)
GROUPS = MACHINE["States"]["Groups"]
CHILD = GROUPS["ItemProcessor"]
RANGES = CHILD["States"]["Ranges"]


def states(machine: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


def test_groups_run_as_child_workflows_a_bounded_number_at_a_time_and_none_may_fail() -> None:
    assert CHILD["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert 1 <= GROUPS["MaxConcurrency"] <= 10
    assert GROUPS["ToleratedFailurePercentage"] == 0
    assert "ToleratedFailureCount" not in GROUPS
    # One range of a group after the other: what bounds the groups bounds the functions.
    assert RANGES["MaxConcurrency"] == 1


def test_every_task_retries_a_bounded_number_of_times_and_ends_in_time() -> None:
    tasks = {name: state for name, state in states(MACHINE) if state["Type"] == "Task"}
    assert set(tasks) == {"PlanBatch", "CreateGroup", "DeriveRange"}
    for task in tasks.values():
        [retry] = task["Retry"]
        # The local engine knows no error class of a function, so the retry names none.
        assert "States.TaskFailed" in retry["ErrorEquals"]
        assert 1 <= retry["MaxAttempts"] <= 10
        assert task["TimeoutSeconds"] <= 120
    assert MACHINE["TimeoutSeconds"] <= 24 * 3600


def test_every_answer_that_is_no_success_ends_in_a_failure_with_a_name() -> None:
    failures = {s["Error"] for _, s in states(MACHINE) if s["Type"] == "Fail"}
    assert failures == {"BatchRefused", "BatchNotDone", "GroupRefused", "RangeRefused"}
    everything = dict(states(MACHINE))
    for choice in ("IsPlanned", "IsGroupReady", "IsRangeDerived"):
        assert everything[everything[choice]["Default"]]["Type"] == "Fail"
    [catch] = GROUPS["Catch"]
    assert catch["ErrorEquals"] == ["States.ALL"]
    assert MACHINE["States"][catch["Next"]]["Type"] == "Fail"


def test_a_group_is_made_before_its_ranges_and_a_range_is_told_once() -> None:
    assert CHILD["StartAt"] == "CreateGroup"
    derive = RANGES["ItemProcessor"]["States"]["DeriveRange"]["Parameters"]["Payload"]
    assert derive["once"] is True
    assert derive["count"] == MAX_RANGE
    selected = {**GROUPS["ItemSelector"], **RANGES["ItemSelector"]}
    assert {"group.$", "first_index.$", "first_indexes.$", "trace_id.$"} == set(selected)


def test_children_answer_next_to_nothing_so_the_map_stays_below_what_a_state_may_hold() -> None:
    assert RANGES["ResultPath"] is None
    assert GROUPS["ResultPath"] is None
    last = CHILD["States"][RANGES["Next"]]
    assert last["End"] is True
    assert list(last["Parameters"]) == ["group.$"]
    # AWS: 256 KB between states; a child's answer is `{"group":2147483647}`.
    assert MAX_GROUPS * 32 < 256 * 1024
