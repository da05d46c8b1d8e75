"""Hands webhooks to the sender again when their next attempt is due."""

from collections.abc import Mapping

from orion.runtime import billing


def handler(event: Mapping[str, object], context: object) -> Mapping[str, int]:
    """Run by the schedule, every minute."""
    return billing.webhook_due()
