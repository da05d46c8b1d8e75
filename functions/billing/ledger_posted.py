"""Moves invoices by what the ledger has posted."""

from collections.abc import Mapping

from orion.runtime import billing


def handler(event: Mapping[str, object], context: object) -> Mapping[str, int]:
    """One batch of the event source mapping of `ledger.posted`."""
    return billing.ledger_posted(event)
