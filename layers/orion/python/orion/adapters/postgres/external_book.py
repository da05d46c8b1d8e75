"""The external book in PostgreSQL: a partition's place, accounts and entries in one transaction."""

from collections.abc import Iterator, Sequence

from psycopg import errors

from orion.adapters.postgres import book_lines
from orion.adapters.postgres.session import Cursor, Database
from orion.ledger.book import accounts_of
from orion.ledger.model import AccountKey, Entry
from orion.ledger.transfer_record import PostedRecord
from orion.log.external_book.errors import BookDiffers
from orion.log.external_book.model import Place, Told, compared, plan
from orion.log.external_book.ports import Written
from orion.log.external_book.service import MAX_ENTRIES

_COPY = """
COPY external_book.entry (shard_no, number, position, id, digest, kind, code, linked, pending_id,
  debit_account, credit_account, counterpart, units, cause, trace_id, posted_at) FROM STDIN
"""
_NULL = "\\N"


class PostgresExternalBook:
    """The port ExternalBookStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, topic: str, partition: int, batch: Sequence[Told]) -> Written:
        if sum(len(told.record.entries) for told in batch) > MAX_ENTRIES:
            raise ValueError(f"a batch has at most {MAX_ENTRIES} entries")
        if not batch:
            return Written(0, 0, 0)
        try:
            return self._database.run(lambda cursor: _append(cursor, topic, partition, batch))
        except errors.UniqueViolation as exc:
            raise BookDiffers(
                "an id, or a place, is taken by another entry",
                shard=partition,
                constraint=exc.diag.constraint_name,
            ) from exc


def _append(cursor: Cursor, topic: str, partition: int, batch: Sequence[Told]) -> Written:
    place = _lock_place(cursor, topic, partition)
    planned = plan(place, batch)
    if planned.repeated:
        numbers = sorted({told.record.number for told in planned.repeated})
        stored = book_lines.lines(cursor, partition, numbers)
        planned = compared(place, batch, planned, stored)
    records = [told.record for told in planned.fresh]
    if records:
        _name_accounts(cursor, records)
        with cursor.copy(_COPY) as copy:
            for record in records:
                copy.write("".join(_rows(record)))
    if planned.place != place:
        cursor.execute(
            "UPDATE external_book.cursor SET next_offset = %s, next_number = %s"
            " WHERE topic = %s AND partition_no = %s",
            (planned.place.next_offset, planned.place.next_number, topic, partition),
        )
    entries = sum(len(record.entries) for record in records)
    return Written(len(records), entries, len(planned.repeated), planned.fault)


def _lock_place(cursor: Cursor, topic: str, partition: int) -> Place:
    cursor.execute(
        "INSERT INTO external_book.cursor (topic, partition_no, next_offset, next_number)"
        " VALUES (%s, %s, %s, %s) ON CONFLICT (topic, partition_no) DO NOTHING",
        (topic, partition, Place().next_offset, Place().next_number),
    )
    cursor.execute(
        "SELECT next_offset, next_number FROM external_book.cursor"
        " WHERE topic = %s AND partition_no = %s FOR UPDATE",
        (topic, partition),
    )
    row = cursor.fetchone()
    if row is None:
        raise RuntimeError("the place of a partition vanished inside its own transaction")
    return Place(*row)


def _name_accounts(cursor: Cursor, records: Sequence[PostedRecord]) -> None:
    named: dict[bytes, AccountKey] = {
        account.id: account
        for record in records
        for entry in record.entries
        for account in accounts_of(entry)
    }
    # One order for all writers: two that name the same new accounts wait instead of deadlocking.
    accounts = [named[identity] for identity in sorted(named)]
    cursor.execute(
        "INSERT INTO external_book.account (id, owner, purpose, asset)"
        " SELECT * FROM unnest(%s::bytea[], %s::text[], %s::text[], %s::text[])"
        " ON CONFLICT (id) DO NOTHING",
        (
            [account.id for account in accounts],
            [account.owner for account in accounts],
            [account.purpose.value for account in accounts],
            [account.asset for account in accounts],
        ),
    )


def _rows(record: PostedRecord) -> Iterator[str]:
    """COPY's text format: only numbers, words of closed sets and hexadecimal digits, so that
    nothing needs escaping.
    """
    posted_at = record.posted_at.isoformat()
    for position, entry in enumerate(record.entries):
        transfer = entry.transfer
        yield (
            f"{record.shard}\t{record.number}\t{position}\t{_bytea(transfer.id)}"
            f"\t{_bytea(entry.digest)}\t{transfer.kind.value}\t{transfer.code.value}"
            f"\t{'t' if transfer.linked else 'f'}\t{_bytea(transfer.pending_id)}"
            f"\t{_bytea(transfer.debit.id)}\t{_bytea(transfer.credit.id)}"
            f"\t{_bytea(_counterpart(entry))}\t{transfer.units}\t{_bytea(transfer.cause)}"
            f"\t{_bytea(transfer.trace_id)}\t{posted_at}\n"
        )


def _counterpart(entry: Entry) -> bytes | None:
    return None if entry.counterpart is None else entry.counterpart.id


def _bytea(value: bytes | None) -> str:
    return _NULL if value is None else f"\\\\x{value.hex()}"
