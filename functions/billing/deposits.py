"""Moves invoices by what happened to their deposits."""

from collections.abc import Mapping

from orion.runtime import billing


def handler(event: Mapping[str, object], context: object) -> Mapping[str, int]:
    """One batch of the event source mapping of `moneyin.deposits`."""
    return billing.deposits(event)
