"""Alarms: a message in any dead-letter queue, a mapping that does not advance, a function or a
machine that fails, and what the ledger and its books count as wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from infra.cloud.alarm_topic import AlarmSet
from infra.cloud.consumers import Consumers
from infra.cloud.function_row import SERVERLESS, FunctionRow, FunctionStackName, KafkaTrigger
from infra.cloud.functions import Functions
from infra.cloud.names import Stage
from infra.cloud.queues import Queues
from infra.cloud.workflows import Workflows, machines_of

# In flight for longer than a minute is what the map calls an alarm.
STOPPED_MINUTES = 2


@dataclass(frozen=True, slots=True)
class Counted:
    """A metric that functions write themselves under the name `module` (`orion.runtime.metrics`);
    the alarm is in `stack`.
    """

    stack: FunctionStackName
    module: str
    metric: str
    description: str
    minutes: int = 1
    above: int = 0


COUNTED: tuple[Counted, ...] = (
    # Of all modules' relays: their logs name the row.
    Counted(
        SERVERLESS,
        "outbox",
        "Messages refused",
        "An outbox holds a message that no queue takes: its key waits for a person.",
    ),
    Counted(
        SERVERLESS,
        "outbox",
        "Destinations refusing",
        "A relay's topic or queue refuses what is sent to it.",
        minutes=STOPPED_MINUTES,
    ),
    Counted(
        SERVERLESS,
        "outbox",
        "Rows out of sight",
        "All that a relay looks at is left alone, and more stands behind it.",
        minutes=STOPPED_MINUTES,
    ),
    Counted(
        "books", "billing", "Legs late", "Legs between shards are in flight for over a minute."
    ),
    Counted(
        "books",
        "billing",
        "Control records skipped",
        "Somebody other than the ledger sends its shards control records.",
    ),
    # While a bucket moves some are held, for seconds.
    Counted(
        "books",
        "billing",
        "Transfers held",
        "A shard holds transfers of a bucket that is not handed over.",
        minutes=STOPPED_MINUTES,
    ),
    # Under steady traffic some records are always on their way. A follower that stands still is
    # seen by its mapping's own alarms, with the first record.
    Counted(
        "books",
        "billing",
        "Statements behind",
        "Statements do not keep up with what the ledger posts.",
        minutes=STOPPED_MINUTES,
        above=1_000,
    ),
    Counted(
        SERVERLESS,
        "billing",
        "Deposits reversed long",
        "Payments whose block is gone for over two hours: docs/operations/invoices.md.",
    ),
    Counted(
        "books",
        "log",
        "Reconciliation differences",
        "The books differ: the report names the entries.",
    ),
)


@dataclass(frozen=True, slots=True)
class Watched:
    """What one stack has that may fail."""

    stage: Stage
    stack: FunctionStackName
    rows: Sequence[FunctionRow]
    queues: Queues
    functions: Functions
    consumers: Consumers
    workflows: Workflows


class Alarms:
    """Every alarm tells the topic `orion-<stage>-alarms`; who listens is the operator's to
    subscribe.
    """

    def __init__(self, alarms: AlarmSet, watched: Watched) -> None:
        self._alarms = alarms
        self._watched = watched
        stage = watched.stage
        for purpose, queue in watched.queues.dead.items():
            alarms.alarm(
                f"{purpose}-dead",
                f"Messages of {purpose} failed {stage.queue(purpose)}'s bounded receives.",
                "AWS/SQS",
                "ApproximateNumberOfMessagesVisible",
                {"QueueName": queue.attr_queue_name},
                statistic="Maximum",
            )
        for row in watched.rows:
            for trigger in row.topics:
                self._stopped_mapping(row.name, trigger)
        for row in watched.rows:
            if not row.topics and row.queue is None:
                self._failing_function(row.name)
        for each in COUNTED:
            if each.stack == watched.stack:
                alarms.alarm(
                    each.metric.lower().replace(" ", "-"),
                    each.description,
                    f"orion/{each.module}",
                    each.metric,
                    {"stage": stage.name},
                    statistic="Maximum",
                    minutes=each.minutes,
                    above=each.above,
                )
        for machine in machines_of(watched.stack):
            if machine.daily is not None:
                self._failing_machine(machine.name)

    def _failing_machine(self, name: str) -> None:
        """One that nobody waits for: whoever starts a machine by hand sees how it ends."""
        for metric, what in (
            ("ExecutionsFailed", "failed"),
            ("ExecutionsTimedOut", "timed-out"),
            ("ExecutionsAborted", "aborted"),
        ):
            self._alarms.alarm(
                f"{name}-{what}",
                f"The state machine {name} {what.replace('-', ' ')}: its log says where.",
                "AWS/States",
                metric,
                {"StateMachineArn": self._watched.workflows.made[name].ref},
            )

    def _stopped_mapping(self, name: str, trigger: KafkaTrigger) -> None:
        topic = trigger.topic
        self._alarms.alarm(
            f"{name}-{topic}-stopped",
            f"{topic}: {name} fails and its partition does not advance.",
            "AWS/Lambda",
            "Errors",
            {"FunctionName": self._watched.functions.made[(name, None)].ref},
            minutes=STOPPED_MINUTES,
        )
        self._alarms.alarm(
            f"{name}-{topic}-lag",
            f"{topic}: records wait for {name} (mapping {self._watched.stage.name}).",
            "AWS/Lambda",
            "MaxOffsetLag",
            {"EventSourceMappingUUID": self._watched.consumers.kafka[(name, topic)].ref},
            statistic="Minimum",
            minutes=STOPPED_MINUTES,
            # With a window some always wait; a full batch does not.
            above=trigger.batch_size if trigger.window_s else 0,
        )

    def _failing_function(self, name: str) -> None:
        for (made, lane), function in self._watched.functions.made.items():
            if made == name:
                self._alarms.alarm(
                    f"{name}-{lane or 'one'}-errors",
                    f"{function.function_name} raises.",
                    "AWS/Lambda",
                    "Errors",
                    {"FunctionName": function.ref},
                )
