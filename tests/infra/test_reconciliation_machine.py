"""The reconciliation's state machine as its file states it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from infra.cloud.names import ROOT
from orion.log.reconciliation import service

MACHINE: Mapping[str, Any] = json.loads(
    (ROOT / "statemachines" / "reconciliation.asl.json").read_text()
)
STATES = MACHINE["States"]
RANGES = STATES["Ranges"]
CHILD = RANGES["ItemProcessor"]


def states(machine: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, state in machine["States"].items():
        yield name, state
        for inner in (*state.get("Branches", ()), *filter(None, [state.get("ItemProcessor")])):
            yield from states(inner)


TASKS = {name: state for name, state in states(MACHINE) if state["Type"] == "Task"}


def test_every_step_has_its_task_and_each_book_a_read_of_its_own() -> None:
    called = {name: task["Parameters"]["FunctionName"] for name, task in TASKS.items()}
    assert called == {
        "Plan": "${ReconcilePlanArn}",
        "ReadMysql": "${BookRootsArn}",
        "ReadSegments": "${BookRootsArn}",
        "ReadExternal": "${BookRootsArn}",
        "Compare": "${ReconcileCompareArn}",
        "Causes": "${ReconcileCausesArn}",
        "Sums": "${ReconcileSumsArn}",
        "Balances": "${ReconcileBalancesArn}",
        "BalancesAtLast": "${ReconcileBalancesArn}",
        "Report": "${ReconcileReportArn}",
    }
    books = CHILD["States"]["Books"]
    assert books["Type"] == "Parallel"
    read = [
        task["Parameters"]["Payload"]["book"]
        for branch in books["Branches"]
        for _, task in states(branch)
        if task["Type"] == "Task"
    ]
    assert read == ["mysql", "segments", "external"]


def test_every_task_retries_a_bounded_number_of_times_and_ends_in_time() -> None:
    for task in TASKS.values():
        [retry] = task["Retry"]
        # The local engine knows no error class of a function, so the retry names none.
        assert retry["ErrorEquals"] == ["States.TaskFailed", "States.Timeout"]
        assert 1 <= retry["MaxAttempts"] <= 10
        assert task["TimeoutSeconds"] <= 310
    assert MACHINE["TimeoutSeconds"] <= 24 * 3600


def test_ranges_run_as_child_workflows_a_bounded_number_at_a_time() -> None:
    # As one workflow, ten thousand ranges would pass 25,000 events (AWS Step Functions, "Quotas").
    assert CHILD["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert 1 <= RANGES["MaxConcurrency"] <= 10
    assert RANGES["ResultPath"] is None
    assert CHILD["States"]["RangeDone"]["Parameters"] == {}


def test_whatever_fails_the_report_is_written() -> None:
    everything = dict(states(MACHINE))
    for name, task in TASKS.items():
        [catch] = task["Catch"]
        assert catch["ErrorEquals"] == ["States.ALL"], name
        assert everything[catch["Next"]]["Type"] != "Fail" or name == "Report"
    assert [each["Next"] for each in RANGES["Catch"]] == ["Sums"]
    for name in ("Plan", "Balances", "BalancesAtLast"):
        assert STATES[name]["Catch"][0]["Next"] == "Report"
    # No way round it: the only ways to end lead through the report.
    ends = {name for name, state in STATES.items() if state["Type"] in ("Fail", "Succeed")}
    leads = {
        name
        for name, state in STATES.items()
        if {state.get("Next"), state.get("Default")} & ends
        or any(each["Next"] in ends for each in state.get("Choices", ()))
        or any(each["Next"] in ends for each in state.get("Catch", ()))
    }
    assert leads == {"Report", "AreBooksEqual"}
    assert not any(state.get("End") for state in STATES.values())


def test_a_run_that_lasts_too_long_ends_its_ranges_in_time_for_the_report() -> None:
    inner = CHILD["States"]
    assert inner["Causes"]["ResultPath"] == "$.causes"
    assert inner["Causes"]["ResultSelector"] == {"outcome.$": "$.Payload.outcome"}
    assert inner["Causes"]["Next"] == "IsInTime"
    [late] = inner["IsInTime"]["Choices"]
    assert (late["Variable"], late["StringEquals"]) == ("$.causes.outcome", "late")
    assert inner[late["Next"]]["Type"] == "Fail"
    assert inner[inner["IsInTime"]["Default"]]["Type"] == "Pass"
    # One failed range fails the map, whose catch goes on to the sums.
    assert RANGES["ToleratedFailurePercentage"] == 0

    def longest(task: Mapping[str, Any]) -> int:
        [retry] = task["Retry"]
        attempts = retry["MaxAttempts"] + 1
        return int(attempts * (task["TimeoutSeconds"] + retry["MaxDelaySeconds"]))

    under_way = sum(longest(TASKS[name]) for name in ("ReadMysql", "Compare", "Causes"))
    after = sum(longest(TASKS[name]) for name in ("Sums", "BalancesAtLast", "Report"))
    waiting = 600
    left = MACHINE["TimeoutSeconds"] - service.MAX_RANGES_TIME.total_seconds()
    assert under_way + after + waiting < left


def test_only_equal_books_end_well() -> None:
    choice = STATES["AreBooksEqual"]
    ends = {each["StringEquals"]: each["Next"] for each in choice["Choices"]}
    assert STATES[ends["equal"]]["Type"] == "Succeed"
    assert STATES[ends["different"]]["Type"] == "Fail"
    assert STATES[choice["Default"]]["Type"] == "Fail"
    assert [n for n, s in STATES.items() if s["Type"] == "Succeed"] == ["BooksEqual"]


def test_waiting_for_nodes_has_an_end() -> None:
    choice = STATES["AreBalancesChecked"]
    [_, enough] = choice["Choices"]
    assert (enough["Variable"], enough["Next"]) == ("$.asked", "BalancesAtLast")
    assert enough["NumericGreaterThanEquals"] * STATES["WaitForNodes"]["Seconds"] <= 600
    assert STATES["BalancesAtLast"]["Parameters"]["Payload"]["last"] is True
    assert STATES["CountBalances"]["Parameters"] == {"asked.$": "States.MathAdd($.asked, 1)"}


def test_a_state_holds_the_runs_name_and_numbers_only() -> None:
    for name, task in TASKS.items():
        payload = set(task["Parameters"]["Payload"])
        assert payload <= {"run.$", "range.$", "book", "input.$", "last"}, name
    assert RANGES["ItemSelector"] == {
        "run.$": "$$.Execution.Name",
        "range.$": "$$.Map.Item.Value",
    }
