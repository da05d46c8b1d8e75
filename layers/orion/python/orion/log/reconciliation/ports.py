"""What the reconciliation needs from outside."""

from collections.abc import Sequence
from typing import Protocol

from orion.log.reconciliation.model import Difference, Step


class DifferenceStore(Protocol):
    """What the steps of a run found."""

    def record(self, run: bytes, step: Step, item: str, differences: Sequence[Difference]) -> None:
        """Say that `item` of `step` was checked and what was found, in one transaction.

        Replaces what an earlier attempt of the same item recorded, so a step may be repeated. An
        empty sequence says that everything agreed. The first MAX_DIFFERENCES of a run are kept,
        the others counted by asset. `item` is at most 64 letters, `""` where the step has one
        item. Raises UnknownRun (retry NEVER), DatabaseUnavailable (retry SAME_KEY).
        """
        ...
