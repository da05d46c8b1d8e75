"""Called by the state machine reconciliation: report, incidents, freezes, the outcome."""

from collections.abc import Mapping

from orion.runtime.reconciliation import report


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry."""
    return report(event)
