"""Composition of those who sign nothing: the register of custody sets and the auditor's export."""

import logging
from collections.abc import Mapping
from functools import cache

from orion.adapters.mysql.kms_signing import MySqlSetStore
from orion.kms.signing.model import Place, export_request, sets_request
from orion.kms.signing.sets import CustodyExport, CustodyRegister
from orion.runtime import clock
from orion.runtime.kms_calls import Result, database, networks, typed
from orion.runtime.kms_evidence import evidence_keys
from orion.runtime.log import set_trace_id
from orion.runtime.wakeup import wake

_log = logging.getLogger(__name__)


def register_sets(event: Mapping[str, object]) -> Result:
    """Answer `{"sets"}`: `{"outcome": "registered", "new", "known"}`; a repeat is a no-op."""
    return typed(lambda: _register_sets(event))


def export_custody(event: Mapping[str, object]) -> Result:
    """Answer `{"first_group", "last_group", "limit", "after"}` with one page of accounts."""
    return typed(lambda: _export_custody(event))


@cache
def _register() -> CustodyRegister:
    return CustodyRegister(_sets(), evidence_keys, clock.now)


@cache
def _export() -> CustodyExport:
    return CustodyExport(_sets())


def _sets() -> MySqlSetStore:
    return MySqlSetStore(database(), networks().by_chain())


def _register_sets(event: Mapping[str, object]) -> Result:
    request = sets_request(event)
    set_trace_id(request.trace_id)
    registered = _register().register(request)
    wake("kms")
    _log.info("custody sets registered", extra={"new": len(registered.new)})
    return {
        "outcome": "registered",
        "new": list(registered.new),
        "known": list(registered.known),
    }


def _export_custody(event: Mapping[str, object]) -> Result:
    request = export_request(event)
    set_trace_id(request.trace_id)
    page = _export().page(request)
    _log.info("custody accounts exported", extra={"accounts": len(page.accounts)})
    return {
        "outcome": "page",
        "accounts": list(page.accounts),
        "sets": list(page.sets),
        "after": _place(page.after),
    }


def _place(place: Place | None) -> Mapping[str, object] | None:
    if place is None:
        return None
    return {
        "group": place.group_no,
        "wallet": place.kind,
        "chain": place.chain,
        "set": place.set_no,
    }
