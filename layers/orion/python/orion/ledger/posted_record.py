"""Strict reading of a `ledger.posted` record, for the books that are written from it.

Form: docs/contracts.md, "Posted record".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from orion.ledger.legs import MAX_ANSWERED
from orion.ledger.model import Entry
from orion.ledger.record_parts import (
    MAX_NUMBER,
    MAX_SHARD,
    MalformedTransfer,
    account,
    as_object,
    hex_id,
    moment,
    names_only,
    read_body,
    read_transfer,
    whole,
)

_RECORD = frozenset({"v", "trace_id", "shard", "number", "transfers"})
_ENTRY = frozenset(
    {
        "id", "kind", "code", "asset", "units", "debit", "credit", "cause", "linked",
        "pending_id", "trace_id", "digest", "counterpart", "posted_at",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PostedRecord:
    """One number of a shard: at most MAX_ANSWERED entries, posted at one moment (UTC)."""

    shard: int
    number: int
    trace_id: bytes
    posted_at: datetime
    entries: tuple[Entry, ...]


def read_posted(value: bytes) -> PostedRecord:
    """One record of `ledger.posted`. Raises MalformedRecord or MalformedTransfer."""
    body = read_body(value)
    names_only(body, _RECORD, "record")
    rows = body["transfers"]
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_ANSWERED:
        raise MalformedTransfer(f"a record has 1 to {MAX_ANSWERED} entries", field="transfers")
    objects = [as_object(row, "transfers") for row in rows]
    entries = tuple(_entry(row) for row in objects)
    posted_at = objects[0]["posted_at"]
    if any(row["posted_at"] != posted_at for row in objects):
        raise MalformedTransfer("a record was posted at one moment", field="posted_at")
    return PostedRecord(
        shard=whole(body["shard"], 0, MAX_SHARD, "shard"),
        number=whole(body["number"], 1, MAX_NUMBER, "number"),
        trace_id=hex_id(body["trace_id"], "trace_id"),
        posted_at=moment(posted_at, "posted_at"),
        entries=entries,
    )


def _entry(row: Mapping[str, object]) -> Entry:
    names_only(row, _ENTRY, "transfer")
    transfer = read_transfer(row, hex_id(row["trace_id"], "trace_id"))
    counterpart = row["counterpart"]
    return Entry(
        transfer,
        hex_id(row["digest"], "digest"),
        None if counterpart is None else account(counterpart, transfer.debit.asset, "counterpart"),
    )
