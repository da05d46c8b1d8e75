"""The process that holds a stack up: starts it, reports what dies, stops it on a signal or at its
lifetime's end.

It holds `<var>/supervisor.lock` as long as it lives, so that "is it running" has one true answer,
also after a crash: the kernel frees the lock, and the next `up` or `down` stops what was left.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from infra.local.failure import StackFailure
from infra.local.layout import Layout
from infra.local.processes import ProcessRecord, is_alive, reap, started_ticks
from infra.local.stack import ENGINES, Stack
from infra.local.steps import STEPS, Step, run_steps

ROOT = Path(__file__).resolve().parents[2]
LIFETIME_H = 8.0
_RECORD = "supervisor"
_POLL_S = 0.3
_LEASE_ATTEMPTS = 3
_LEASE_POLL_S = 0.03
_DOWN_TIMEOUT_S = 90.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class AlreadyRunning(StackFailure):
    """Another supervisor holds this stack."""


class _Stopped(BaseException):
    """A signal asked for the end."""


@contextmanager
def _lease(layout: Layout) -> Iterator[None]:
    """Hold the stack. Raises AlreadyRunning."""
    layout.create()
    with (layout.var / "supervisor.lock").open("w") as lock:
        for attempt in range(_LEASE_ATTEMPTS):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as exc:
                # A short hold is another process that only asks whether the stack runs.
                if attempt == _LEASE_ATTEMPTS - 1:
                    raise AlreadyRunning(f"the stack in {layout.var} is running already") from exc
                time.sleep(_LEASE_POLL_S)
        yield


def is_held(layout: Layout) -> bool:
    """Whether a supervisor holds the stack now."""
    try:
        with _lease(layout):
            return False
    except AlreadyRunning:
        return True


def phase(layout: Layout) -> str:
    """`starting`, `up`, `failed` or `stopped`."""
    found = layout.read_record(_RECORD).get("phase")
    held = is_held(layout)
    if held:
        return "up" if found == "up" else "starting"
    return "failed" if found == "failed" else "stopped"


def _enter(layout: Layout, now: str) -> None:
    with layout.change_record(_RECORD) as record:
        record.update(phase=now, pid=os.getpid(), started_ticks=started_ticks(os.getpid()))


def supervise(
    stack: Stack,
    *,
    engines: Sequence[str] = ENGINES,
    steps: Sequence[Step] = STEPS,
    lifetime_h: float = LIFETIME_H,
) -> None:
    """Hold the stack up until a signal comes or `lifetime_h` hours are over; then stop all of it.

    Raises AlreadyRunning, or StackFailure when it cannot start; then nothing runs any more.
    """
    with _lease(stack.layout):
        _enter(stack.layout, "starting")
        outcome = "failed"
        previous = {number: signal.signal(number, _stop) for number in _SIGNALS}
        try:
            begin = time.monotonic()
            if any(is_alive(record) for record in stack.processes().values()):
                stack.report("stopping what an earlier run left behind")
            stack.down()
            stack.report(f"starting the stack in {stack.var}")
            stack.up(engines)
            run_steps(stack, steps)
            _enter(stack.layout, "up")
            outcome = "stopped"
            stack.report(
                f"up in {time.monotonic() - begin:.1f} s; logs: {stack.layout.logs}; "
                f"Ctrl-C or `make down` stops it, else it ends after {lifetime_h:g} h"
            )
            _watch(stack, begin + lifetime_h * 3600)
        except _Stopped:
            outcome = "stopped"
        finally:
            # From here on a second Ctrl-C must not leave half of it running.
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            stack.report("stopping")
            stack.down()
            _enter(stack.layout, outcome)
            stack.report("stopped")
            for number, handler in previous.items():
                signal.signal(number, handler)


def _stop(_number: int, _frame: FrameType | None) -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise _Stopped


def _watch(stack: Stack, deadline: float) -> None:
    """Report each process that dies, once, until the deadline."""
    dead: set[ProcessRecord] = set()
    # Also those that somebody has replaced in the records since: while its dead server is not
    # collected, PostgreSQL believes that it runs.
    seen: set[ProcessRecord] = set()
    while time.monotonic() < deadline:
        now = stack.processes().values()
        seen.update(now)
        for record in seen:
            reap(record)
        for record in now:
            if not is_alive(record) and record not in dead:
                dead.add(record)
                stack.report(
                    f"{record.name} died (pid {record.pid}); log: {stack.layout.log(record.name)}; "
                    f"to mend: python -m infra.local restart {record.name} --var {stack.var}"
                )
        time.sleep(_POLL_S)
    stack.report("its lifetime is over")


def detach(stack: Stack, arguments: Sequence[str]) -> int:
    """Start `up` with `arguments` as a background process and show its progress until it is up.

    Answers an exit status.
    """
    layout = stack.layout
    layout.create()
    log = layout.log(_RECORD)
    offset = log.stat().st_size if log.exists() else 0
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-u", "-m", "infra.local", "up", "--var", str(layout.var), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            start_new_session=True,
        )
    try:
        while True:
            ended = child.poll()
            offset = _show(stack, log, offset)
            if ended is not None:
                return ended
            if layout.read_record(_RECORD) == {
                "phase": "up",
                "pid": child.pid,
                "started_ticks": started_ticks(child.pid),
            }:
                _show(stack, log, offset)
                # Lives on without us; it is found again through its record.
                child.returncode = 0
                return 0
            time.sleep(_POLL_S / 3)
    except KeyboardInterrupt:
        child.send_signal(signal.SIGTERM)
        child.wait(_DOWN_TIMEOUT_S)
        _show(stack, log, offset)
        return 130


def _show(stack: Stack, log: Path, offset: int) -> int:
    """Report the whole lines of `log` from `offset` on; the offset after them."""
    with log.open("rb") as file:
        file.seek(offset)
        content = file.read()
    whole = content[: content.rfind(b"\n") + 1]
    for line in whole.decode("utf-8", "replace").splitlines():
        stack.report(line)
    return offset + len(whole)


def bring_down(stack: Stack) -> bool:
    """Stop the stack, through its supervisor when there is one; whether anything was running."""
    layout = stack.layout
    if not is_held(layout):
        left = any(is_alive(record) for record in stack.processes().values())
        stack.down()
        return left
    holder = _holder(layout)
    if holder is not None:
        with suppress(ProcessLookupError):
            os.kill(holder.pid, signal.SIGTERM)
    deadline = time.monotonic() + _DOWN_TIMEOUT_S
    while is_held(layout):
        if time.monotonic() > deadline:
            # It hangs: end it, and stop what it held.
            if holder is not None and is_alive(holder):
                with suppress(ProcessLookupError):
                    os.kill(holder.pid, signal.SIGKILL)
            break
        time.sleep(_POLL_S / 3)
    stack.down()
    return True


def _holder(layout: Layout) -> ProcessRecord | None:
    record = layout.read_record(_RECORD)
    pid, ticks = record.get("pid"), record.get("started_ticks")
    if not isinstance(pid, int) or not isinstance(ticks, int):
        return None
    found = ProcessRecord(_RECORD, pid, ticks, ())
    return found if is_alive(found) else None
