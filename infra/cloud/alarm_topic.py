"""A topic for alarms, and the one form that all alarms have."""

from aws_cdk import Aws
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.cloud.names import Stage, logical

MINUTE_S = 60


class AlarmSet(Construct):
    """Alarms that tell the topic `name`, which another stack has."""

    def __init__(self, scope: Construct, stage: Stage, name: str) -> None:
        super().__init__(scope, "Alarms")
        self._stage = stage
        self._told = f"arn:{Aws.PARTITION}:sns:{Aws.REGION}:{Aws.ACCOUNT_ID}:{name}"

    def alarm(
        self,
        name: str,
        description: str,
        namespace: str,
        metric: str,
        dimensions: dict[str, str],
        *,
        statistic: str = "Sum",
        minutes: int = 1,
        above: int = 0,
    ) -> None:
        """Tell the topic when `metric` was above `above` in each of `minutes` minutes, and when it
        is no more. What was not measured is no alarm.
        """
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
            threshold=above,
            comparison_operator="GreaterThanThreshold",
            treat_missing_data="notBreaching",
            alarm_actions=[self._told],
            ok_actions=[self._told],
        )


class AlarmTopic(AlarmSet):
    """The topic `name`; who listens is the operator's to subscribe. `services` may publish to it
    beside CloudWatch.
    """

    def __init__(
        self, scope: Construct, stage: Stage, name: str, services: tuple[str, ...] = ()
    ) -> None:
        super().__init__(scope, stage, name)
        self.topic = sns.CfnTopic(self, "Topic", topic_name=name)
        self._told = self.topic.ref
        sns.CfnTopicPolicy(
            self,
            "TopicPolicy",
            topics=[self.topic.ref],
            policy_document={
                "Version": "2012-10-17",
                "Statement": [
                    *(self._publisher(each) for each in ("cloudwatch.amazonaws.com", *services)),
                    {
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "sns:Publish",
                        "Resource": self.topic.ref,
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    },
                ],
            },
        )

    def _publisher(self, service: str) -> dict[str, object]:
        return {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sns:Publish",
            "Resource": self.topic.ref,
        }
