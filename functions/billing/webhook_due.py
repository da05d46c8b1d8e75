"""Hands webhooks to the senders again when their next attempt is due."""

from collections.abc import Mapping

from orion.runtime import webhooks


def handler(event: Mapping[str, object], context: object) -> Mapping[str, int]:
    """Run by the schedule, every minute."""
    return webhooks.due()
