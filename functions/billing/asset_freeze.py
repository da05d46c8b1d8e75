"""Invoked by operators: the open freezes of assets, and lifting one with a reason."""

from collections.abc import Mapping

from orion.runtime.asset_freeze import asset_freeze


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry."""
    return asset_freeze(event)
