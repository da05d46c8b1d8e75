"""The queues: each with its dead letters, a bounded number of receives and TLS only."""

from collections.abc import Mapping, Sequence

from aws_cdk import Aws
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.cloud.function_row import FunctionRow
from infra.cloud.function_table import queue_consumer, queues
from infra.cloud.names import Stage, logical

# A message may be in the hands of a function that timed out: AWS asks for six times its time-out.
VISIBILITY_FACTOR = 6
RECEIVES_MAX = 5
RETENTION_S = 4 * 24 * 3600
DEAD_RETENTION_S = 14 * 24 * 3600


class Queues(Construct):
    """`live[purpose]` and `dead[purpose]` for every queue that one of `rows` consumes: a queue is
    in its consumer's stack.
    """

    def __init__(self, scope: Construct, stage: Stage, rows: Sequence[FunctionRow]) -> None:
        super().__init__(scope, "Queues")
        self.live: dict[str, sqs.CfnQueue] = {}
        self.dead: dict[str, sqs.CfnQueue] = {}
        for purpose in dict.fromkeys(row.queue.queue for row in rows if row.queue is not None):
            dead = sqs.CfnQueue(
                self,
                logical(purpose, "dead"),
                queue_name=stage.queue(f"{purpose}-dead"),
                message_retention_period=DEAD_RETENTION_S,
                sqs_managed_sse_enabled=True,
            )
            live = sqs.CfnQueue(
                self,
                logical(purpose),
                queue_name=stage.queue(purpose),
                message_retention_period=RETENTION_S,
                receive_message_wait_time_seconds=20,
                visibility_timeout=VISIBILITY_FACTOR * queue_consumer(purpose).timeout_s,
                redrive_policy={
                    "deadLetterTargetArn": dead.attr_arn,
                    "maxReceiveCount": RECEIVES_MAX,
                },
                sqs_managed_sse_enabled=True,
            )
            self.live[purpose] = live
            self.dead[purpose] = dead
        self._refuse_plain_http({**self.live, **{f"{k}-dead": v for k, v in self.dead.items()}})

    def arns(self, stage: Stage) -> dict[str, str]:
        """Of all queues of the stage, by purpose; those of other stacks by their names."""
        base = f"arn:{Aws.PARTITION}:sqs:{Aws.REGION}:{Aws.ACCOUNT_ID}"
        named = {purpose: f"{base}:{stage.queue(purpose)}" for purpose in queues()}
        return {**named, **{purpose: queue.attr_arn for purpose, queue in self.live.items()}}

    def _refuse_plain_http(self, all_queues: Mapping[str, sqs.CfnQueue]) -> None:
        for purpose, queue in all_queues.items():
            sqs.CfnQueuePolicy(
                self,
                logical(purpose, "tls"),
                queues=[queue.ref],
                policy_document={
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Deny",
                            "Principal": "*",
                            "Action": "sqs:*",
                            "Resource": queue.attr_arn,
                            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                        }
                    ],
                },
            )
