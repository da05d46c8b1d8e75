"""Called by the state machine reconciliation: the hourly roots of one book over one range."""

from collections.abc import Mapping

from orion.runtime.reconciliation import book_roots


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry."""
    return book_roots(event)
