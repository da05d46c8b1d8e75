"""Composition of what operators do with the ledger's shards, and of the watch, which tells what is
late and carries on a growth that stopped half-way.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache

from orion.adapters.mysql import ledger_growth, ledger_watch
from orion.adapters.mysql.outbox import relay_lock
from orion.adapters.mysql.session import Database
from orion.ledger.buckets import ShardsOutOfRange
from orion.runtime import clock
from orion.runtime.body import Body, MalformedField, MissingField, UnknownField
from orion.runtime.log import logger, new_trace_id, set_trace_id
from orion.runtime.metrics import count
from orion.runtime.operator_calls import Answer, answered
from orion.runtime.relay_routes import SENDERS
from orion.runtime.settings import mysql_config, settings
from orion.runtime.wakeup import wake

PARTITIONS = "kafka/ledger-partitions"
_FIELDS = ("action", "shards")

_log = logging.getLogger(__name__)


def shard_map(event: Mapping[str, object]) -> Mapping[str, object]:
    """Answer `{"action": "show"}` or `{"action": "grow", "shards": 8}`.

    What the request itself must change comes back as `refused` with its code. Anything else is
    raised: the same call again goes on where this one ended.
    """
    return answered("shard map", lambda trace_id: _chosen(event, trace_id))


def _chosen(event: Mapping[str, object], trace_id: str) -> Answer:
    for name in event:
        if name not in _FIELDS:
            raise UnknownField("this request has no such field", field=name[:80])
    body = Body(event)
    match body.text("action", max_length=16):
        case "show":
            return _show()
        case "grow":
            shards = body.optional_integer("shards", minimum=1, maximum=1_000)
            if shards is None:
                raise MissingField("this field is needed", field="shards")
            return _grow(shards, trace_id)
        case _:
            raise MalformedField("actions are show and grow", field="action")


def watch() -> Mapping[str, int]:
    """Count what should have arrived by now, and carry on a growth that is under way; run by the
    schedule, every minute. Raises SenderBusy, after the counts were told.
    """
    logger()
    trace_id = new_trace_id()
    set_trace_id(trace_id)
    found = _database().run(lambda cursor: ledger_watch.late(cursor, clock.now()))
    count("billing", "Legs late", found.legs_late)
    count("billing", "Transfers held", found.transfers_held)
    count("billing", "Statements behind", found.statements_behind)
    _log.info("ledger watched", extra=asdict(found))
    owed = _carry_on(trace_id)
    if owed:
        wake("ledger")
    return {**asdict(found), "handovers_owed": owed}


@cache
def _database() -> Database:
    # Directly: the proxy would pin a session that asks for a named lock.
    return Database(mysql_config("ledger", "orion_ledger", direct=True))


def _show() -> Mapping[str, object]:
    state, shards = _database().run(
        lambda cursor: (ledger_growth.map_state(cursor), ledger_growth.shard_states(cursor))
    )
    return {
        "outcome": "shown",
        "map_version": state.version,
        "moving": state.moving,
        "shards": [asdict(shard) for shard in shards],
    }


def _grow(shards: int, trace_id: str) -> Mapping[str, object]:
    partitions = settings().number(PARTITIONS)
    if shards > partitions:
        raise ShardsOutOfRange(
            "the ledger's topics have fewer partitions", shards=shards, partitions=partitions
        )
    state = _database().run(lambda cursor: ledger_growth.ensure_map(cursor, shards))
    if not state.moving:
        return {"outcome": "settled", "map_version": state.version, "moving": 0}
    _carry_on(trace_id)
    wake("ledger")
    return {"outcome": "moving", "map_version": state.version, "moving": state.moving}


def _carry_on(trace_id: str) -> int:
    locks = [relay_lock(module) for module in SENDERS]
    owed = ledger_growth.carry_on(_database(), locks, bytes.fromhex(trace_id), clock.now())
    if owed:
        _log.info("buckets shall move", extra={"buckets": owed})
    return owed
