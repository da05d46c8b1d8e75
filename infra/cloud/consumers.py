"""Event source mappings: Kafka topics and queues to their functions."""

from collections.abc import Sequence

from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.cloud.function_row import FunctionRow, KafkaTrigger
from infra.cloud.functions import Functions
from infra.cloud.names import consumer_group, logical
from infra.cloud.parameters import Parameters
from infra.cloud.queues import Queues

# About a minute with the poller's back-off: a database that fails over must not fill a dead-
# letter topic.
RETRIES_MAX = 12
RETRIES_INFINITE = -1


class Consumers(Construct):
    """`kafka[(module/file, topic)]` are the mappings that stop on a record they cannot process, or
    set it aside.
    """

    def __init__(
        self,
        scope: Construct,
        rows: Sequence[FunctionRow],
        parameters: Parameters,
        queues: Queues,
        functions: Functions,
    ) -> None:
        super().__init__(scope, "Consumers")
        self._parameters = parameters
        self._functions = functions
        self.kafka: dict[tuple[str, str], lambda_.CfnEventSourceMapping] = {}
        for row in rows:
            for trigger in row.topics:
                self.kafka[(row.name, trigger.topic)] = self._topic(row, trigger)
            if row.queue is not None:
                self._queue(row, queues)

    def _topic(self, row: FunctionRow, trigger: KafkaTrigger) -> lambda_.CfnEventSourceMapping:
        mapping = lambda_.CfnEventSourceMapping(
            self,
            logical(row.module, row.file, trigger.part or ""),
            function_name=self._functions.made[(row.name, None)].ref,
            event_source_arn=self._parameters.value("kafka/cluster-arn"),
            topics=[trigger.topic],
            starting_position="TRIM_HORIZON",
            batch_size=trigger.batch_size,
            maximum_batching_window_in_seconds=trigger.window_s,
            amazon_managed_kafka_event_source_config=(
                lambda_.CfnEventSourceMapping.AmazonManagedKafkaEventSourceConfigProperty(
                    consumer_group_id=consumer_group(row.module, row.file, trigger.part)
                )
            ),
            source_access_configurations=[
                lambda_.CfnEventSourceMapping.SourceAccessConfigurationProperty(
                    type="SASL_SCRAM_512_AUTH",
                    uri=self._parameters.value(f"kafka/secret-arn/{trigger.principal}"),
                )
            ],
            # Off unless asked for; the alarms read them.
            metrics_config=lambda_.CfnEventSourceMapping.MetricsConfigProperty(
                metrics=["EventCount", "ErrorCount", "KafkaMetrics"]
            ),
            # Low latency, bounded retries and a Kafka topic as failure destination need
            # provisioned mode.
            provisioned_poller_config=lambda_.CfnEventSourceMapping.ProvisionedPollerConfigProperty(
                minimum_pollers=1, maximum_pollers=trigger.pollers_max
            ),
        )
        if trigger.never_skips:
            # No destination: with one, Lambda turns "for ever" into ten attempts.
            mapping.maximum_retry_attempts = RETRIES_INFINITE
            mapping.bisect_batch_on_function_error = False
        else:
            mapping.maximum_retry_attempts = RETRIES_MAX
            mapping.bisect_batch_on_function_error = True
            mapping.destination_config = lambda_.CfnEventSourceMapping.DestinationConfigProperty(
                on_failure=lambda_.CfnEventSourceMapping.OnFailureProperty(
                    destination=f"kafka://dead-letter.{row.module}"
                )
            )
        return mapping

    def _queue(self, row: FunctionRow, queues: Queues) -> None:
        trigger = row.queue
        if trigger is None:
            return
        lambda_.CfnEventSourceMapping(
            self,
            logical(row.module, row.file, "queue"),
            function_name=self._functions.made[(row.name, None)].ref,
            event_source_arn=queues.live[trigger.queue].attr_arn,
            batch_size=trigger.batch_size,
            maximum_batching_window_in_seconds=0,
            function_response_types=(
                ["ReportBatchItemFailures"] if trigger.reports_item_failures else None
            ),
            scaling_config=lambda_.CfnEventSourceMapping.ScalingConfigProperty(
                maximum_concurrency=trigger.concurrency_max
            ),
        )
