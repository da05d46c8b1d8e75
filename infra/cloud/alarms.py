"""Alarms: a message in any dead-letter queue, a mapping that does not advance, a function that
fails.
"""

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.cloud.consumers import Consumers
from infra.cloud.function_table import FUNCTIONS
from infra.cloud.functions import Functions
from infra.cloud.names import Stage, logical
from infra.cloud.queues import Queues

MINUTE_S = 60
# In flight for longer than a minute is what the map calls an alarm.
STOPPED_MINUTES = 2


class Alarms(Construct):
    """Every alarm tells the topic `orion-<stage>-alarms`; who listens is the operator's to
    subscribe.
    """

    def __init__(
        self,
        scope: Construct,
        stage: Stage,
        queues: Queues,
        functions: Functions,
        consumers: Consumers,
    ) -> None:
        super().__init__(scope, "Alarms")
        self._stage = stage
        self._topic = sns.CfnTopic(self, "Topic", topic_name=stage.stack("alarms"))
        sns.CfnTopicPolicy(
            self,
            "TopicPolicy",
            topics=[self._topic.ref],
            policy_document={
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "cloudwatch.amazonaws.com"},
                        "Action": "sns:Publish",
                        "Resource": self._topic.ref,
                    },
                    {
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "sns:Publish",
                        "Resource": self._topic.ref,
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    },
                ],
            },
        )
        for purpose, queue in queues.dead.items():
            self._alarm(
                f"{purpose}-dead",
                f"Messages of {purpose} failed {stage.queue(purpose)}'s bounded receives.",
                "AWS/SQS",
                "ApproximateNumberOfMessagesVisible",
                {"QueueName": queue.attr_queue_name},
                statistic="Maximum",
            )
        for (name, topic), mapping in consumers.kafka.items():
            self._stopped_mapping(name, topic, mapping.ref, functions)
        for row in FUNCTIONS:
            if not row.topics and row.queue is None:
                self._failing_function(row.name, functions)

    def _stopped_mapping(
        self, name: str, topic: str, mapping_id: str, functions: Functions
    ) -> None:
        self._alarm(
            f"{name}-{topic}-stopped",
            f"{topic}: {name} fails and its partition does not advance.",
            "AWS/Lambda",
            "Errors",
            {"FunctionName": functions.made[(name, None)].ref},
            minutes=STOPPED_MINUTES,
        )
        self._alarm(
            f"{name}-{topic}-lag",
            f"{topic}: records wait for {name} (mapping {self._stage.name}).",
            "AWS/Lambda",
            "MaxOffsetLag",
            {"EventSourceMappingUUID": mapping_id},
            statistic="Minimum",
            minutes=STOPPED_MINUTES,
        )

    def _failing_function(self, name: str, functions: Functions) -> None:
        for (made, lane), function in functions.made.items():
            if made == name:
                self._alarm(
                    f"{name}-{lane or 'one'}-errors",
                    f"{function.function_name} raises.",
                    "AWS/Lambda",
                    "Errors",
                    {"FunctionName": function.ref},
                )

    def _alarm(
        self,
        name: str,
        description: str,
        namespace: str,
        metric: str,
        dimensions: dict[str, str],
        *,
        statistic: str = "Sum",
        minutes: int = 1,
    ) -> None:
        cloudwatch.CfnAlarm(
            self,
            logical(name),
            alarm_name=self._stage.stack(name.replace("/", "-").replace("_", "-")),
            alarm_description=description,
            namespace=namespace,
            metric_name=metric,
            dimensions=[
                cloudwatch.CfnAlarm.DimensionProperty(name=key, value=value)
                for key, value in dimensions.items()
            ],
            statistic=statistic,
            period=MINUTE_S,
            evaluation_periods=minutes,
            threshold=0,
            comparison_operator="GreaterThanThreshold",
            treat_missing_data="notBreaching",
            alarm_actions=[self._topic.ref],
            ok_actions=[self._topic.ref],
        )
