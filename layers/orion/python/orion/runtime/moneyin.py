"""The composition of moneyin: its store and service, built once a process, and the entries of its
functions.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from orion.adapters.mysql.moneyin import MySqlMoneyIn
from orion.adapters.mysql.session import Database
from orion.moneyin.policy import Policy, read_policy
from orion.moneyin.service import MoneyIn
from orion.records import Record
from orion.runtime.clock import now
from orion.runtime.kafka import each_partition
from orion.runtime.log import logger, new_trace_id, set_trace_id
from orion.runtime.metrics import count
from orion.runtime.settings import mysql_config, settings
from orion.runtime.wakeup import wake

_MODULE = "moneyin"


@cache
def policy() -> Policy:
    """What this deployment decides about deposits, from its parameters."""
    known = settings()
    return read_policy(
        known.document("chains/networks"),
        known.document("policy/confirmations"),
        known.document("chains/contracts"),
    )


@cache
def service() -> MoneyIn:
    """Writers go to the database directly: their number is that of the partitions."""
    database = Database(mysql_config(_MODULE, "orion_moneyin", direct=True))
    return MoneyIn(MySqlMoneyIn(database), policy())


def blocks(event: Mapping[str, object]) -> Mapping[str, int]:
    """Block events of `chain.blocks.<chain>`, partition by partition. Any error stops the mapping:
    nothing is skipped.
    """
    logger()
    return _each(event, lambda records: service().blocks(records, now()))


def node_answers(event: Mapping[str, object]) -> Mapping[str, int]:
    """What agents ask on `node.answers`."""
    logger()
    return _each(event, lambda records: service().node_answers(records, now()))


def addresses(event: Mapping[str, object]) -> Mapping[str, int]:
    """Wallets from kms on `wallet.addresses`."""
    logger()
    added = sum(each_partition(event, service().addresses))
    if added:
        count("moneyin", "AddressesStored", added)
    logger().info("addresses stored", extra={"added": added})
    return {"added": added}


def pool_level() -> Mapping[str, int]:
    """Ask for more wallets when the pool is low; run by the schedule."""
    logger()
    trace_id = new_trace_id()
    set_trace_id(trace_id)
    return _told(service().pool_level(trace_id, now()))


def _each(
    event: Mapping[str, object], work: Callable[[Sequence[Record]], int]
) -> Mapping[str, int]:
    # One wake-up a partition: what one committed must not wait for the failure of the next.
    counts = each_partition(event, lambda records: _told(work(records))["messages"])
    return {"messages": sum(counts)}


def _told(messages: int) -> Mapping[str, int]:
    if messages:
        wake(_MODULE)
    logger().info("moneyin done", extra={"messages": messages})
    return {"messages": messages}
