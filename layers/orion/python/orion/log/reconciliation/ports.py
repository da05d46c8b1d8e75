"""What the reconciliation needs from outside."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from orion.log.reconciliation.causes import CausedEntry, Facts, Wanted
from orion.log.reconciliation.model import (
    AccountName,
    Book,
    BookRange,
    Difference,
    Incident,
    PlacedLine,
    RecordLeaves,
    Run,
    Step,
)
from orion.log.reconciliation.planning import Head, MySqlHead, Range, Scope, ShardPlan, Span
from orion.log.reconciliation.report import Findings, Outcome
from orion.log.reconciliation.statement_rows import Ending
from orion.log.reconciliation.sums import AccountSums, Flight, Sums, Unfrozen


class DifferenceStore(Protocol):
    """What the steps of a run found."""

    def record(self, run: bytes, step: Step, item: str, differences: Sequence[Difference]) -> None:
        """Say that `item` of `step` was checked and what was found, in one transaction.

        Replaces what an earlier attempt of the same item recorded, so a step may be repeated. An
        empty sequence says that everything agreed. The first MAX_DIFFERENCES of a run are kept,
        the others counted by asset. Incidents of what was found are opened, and their assets
        frozen, in the same commit; alone where the differences cannot be stored.
        `item` is at most 64 letters, `""` where the step has one
        item. Raises UnknownRun (retry NEVER), DatabaseUnavailable (retry SAME_KEY).
        """
        ...


class RunStore(DifferenceStore, Protocol):
    """The runs. Every method is one transaction that may be repeated."""

    def begin(self, name: str, scope: Scope, trace_id: bytes, now: datetime) -> Run:
        """The run of this name, made if it is not there: a repetition gives what stands there."""
        ...

    def run(self, name: str) -> Run:
        """The run of this name. Raises UnknownRun."""
        ...

    def keep_shards(self, run: bytes, plans: Sequence[ShardPlan]) -> Sequence[ShardPlan]:
        """Fix what is compared of each shard; what was fixed first stands, and is the answer."""
        ...

    def shards(self, run: bytes) -> Sequence[ShardPlan]:
        """What was fixed; nothing before that."""
        ...

    def keep_ranges(self, run: bytes, ranges: Sequence[Range], now: datetime) -> None:
        """Replace the run's ranges and say that it is planned."""
        ...

    def ranges(self, run: bytes) -> Sequence[Range]:
        """All ranges by number, at most MAX_RANGES."""
        ...

    def range(self, run: bytes, number: int) -> Range:
        """One range. Raises UnknownRun where the run has none of this number."""
        ...

    def keep_book(self, run: bytes, number: int, book: Book, held: BookRange) -> None:
        """Replace what `book` holds of a range."""
        ...

    def books(self, run: bytes, number: int) -> Mapping[Book, BookRange]:
        """What the books hold of a range, as far as they were read."""
        ...

    def keep_totals(self, run: bytes, totals: Mapping[tuple[str, str], tuple[int, Sums]]) -> None:
        """Replace the run's sums by (asset, purpose): how many accounts, and their counters."""
        ...

    def pieces_read(self, shard: int) -> Mapping[int, datetime]:
        """When each piece of a shard was last read without a failure."""
        ...

    def keep_pieces(self, pieces: Iterable[tuple[int, int]], read_at: datetime) -> None:
        """Say that these (shard, piece) were read."""
        ...

    def findings(self, run: bytes) -> Findings:
        """All that a report says."""
        ...

    def finish(
        self,
        run: Run,
        outcome: Outcome,
        incidents: Sequence[Incident],
        report: str | None,
        now: datetime,
    ) -> Sequence[Incident]:
        """End the run, open the incidents that are not open yet and freeze their assets, in one
        transaction. All incidents of the run.
        """
        ...


class BookReader(Protocol):
    """One of the three books, read only. Raises BookUnavailable or DatabaseUnavailable: ask again;
    BookUnreadable or SegmentUnreadable: what it holds cannot be read, however often.
    """

    def heads(self) -> Mapping[int, Head]:
        """Each shard's lowest and highest number under which there are entries."""
        ...

    def records(self, shard: int, span: Span) -> Iterator[RecordLeaves]:
        """The records of a span by rising number, at most MAX_RANGE_RECORDS + 1 of them. Leaves
        are hashed where the book is.
        """
        ...

    def recent_from(self, shard: int, through: int, since: datetime) -> int:
        """The first number, at most `through` + 1, that was posted at or after `since` by this
        book's word; one that is lower does no harm.
        """
        ...

    def lines(self, shard: int, numbers: Sequence[int]) -> Sequence[PlacedLine]:
        """Every line of these records, at most MAX_NUMBERS of them."""
        ...


