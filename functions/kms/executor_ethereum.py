"""Bears the fees of Safe transactions of custody accounts on Ethereum, within its float."""

from collections.abc import Mapping

from orion.runtime.kms_fees import bear_fee


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """Lambda entry."""
    return bear_fee("ethereum", event)
