"""The wallet-group state machine as its file states it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.cloud.names import ROOT

MACHINE: Mapping[str, Any] = json.loads(
    (ROOT / "statemachines" / "wallet-group.asl.json").read_text()
)


def states(machine: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


def test_every_task_retries_a_bounded_number_of_times_and_ends_in_time() -> None:
    tasks = [state for _, state in states(MACHINE) if state["Type"] == "Task"]
    assert len(tasks) == 2
    for task in tasks:
        [retry] = task["Retry"]
        # The local engine knows no error class of a function, so the retry names none.
        assert "States.TaskFailed" in retry["ErrorEquals"]
        assert 1 <= retry["MaxAttempts"] <= 10
        assert task["TimeoutSeconds"] <= 120
    assert MACHINE["TimeoutSeconds"] <= 3600


def test_every_failure_has_a_name() -> None:
    failures = {s["Error"] for _, s in states(MACHINE) if s["Type"] == "Fail"}
    assert failures == {"GroupNotCreated", "GroupRefused", "PoolNotFilled", "RangeRefused"}
    for name in ("CreateGroup", "FillPool"):
        [catch] = MACHINE["States"][name]["Catch"]
        assert catch["ErrorEquals"] == ["States.ALL"]
        assert MACHINE["States"][catch["Next"]]["Type"] == "Fail"


def test_ranges_run_a_bounded_number_at_a_time() -> None:
    assert 1 <= MACHINE["States"]["FillPool"]["MaxConcurrency"] <= 10
