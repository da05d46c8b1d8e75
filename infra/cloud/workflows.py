"""Step Functions: the files of statemachines/ with the functions they call."""

from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.cloud.functions import Functions
from infra.cloud.grants import allow, trust
from infra.cloud.names import ROOT, Stage

LOG_RETENTION_DAYS = 90


class Workflows(Construct):
    """`wallet_group` makes a group and fills its address pool."""

    def __init__(self, scope: Construct, stage: Stage, functions: Functions) -> None:
        super().__init__(scope, "Workflows")
        self.wallet_group = self._machine(
            stage,
            "wallet-group",
            {
                "CreateGroupArn": functions.arn("kms/create_group"),
                "AddressPoolArn": functions.arn("kms/address_pool"),
            },
        )

    def _machine(self, stage: Stage, name: str, called: dict[str, str]) -> sfn.CfnStateMachine:
        definition = (ROOT / "statemachines" / f"{name}.asl.json").read_text(encoding="utf-8")
        log_group = logs.CfnLogGroup(
            self,
            "WalletGroupLogs",
            # AWS writes here only with this prefix once the account's log policy is full.
            log_group_name=f"/aws/vendedlogs/states/{stage.stack(name)}",
            retention_in_days=LOG_RETENTION_DAYS,
        )
        role = iam.CfnRole(
            self,
            "WalletGroupRole",
            role_name=stage.stack(name),
            assume_role_policy_document=trust("states.amazonaws.com"),
            policies=[
                iam.CfnRole.PolicyProperty(
                    policy_name="calls",
                    policy_document={
                        "Version": "2012-10-17",
                        "Statement": [
                            allow(("lambda:InvokeFunction",), list(called.values())),
                            # AWS accepts no resource for log delivery and tracing
                            # (Step Functions: "Logging using CloudWatch Logs", "X-Ray").
                            allow(
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
                            ),
                        ],
                    },
                )
            ],
        )
        return sfn.CfnStateMachine(
            self,
            "WalletGroup",
            state_machine_name=stage.stack(name),
            state_machine_type="STANDARD",
            role_arn=role.attr_arn,
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
