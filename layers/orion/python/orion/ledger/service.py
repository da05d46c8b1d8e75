"""From the records of a partition to posted batches."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from orion.errors import OrionError
from orion.ledger.ports import Delivery, LedgerStore, PostResult
from orion.ledger.transfer_record import read_transfers
from orion.records import Record

MAX_BATCH = 10_000


def post_partition(store: LedgerStore, records: Sequence[Record], now: datetime) -> PostResult:
    """Post `records`, all of one partition and in order, in batches of at most MAX_BATCH transfers.

    A malformed record raises after everything before it was posted: the next delivery starts with
    it.
    """
    posted = refused = unchanged = 0
    for batch, fault in _batches(records):
        if batch:
            result = store.post(batch, now)
            posted += result.posted
            refused += result.refused
            unchanged += result.unchanged
        if fault is not None:
            raise fault
    return PostResult(posted, refused, unchanged)


def _batches(
    records: Sequence[Record],
) -> Iterator[tuple[list[Delivery], OrionError | None]]:
    batch: list[Delivery] = []
    size = 0
    for record in records:
        try:
            transfers = read_transfers(record.value)
        except OrionError as exc:
            exc.fields["topic"] = record.topic
            exc.fields["partition"] = record.partition
            exc.fields["offset"] = record.offset
            yield batch, exc
            return
        if size + len(transfers) > MAX_BATCH:
            yield batch, None
            batch, size = [], 0
        batch.append(Delivery(record, transfers))
        size += len(transfers)
    yield batch, None
