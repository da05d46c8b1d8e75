"""Invoked by operators: the open incidents, and closing one with a reason."""

from collections.abc import Mapping

from orion.runtime.incidents import incident


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry."""
    return incident(event)
