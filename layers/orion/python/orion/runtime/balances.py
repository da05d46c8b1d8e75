"""Composition of the reconciliation's step `balances`."""

import logging
from collections.abc import Mapping
from functools import cache

import boto3

from orion.adapters.aws.p256_signer import KmsP256Signer
from orion.adapters.mysql.balance_store import MySqlBalanceStore
from orion.adapters.mysql.reconciliation_runs import MySqlRunStore
from orion.adapters.mysql.session import Database
from orion.log.balances.service import ISSUER, BalanceCheck
from orion.log.reconciliation.calls import run_call
from orion.moneyin.policy import read_policy
from orion.runtime.clock import now
from orion.runtime.log import logger, set_trace_id
from orion.runtime.settings import AWS_CLIENT, mysql_config, settings, stage
from orion.runtime.wakeup import wake

_log = logging.getLogger(__name__)


@cache
def _database() -> Database:
    return Database(mysql_config("log", "orion_log", direct=True))


@cache
def _runs() -> MySqlRunStore:
    return MySqlRunStore(_database())


@cache
def check() -> BalanceCheck:
    """Its stores, its key and the stage's final counts, built once a process."""
    known = settings()
    policy = read_policy(
        known.document("chains/networks"),
        known.document("policy/confirmations"),
        known.document("chains/contracts"),
    )
    kms = boto3.client("kms", config=AWS_CLIENT)
    return BalanceCheck(
        store=MySqlBalanceStore(_database()),
        signer=KmsP256Signer(kms, f"alias/orion/{stage()}/node-commands-{ISSUER}"),
        differences=_runs(),
        finals={chain: each.final for chain, each in policy.chains.items()},
    )


def check_balances(event: Mapping[str, object]) -> Mapping[str, str]:
    """One round of `{"run"}`, an execution by its name: `{"outcome": "waiting"}` or `"checked"`.
    With `"last": true` it waits for no node any more.

    Raises MalformedCall, and what `BalanceCheck.round` raises.
    """
    logger()
    run = _runs().run(run_call(event).run)
    set_trace_id(run.trace_id.hex())
    try:
        last = event.get("last") is True
        state = check().round(run.id, run.trace_id.hex(), now(), last=last)
    finally:
        # What was asked before an error has been stored, and waits for its relay.
        wake("log")
    _log.info("balances looked at", extra={"run": run.name, "state": state.value})
    return {"outcome": state.value}
