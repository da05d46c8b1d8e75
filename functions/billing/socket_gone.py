"""Forgets pages that the poster found gone, and those whose time is over."""

from collections.abc import Mapping

from orion.runtime import sockets


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """One batch of the queue `socket-gone` (ReportBatchItemFailures), or the schedule."""
    return sockets.gone(event)
