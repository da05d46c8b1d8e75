"""The reconciliation's own word on the books, without what it says of causes and chains.

The traffic's deposits and payouts never happened: their causes are not found, and no chain has
them. What the books are to each other it says all the same.
"""

import json
import time

import boto3

from infra.cloud.outputs import RECONCILIATION_OUTPUT
from infra.local import Stack
from infra.local.failure import StackFailure
from tests.bench.chaos_verdict import NotSurvived
from tests.e2e.scene import rows

STEPS = ("plan", "roots", "compare", "sums")
_ENDS_WITHIN_S = 900.0
_LOOK_S = 0.5


def check_books(stack: Stack, name: str) -> int:
    """Run the state machine over everything under `name`; how many ranges were compared.

    Raises NotSurvived where the books differ, StackFailure where it did not compare them.
    """
    _run(stack, name)
    found = rows(
        stack,
        "SELECT c.step, c.kind, c.asset, SUM(c.differences) FROM orion_log.difference_count c"
        " JOIN orion_log.run r USING (run_id) WHERE r.name = %s"
        " AND c.step NOT IN ('causes', 'balances') GROUP BY c.step, c.kind, c.asset",
        (name,),
    )
    if found:
        raise NotSurvived(f"the books differ: {found}")
    checked = dict(
        rows(
            stack,
            "SELECT c.step, COUNT(*) FROM orion_log.checked c JOIN orion_log.run r USING (run_id)"
            " WHERE r.name = %s GROUP BY c.step",
            (name,),
        )
    )
    if not set(STEPS) <= set(checked):
        raise StackFailure(f"the reconciliation checked only {checked}")
    return int(checked["compare"])


def _run(stack: Stack, name: str) -> None:
    """It ends as failed, for the causes' sake."""
    session = boto3.Session("test", "test", region_name=stack.ministack.region)
    machines = session.client("stepfunctions", endpoint_url=stack.ministack.url)
    cloudformation = session.client("cloudformation", endpoint_url=stack.ministack.url)
    [deployed] = cloudformation.describe_stacks(StackName="orion-local-books")["Stacks"]
    outputs = {row["OutputKey"]: row["OutputValue"] for row in deployed["Outputs"]}
    started = machines.start_execution(
        stateMachineArn=outputs[RECONCILIATION_OUTPUT],
        name=name,
        input=json.dumps({"scope": "all"}),
    )
    deadline_s = time.monotonic() + _ENDS_WITHIN_S
    while True:
        status = machines.describe_execution(executionArn=started["executionArn"])["status"]
        if status != "RUNNING":
            return
        if time.monotonic() > deadline_s:
            raise StackFailure(f"the reconciliation did not end in {_ENDS_WITHIN_S:.0f} s")
        time.sleep(_LOOK_S)
