"""What the external book's writer needs of its database."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from orion.errors import OrionError
from orion.log.external_book.model import Told


@dataclass(frozen=True, slots=True)
class Written:
    """How many records and entries one transaction added, and how many records only repeated.
    `fault` says why the partition must stop behind them.
    """

    records: int
    entries: int
    repeated: int
    fault: OrionError | None = None


class ExternalBookStore(Protocol):
    """The external book, append-only."""

    def append(self, topic: str, partition: int, batch: Sequence[Told]) -> Written:
        """Add what is new of `batch`, records of one partition by rising offset, in one
        transaction.

        Accounts, entries, offset and number commit together, behind a lock of the partition's
        place: of two writers the second finds the first one's place and adds nothing twice. What
        only repeats is compared. At most MAX_ENTRIES entries, else ValueError. Raises BookDiffers
        when an id stands under another number (nothing is stored), or Unavailable (retry SAME_KEY)
        when the outcome is unknown: the same batch may be appended again.
        """
        ...
