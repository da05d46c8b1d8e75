"""Called by the state machine reconciliation: every entry of a range against its cause."""

from collections.abc import Mapping

from orion.runtime.reconciliation import causes


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry."""
    return causes(event)
