"""Gives events their positions in the merchants' streams."""

from collections.abc import Mapping

from orion.runtime import webhooks


def handler(event: Mapping[str, object], context: object) -> Mapping[str, int]:
    """Run by the schedule, every minute."""
    return webhooks.place_events()
