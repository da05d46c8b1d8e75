"""The statements of one transaction, executed in their order while the next ones are written.

A batch's cost is the server's work on one core and ours on another. The driver waits outside the
interpreter's lock, so one worker thread that only executes lets the two overlap. It lives as long
as its batch; connection and transaction stay one, so nothing about atomicity depends on it.
"""

import queue
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from orion.adapters.mysql.session import Cursor

# With the usual 5 ms, the worker would wait so long for each word with the server while the other
# thread works: a third of what the statements themselves take.
_SWITCH_S = 0.0002
# Statements that wait at most: a bound on memory, a few megabytes each.
_WAITING = 4

Rows = Sequence[tuple[Any, ...]]
Check = Callable[[int, Rows], None]
"""What a statement must have done: gets the affected rows and the answer, and raises otherwise."""


def exactly(rows: int, what: str) -> Check:
    """The check of a statement that must affect so many rows. Raises RuntimeError."""

    def check(affected: int, _found: Rows) -> None:
        if affected != rows:
            raise RuntimeError(f"{what}: {affected} rows were affected instead of {rows}")

    return check


class Lane(AbstractContextManager["Lane"]):
    """`tell` what shall be executed, `ask` for what must be known, `drain` before the commit.

    The first failure is raised at the next call of any of them; nothing is executed after it.
    """

    def __init__(self, cursor: Cursor, *, beside: bool) -> None:
        """`beside` False executes at once: a thread is not worth it for a few rows."""
        self._cursor = cursor
        self._queue: queue.Queue[tuple[str, Check | None] | None] = queue.Queue(_WAITING)
        self._fault: BaseException | None = None
        self._worker = threading.Thread(target=self._work, daemon=True) if beside else None
        self._switch_s = sys.getswitchinterval()

    def __enter__(self) -> Self:
        if self._worker is not None:
            sys.setswitchinterval(_SWITCH_S)
            self._worker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The worker ends here, whatever happened: a roll back may follow on its connection."""
        worker, self._worker = self._worker, None
        if worker is not None:
            if fault is not None and self._fault is None:
                self._fault = fault
            self._queue.put(None)
            worker.join()
            sys.setswitchinterval(self._switch_s)

    def tell(self, statement: str, check: Check | None = None) -> None:
        """Execute `statement` after all before it; `check` its effect."""
        self._raise_fault()
        if self._worker is None:
            self._execute(statement, check)
        else:
            self._queue.put((statement, check))

    def ask(self, statement: str) -> Rows:
        """The answer of `statement`, after all before it was executed."""
        cursor = self.cursor()
        cursor.execute(statement)
        return cursor.fetchall()

    def cursor(self) -> Cursor:
        """The transaction's cursor, after everything told was executed; until the next `tell`."""
        self.drain()
        return self._cursor

    def drain(self) -> None:
        """Wait until everything told was executed and checked."""
        if self._worker is not None:
            self._queue.join()
        self._raise_fault()

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _execute(self, statement: str, check: Check | None) -> None:
        affected = self._cursor.execute(statement)
        if check is not None:
            check(affected, self._cursor.fetchall())

    def _work(self) -> None:
        while True:
            job = self._queue.get()
            try:
                if job is None:
                    return
                if self._fault is None:
                    self._execute(*job)
            except BaseException as exc:  # noqa: BLE001 - raised where the caller waits
                self._fault = exc
            finally:
                self._queue.task_done()
