"""Composition of the ledger's writer: one fenced writer a shard, directly on the database."""

from collections.abc import Mapping
from functools import cache

from orion.adapters.mysql.ledger_store import MySqlLedgerStore
from orion.adapters.mysql.session import Database
from orion.ledger.service import post_partition
from orion.runtime import clock
from orion.runtime.kafka import partitions
from orion.runtime.log import logger
from orion.runtime.settings import mysql_config
from orion.runtime.wakeup import wake


@cache
def _store() -> MySqlLedgerStore:
    return MySqlLedgerStore(Database(mysql_config("ledger", "orion_ledger", direct=True)))


def post(event: Mapping[str, object]) -> Mapping[str, int]:
    """Post the transfers of one `aws:kafka` event. Anything malformed raises: its partition
    stops."""
    posted = refused = unchanged = 0
    try:
        for records in partitions(event):
            result = post_partition(_store(), records, clock.now())
            posted += result.posted
            refused += result.refused
            unchanged += result.unchanged
    finally:
        # Also after a fault: what was committed before it is owed.
        wake("ledger")
    counts = {"posted": posted, "refused": refused, "unchanged": unchanged}
    logger().info("ledger batch", extra=counts)
    return counts
