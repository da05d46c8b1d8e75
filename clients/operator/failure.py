"""How the command ends when it cannot do what was asked."""

from collections.abc import Mapping
from enum import IntEnum


class Exit(IntEnum):
    """What the shell is told. 2 is argparse's own."""

    DONE = 0
    FOUND = 1  # A difference between the books, or a proof that proves nothing.
    USAGE = 2
    FAILED = 3  # Nothing can be said: refused, unreachable, not checked.
    STOPPED = 130


class OperatorFailure(Exception):
    """What went wrong and what to do about it, each in one line."""

    def __init__(self, what: str, mend: str, exit_code: Exit = Exit.FAILED) -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend
        self.exit_code = exit_code


# What an operator does about a refusal, by its stable code; docs/operations/books.md has more.
_MENDS = {
    "transfer_not_posted": "look for it in ledger.refused, or check the id",
    "not_in_log_book": "wait some seconds; if it stays so, look at the alarm of ledger_segments",
    "segment_faulty": "run: orion books check; then see docs/operations/books.md",
    "unknown_account": "check the account: owner/purpose/asset, or its id of 32 hex digits",
    "cursor_malformed": "use the cursor of this account's last page, unchanged",
    "malformed_statement_request": "compare the arguments with: orion books statement --help",
    "malformed_field": "a transfer's id has 32 hexadecimal digits, lower case",
}


def refused(answer: Mapping[str, object]) -> OperatorFailure:
    """The failure that a function's answer `refused` means."""
    code = str(answer.get("code"))
    named = answer.get("fields")
    fields = named if isinstance(named, Mapping) else {}
    parts = "".join(f", {name} {value}" for name, value in fields.items())
    mend = _MENDS.get(code, "see docs/operations/books.md")
    return OperatorFailure(f"{code}: {answer.get('detail')}{parts}", mend)


def failed(function: str, kind: object, message: object) -> OperatorFailure:
    """The failure that a function ended with; its message begins with the error's code."""
    text = str(message)
    mend = _MENDS.get(text.partition(":")[0], f"try again; else read the log of {function}")
    return OperatorFailure(f"{function}: {text or kind}", mend)
