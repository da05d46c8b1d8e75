"""Follows the ledger's log into statements; `ledger.posted` wakes it."""

from collections.abc import Mapping

from orion.runtime import ledger_statements


def handler(event: Mapping[str, object], context: object) -> Mapping[str, int]:
    """One batch of the event source mapping of `ledger.posted`."""
    return ledger_statements.follow(event)
