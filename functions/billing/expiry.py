"""Moves invoices whose time is over."""

from collections.abc import Mapping

from orion.runtime import billing


def handler(event: Mapping[str, object], context: object) -> Mapping[str, int]:
    """Run by the schedule, every minute."""
    return billing.expire()
