"""Step Functions: the files of statemachines/ with the functions they call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aws_cdk import Aws
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.cloud.exceptions import acknowledge, own_children
from infra.cloud.function_row import FunctionStackName
from infra.cloud.functions import Functions
from infra.cloud.grants import Statement, allow, trust
from infra.cloud.names import ROOT, Stage, logical

LOG_RETENTION_DAYS = 90


@dataclass(frozen=True, slots=True)
class MachineRow:
    """`name` is the file statemachines/<name>.asl.json; `calls` are its substitutions with the
    functions behind them, all of its own `stack`. `distributed`: it has a distributed map, whose
    children are executions that it starts itself. `daily`: what starts it every day.
    """

    name: str
    stack: FunctionStackName
    calls: Mapping[str, str]
    distributed: bool = False
    daily: "Daily | None" = None


@dataclass(frozen=True, slots=True)
class Daily:
    """A start every day at `hour_utc`, with this input."""

    hour_utc: int
    input: Mapping[str, str]


MACHINES: tuple[MachineRow, ...] = (
    # Makes a group and fills its address pool.
    MachineRow(
        "wallet-group",
        "wallets",
        {"CreateGroupArn": "kms/create_group", "AddressPoolArn": "kms/address_pool"},
    ),
    # Makes many groups, restartable.
    MachineRow(
        "wallet-batch",
        "wallets",
        {
            "PlanBatchArn": "kms/plan_batch",
            "CreateGroupArn": "kms/create_group",
            "AddressPoolArn": "kms/address_pool",
        },
        distributed=True,
    ),
    # Compares the three books, their causes and the chains (docs/books.md).
    MachineRow(
        "reconciliation",
        "books",
        {
            "ReconcilePlanArn": "log/reconcile_plan",
            "BookRootsArn": "log/book_roots",
            "ReconcileCompareArn": "log/reconcile_compare",
            "ReconcileCausesArn": "log/reconcile_causes",
            "ReconcileSumsArn": "log/reconcile_sums",
            "ReconcileBalancesArn": "log/reconcile_balances",
            "ReconcileReportArn": "log/reconcile_report",
        },
        distributed=True,
        daily=Daily(1, {"scope": "recent"}),
    ),
)


def machines_of(stack: FunctionStackName) -> tuple[MachineRow, ...]:
    """The machines of one stack."""
    return tuple(row for row in MACHINES if row.stack == stack)


def machine_file(name: str) -> Path:
    """Where the definition of a machine stands."""
    return ROOT / "statemachines" / f"{name}.asl.json"


class Workflows(Construct):
    """`made[name]` is the state machine of each of `rows`."""

    def __init__(
        self, scope: Construct, stage: Stage, rows: Sequence[MachineRow], functions: Functions
    ) -> None:
        super().__init__(scope, "Workflows")
        self._stage = stage
        self.made = {
            row.name: self._machine(
                row, {key: functions.arn(name) for key, name in row.calls.items()}
            )
            for row in rows
        }

    def _machine(self, row: MachineRow, called: dict[str, str]) -> sfn.CfnStateMachine:
        definition = machine_file(row.name).read_text(encoding="utf-8")
        name = self._stage.stack(row.name)
        log_group = logs.CfnLogGroup(
            self,
            logical(row.name, "logs"),
            # AWS writes here only with this prefix once the account's log policy is full.
            log_group_name=f"/aws/vendedlogs/states/{name}",
            retention_in_days=LOG_RETENTION_DAYS,
        )
        return sfn.CfnStateMachine(
            self,
            logical(row.name),
            state_machine_name=name,
            state_machine_type="STANDARD",
            role_arn=self._role(row, list(called.values())).attr_arn,
            definition_string=definition,
            definition_substitutions=called,
            logging_configuration=sfn.CfnStateMachine.LoggingConfigurationProperty(
                # Errors would tell when, ALL tells which range; inputs hold no secret.
                level="ALL",
                include_execution_data=True,
                destinations=[
                    sfn.CfnStateMachine.LogDestinationProperty(
                        cloud_watch_logs_log_group=(
                            sfn.CfnStateMachine.CloudWatchLogsLogGroupProperty(
                                log_group_arn=log_group.attr_arn
                            )
                        )
                    )
                ],
            ),
            tracing_configuration=sfn.CfnStateMachine.TracingConfigurationProperty(enabled=True),
        )

    def _role(self, row: MachineRow, called_arns: list[str]) -> iam.CfnRole:
        name = self._stage.stack(row.name)
        statements = [allow(("lambda:InvokeFunction",), called_arns), _logging_and_tracing()]
        if row.distributed:
            statements.extend(_children(name))
        role = iam.CfnRole(
            self,
            logical(row.name, "role"),
            role_name=name,
            assume_role_policy_document=trust("states.amazonaws.com"),
            policies=[
                iam.CfnRole.PolicyProperty(
                    policy_name="calls",
                    policy_document={"Version": "2012-10-17", "Statement": statements},
                )
            ],
        )
        if row.distributed:
            acknowledge(role, own_children(name))
        return role


def _logging_and_tracing() -> Statement:
    # AWS accepts no resource for log delivery and tracing
    # (Step Functions: "Logging using CloudWatch Logs", "X-Ray").
    return allow(
        (
            "logs:CreateLogDelivery",
            "logs:GetLogDelivery",
            "logs:UpdateLogDelivery",
            "logs:DeleteLogDelivery",
            "logs:ListLogDeliveries",
            "logs:PutResourcePolicy",
            "logs:DescribeResourcePolicies",
            "logs:DescribeLogGroups",
            "xray:PutTraceSegments",
            "xray:PutTelemetryRecords",
        ),
        ("*",),
    )


def _children(name: str) -> list[Statement]:
    """What a distributed map needs of its own machine, which is named because its role comes first
    (Step Functions: "Permissions to run a Distributed Map state").
    """
    account = f"arn:{Aws.PARTITION}:states:{Aws.REGION}:{Aws.ACCOUNT_ID}"
    return [
        allow(("states:StartExecution",), (f"{account}:stateMachine:{name}",)),
        allow(
            ("states:DescribeExecution", "states:StopExecution", "states:RedriveExecution"),
            (f"{account}:execution:{name}/*",),
        ),
    ]
