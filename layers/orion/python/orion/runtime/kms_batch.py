"""Composition of the planner of batches, which opens no seed."""

import logging
from collections.abc import Mapping
from functools import cache

from orion.adapters.mysql.kms_groups import MySqlGroupStore
from orion.kms.batch import RANGES, batch_call
from orion.kms.planning import BatchPlanner
from orion.runtime.kms_calls import Result, database, networks, typed
from orion.runtime.log import new_trace_id, set_trace_id
from orion.runtime.metrics import count

_log = logging.getLogger(__name__)


def plan_batch(event: Mapping[str, object]) -> Result:
    """Answer a state machine's `{"first_group", "groups"}`: `{"outcome": "planned", "items", …}`
    with the ranges of each group that no batch has told yet, or `refused` with a code.
    """
    return typed(lambda: _plan_batch(event))


@cache
def _planner() -> BatchPlanner:
    return BatchPlanner(MySqlGroupStore(database()), networks())


def _plan_batch(event: Mapping[str, object]) -> Result:
    batch = batch_call(event, new_trace_id())
    set_trace_id(batch.trace_id)
    plans = _planner().plan(batch)
    left = sum(len(found.first_indexes) for found in plans)
    count("kms", "WalletRangesPlanned", left)
    _log.info("batch planned", extra={"groups": batch.groups, "ranges_left": left})
    return {
        "outcome": "planned",
        "trace_id": batch.trace_id,
        "groups": batch.groups,
        "ranges": batch.groups * len(RANGES),
        "ranges_left": left,
        "items": [
            {"group": found.group_no, "first_indexes": list(found.first_indexes)} for found in plans
        ],
    }
