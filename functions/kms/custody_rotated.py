"""Records a rotation that is final on the chains: sweeps go to the target set from then on."""

from collections.abc import Mapping

from orion.runtime.kms_rotated import record_rotation


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry."""
    return record_rotation(event)
