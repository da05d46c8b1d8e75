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

_RECORD = frozenset({"v", "trace_id", "shard", "number", "posted_at", "transfers"})
_ENTRY = frozenset(
    {"id", "kind", "code", "asset", "units", "debit", "credit", "cause", "linked", "digest"}
)
# What only some entries have: a transfer that they act on, a trace that is not the record's, an
# account of another shard that was meant.
_AT_TIMES = frozenset({"pending_id", "trace_id", "counterpart"})


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
    trace_id = hex_id(body["trace_id"], "trace_id")
    return PostedRecord(
        shard=whole(body["shard"], 0, MAX_SHARD, "shard"),
        number=whole(body["number"], 1, MAX_NUMBER, "number"),
        trace_id=trace_id,
        posted_at=moment(body["posted_at"], "posted_at"),
        entries=tuple(_entry(as_object(row, "transfers"), trace_id) for row in rows),
    )


def _entry(row: Mapping[str, object], trace_id: bytes) -> Entry:
    names_only(row, _ENTRY | (row.keys() & _AT_TIMES), "transfer")
    own = hex_id(row["trace_id"], "trace_id") if "trace_id" in row else trace_id
    if "pending_id" in row:
        hex_id(row["pending_id"], "pending_id")
    transfer = read_transfer(row, own)
    meant = None
    if "counterpart" in row:
        meant = account(row["counterpart"], transfer.debit.asset, "counterpart")
    return Entry(transfer, hex_id(row["digest"], "digest"), meant)
