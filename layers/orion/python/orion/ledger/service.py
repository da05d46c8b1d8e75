"""From the records of a partition to posted batches."""

from collections.abc import Sequence
from datetime import datetime

from orion.ledger.ports import LedgerStore, PostResult
from orion.records import Record


def post_partition(store: LedgerStore, records: Sequence[Record], now: datetime) -> PostResult:
    """Post `records`, all of one partition and in order, in as many batches as they need."""
    posted = refused = unchanged = done = 0
    while done < len(records):
        result = store.post(records[done:], now)
        posted += result.posted
        refused += result.refused
        unchanged += result.unchanged
        done += result.records
    return PostResult(posted, refused, unchanged, done)
