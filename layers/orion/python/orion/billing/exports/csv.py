"""CSV as RFC 4180 has it, safe to open in a spreadsheet, and cut into parts of bounded size. Pure.

What a cell that people wrote may do to a spreadsheet: OWASP, "CSV Injection".
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Of the function's answer, whose limit is 6 MB (AWS Lambda, "Quotas"); the rest is its headers.
PART_MAX_BYTES = 5_000_000
PART_MAX_ROWS = 5_000
_LINE_END = "\r\n"
# What begins a formula; the last four are the full-width forms that spreadsheets read as the first.
_FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_QUOTED = frozenset('",\r\n')


@dataclass(frozen=True, slots=True)
class Words:
    """A text that people chose. All other cells are our own numbers, moments and identities."""

    text: str


Cell = str | int | Words | None


def csv_line(cells: Sequence[Cell]) -> str:
    """One record with its line end.

    None is an empty cell. Words are always quoted, so that no separator of another country's
    spreadsheet ends them, and never begin a formula: `=1+1` is written `"'=1+1"`. A number of ours
    such as -5.00 stays a number.
    """
    return ",".join(_cell(cell) for cell in cells) + _LINE_END


def _cell(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case Words(text):
            return _quoted(guarded(text))
        case int():
            return str(cell)
        case str():
            return _quoted(cell) if not _QUOTED.isdisjoint(cell) else cell


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def guarded(text: str) -> str:
    """`text` with an apostrophe before it where a spreadsheet would compute it, also behind
    blanks.
    """
    begins = text.lstrip(" \u00a0\u3000")
    return f"'{text}" if begins[:1] in _FORMULA and begins else text


def answered_bytes(text: str) -> int:
    """What `text` takes in the function's answer: JSON in ASCII, the longest form that a runtime of
    Lambda gives it. A line end takes four bytes, a quote two, a Chinese character six.
    """
    return len(json.dumps(text)) - 2


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a file. `following` names the last row of this part where there are more."""

    text: str
    following: str | None


def fill(
    header: str | None,
    rows: Iterable[tuple[str, str]],
    *,
    max_bytes: int = PART_MAX_BYTES,
    max_rows: int = PART_MAX_ROWS,
) -> Part:
    """The header, where there is one, and as many rows (line, cursor behind it) as fit.

    At least one row is taken, so that the parts have an end; a row of ours is far below a part. One
    row more is asked of `rows` than is taken: it says that there is a next part.
    """
    lines: list[str] = [] if header is None else [header]
    size = sum(map(answered_bytes, lines))
    taken, last = 0, ""
    for line, cursor in rows:
        size += answered_bytes(line)
        if taken and (taken == max_rows or size > max_bytes):
            return Part("".join(lines), last)
        lines.append(line)
        taken, last = taken + 1, cursor
    return Part("".join(lines), None)
