"""Composition of who marks custody accounts that were seen on their chains. It signs nothing."""

import logging
from collections.abc import Mapping
from functools import cache

from orion.adapters.mysql.kms_accounts import MySqlSeenStore
from orion.kms.signing.model import seen_request
from orion.kms.signing.seen import SeenAccounts
from orion.runtime import clock
from orion.runtime.kms_calls import Result, database, networks, typed
from orion.runtime.kms_evidence import evidence_keys
from orion.runtime.log import set_trace_id
from orion.runtime.wakeup import wake

_log = logging.getLogger(__name__)


def mark_on_chain(event: Mapping[str, object]) -> Result:
    """Answer `{"statement"}`: `{"outcome": "on_chain", "new", "accounts"}`; a repeat is a no-op."""
    return typed(lambda: _mark(event))


@cache
def _seen() -> SeenAccounts:
    known = networks().by_chain()
    return SeenAccounts(known, evidence_keys, MySqlSeenStore(database(), known), clock.now)


def _mark(event: Mapping[str, object]) -> Result:
    request = seen_request(event)
    set_trace_id(request.trace_id)
    seen = _seen().mark(request)
    wake("kms")
    _log.info("custody account on chain", extra={"new": seen.new})
    return {
        "outcome": "on_chain",
        "new": seen.new,
        "accounts": [
            {
                "group": place.group_no,
                "wallet": place.kind,
                "chain": place.chain,
                "set": place.set_no,
            }
            for place in seen.accounts
        ],
    }
