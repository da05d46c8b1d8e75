"""The authorizer of one lane's REST API; ORION_LANE says which."""

import os
from collections.abc import Mapping

from orion.runtime.authorizer import authorize


def handler(event: Mapping[str, object], context: object) -> Mapping[str, object]:
    """One REQUEST authorizer event."""
    return authorize(event, os.environ["ORION_LANE"])
