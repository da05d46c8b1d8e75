"""From the records of a partition to the external book."""

from collections.abc import Iterator, Sequence

from orion.errors import OrionError
from orion.ledger.transfer_record import read_posted
from orion.log.errors import ForeignShard
from orion.log.external_book.model import Told
from orion.log.external_book.ports import ExternalBookStore, Written
from orion.records import Record

MAX_ENTRIES = 10_000  # Of one transaction.


def write_partition(store: ExternalBookStore, records: Sequence[Record]) -> Written:
    """Write `records`, all of one partition and in order, in transactions of at most MAX_ENTRIES.

    What cannot be read, or does not follow, raises after everything before it was written: the next
    delivery starts with it.
    """
    added = entries = repeated = 0
    for batch, fault in _batches(records):
        if batch:
            written = store.append(records[0].topic, records[0].partition, batch)
            added += written.records
            entries += written.entries
            repeated += written.repeated
            if written.fault is not None:
                raise written.fault
        if fault is not None:
            raise fault
    return Written(added, entries, repeated)


def _batches(records: Sequence[Record]) -> Iterator[tuple[list[Told], OrionError | None]]:
    batch: list[Told] = []
    size = 0
    for record in records:
        try:
            told = _read(record)
        except OrionError as exc:
            exc.fields["topic"] = record.topic
            exc.fields["partition"] = record.partition
            exc.fields["offset"] = record.offset
            yield batch, exc
            return
        if size + len(told.record.entries) > MAX_ENTRIES:
            yield batch, None
            batch, size = [], 0
        batch.append(told)
        size += len(told.record.entries)
    yield batch, None


def _read(record: Record) -> Told:
    posted = read_posted(record.value)
    if posted.shard != record.partition:
        raise ForeignShard("a record of another shard than its partition's", shard=posted.shard)
    return Told(record.offset, posted)
