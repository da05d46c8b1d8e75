"""What is left to do of a batch of groups. Planning opens nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from orion.kms.batch import Batch, GroupPlan, networks_id, plan
from orion.kms.model import Networks
from orion.kms.ports import GroupStore


@dataclass(frozen=True, slots=True)
class BatchPlanner:
    """Reads which ranges were told for these networks."""

    store: GroupStore
    networks: Networks

    def plan(self, batch: Batch) -> Sequence[GroupPlan]:
        """What is left to do of a batch. Raises DatabaseUnavailable."""
        told = self.store.told_ranges(batch.numbers(), networks_id(self.networks))
        return plan(batch, told)
