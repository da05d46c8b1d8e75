"""Composition of what opens seeds: groups are made, wallets derived. Whoever imports it may open
them; importing it seals the process.
"""

import logging
from collections.abc import Mapping
from functools import cache

from orion.adapters.aws.seed_vault import KmsChainKeyVault, KmsSeedVault
from orion.adapters.mysql.kms_groups import MySqlGroupStore
from orion.kms.errors import MalformedRequest
from orion.kms.groups import CustodyPlan, read_custody_groups
from orion.kms.model import NO_TRACE, check_group, check_trace, pool_call
from orion.kms.service import WalletService
from orion.runtime import clock
from orion.runtime.kafka import partitions
from orion.runtime.kms_calls import Result, database, kms, networks, typed
from orion.runtime.log import logger, set_trace_id
from orion.runtime.metrics import count
from orion.runtime.settings import Settings, settings
from orion.runtime.wakeup import wake

_log = logging.getLogger(__name__)


@cache
def service() -> WalletService:
    """The module's use cases, built once a process."""
    known = settings()
    return WalletService(
        vault=KmsSeedVault(kms(), f"alias/orion/{known.stage}/wallet-seeds", known.stage),
        chain_vault=KmsChainKeyVault(kms(), known.stage),
        store=MySqlGroupStore(database()),
        networks=networks(),
        custody=_custody(known),
        now=clock.now,
    )


def _custody(known: Settings) -> CustodyPlan:
    """Without the parameter no group can be made, but those that exist are served."""
    rows = known.optional("custody/groups")
    return CustodyPlan(
        read_custody_groups(rows) if rows else (), known.optional("custody/solana-fee-payer")
    )


def create_group(event: Mapping[str, object]) -> Result:
    """Answer a state machine's `{"group": n}`: `{"outcome": "ready", …}`, or `refused` with a code.

    A repeat gives the same answer. What may succeed later is raised, for the machine to retry.
    """
    return typed(lambda: _create_group(event))


def derive_range(event: Mapping[str, object]) -> Result:
    """Answer a state machine's `{"group", "first_index", "count"}`: `{"outcome": "derived", …}`, or
    `refused` with a code. A repeat under one trace id gives the same answer and no second event.

    With `"once": true` a range that a batch has told is passed over: `"new": false`.
    """
    return typed(lambda: _derive_range(event))


def answer_requests(event: Mapping[str, object]) -> Mapping[str, int]:
    """Answer the records of `wallet.requests`, one transaction a partition.

    Raises for a partition with a request that cannot be answered; partitions before it stay
    answered.
    """
    logger()
    answered = 0
    for records in partitions(event):
        new = service().consume(records)
        answered += new
        _log.info("wallet requests answered", extra=_counts(len(records), new))
    wake("kms")
    return {"answered": answered}


def make_asked_groups(event: Mapping[str, object]) -> Mapping[str, int]:
    """Make the groups that the records of `wallet.requests` need, before or while their wallets are
    derived: only this function's role may encrypt a seed.

    Raises for a request whose group may not be made, or cannot be now; the groups of those before
    it stay.
    """
    logger()
    made: list[int] = []
    for records in partitions(event):
        made += service().make_asked(records)
    if made:
        wake("kms")
        _log.info("wallet groups made for requests", extra={"groups": made})
    return {"made": len(made)}


def _create_group(event: Mapping[str, object]) -> Result:
    if not {"group"} <= set(event) <= {"group", "trace_id"}:
        raise MalformedRequest("a call has the field group")
    trace_id = check_trace(event.get("trace_id", NO_TRACE))
    set_trace_id(trace_id)
    group = service().create_group(check_group(event["group"]), trace_id)
    wake("kms")
    _log.info("wallet group ready", extra={"group": group.group_no})
    return {
        "outcome": "ready",
        "group": group.group_no,
        "key_arn": group.seed.key_arn,
        "created_at": group.created_at.isoformat(),
    }


def _derive_range(event: Mapping[str, object]) -> Result:
    once = event.get("once", False)
    if not isinstance(once, bool):
        raise MalformedRequest("once is true or false", field="once")
    request = pool_call({name: value for name, value in event.items() if name != "once"})
    set_trace_id(request.trace_id)
    derived = service().derive_once(request) if once else service().derive(request)
    if derived.new:
        wake("kms")
        count("kms", "WalletsDerived", derived.count)
    _log.info(
        "wallets derived",
        extra={"group": derived.group_no, "count": derived.count, "new": derived.new},
    )
    return {
        "outcome": "derived",
        "group": derived.group_no,
        "first_index": derived.first_index,
        "count": derived.count,
        "records": derived.records,
        "new": derived.new,
    }


def _counts(received: int, new: int) -> Mapping[str, int]:
    return {"received": received, "new": new}
