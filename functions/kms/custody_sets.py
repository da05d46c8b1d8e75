"""Registers the public keys of custody sets; a registered set never changes."""

from collections.abc import Mapping

from orion.runtime.kms_custody_sets import register_sets


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry."""
    return register_sets(event)
