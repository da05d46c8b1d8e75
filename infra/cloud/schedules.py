"""What runs by time: every minute the relays, whose wake-up may have been lost, and functions whose
work is due by time; every day the machines whose row says so.
"""

import json
from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from infra.cloud.function_row import FunctionRow, FunctionStackName
from infra.cloud.functions import Functions
from infra.cloud.grants import allow, trust
from infra.cloud.names import Stage, logical
from infra.cloud.workflows import Daily, MachineRow, Workflows

EVERY_MINUTE = "rate(1 minute)"
# The next minute comes anyway: a late run is dropped, not repeated.
EVENT_AGE_MAX_S = 60
# A daily start that met an outage is still worth having.
DAILY_RETRIES_MAX = 10
DAILY_AGE_MAX_S = 6 * 3600


class Schedules(Construct):
    """One schedule for each of a stack's functions with `every_minute` and each of its machines
    with `daily`, at least one of them. Their role starts nothing of another stack.
    """

    def __init__(
        self,
        scope: Construct,
        stage: Stage,
        stack: FunctionStackName,
        rows: Sequence[FunctionRow],
        machines: Sequence[MachineRow],
        functions: Functions,
        workflows: Workflows,
    ) -> None:
        super().__init__(scope, "Schedules")
        self._stage = stage
        timed = [row for row in rows if row.every_minute]
        function_arns = {row.name: functions.arn(row.name) for row in timed}
        daily = {row.name: row.daily for row in machines if row.daily is not None}
        machine_arns = {name: workflows.made[name].ref for name in daily}
        self._role = iam.CfnRole(
            self,
            "Role",
            role_name=stage.own(stack, "schedules"),
            assume_role_policy_document=trust("scheduler.amazonaws.com"),
            policies=[
                iam.CfnRole.PolicyProperty(
                    policy_name="targets",
                    policy_document={
                        "Version": "2012-10-17",
                        "Statement": [
                            allow(("lambda:InvokeFunction",), list(function_arns.values())),
                            *(
                                allow(("states:StartExecution",), (arn,))
                                for arn in machine_arns.values()
                            ),
                        ],
                    },
                )
            ],
        )
        for row in timed:
            self._schedule(f"{row.module}-{row.file}".replace("_", "-"), function_arns[row.name])
            # The schedule itself retries nothing, so Lambda's own two retries would only double
            # the work.
            lambda_.CfnEventInvokeConfig(
                self,
                logical(row.module, row.file, "async"),
                function_name=functions.made[(row.name, None)].ref,
                qualifier="$LATEST",
                maximum_retry_attempts=0,
                maximum_event_age_in_seconds=EVENT_AGE_MAX_S,
            )

        for name, start in daily.items():
            self._daily(name, machine_arns[name], start)

    def _daily(self, name: str, machine_arn: str, start: Daily) -> None:
        scheduler.CfnSchedule(
            self,
            logical(name, "daily"),
            name=self._stage.stack(f"{name}-daily"),
            schedule_expression=f"cron(0 {start.hour_utc} * * ? *)",
            schedule_expression_timezone="UTC",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=machine_arn,
                role_arn=self._role.attr_arn,
                input=json.dumps(dict(start.input)),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_retry_attempts=DAILY_RETRIES_MAX,
                    maximum_event_age_in_seconds=DAILY_AGE_MAX_S,
                ),
            ),
        )

    def _schedule(self, name: str, target_arn: str) -> None:
        scheduler.CfnSchedule(
            self,
            logical(name),
            name=self._stage.stack(name),
            schedule_expression=EVERY_MINUTE,
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=target_arn,
                role_arn=self._role.attr_arn,
                input="{}",
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_retry_attempts=0, maximum_event_age_in_seconds=EVENT_AGE_MAX_S
                ),
            ),
        )
