"""Called by the state machine reconciliation: fixes what a run compares, or waits for a book."""

from collections.abc import Mapping

from orion.runtime.reconciliation import plan


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry."""
    return plan(event)
