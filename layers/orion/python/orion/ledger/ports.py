"""What the ledger's writer needs of its store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orion.records import Record


@dataclass(frozen=True, slots=True)
class PostResult:
    """How many entries and refusals were stored, and how many transfers were replays; how many
    records this settled, those behind the fence included.
    """

    posted: int
    refused: int
    unchanged: int
    records: int


class LedgerStore(Protocol):
    """The books of one shard at a time."""

    def post(self, records: Sequence[Record], now: datetime) -> PostResult:
        """Read, decide and store the first of `records`, which are of one partition and in order,
        in one transaction: at least one record and at most 10,000 transfers.

        The partition's number is the shard's. Entries, refusals, counters, pending transfers, legs,
        outbox rows, numbers and the offset commit together; records behind the offset change
        nothing. A control record acts after the transfers before it and before those after it.
        What one record cannot be posted for (MalformedRecord, MalformedTransfer, UnknownLeg,
        LegNotApplied, TooManyHeld) is raised with its topic, partition and offset, and everything
        before it is stored. Raises UnknownShard; or Unavailable (retry SAME_KEY) when the outcome
        is unknown: the same records may be posted again.
        """
        ...
