"""Composition of the system-doctor module: the health answer."""

from collections.abc import Callable, Mapping
from functools import cache

from orion.adapters.mysql.session import Database
from orion.errors import OrionError
from orion.runtime.request import Handler, Request, Response, json_response
from orion.runtime.settings import mysql_config


@cache
def _database() -> Database:
    return Database(mysql_config("system-doctor", "orion_system_doctor", direct=False))


def _mysql() -> None:
    with _database().transaction() as cursor:
        cursor.execute("SELECT 1")


# One row a dependency whose loss would stop money from being taken.
_CHECKS: Mapping[str, Callable[[], None]] = {"mysql": _mysql}


def health(request: Request) -> Response:
    """GET /health: 200 when every check passes, else 503, naming what does not answer."""
    states: dict[str, str] = {}
    for name, check in _CHECKS.items():
        try:
            check()
            states[name] = "ok"
        except OrionError as error:
            states[name] = error.code
    well = all(state == "ok" for state in states.values())
    body: Mapping[str, object] = {
        "status": "ok" if well else "ill",
        "checks": states,
        "trace_id": request.trace_id,
    }
    return json_response(200 if well else 503, body)


HANDLERS: Mapping[tuple[str, str], Handler] = {("GET", "/health"): health}
