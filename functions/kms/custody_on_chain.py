"""Marks a custody account that was seen on its chain: sweeps on Tron and Solana wait for it."""

from collections.abc import Mapping

from orion.runtime.kms_on_chain import mark_on_chain


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry."""
    return mark_on_chain(event)
