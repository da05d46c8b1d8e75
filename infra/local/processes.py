"""Processes that this project started, and only those.

Each leads a process group of its own. It is known by pid together with its start time in clock
ticks (field 22 of proc(5) /proc/PID/stat), so that a recycled pid is never signalled. The record is
kept on disk, so that a stack whose supervisor crashed can still be stopped.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.local.layout import Layout

_RECORD = "processes"
_POLL_S = 0.02
_KILL_TIMEOUT_S = 10.0
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A started process: leader of group `pid`, started at `started_ticks` after boot."""

    name: str
    pid: int
    started_ticks: int
    argv: tuple[str, ...]


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The few variables that a program needs from ours, and `extra` over them."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**inherited, **extra}


def _stat(pid: int) -> tuple[str, int, int] | None:
    """State letter, process group and start ticks of `pid`, or None when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command name may hold spaces and parentheses: the fields begin after the last one.
    fields = text[text.rindex(")") + 2 :].split()
    return fields[0], int(fields[2]), int(fields[19])


def started_ticks(pid: int) -> int | None:
    """Start time of `pid`, or None when it is gone or a zombie."""
    found = _stat(pid)
    return None if found is None or found[0] in "ZX" else found[2]


def is_alive(record: ProcessRecord) -> bool:
    """Whether that very process runs."""
    return started_ticks(record.pid) == record.started_ticks


def _group_members(group: int) -> list[int]:
    """Living members of a process group, zombies left out."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            found = _stat(int(entry.name))
            if found is not None and found[1] == group and found[0] not in "ZX":
                members.append(int(entry.name))
    return members


def _group_is_ours(record: ProcessRecord) -> bool:
    """Whether group `record.pid` is still the one we made.

    While any member lives, the kernel does not give the group's number to a new process. So the
    group is ours if its leader is ours, or if it has members but no leader and they are younger
    than ours.
    """
    leader = _stat(record.pid)
    if leader is not None:
        return leader[2] == record.started_ticks
    ticks = [started_ticks(pid) for pid in _group_members(record.pid)]
    return bool(ticks) and all(tick is None or tick >= record.started_ticks for tick in ticks)


def stop_group(record: ProcessRecord, first: signal.Signals, timeout_s: float) -> None:
    """Stop every process of the group: `first` to its leader, then SIGKILL to all that is left.

    A server's workers are the leader's to stop; those that outlive it, or a leader that has not
    ended within `timeout_s`, are killed.
    """
    if is_alive(record):
        with suppress(ProcessLookupError):
            os.kill(record.pid, first)
        _wait(lambda: not is_alive(record), timeout_s)
    if _group_is_ours(record):
        with suppress(ProcessLookupError):
            os.killpg(record.pid, signal.SIGKILL)
        _wait(lambda: not _group_members(record.pid), _KILL_TIMEOUT_S)
    reap(record)


def _wait(done: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not done() and time.monotonic() < deadline:
        time.sleep(_POLL_S)


def reap(record: ProcessRecord) -> None:
    """Collect our own dead child; the child of another process is that one's to collect."""
    with suppress(ChildProcessError):
        os.waitpid(record.pid, os.WNOHANG)


class ProcessTable:
    """The started processes of one stack, recorded in `<var>/processes.json`."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def all(self) -> dict[str, ProcessRecord]:
        """Every recorded process, dead ones included."""
        return {name: _parse(value) for name, value in self._layout.read_record(_RECORD).items()}

    def find(self, name: str) -> ProcessRecord | None:
        return self.all().get(name)

    def forget(self, name: str) -> None:
        with self._layout.change_record(_RECORD) as record:
            record.pop(name, None)

    def spawn(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        user: str | None = None,
        group: int | None = None,
        pass_fds: Sequence[int] = (),
    ) -> ProcessRecord:
        """Start `argv` in a group of its own, output appended to its log, and record it.

        `user` and `group`: whom to run as (only root may). Raises OSError when it cannot be
        started.
        """
        self._layout.create()
        with self._layout.log(name).open("ab") as log:
            child = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                process_group=0,
                umask=0o077,
                user=user,
                group=group,
                extra_groups=[] if user is not None else None,
                pass_fds=tuple(pass_fds),
            )
        ticks = started_ticks(child.pid)
        # The table, not the Popen object, is who knows this child from here on.
        child.returncode = 0
        record = ProcessRecord(name, child.pid, ticks or 0, tuple(argv))
        with self._layout.change_record(_RECORD) as table:
            table[name] = asdict(record)
        return record


def _parse(value: object) -> ProcessRecord:
    if not isinstance(value, dict):
        raise TypeError("a process record is a JSON object")
    return ProcessRecord(
        str(value["name"]),
        int(value["pid"]),
        int(value["started_ticks"]),
        tuple(str(part) for part in value["argv"]),
    )


def run_to_log(
    argv: Sequence[str],
    log: Path,
    *,
    timeout_s: float,
    user: str | None = None,
    group: int | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> bool:
    """Run a short program to its end, its output appended to `log`; whether it ended well."""
    with log.open("ab") as output:
        try:
            done = subprocess.run(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=clean_environment({}),
                timeout=timeout_s,
                check=False,
                user=user,
                group=group,
                extra_groups=[] if user is not None else None,
                cwd=cwd,
                pass_fds=tuple(pass_fds),
            )
        except subprocess.TimeoutExpired:
            output.write(f"error: {argv[0]} took over {timeout_s:.0f} s\n".encode())
            return False
    return done.returncode == 0
