"""Composition of who records rotations of custody. It signs nothing."""

import logging
from collections.abc import Mapping
from functools import cache

from orion.adapters.mysql.kms_rotation import MySqlRotationStore
from orion.kms.signing.model import rotated_request
from orion.kms.signing.rotated import RotatedCustody
from orion.runtime import clock
from orion.runtime.kms_anchors import anchors_of
from orion.runtime.kms_calls import Result, database, networks, typed
from orion.runtime.kms_evidence import evidence_keys
from orion.runtime.log import set_trace_id
from orion.runtime.wakeup import wake

_log = logging.getLogger(__name__)
# Tron's anchors are told by a key, which this function must not open.
_ANCHORED = ("bitcoin", "ethereum", "solana")


def record_rotation(event: Mapping[str, object]) -> Result:
    """Answer `{"group", "wallet", "target_set", "statements"}`: `{"outcome": "rotated", "new",
    "from_set", "set"}`; a repeat is a no-op and has null for `from_set`.
    """
    return typed(lambda: _record(event))


@cache
def _rotated() -> RotatedCustody:
    known = networks().by_chain()
    anchors = {chain: anchors_of(chain) for chain in _ANCHORED}
    store = MySqlRotationStore(database(), known)
    return RotatedCustody(known, anchors, evidence_keys, store, clock.now)


def _record(event: Mapping[str, object]) -> Result:
    request = rotated_request(event)
    set_trace_id(request.trace_id)
    rotated = _rotated().record(request)
    wake("kms")
    _log.info("custody rotated", extra={"new": rotated.new})
    return {
        "outcome": "rotated",
        "new": rotated.new,
        "from_set": rotated.from_set,
        "set": rotated.target_set,
    }
