"""Derives wallets: for records of `wallet.requests`, and for a state machine's call with a
range.
"""

from collections.abc import Mapping

from orion.runtime.kms import answer_requests, derive_range


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry. Only an event source mapping's event names its source."""
    if event.get("eventSource") == "aws:kafka":
        return answer_requests(event)
    return derive_range(event)
