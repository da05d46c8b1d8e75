"""Tells agents where to go on."""

from collections.abc import Mapping

from orion.runtime import moneyin


def handler(event: Mapping[str, object], context: object) -> Mapping[str, int]:
    """One batch of the event source mapping of `node.answers`."""
    return moneyin.node_answers(event)
