"""What a reconciliation finds: differences, each with the book that is wrong, and what they open.

docs/books.md, "Reconciliation", is the specification.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from orion.ids import fact_id

MAX_DIFFERENCES = 1_000  # Stored a run; what is beyond is counted only.
MAX_VALUE_LETTERS = 512


class Book(StrEnum):
    """One of the three books."""

    MYSQL = "mysql"
    SEGMENTS = "segments"
    EXTERNAL = "external"


class Wrong(StrEnum):
    """What a difference holds to be wrong; `unknown` where no two agree against one."""

    MYSQL = "mysql"
    SEGMENTS = "segments"
    EXTERNAL = "external"
    CHAIN = "chain"
    CAUSE = "cause"
    UNKNOWN = "unknown"


class DifferenceKind(StrEnum):
    """The closed set of what a reconciliation can find."""

    ENTRY_DIFFERS = "entry_differs"
    ENTRY_MISSING = "entry_missing"
    ENTRY_ADDED = "entry_added"
    ACCOUNT_DIFFERS = "account_differs"
    BOOK_UNREADABLE = "book_unreadable"
    SEGMENT_REWRITTEN = "segment_rewritten"
    SEGMENT_DELETED = "segment_deleted"
    SEGMENT_UNREADABLE = "segment_unreadable"
    SEGMENT_MISPLACED = "segment_misplaced"
    ROOT_DIFFERS = "root_differs"
    CHAIN_BROKEN = "chain_broken"
    SIGNATURE_INVALID = "signature_invalid"
    NUMBER_MISSING = "number_missing"
    CAUSE_WITHOUT_RULE = "cause_without_rule"
    CAUSE_NOT_FOUND = "cause_not_found"
    CAUSE_DIFFERS = "cause_differs"
    COUNTER_DIFFERS = "counter_differs"
    NOT_BALANCED = "not_balanced"
    FLIGHT_DIFFERS = "flight_differs"
    STATEMENT_DIFFERS = "statement_differs"
    FREEZE_MISSING = "freeze_missing"
    BALANCE_DIFFERS = "balance_differs"
    BALANCE_SURPLUS = "balance_surplus"
    BALANCE_UNKNOWN = "balance_unknown"
    BOOK_BEHIND = "book_behind"

    @property
    def freezes(self) -> bool:
        """Whether payouts of the asset stop: for everything but what is no loss by itself."""
        return self not in _NO_LOSS


# A chain that was not heard, coins that anybody can send us unasked, and a book that has not come
# so far: whoever could freeze payouts by these would need no rights of ours.
_NO_LOSS = frozenset(
    {
        DifferenceKind.BALANCE_UNKNOWN,
        DifferenceKind.BALANCE_SURPLUS,
        DifferenceKind.BOOK_BEHIND,
    }
)


class Step(StrEnum):
    """The parts of a run that find differences, each item of them recorded by itself."""

    PLAN = "plan"
    ROOTS = "roots"
    COMPARE = "compare"
    CAUSES = "causes"
    SUMS = "sums"
    BALANCES = "balances"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it must be.

    `account` is `owner/purpose/asset`, or an account's id in hexadecimal digits where no book
    knows its name. `asset` None concerns every asset. `found` is what the wrong book (or the
    chain, or the cause) says, `expected` what it should say; None where there is nothing. What a
    difference does not concern is None.
    """

    kind: DifferenceKind
    wrong: Wrong
    shard: int | None = None
    number: int | None = None
    position: int | None = None
    transfer_id: bytes | None = None
    account: str | None = None
    asset: str | None = None
    found: str | None = None
    expected: str | None = None

    def __post_init__(self) -> None:
        for value in (self.found, self.expected):
            if value is not None and len(value) > MAX_VALUE_LETTERS:
                raise ValueError(f"a value has at most {MAX_VALUE_LETTERS} letters")


@dataclass(frozen=True, slots=True)
class AccountName:
    """An account as a book names it; the words are as stored, also where no ledger knows them."""

    owner: str
    purpose: str
    asset: str

    @property
    def id(self) -> bytes:
        """The id that follows from the name (docs/books.md)."""
        return fact_id("account", self.owner, self.purpose, self.asset)

    @property
    def text(self) -> str:
        return f"{self.owner}/{self.purpose}/{self.asset}"


@dataclass(frozen=True, slots=True)
class RecordLeaves:
    """One record of a book: the leaves of its entries by position, 32 bytes each.

    `posted_at` is the earliest of its entries, in UTC; `whole` says that positions run from 0
    without a gap.
    """

    number: int
    posted_at: datetime
    leaves: bytes
    whole: bool


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """An entry's line at its place in a book."""

    number: int
    position: int
    line: bytes


@dataclass(frozen=True, slots=True)
class HourRoot:
    """The tree over the entries of one hour (UTC) of a range."""

    hour: datetime
    entries: int
    root: bytes


@dataclass(frozen=True, slots=True)
class BookRange:
    """What one book holds of a range. `whole`: no position is missing inside its records."""

    records: int
    whole: bool
    hours: tuple[HourRoot, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One reconciliation, made by one execution of the state machine."""

    id: bytes
    name: str
    scope: str
    trace_id: bytes
    started_at: datetime
    planned_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Incident:
    """What a person must look at. Where it `freezes`, payouts of the asset are refused."""

    id: bytes
    run: bytes
    asset: str
    freezes: bool
    differences: int


def clipped(text: str) -> str:
    """`text` in the length that a difference's value may have."""
    return text if len(text) <= MAX_VALUE_LETTERS else text[: MAX_VALUE_LETTERS - 1] + "…"


def run_id(name: str) -> bytes:
    """The identity of the run that the execution `name` of the state machine makes."""
    return fact_id("reconciliation", name)


def incident_id(run: bytes, asset: str) -> bytes:
    """One incident for each asset and run, however often the report is repeated."""
    return fact_id("incident", run, asset)
