"""What the ledger's writer needs of its store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orion.ledger.model import Transfer
from orion.records import Record


@dataclass(frozen=True, slots=True)
class Delivery:
    """One record of the partition with its transfers, already read."""

    record: Record
    transfers: tuple[Transfer, ...]


@dataclass(frozen=True, slots=True)
class PostResult:
    """How many entries and refusals this batch stored, and how many transfers were replays or of
    records behind the fence.
    """

    posted: int
    refused: int
    unchanged: int


class LedgerStore(Protocol):
    """The books of one shard at a time."""

    def post(self, batch: Sequence[Delivery], now: datetime) -> PostResult:
        """Decide and store `batch`, records of one partition in order, in one transaction.

        The partition's number is the shard's. Entries, refusals, counters, outbox rows, numbers and
        the offset commit together; records behind the offset change nothing. At most MAX_BATCH
        transfers, else ValueError. Raises UnknownShard, or Unavailable (retry SAME_KEY) when the
        outcome is unknown: the same batch may be posted again.
        """
        ...
