"""Keeps what the nodes' agents answer to commands."""

from collections.abc import Mapping

from orion.runtime.node_answers import take_answers


def handler(event: Mapping[str, object], context: object) -> Mapping[str, int]:
    """One batch of the event source mapping of `node.answers`."""
    return take_answers(event)
