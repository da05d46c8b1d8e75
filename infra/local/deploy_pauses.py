"""Mappings that rest while a migration runs, and until the functions that came with it are there
(docs/contracts.md, "Deployments").
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from infra.cloud.function_row import FunctionRow
from infra.cloud.function_table import function_row
from infra.cloud.names import Stage
from infra.local.deploy_aws import Account, DeployFailed, Report

PAUSES_OVER = "deployment/pauses-over"
# By migration: the functions whose older code must not run after it beside newer code.
PAUSES: Mapping[str, Sequence[str]] = {
    # Older code adds deposits to an invoice without adding to the sums that newer code keeps.
    "mysql/billing/0011_sums_places_and_waking.sql": ("billing/deposits", "billing/ledger_posted"),
}

Wait = Callable[[float], None]


def pause(account: Account, stage: Stage, report: Report, wait: Wait = time.sleep) -> None:
    """Stop the mappings that a migration asks for whose pause is not known to be over, and wait
    for the batches in hand; their records wait in Kafka. Once too often does no harm. Raises
    DeployFailed.
    """
    stopped = []
    for row, mapping in _mappings(account, stage):
        account.switch_mapping(mapping, enabled=False)
        stopped.append(row)
    if stopped:
        names = ", ".join(dict.fromkeys(row.name for row in stopped))
        report(f"deploy: {names} rest until the new functions run")
        wait(max(row.timeout_s for row in stopped))


def resume(account: Account, stage: Stage, report: Report) -> None:
    """Start again what `pause` stopped, in this deployment or in one before that did not come to
    its end. Raises DeployFailed.
    """
    started = []
    for row, mapping in _mappings(account, stage):
        account.switch_mapping(mapping, enabled=True)
        started.append(row.name)
    if started:
        report(f"deploy: {', '.join(dict.fromkeys(started))} run")
    over = _over(account, stage)
    if not over.issuperset(PAUSES):
        body = json.dumps(sorted(over.union(PAUSES)))
        account.put_parameter(stage.parameter(PAUSES_OVER), body)


def _mappings(account: Account, stage: Stage) -> Iterator[tuple[FunctionRow, str]]:
    """What rests: each function with each of its mappings."""
    over = _over(account, stage)
    named = (name for file, names in PAUSES.items() if file not in over for name in names)
    for name in dict.fromkeys(named):
        row = function_row(name)
        for mapping in account.mappings(stage.function(row.module, row.file)):
            yield row, mapping


def _over(account: Account, stage: Stage) -> set[str]:
    name = stage.parameter(PAUSES_OVER)
    text = account.parameters([name]).get(name, "[]")
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise DeployFailed(f"{name} is not a JSON list of migrations")
    return set(found)
