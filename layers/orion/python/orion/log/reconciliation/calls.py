"""What the state machine asks of each step, read strictly. A run is named by its execution."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from orion.log.reconciliation.errors import MalformedCall
from orion.log.reconciliation.model import Book
from orion.log.reconciliation.planning import MAX_RANGES, Scope

# AWS: 1 to 80 letters. The local engine and people use these.
_NAME = re.compile(r"[0-9A-Za-z._-]{1,80}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RunCall:
    """A step of the whole run."""

    run: str


@dataclass(frozen=True, slots=True)
class PlanCall:
    """The first step."""

    run: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class RangeCall:
    """A step of one range."""

    run: str
    range: int


@dataclass(frozen=True, slots=True)
class BookCall:
    """A step of one book over one range."""

    run: str
    range: int
    book: Book


def run_call(event: Mapping[str, object]) -> RunCall:
    """`{"run"}`. Raises MalformedCall."""
    return RunCall(_run(event))


def plan_call(event: Mapping[str, object]) -> PlanCall:
    """`{"run", "input": {"scope"?}}`: the execution's own input, `recent` where it says nothing.

    Raises MalformedCall.
    """
    given = event.get("input")
    if not isinstance(given, dict):
        raise MalformedCall("the input of a run is an object", field="input")
    try:
        return PlanCall(_run(event), Scope(given.get("scope", Scope.RECENT)))
    except ValueError as exc:
        raise MalformedCall("a scope is recent or all", field="scope") from exc


def range_call(event: Mapping[str, object]) -> RangeCall:
    """`{"run", "range"}`. Raises MalformedCall."""
    return RangeCall(_run(event), _range(event))


def book_call(event: Mapping[str, object]) -> BookCall:
    """`{"run", "range", "book"}`. Raises MalformedCall."""
    try:
        book = Book(str(event.get("book")))
    except ValueError as exc:
        raise MalformedCall("a book is mysql, segments or external", field="book") from exc
    return BookCall(_run(event), _range(event), book)


def _run(event: Mapping[str, object]) -> str:
    name = event.get("run")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise MalformedCall("a run has the name of its execution", field="run")
    return name


def _range(event: Mapping[str, object]) -> int:
    number = event.get("range")
    if type(number) is not int or not 0 <= number < MAX_RANGES:
        raise MalformedCall("a range has a number", field="range")
    return number
