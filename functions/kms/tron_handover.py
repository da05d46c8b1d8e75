"""Signs a custody account on Tron over from the group's key that named it to its custody set."""

from collections.abc import Mapping

from orion.runtime.kms_sweeps import hand_over


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry."""
    return hand_over(event)
