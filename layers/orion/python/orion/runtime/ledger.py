"""Composition of the ledger's writer: one fenced writer a shard, directly on the database."""

from collections.abc import Mapping
from functools import cache

from orion.adapters.mysql.ledger_store import MySqlLedgerStore
from orion.adapters.mysql.session import Database
from orion.errors import OrionError
from orion.ledger.service import post_partition
from orion.runtime import clock
from orion.runtime.kafka import each_partition
from orion.runtime.log import logger
from orion.runtime.metrics import count
from orion.runtime.settings import mysql_config
from orion.runtime.wakeup import wake


@cache
def _store() -> MySqlLedgerStore:
    return MySqlLedgerStore(
        Database(mysql_config("ledger", "orion_ledger", direct=True)), skipped=_skipped
    )


def _skipped(_fault: OrionError) -> None:
    count("billing", "Control records skipped", 1)


def post(event: Mapping[str, object]) -> Mapping[str, int]:
    """Post the transfers of one `aws:kafka` event. Anything malformed raises: its partition
    stops."""
    try:
        results = each_partition(
            event, lambda records: post_partition(_store(), records, clock.now())
        )
    finally:
        # Also after a fault: what was committed is owed.
        wake("ledger")
    counts = {
        "posted": sum(result.posted for result in results),
        "refused": sum(result.refused for result in results),
        "unchanged": sum(result.unchanged for result in results),
    }
    logger().info("ledger batch", extra=counts)
    return counts