class NamedBookReader(BookReader, Protocol):
    """A book with a directory of accounts beside its entries."""

    def names(self, accounts: Sequence[bytes]) -> Mapping[bytes, AccountName]:
        """The accounts that the directory has under these ids, as far as id and name fit."""
        ...


class FollowingBookReader(NamedBookReader, Protocol):
    """A book that also says how far it has followed."""

    def followed(self) -> Mapping[int, int]:
        """The number of each shard up to which the book says that it has entered everything."""
        ...


class SegmentReader(BookReader, Protocol):
    """The log book, which can be wrong as such."""

    def survey(self) -> tuple[Mapping[int, Head], Sequence[Difference]]:
        """As `heads`, deleted segments counted, and the names among them that are no segment's."""
        ...

    def checked(
        self, shard: int, span: Span
    ) -> tuple[Sequence[RecordLeaves], Sequence[Difference]]:
        """The records of a span, and what is wrong with the segments that hold its numbers, under
        the number where each shows: rewritten, deleted, unreadable, not signed, without their
        predecessor, accounts that do not fit their ids.
        """
        ...


class LedgerReader(NamedBookReader, Protocol):
    """The first book, which also says where the ledger stands."""

    def shard_heads(self) -> Mapping[int, MySqlHead]:
        """Each shard that has a row or entries; the row and its newest entry as of one moment."""
        ...

    def blocks(self, shard: int, span: Span) -> Mapping[int, int]:
        """How many entries each block of BLOCK_RECORDS numbers of `span` has, from block 0."""
        ...


class CauseReader(Protocol):
    """Entries and what stands behind them."""

    def entries(self, shard: int, span: Span) -> Iterator[Sequence[CausedEntry]]:
        """The entries of a span in order, in pieces of at most CAUSE_PIECE."""
        ...

    def facts(self, wanted: Wanted, now: datetime) -> Facts:
        """What is there of `wanted`."""
        ...


class StatementRows(Protocol):
    """The rows of statements beside the ledger's transfers."""

    def untrue(self, shard: int, span: Span) -> Sequence[Difference]:
        """What of the statements does not follow from the transfers of a span, as far as the
        follower has entered it; at most MAX_NAMED.
        """
        ...


class LedgerSums(Protocol):
    """The ledger's counters as of one moment."""

    def snapshot(self) -> AbstractContextManager["CounterSnapshot"]:
        """All methods of what it gives see the same moment."""
        ...


class CounterSnapshot(Protocol):
    """The ledger as it was at one moment."""

    def counters(self) -> Iterator[AccountSums]:
        """Every account by rising id."""
        ...

    def later(self, through: Mapping[int, int]) -> Mapping[bytes, Sums]:
        """What entries above each shard's number did to accounts. A shard that `through` does not
        name counts whole.
        """
        ...

    def summed(
        self, accounts: Iterable[bytes], through: Mapping[int, int]
    ) -> Mapping[bytes, Sums] | None:
        """The sums of these accounts over all entries up to each shard's number; None where the
        entries are too many to be added up in the time that this may take.
        """
        ...

    def unfrozen(self) -> Sequence[Unfrozen]:
        """Incidents that freeze, of all runs and also closed ones, whose freeze is gone or was
        lifted by nobody who said why; at most MAX_NAMED.
        """
        ...

    def flight(self) -> Flight:
        """What is between shards."""
        ...

    def followed(self) -> Mapping[int, int]:
        """The last number of each shard that statements have; shards that they have not begun are
        absent.
        """
        ...

    def statements(self) -> Iterator[AccountSums]:
        """Every account of the statements by rising id, without names."""
        ...

    def endings(self) -> Iterator[Ending]:
        """Where each account's statement ends, also of accounts that the follower does not know."""
        ...


class EntrySums(Protocol):
    """The external book's sums."""

    def followed(self) -> Mapping[int, int]:
        """The number of each shard up to which the book says that it has entered everything."""
        ...

    def sums(
        self, through: Mapping[int, int], moved: dict[tuple[int, str], tuple[int, int]]
    ) -> Iterator[AccountSums]:
        """Every account that the directory or an entry names, by rising id, summed over entries up
        to each shard's number. On the way `moved` is filled: units debited and credited by shard
        and asset, those of accounts without a name under an empty asset.
        """
        ...


class ReportStore(Protocol):
    """Where reports are kept."""

    def put(self, key: str, body: bytes, content_type: str) -> None:
        """Store a report, in the place of an earlier one of the same run."""
        ...
