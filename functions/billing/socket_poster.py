"""Tells open pages to look again. Runs outside the network."""

from collections.abc import Mapping

from orion.runtime import socket_poster


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """One batch of the queue `socket-messages`; failed messages are named
    (ReportBatchItemFailures).
    """
    return socket_poster.post_batch(event)
