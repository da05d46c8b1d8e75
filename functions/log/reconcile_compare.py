"""Called by the state machine reconciliation: names the entries on which the books differ."""

from collections.abc import Mapping

from orion.runtime.reconciliation import compare


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry."""
    return compare(event)
