"""Called by a state machine with `{"first_group", "groups"}`: which ranges are left to derive."""

from collections.abc import Mapping

from orion.runtime.kms_batch import plan_batch


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry."""
    return plan_batch(event)
