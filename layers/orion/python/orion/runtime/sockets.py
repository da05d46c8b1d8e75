"""Pages connect and leave: what API Gateway's WebSocket API calls, and what the poster tells back.

Form of the events: Amazon API Gateway Developer Guide, "Set up integration request in API Gateway"
for WebSocket APIs.
"""

from collections.abc import Mapping, Sequence
from functools import cache as once
from typing import cast

from orion.adapters.mysql.billing import MySqlBillingStore
from orion.adapters.mysql.session import Database
from orion.billing.errors import InvoiceNotFound
from orion.billing.sockets import Sockets, TooManySockets, read_connections
from orion.errors import OrionError
from orion.ids import MalformedId, parse_public_id
from orion.records import parse_json
from orion.runtime import counters, problems
from orion.runtime.caller import network_of
from orion.runtime.clock import now
from orion.runtime.log import logger, new_trace_id, set_trace_id
from orion.runtime.settings import mysql_config

_MODULE = "billing"
# New connections from one address. Losing memcached loses this limit, not the stage's own.
NEW_OF_ADDRESS = 30
WINDOW_S = 60


@once
def _sockets(direct: bool) -> Sockets:
    config = mysql_config(_MODULE, "orion_billing", direct=direct)
    return Sockets(MySqlBillingStore(Database(config)), now)


def socket(event: Mapping[str, object]) -> Mapping[str, object]:
    """`$connect` and `$disconnect`. What is not 200 refuses a connection."""
    log = logger()
    set_trace_id(new_trace_id())
    context = _mapping(event.get("requestContext"))
    kind, connection_id = str(context.get("eventType")), str(context.get("connectionId"))
    try:
        if kind == "CONNECT":
            _connect(connection_id, event, context)
        elif kind == "DISCONNECT":
            _sockets(direct=False).closed([connection_id])
    except OrionError as error:
        status = problems.STATUS.get(error.code, 500)
        log.log(40 if status >= 500 else 20, "socket refused", extra={"code": error.code})
        return {"statusCode": status}
    log.info("socket answered", extra={"kind": kind})
    return {"statusCode": 200}


def _connect(
    connection_id: str, event: Mapping[str, object], context: Mapping[str, object]
) -> None:
    asked = str(_mapping(event.get("queryStringParameters")).get("invoice"))
    try:
        invoice_id = parse_public_id("inv", asked)
    except MalformedId as exc:
        raise InvoiceNotFound("no such invoice") from exc
    address = str(_mapping(context.get("identity")).get("sourceIp"))
    used = counters.count(f"sockets:{network_of(address)}", WINDOW_S)
    if used is not None and used > NEW_OF_ADDRESS:
        raise TooManySockets("too many new connections from this address")
    _sockets(direct=False).open(connection_id, invoice_id)


def gone(event: Mapping[str, object]) -> Mapping[str, object]:
    """One batch of the queue `socket-gone`, or the schedule, which removes what has expired."""
    log = logger()
    records = event.get("Records")
    if not isinstance(records, list):
        removed = _sockets(direct=True).forget_expired()
        log.info("expired sockets removed", extra={"rows": removed})
        return {"removed": removed}
    failed: list[Mapping[str, str]] = []
    for message in cast(Sequence[Mapping[str, str]], records):
        try:
            body = parse_json(message["body"].encode())
            _sockets(direct=True).closed(read_connections(body))
        except Exception:
            # Whatever it was, the queue keeps the message, counts its tries and sets it aside in
            # the end.
            log.exception("gone sockets not removed")
            failed.append({"itemIdentifier": message["messageId"]})
    return {"batchItemFailures": failed}


def _mapping(value: object) -> Mapping[str, object]:
    return cast(Mapping[str, object], value) if isinstance(value, dict) else {}
