"""Conditions of the reconciliation."""

from orion.errors import OrionError, Retry


class UnknownRun(OrionError):
    """No run has this name: its plan was never made."""

    code = "unknown_run"


class MalformedCall(OrionError):
    """A call of a step that the state machine does not make; `field` names what is wrong."""

    code = "malformed_call"


class RootsMissing(OrionError):
    """A range is compared before all three books gave its roots."""

    code = "roots_missing"


class TooManyRanges(OrionError):
    """More entries than one run can compare."""

    code = "too_many_ranges"


class BookUnavailable(OrionError):
    """A book does not answer. Nothing was compared: ask again."""

    code = "book_unavailable"
    retry = Retry.LATER


class BookUnreadable(OrionError):
    """A book answers with something that no ledger has written, so nothing of it can be compared:
    a difference of this book, not an outage.
    """

    code = "book_unreadable"


class UnknownIncident(OrionError):
    """No open incident has this id."""

    code = "unknown_incident"
