"""What tells the keepers of one custodian that it needs them (docs/operations/custody.md).

The topic is the stack's own, as the custodian may live in an account of its own.
"""

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.cloud.alarm_topic import AlarmTopic
from infra.cloud.custody import custodian_room
from infra.cloud.names import Stage

# The line that orion.runtime.custodian writes for every refusal. Counting lines costs no call and
# no right, and a metric's value is all that leaves the log.
REFUSED = '{ $.message = "custodian refused" }'
NAMESPACE = "orion/custodian"
# DynamoDB has no system errors of a table, only of a table and an operation (Amazon DynamoDB
# Developer Guide, "DynamoDB Metrics and dimensions"): those that the store uses.
OPERATIONS = ("GetItem", "BatchGetItem", "TransactWriteItems", "UpdateItem")
THROTTLES = {"ReadThrottleEvents": "read-throttles", "WriteThrottleEvents": "write-throttles"}
# What would take a key away or give it to others. The keys' policies let nobody, so that this tells
# of tries: CloudTrail records refused calls as well. Not CreateGrant: Lambda calls it for each
# function, on its own key.
KEY_CALLS = ("DisableKey", "ScheduleKeyDeletion", "PutKeyPolicy")


class CustodianAlarms(AlarmTopic):
    """Every alarm tells the topic `orion-<stage>-custodian-<n>-alarms`."""

    def __init__(
        self,
        scope: Construct,
        stage: Stage,
        number: int,
        function: lambda_.CfnFunction,
        log_group: logs.CfnLogGroup,
        table: dynamodb.CfnTable,
    ) -> None:
        self._room = custodian_room(number)
        name = stage.stack(f"{self._room}-alarms")
        super().__init__(scope, stage, name, services=("events.amazonaws.com",))
        self._function(function)
        self._refusals(log_group)
        self._store(table)
        self._keys()

    def _function(self, function: lambda_.CfnFunction) -> None:
        for metric, what in (("Errors", "raises"), ("Throttles", "is called and may not run")):
            self.alarm(
                f"{self._room}-{metric.lower()}",
                f"{function.function_name} {what}.",
                "AWS/Lambda",
                metric,
                {"FunctionName": function.ref},
            )

    def _refusals(self, log_group: logs.CfnLogGroup) -> None:
        metric = self._stage.stack(f"{self._room}-refusals")
        logs.CfnMetricFilter(
            self,
            "Refusals",
            log_group_name=log_group.ref,
            filter_name=metric,
            filter_pattern=REFUSED,
            metric_transformations=[
                logs.CfnMetricFilter.MetricTransformationProperty(
                    metric_namespace=NAMESPACE, metric_name=metric, metric_value="1"
                )
            ],
        )
        self.alarm(
            f"{self._room}-refusals",
            f"{self._room} was asked for what it must not do: its log says the code and the part.",
            NAMESPACE,
            metric,
            {},
        )

    def _store(self, table: dynamodb.CfnTable) -> None:
        for metric, word in THROTTLES.items():
            self.alarm(
                f"{self._room}-{word}",
                f"DynamoDB turns requests of {self._room} away.",
                "AWS/DynamoDB",
                metric,
                {"TableName": table.ref},
            )
        for operation in OPERATIONS:
            self.alarm(
                f"{self._room}-system-errors-{operation.lower()}",
                f"DynamoDB fails at {operation} of {self._room}.",
                "AWS/DynamoDB",
                "SystemErrors",
                {"TableName": table.ref, "Operation": operation},
            )

    def _keys(self) -> None:
        """Of every key of the account: in a custodian's own account there are no others. Works
        where CloudTrail keeps the account's management events (Amazon EventBridge User Guide,
        "AWS service events delivered via AWS CloudTrail").
        """
        events.CfnRule(
            self,
            "KeyCalls",
            name=self._stage.stack(f"{self._room}-key-calls"),
            description="Somebody asks to disable, delete or hand on a key of this account.",
            event_pattern={
                "source": ["aws.kms"],
                "detail-type": ["AWS API Call via CloudTrail"],
                "detail": {"eventSource": ["kms.amazonaws.com"], "eventName": list(KEY_CALLS)},
            },
            targets=[events.CfnRule.TargetProperty(arn=self.topic.ref, id="keepers")],
        )
