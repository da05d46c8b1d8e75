"""The stack starts whole or not at all, says what is wrong in a line, and stops only its own."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.failure import EngineFailure, StackFailure
from infra.local.layout import LOOPBACK
from infra.local.processes import started_ticks
from infra.local.programs import Program
from infra.local.stack import Stack
from infra.setup import tools

pytestmark = pytest.mark.engine

_ROOT = Path(__file__).resolve().parents[2]
_QUICK = "memcached,btcd"
_TIMEOUT_S = 60.0


@pytest.fixture
def var(stack_folders: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder for one stack; whatever a failed test left running in it is stopped."""
    digest = re.sub(r"\W", "", request.node.name)[-24:]
    folder = stack_folders / digest
    yield folder
    _cli(folder, "down")


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{_ROOT}:{_ROOT / 'layers/orion/python'}"}


def _arguments(var: Path, *words: str) -> list[str]:
    return [sys.executable, "-u", "-m", "infra.local", *words, "--var", str(var)]


def _cli(var: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _arguments(var, *words),
        cwd=_ROOT,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )


def _up(var: Path) -> subprocess.Popen[str]:
    """A foreground supervisor that has just said that it is up."""
    process = subprocess.Popen(
        _arguments(var, "up", "--engines-only", "--engines", _QUICK),
        cwd=_ROOT,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    _line(process, r"^up in ")
    return process


def _line(process: subprocess.Popen[str], pattern: str) -> str:
    """The next line of its output that matches."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if re.search(pattern, line):
            return line
    pytest.fail(f"no line {pattern!r} in {''.join(seen)}")


def _left_in(var: Path) -> list[str]:
    """Command lines of processes whose arguments, folder or logs lie in `var`."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            try:
                words = (place / "cmdline").read_bytes().decode().split("\0")
                if str(var) in " ".join(words) or str(var) in str((place / "cwd").readlink()):
                    found.append(" ".join(words))
            except OSError:
                continue
    return found


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is none of the stack's business."""
    process = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_a_second_up_says_that_it_runs_and_changes_nothing(var: Path) -> None:
    first = _cli(var, "up", "--detach", "--engines-only", "--engines", _QUICK)
    assert first.returncode == 0, first.stdout + first.stderr
    before = Stack(var).processes()
    second = _cli(var, "up", "--engines-only", "--engines", _QUICK)
    assert second.returncode == 0
    assert "is running already" in second.stdout
    assert Stack(var).processes() == before
    assert all(Stack(var).alive(name) for name in before)


def test_down_leaves_no_process(var: Path) -> None:
    _cli(var, "up", "--detach", "--engines-only", "--engines", _QUICK)
    assert _left_in(var) != []
    assert _cli(var, "down").stdout == "stopped\n"
    assert _left_in(var) == []
    assert "nothing runs" in _cli(var, "down").stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_exactly_what_was_started(
    var: Path, bystander: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    supervisor = _up(var)
    supervisor.send_signal(number)
    assert supervisor.wait(_TIMEOUT_S) == 0
    assert _left_in(var) == []
    assert bystander.poll() is None


def test_a_signal_while_starting_leaves_no_process(var: Path) -> None:
    process = subprocess.Popen(
        _arguments(var, "up", "--engines-only", "--engines", "kafka,memcached"),
        cwd=_ROOT,
        env=_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    _line(process, "memcached +ready")
    process.send_signal(signal.SIGINT)
    process.wait(_TIMEOUT_S)
    assert _left_in(var) == []


def test_what_a_crashed_supervisor_left_is_stopped_by_down(var: Path) -> None:
    supervisor = _up(var)
    supervisor.kill()
    supervisor.wait()
    assert Stack(var).alive("memcached")
    assert _cli(var, "down").stdout == "stopped\n"
    assert _left_in(var) == []


def test_what_a_crashed_supervisor_left_is_mended_by_the_next_up(var: Path) -> None:
    supervisor = _up(var)
    before = Stack(var).processes()
    supervisor.kill()
    supervisor.wait()
    second = _up(var)
    after = Stack(var).processes()
    assert all(Stack(var).alive(name) for name in after)
    assert {each.pid for each in before.values()}.isdisjoint(each.pid for each in after.values())
    second.send_signal(signal.SIGINT)
    second.wait(_TIMEOUT_S)


def test_a_recycled_pid_is_never_signalled(var: Path, bystander: subprocess.Popen[bytes]) -> None:
    stack = Stack(var, report=lambda line: None)
    ticks = started_ticks(bystander.pid)
    assert ticks is not None
    with stack.layout.change_record("processes") as table:
        table["memcached"] = {
            "name": "memcached",
            "pid": bystander.pid,
            "started_ticks": ticks - 1,
            "argv": ["memcached"],
        }
    stack.kill("memcached")
    stack.down()
    assert bystander.poll() is None
    assert stack.processes() == {}


def test_an_engine_that_dies_is_reported_in_one_line_and_can_be_restarted(var: Path) -> None:
    supervisor = _up(var)
    Stack(var).kill("memcached")
    line = _line(supervisor, "memcached died")
    assert "restart memcached" in line
    assert str(var / "logs" / "memcached.log") in line
    assert _cli(var, "restart", "memcached").returncode == 0
    assert Stack(var).alive("memcached")
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(_TIMEOUT_S) == 0
    assert _left_in(var) == []


def test_the_stack_ends_by_itself_after_its_lifetime(var: Path) -> None:
    done = _cli(var, "up", "--engines-only", "--engines", _QUICK, "--lifetime-h", "0.0003")
    assert done.returncode == 0
    assert "lifetime is over" in done.stdout
    assert _left_in(var) == []


def test_ports_stay_over_restarts_and_give_way_to_a_stranger(var: Path) -> None:
    lines: list[str] = []
    stack = Stack(var, report=lines.append)
    stack.up(("memcached", "btcd"))
    ports = (stack.memcached.port, stack.btcd.port)
    stack.down()
    stack.up(("memcached", "btcd"))
    assert (stack.memcached.port, stack.btcd.port) == ports
    stack.down()
    with socket.create_server((LOOPBACK, ports[0])):
        stack.up(("memcached", "btcd"))
        assert stack.memcached.port != ports[0]
        assert stack.btcd.port == ports[1]
        stack.down()
    assert any(f"port {ports[0]} of memcached is taken" in line for line in lines)


def test_a_missing_engine_ends_the_start_with_one_line_and_stops_the_others(
    var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "TOOLS", var / "nothing")
    stack = Stack(var, report=lambda line: None)
    with pytest.raises(EngineFailure) as failure:
        stack.up(("memcached", "btcd"))
    assert str(failure.value) == "btcd: btcd is not installed; to mend: make setup"
    assert _left_in(var) == []


def test_a_nearly_full_disk_is_said_before_anything_starts(
    var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nearly_full = shutil.disk_usage(var.parent)._replace(free=287_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: nearly_full)
    stack = Stack(var)
    with pytest.raises(StackFailure, match="has 287 MB of disk left; to mend: make room for 1500"):
        stack.up(_QUICK.split(","))
    assert not stack.processes()


def test_a_broken_engine_ends_the_start_with_its_own_words_and_stops_the_others(
    var: Path,
) -> None:
    stack = Stack(var, report=lambda line: None)
    stack.up(("postgres",))
    stack.down()
    (stack.postgres.data / "PG_VERSION").write_text("9.6\n")
    done = _cli(var, "up", "--engines-only", "--engines", "memcached,postgres")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("postgres: it ended while starting; it said ")
    assert "database files are incompatible" in done.stderr
    assert f"log: {var / 'logs' / 'postgres.log'}; to mend: " in done.stderr
    assert _left_in(var) == []


def _program(var: Path, source: str, ready: str | None, timeout_s: float = 20.0) -> Program:
    return Program(
        "reader", (sys.executable, "-u", "-c", source), {"ROLE": "reader"}, var, ready, timeout_s
    )


def test_a_program_is_ready_when_it_says_so_and_inherits_nothing(
    var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_SECRET", "1")
    stack = Stack(var, report=lambda line: None)
    stack.layout.create()
    source = "import json, os, time; print(json.dumps(dict(os.environ))); time.sleep(600)"
    program = _program(var, source, ready='"ROLE": "reader"')
    started = stack.run_program(program)
    assert stack.run_program(program) == started, "a running program is not started twice"
    told = json.loads(stack.layout.log("reader").read_text().splitlines()[0])
    assert "OUR_SECRET" not in told
    assert dict(Stack(var).programs()) == {"reader": program}
    stack.kill_program("reader")
    assert not stack.alive("reader")
    stack.restart("reader")
    assert stack.alive("reader")
    stack.down()
    assert dict(Stack(var).programs()) == {}


def test_the_workers_of_a_program_end_with_it(var: Path) -> None:
    stack = Stack(var, report=lambda line: None)
    stack.layout.create()
    worker = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    source = (
        "import subprocess, sys, time;"
        f"child = subprocess.Popen([sys.executable, '-c', {worker!r}]);"
        "print('worker', child.pid); time.sleep(600)"
    )
    stack.run_program(_program(var, source, ready="worker "))
    pid = int(stack.layout.log("reader").read_text().split()[1])
    assert started_ticks(pid) is not None
    stack.stop_program("reader")
    deadline = time.monotonic() + _TIMEOUT_S
    while started_ticks(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert started_ticks(pid) is None


def test_a_program_that_ends_while_starting_is_refused_with_its_own_words(var: Path) -> None:
    stack = Stack(var, report=lambda line: None)
    stack.layout.create()
    with pytest.raises(EngineFailure, match="ValueError: no topic"):
        stack.run_program(_program(var, "raise ValueError('no topic')", ready="serving"))
    assert stack.programs() == {}
    assert stack.processes() == {}
