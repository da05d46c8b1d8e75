"""Called by the state machine reconciliation: counters against the sums of entries."""

from collections.abc import Mapping

from orion.runtime.reconciliation import sums


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry."""
    return sums(event)
