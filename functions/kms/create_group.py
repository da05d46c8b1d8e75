"""Called by a state machine with `{"group": n}`: makes the group's seed, once."""

from collections.abc import Mapping

from orion.runtime.kms import create_group


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry."""
    return create_group(event)
