"""The one file of each function."""

from pathlib import Path

from infra.cloud.function_row import FunctionRow
from infra.cloud.function_table import DEPLOYED
from infra.cloud.names import ROOT


class HandlerMissing(Exception):
    """A row of the function table without its file: it would deploy and fail at the first call."""


def handler_file(row: FunctionRow) -> Path:
    """The file of a function's code. Raises HandlerMissing when it is not there."""
    path = ROOT / "functions" / row.module / f"{row.file}.py"
    if not path.is_file():
        raise HandlerMissing(
            f"{path.relative_to(ROOT)} does not exist; the function table names it"
        )
    return path


def missing_handlers() -> list[str]:
    """Files that the function table names and that do not exist, relative to the clone."""
    found = []
    for row in DEPLOYED:
        try:
            handler_file(row)
        except HandlerMissing:
            found.append(f"functions/{row.module}/{row.file}.py")
    return found
