"""Alarms: a message in any dead-letter queue, a mapping that does not advance, a function that
fails.
"""

from constructs import Construct

from infra.cloud.alarm_topic import AlarmTopic
from infra.cloud.consumers import Consumers
from infra.cloud.function_table import FUNCTIONS
from infra.cloud.functions import Functions
from infra.cloud.names import Stage
from infra.cloud.queues import Queues

# In flight for longer than a minute is what the map calls an alarm.
STOPPED_MINUTES = 2


class Alarms(AlarmTopic):
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
        super().__init__(scope, stage, stage.stack("alarms"))
        for purpose, queue in queues.dead.items():
            self.alarm(
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
        self.alarm(
            f"{name}-{topic}-stopped",
            f"{topic}: {name} fails and its partition does not advance.",
            "AWS/Lambda",
            "Errors",
            {"FunctionName": functions.made[(name, None)].ref},
            minutes=STOPPED_MINUTES,
        )
        self.alarm(
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
                self.alarm(
                    f"{name}-{lane or 'one'}-errors",
                    f"{function.function_name} raises.",
                    "AWS/Lambda",
                    "Errors",
                    {"FunctionName": function.ref},
                )
