"""One stack of the function table: its functions with their queues, mappings, machines, schedules
and alarms.

What a stack names of another one it names by its fixed name, never by an export: an export cannot
change while somebody imports it, so that neither stack could be updated (docs/decisions/0063).
"""

from aws_cdk import CfnOutput, Stack
from constructs import Construct

from infra.cloud.alarm_topic import AlarmSet, AlarmTopic
from infra.cloud.alarms import Alarms, Watched
from infra.cloud.consumers import Consumers
from infra.cloud.exceptions import NO_RESOURCE, acknowledge, own_parameters
from infra.cloud.function_row import BASE, SERVERLESS, FunctionStackName
from infra.cloud.function_table import rows_of
from infra.cloud.functions import Functions, Holdings
from infra.cloud.names import Stage, logical
from infra.cloud.parameters import Parameters
from infra.cloud.queues import Queues
from infra.cloud.schedules import Schedules
from infra.cloud.workflows import Workflows, machines_of


class FunctionStack(Stack):
    """The stack `name` of a stage, empty until `fill`: what only it has is made before."""

    def __init__(self, scope: Construct, stage: Stage, name: FunctionStackName) -> None:
        super().__init__(scope, name, stack_name=stage.stack(name))
        self.stage = stage
        self.name = name
        # Logical ids differ between stacks, so that a template's part says where it belongs.
        self.home: Construct = self if name == SERVERLESS else Construct(self, logical(name))

    def fill(self, held: Holdings) -> Functions:
        """All that the table says of this stack."""
        rows, machines = rows_of(self.name), machines_of(self.name)
        parameters = Parameters(self, self.stage)
        queues = Queues(self.home, self.stage, rows)
        functions = Functions(self.home, self.stage, rows, parameters, queues, held)
        acknowledge(functions, {**NO_RESOURCE, **own_parameters(self.stage.name)})
        consumers = Consumers(self.home, rows, parameters, queues, functions)
        workflows = Workflows(self.home, self.stage, machines, functions)
        acknowledge(workflows, NO_RESOURCE)
        if any(row.every_minute for row in rows) or any(row.daily for row in machines):
            Schedules(self.home, self.stage, self.name, rows, machines, functions, workflows)
        watched = Watched(self.stage, self.name, rows, queues, functions, consumers, workflows)
        Alarms(self._alarms(), watched)
        for machine in machines:
            CfnOutput(self, f"{logical(machine.name)}Arn", value=workflows.made[machine.name].ref)
        return functions

    def _alarms(self) -> AlarmSet:
        """The topic is the base stack's, which is deployed first."""
        topic = self.stage.stack("alarms")
        if self.name == BASE:
            return AlarmTopic(self.home, self.stage, topic)
        return AlarmSet(self.home, self.stage, topic)
