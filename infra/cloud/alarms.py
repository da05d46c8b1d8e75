"""Alarms: a message in any dead-letter queue, a mapping that does not advance, a function or a
machine that fails, and what the ledger and its books count as wrong.
"""

from dataclasses import dataclass

from constructs import Construct

from infra.cloud.alarm_topic import AlarmTopic
from infra.cloud.consumers import Consumers
from infra.cloud.function_row import KafkaTrigger
from infra.cloud.function_table import FUNCTIONS
from infra.cloud.functions import Functions
from infra.cloud.names import Stage
from infra.cloud.queues import Queues
from infra.cloud.workflows import MACHINES, Workflows

# In flight for longer than a minute is what the map calls an alarm.
STOPPED_MINUTES = 2


@dataclass(frozen=True, slots=True)
class Counted:
    """A metric that a function of `module` writes itself (`orion.runtime.metrics`)."""

    module: str
    metric: str
    description: str
    minutes: int = 1
    above: int = 0


COUNTED: tuple[Counted, ...] = (
    Counted("billing", "Legs late", "Legs between shards are in flight for over a minute."),
    Counted(
        "billing",
        "Control records skipped",
        "Somebody other than the ledger sends its shards control records.",
    ),
    # While a bucket moves some are held, for seconds.
    Counted(
        "billing",
        "Transfers held",
        "A shard holds transfers of a bucket that is not handed over.",
        minutes=STOPPED_MINUTES,
    ),
    # Under steady traffic some records are always on their way. A follower that stands still is
    # seen by its mapping's own alarms, with the first record.
    Counted(
        "billing",
        "Statements behind",
        "Statements do not keep up with what the ledger posts.",
        minutes=STOPPED_MINUTES,
        above=1_000,
    ),
    Counted("log", "Reconciliation differences", "The books differ: the report names the entries."),
)


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
        workflows: Workflows,
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
        for row in FUNCTIONS:
            for trigger in row.topics:
                mapping = consumers.kafka[(row.name, trigger.topic)]
                self._stopped_mapping(row.name, trigger, mapping.ref, functions)
        for row in FUNCTIONS:
            if not row.topics and row.queue is None:
                self._failing_function(row.name, functions)
        for each in COUNTED:
            self.alarm(
                each.metric.lower().replace(" ", "-"),
                each.description,
                f"orion/{each.module}",
                each.metric,
                {"stage": stage.name},
                statistic="Maximum",
                minutes=each.minutes,
                above=each.above,
            )
        for machine in MACHINES:
            if machine.daily is not None:
                self._failing_machine(machine.name, workflows)

    def _failing_machine(self, name: str, workflows: Workflows) -> None:
        """One that nobody waits for: whoever starts a machine by hand sees how it ends."""
        for metric, what in (
            ("ExecutionsFailed", "failed"),
            ("ExecutionsTimedOut", "timed-out"),
            ("ExecutionsAborted", "aborted"),
        ):
            self.alarm(
                f"{name}-{what}",
                f"The state machine {name} {what.replace('-', ' ')}: its log says where.",
                "AWS/States",
                metric,
                {"StateMachineArn": workflows.made[name].ref},
            )

    def _stopped_mapping(
        self, name: str, trigger: KafkaTrigger, mapping_id: str, functions: Functions
    ) -> None:
        topic = trigger.topic
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
            # With a window some always wait; a full batch does not.
            above=trigger.batch_size if trigger.window_s else 0,
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
