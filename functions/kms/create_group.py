"""Makes a group's seed, once: for a state machine's call with `{"group": n}`, and ahead of the
records of `wallet.requests`.
"""

from collections.abc import Mapping

from orion.runtime.kms import create_group, make_asked_groups


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry. Only an event source mapping's event names its source."""
    if event.get("eventSource") == "aws:kafka":
        return make_asked_groups(event)
    return create_group(event)
