"""Composition of fees: what operators set (`billing/fee_plans`) and what merchants see."""

import logging
from collections.abc import Mapping
from functools import cache

from orion.adapters.mysql.billing import MySqlBillingStore
from orion.adapters.mysql.session import Database
from orion.billing.fees.calls import Assigning, Referring, read_call
from orion.billing.fees.desk import FeeDesk
from orion.runtime import billing
from orion.runtime.clock import now
from orion.runtime.operator_calls import Answer, answered
from orion.runtime.request import Handler, Request, Response, json_response
from orion.runtime.settings import mysql_config
from orion.runtime.wakeup import wake

_log = logging.getLogger(__name__)


@cache
def _operators_desk() -> FeeDesk:
    database = Database(mysql_config("billing", "orion_billing", direct=True))
    return FeeDesk(MySqlBillingStore(database), now)


def fee_plans(event: Mapping[str, object]) -> Answer:
    """`{"action": "assign" | "refer" | "show", …}`: docs/fees.md, "Asked by merchants and
    operators".
    """
    return answered("fee_plans", lambda trace_id: _answer(event, trace_id))


def _answer(event: Mapping[str, object], trace_id: str) -> Answer:
    call = read_call(event)
    if isinstance(call, Assigning):
        done = _operators_desk().assign(call, trace_id)
    elif isinstance(call, Referring):
        done = _operators_desk().refer(call, trace_id)
    else:
        return {"outcome": "shown", **_operators_desk().shown(call.merchant_id, call.lane.value)}
    wake("billing")
    _log.info("fees set", extra={"outcome": done["outcome"]})
    return done


def get_fees(request: Request) -> Response:
    """GET /v1/fees"""
    return json_response(200, billing.fee_desk().shown(request.merchant(), request.lane))


HANDLERS: Mapping[tuple[str, str], Handler] = {("GET", "/v1/fees"): get_fees}
