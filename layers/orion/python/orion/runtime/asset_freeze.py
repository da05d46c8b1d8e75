"""Composition of `billing/asset_freeze`: people look at freezes and lift them, with a reason."""

import logging
from collections.abc import Mapping
from functools import cache

from orion.adapters.mysql.asset_freeze import MySqlFreezes
from orion.adapters.mysql.session import Database
from orion.ledger.freezes import MalformedLifting, lifting
from orion.runtime import clock
from orion.runtime.operator_calls import answered
from orion.runtime.settings import mysql_config
from orion.runtime.wakeup import wake

_log = logging.getLogger(__name__)


@cache
def _freezes() -> MySqlFreezes:
    return MySqlFreezes(Database(mysql_config("ledger", "orion_ledger", direct=True)))


def asset_freeze(event: Mapping[str, object]) -> Mapping[str, object]:
    """`{"action": "list"}`, or `{"action": "lift", "asset", "incident_id", "by", "reason"}`."""
    return answered("asset_freeze", lambda trace: _answer(event, trace))


def _answer(event: Mapping[str, object], trace: str) -> Mapping[str, object]:
    match event.get("action"):
        case "list":
            return {
                "outcome": "listed",
                "freezes": [
                    {
                        "asset": found.asset,
                        "incident_id": found.incident.hex(),
                        "opened_at": found.opened_at.isoformat(),
                    }
                    for found in _freezes().open()
                ],
            }
        case "lift":
            lifted = lifting(event)
            _freezes().lift(lifted, trace, clock.now())
            wake("ledger")
            _log.info("freeze lifted", extra={"asset": lifted.asset})
            return {"outcome": "lifted", "asset": lifted.asset}
        case _:
            raise MalformedLifting("an action is list or lift", field="action")
