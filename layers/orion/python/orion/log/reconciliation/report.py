"""What a run came to, and its report as CSV; `report_page` has the same as HTML."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from orion.log.reconciliation.model import (
    Book,
    Difference,
    DifferenceKind,
    Incident,
    Run,
    Step,
    incident_id,
)
from orion.log.reconciliation.planning import Range, ShardPlan
from orion.log.reconciliation.sums import Sums
from orion.money import ASSETS

# What payouts can be made of: fiat only names prices.
COINS = tuple(sorted(code for code, asset in ASSETS.items() if asset.chain is not None))
_COINS = frozenset(COINS)
# A cell that begins so is a formula to a spreadsheet; an apostrophe in front makes it text.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Outcome(StrEnum):
    """How a run ends."""

    EQUAL = "equal"
    DIFFERENT = "different"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True)
class Counted:
    """So many differences of a kind and asset; `asset` is empty where one concerns them all."""

    kind: DifferenceKind
    asset: str
    differences: int


@dataclass(frozen=True, slots=True)
class Findings:
    """What the steps of a run left. `checked` are (step, item); `entries` those that a book holds
    of a shard's ranges, `opened` the incidents that the steps have opened.
    """

    shards: tuple[ShardPlan, ...]
    ranges: tuple[Range, ...]
    entries: Mapping[tuple[int, Book], int]
    hours: int
    checked: frozenset[tuple[Step, str]]
    counted: tuple[Counted, ...]
    differences: tuple[Difference, ...]
    totals: Mapping[tuple[str, str], tuple[int, Sums]]
    opened: tuple[Incident, ...] = field(default=(), compare=False)


def roots_item(number: int, book: Book) -> str:
    """The item of the step ROOTS that one book of a range is."""
    return f"{number}.{book}"


def awaited(findings: Findings) -> Iterator[tuple[Step, str]]:
    """Everything that a whole run checks."""
    yield Step.PLAN, ""
    for part in findings.ranges:
        for book in Book:
            yield Step.ROOTS, roots_item(part.number, book)
        yield Step.COMPARE, str(part.number)
        yield Step.CAUSES, str(part.number)
    yield Step.SUMS, ""
    yield Step.BALANCES, ""


def read_whole(findings: Findings) -> Iterator[Range]:
    """The ranges of which every book was read, compared, and every cause checked."""
    for part in findings.ranges:
        items = {(Step.ROOTS, roots_item(part.number, book)) for book in Book}
        items |= {(Step.COMPARE, str(part.number)), (Step.CAUSES, str(part.number))}
        if not part.strays and items <= findings.checked:
            yield part


def not_checked(run: Run, findings: Findings) -> tuple[str, ...]:
    """What could not be checked, in words. Empty when all was."""
    if run.planned_at is None:
        return ("The plan was not made: no entry, cause, sum or balance was checked.",)
    missing = [item for item in awaited(findings) if item not in findings.checked]
    parts = {str(part.number): part for part in findings.ranges}
    return tuple(_missing_words(step, item, parts) for step, item in missing)


def _missing_words(step: Step, item: str, parts: Mapping[str, Range]) -> str:
    number, _, book = item.partition(".")
    where = ""
    if number in parts:
        part = parts[number]
        where = f" of shard {part.shard}, records {part.span.first} to {part.span.last}"
    match step:
        case Step.ROOTS:
            return f"The book {BOOK_WORDS[Book(book)]}{where} was not read."
        case Step.COMPARE:
            return f"The three books{where} were not compared."
        case Step.CAUSES:
            return f"The causes{where} were not checked."
        case Step.SUMS:
            return "Counters and sums were not checked."
        case Step.BALANCES:
            return "Balances were not compared with the chains."
        case Step.PLAN:
            return "The shards' own numbers were not checked."


def outcome(run: Run, findings: Findings) -> Outcome:
    """Unknown is not equal: a run that did not check everything has failed. Neither is a run equal
    that opened an incident, though a repeated step found nothing.
    """
    if findings.counted or findings.opened:
        return Outcome.DIFFERENT
    return Outcome.NOT_CHECKED if not_checked(run, findings) else Outcome.EQUAL


def incidents(run: Run, findings: Findings) -> tuple[Incident, ...]:
    """Those of all that was found, and those that a step opened before."""
    found = incidents_of(run.id, findings.counted)
    before = {incident.id: incident for incident in findings.opened}
    now = {
        each.id: replace(each, freezes=True)
        if each.id in before and before[each.id].freezes
        else each
        for each in found
    }
    return tuple(sorted({**before, **now}.values(), key=lambda each: each.asset))


def concerned(asset: str | None) -> str | None:
    """The coin that a difference concerns; None, which is every one, where no coin has this name:
    whoever can write a book can write any word there.
    """
    return asset if asset in _COINS else None


def incidents_of(run: bytes, all_counted: Iterable[Counted]) -> tuple[Incident, ...]:
    """One for each asset with a difference. One that concerns every asset opens one for each asset
    that this system knows: nobody can say which of them is not touched.
    """
    counts: dict[str, int] = {}
    freezing: set[str] = set()
    for counted in all_counted:
        one = concerned(counted.asset)
        for asset in COINS if one is None else (one,):
            counts[asset] = counts.get(asset, 0) + counted.differences
            if counted.kind.freezes:
                freezing.add(asset)
    return tuple(
        Incident(incident_id(run, asset), run, asset, asset in freezing, counts[asset])
        for asset in sorted(counts)
    )


BOOK_WORDS: Mapping[str, str] = {
    "mysql": "ledger (MySQL)",
    "segments": "log book (S3)",
    "external": "external book (PostgreSQL)",
    "chain": "balance against the chain",
    "cause": "cause of the entry",
    "unknown": "not known: no two agree against one",
}
KIND_WORDS: Mapping[DifferenceKind, str] = {
    DifferenceKind.ENTRY_DIFFERS: "An entry was changed",
    DifferenceKind.ENTRY_MISSING: "An entry is missing",
    DifferenceKind.ENTRY_ADDED: "An entry was added",
    DifferenceKind.ACCOUNT_DIFFERS: "An account's name does not fit its id",
    DifferenceKind.BOOK_UNREADABLE: "A book holds something that cannot be read",
    DifferenceKind.SEGMENT_REWRITTEN: "A segment of the log book was written a second time",
    DifferenceKind.SEGMENT_DELETED: "A segment of the log book was deleted",
    DifferenceKind.SEGMENT_UNREADABLE: "A segment of the log book cannot be read",
    DifferenceKind.SEGMENT_MISPLACED: "A segment stands where another one belongs",
    DifferenceKind.ROOT_DIFFERS: "The entries of a segment are not those that were signed",
    DifferenceKind.CHAIN_BROKEN: "A segment does not follow its predecessor",
    DifferenceKind.SIGNATURE_INVALID: "A segment is not what was signed",
    DifferenceKind.NUMBER_MISSING: "A number is missing in all books",
    DifferenceKind.CAUSE_WITHOUT_RULE: "A cause of a kind that nobody can check",
    DifferenceKind.CAUSE_NOT_FOUND: "The cause of an entry does not exist",
    DifferenceKind.CAUSE_DIFFERS: "The cause does not bear the entry",
    DifferenceKind.COUNTER_DIFFERS: "A counter is not the sum of its entries",
    DifferenceKind.NOT_BALANCED: "Debits and credits are not equal",
    DifferenceKind.FLIGHT_DIFFERS: "Clearing accounts do not match what is in flight",
    DifferenceKind.STATEMENT_DIFFERS: "A statement does not show what its account's entries say",
    DifferenceKind.FREEZE_MISSING: "An incident froze its asset, and the freeze is gone",
    DifferenceKind.BALANCE_DIFFERS: "The chain holds another balance than the ledger",
    DifferenceKind.BALANCE_SURPLUS: "The chain holds more than the ledger",
    DifferenceKind.BOOK_BEHIND: "A book has not followed to the newest entries yet",
    DifferenceKind.BALANCE_UNKNOWN: "The chain could not be asked",
}
OUTCOME_WORDS: Mapping[Outcome, str] = {
    Outcome.EQUAL: "The three books agree, every entry has its cause, sums and balances are right.",
    Outcome.DIFFERENT: "There are differences. Payouts of the assets marked below are refused until"
    " a person lifts that.",
    Outcome.NOT_CHECKED: "Not everything could be checked. What was checked agrees.",
}
COLUMNS = (
    "what", "kind", "wrong", "asset", "account", "shard", "number", "position", "transfer",
    "found", "expected",
)  # fmt: skip


def row(difference: Difference) -> tuple[str, ...]:
    """A difference in the order of COLUMNS."""
    return (
        KIND_WORDS[difference.kind],
        str(difference.kind),
        BOOK_WORDS[str(difference.wrong)],
        difference.asset or "all",
        difference.account or "",
        _number(difference.shard),
        _number(difference.number),
        _number(difference.position),
        difference.transfer_id.hex() if difference.transfer_id else "",
        difference.found or "",
        difference.expected or "",
    )


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def csv_report(run: Run, findings: Findings) -> bytes:
    """RFC 4180 in UTF-8: the run, what was not checked, the differences, one a line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for line in _csv_lines(run, findings):
        writer.writerow([_cell(cell) for cell in line])
    return text.getvalue().encode()


def _csv_lines(run: Run, findings: Findings) -> Iterator[Iterable[str]]:
    ended = outcome(run, findings)
    yield ("run", run.name)
    yield ("outcome", str(ended), OUTCOME_WORDS[ended])
    yield ("started at (UTC)", f"{run.started_at:%Y-%m-%d %H:%M:%S}")
    yield ("differences", str(total(findings.counted)), "listed", str(len(findings.differences)))
    for line in not_checked(run, findings):
        yield ("not checked", line)
    yield COLUMNS
    for difference in findings.differences:
        yield row(difference)


def _cell(text: str) -> str:
    return "'" + text if text.startswith(_FORMULA) else text


def total(counted: Sequence[Counted]) -> int:
    """All differences, stored or not."""
    return sum(count.differences for count in counted)


def report_key(run: Run, ending: str) -> str:
    """The object's name, from the day on which the run began."""
    return f"reports/{run.started_at:%Y-%m-%d}/{run.id.hex()}.{ending}"
