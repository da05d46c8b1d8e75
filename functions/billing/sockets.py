"""Connects pages that are open on an invoice, and forgets them when they close."""

from collections.abc import Mapping

from orion.runtime import sockets


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """One `$connect` or `$disconnect` of the WebSocket API."""
    return sockets.socket(event)
