"""Follows the chains: block events in, deposits and transfers out."""

from collections.abc import Mapping

from orion.runtime import moneyin


def handler(event: Mapping[str, object], context: object) -> Mapping[str, int]:
    """One batch of the event source mapping of a `chain.blocks` topic."""
    return moneyin.blocks(event)
