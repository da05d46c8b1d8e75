"""The memory of the processes that make wallets, watched while they do."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.local import Stack
from infra.local.failure import StackFailure

# Of the functions' workers, those on the way from plan to table; and the poller between.
FUNCTIONS = (
    "kms-plan-batch",
    "kms-create-group",
    "kms-address-pool",
    "kms-outbox-relay",
    "moneyin-addresses",
)
POLLER = "poller-moneyin-addresses"
BESIDE = ("mariadb", "kafka", "ministack")
EVERY_S = 2.0


class WorkingMemory:
    """Samples while its block runs. `peak` is the largest sum of the proportional set sizes (PSS of
    proc_pid_smaps(5)) of the working processes at one moment, `parts` what each kind held then,
    `beside` what the engines that serve them held at most.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak = 0
        self.parts: Mapping[str, int] = {}
        self.beside: dict[str, int] = {}
        self._hidden: str | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join(timeout=10 * EVERY_S)
        if error is None and (self._hidden is not None or self.peak == 0):
            mend = "to mend: run the bench as root"
            raise StackFailure(f"memory was not measured ({self._hidden}); {mend}")

    def _watch(self) -> None:
        while self._hidden is None and not self._done.wait(EVERY_S):
            try:
                self._sample()
            except PermissionError as exc:
                self._hidden = str(exc.filename)

    def _sample(self) -> None:
        held: dict[str, int] = {}
        leaders = {record.pid: name for name, record in self._stack.processes().items()}
        for entry in Path("/proc").iterdir():
            name = _name(entry, leaders)
            if name is not None:
                held[name] = held.get(name, 0) + _pss_bytes(entry)
        for name in BESIDE:
            self.beside[name] = max(self.beside.get(name, 0), held.pop(name, 0))
        total = sum(held.values())
        if total > self.peak:
            self.peak, self.parts = total, held


def _name(process: Path, leaders: Mapping[int, str]) -> str | None:
    """What the process counts as; None for all that is neither at work here nor serves it."""
    if not process.name.isdigit():
        return None
    try:
        leader = os.getpgid(int(process.name))
        name = leaders.get(leader)
        if name != "ministack" or leader == int(process.name):
            return name if name in (POLLER, *BESIDE) else None
        environment = (process / "environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None  # Ended while we looked.
    for function in FUNCTIONS:
        if f"-{function}\0".encode() in environment + b"\0":
            return function
    return None


def _pss_bytes(process: Path) -> int:
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # Ended while we looked.
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
