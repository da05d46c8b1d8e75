"""Keeps the address pool above its low mark."""

from collections.abc import Mapping

from orion.runtime import moneyin


def handler(event: Mapping[str, object], context: object) -> Mapping[str, int]:
    """Run by the schedule, every minute."""
    return moneyin.pool_level()
