"""A record that cannot be posted stops its partition there: what stands before it is posted first.

A fault undoes the whole transaction, so which record it was is found by halving.
"""

from collections.abc import Callable, Sequence

import pymysql

from orion.adapters.mysql.ledger_map import BrokenShardMap
from orion.adapters.mysql.ledger_store_reading import TooManyFrozen, UnknownShard
from orion.adapters.mysql.session import DatabaseUnavailable
from orion.errors import OrionError, Unavailable
from orion.ledger.ports import PostResult
from orion.records import Record

# Of the partition or the server: every record would end so.
_OF_ALL = (DatabaseUnavailable, Unavailable, UnknownShard, TooManyFrozen, BrokenShardMap)
_OF_ONE = (
    OrionError,
    ValueError,
    RuntimeError,
    pymysql.err.IntegrityError,
    pymysql.err.DataError,
)


def post_up_to_fault(
    records: Sequence[Record], post: Callable[[Sequence[Record]], PostResult]
) -> PostResult:
    """`post` the records in one transaction or, where one of them cannot be, those before it and
    raise its fault, which then says topic, partition and offset.

    What is posted again because of it is twice the batch at most, in as many more transactions as
    the batch can be halved.
    """
    tried, total = len(records), PostResult(0, 0, 0, 0)
    try:
        return post(records)
    except _OF_ONE as exc:
        fault = _checked(exc)
    # Everything before `done` is posted; one of those from there to `upto` cannot be.
    done, upto = 0, len(records)
    while True:
        if upto - done == 1 == tried:
            raise _named(fault, records[done])
        end = max((done + upto) // 2, done + 1)
        try:
            part = post(records[done:end])
        except _OF_ONE as exc:
            fault, tried, upto = _checked(exc), end - done, end
        else:
            total = _sum(total, part)
            done += part.records
            tried = 0
            if done == upto:
                return total


def _checked(exc: Exception) -> Exception:
    """`exc`, if it is of one record that is not named yet; raises it otherwise."""
    if isinstance(exc, _OF_ALL) or (isinstance(exc, OrionError) and "offset" in exc.fields):
        raise exc
    return exc


def _named(fault: Exception, record: Record) -> Exception:
    if isinstance(fault, OrionError):
        fault.fields["topic"] = record.topic
        fault.fields["partition"] = record.partition
        fault.fields["offset"] = record.offset
    else:
        fault.add_note(f"{record.topic}, partition {record.partition}, offset {record.offset}")
    return fault


def _sum(one: PostResult, other: PostResult) -> PostResult:
    return PostResult(
        one.posted + other.posted,
        one.refused + other.refused,
        one.unchanged + other.unchanged,
        one.records + other.records,
    )
