"""Composition of `log/incident`: people look at incidents and close them, with a reason."""

import logging
from collections.abc import Mapping
from functools import cache

from orion.adapters.mysql.incidents import MySqlIncidents
from orion.adapters.mysql.session import Database
from orion.log.reconciliation.errors import MalformedCall
from orion.log.reconciliation.incidents import closing
from orion.runtime import clock
from orion.runtime.operator_calls import answered
from orion.runtime.settings import mysql_config
from orion.runtime.wakeup import wake

_log = logging.getLogger(__name__)


@cache
def _incidents() -> MySqlIncidents:
    return MySqlIncidents(Database(mysql_config("log", "orion_log", direct=False)))


def incident(event: Mapping[str, object]) -> Mapping[str, object]:
    """`{"action": "list"}`, or `{"action": "close", "incident_id", "by", "reason"}`."""
    return answered("incident", lambda trace: _answer(event, trace))


def _answer(event: Mapping[str, object], trace: str) -> Mapping[str, object]:
    match event.get("action"):
        case "list":
            return {
                "outcome": "listed",
                "incidents": [
                    {
                        "incident_id": found.incident.id.hex(),
                        "asset": found.incident.asset,
                        "freezes": found.incident.freezes,
                        "differences": found.incident.differences,
                        "opened_at": found.opened_at.isoformat(),
                        "report": found.report,
                    }
                    for found in _incidents().open()
                ],
            }
        case "close":
            closed = _incidents().close(closing(event), trace, clock.now())
            wake("log")
            _log.info("incident closed", extra={"incident": closed.id.hex()})
            return {"outcome": "closed", "incident_id": closed.id.hex(), "asset": closed.asset}
        case _:
            raise MalformedCall("an action is list or close", field="action")
