"""Signs sweeps of Tron wallets into their group's custody; opens no other chain's key."""

from collections.abc import Mapping

from orion.runtime.kms_sweeps import sign_sweep


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry."""
    return sign_sweep("tron", event)
