"""How long the local stack takes to start, cold and warm, what it holds in memory, and `make demo`.

Cold: an empty folder, everything installed. Warm: the same folder once more, so that databases,
keys and chains are there. The reference of each is the start of the engines alone, cold and warm,
in a folder of its own: what the seven servers need, without the system on them. Both are started
as `make up` does, by a supervisor process, and are up when it says so.

Run: `make bench BENCH=start`. `make demo` writes its report to var/demo as always.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from infra.local import Stack
from infra.local.failure import StackFailure
from tests.bench.figures import Figure, machine, progress
from tests.bench.memory import proportional_bytes

NAME = "start"
ROOT = Path(__file__).resolve().parents[2]
ENGINES_ALONE = "the seven engines alone, started the same way, same run"
DEMO_TIMEOUT_S = 600
MIB = 1024 * 1024


def main() -> None:
    """Engines alone, the whole stack, then the demo in the whole stack's folder."""
    with folder() as bare, folder() as var:
        engines = [start(bare, "--engines-only") for _ in ("cold", "warm")]
        whole = [start(var) for _ in ("cold", "warm")]
        for case, (took_s, memory), (engine_s, engine_memory) in zip(
            ("cold", "warm"), whole, engines, strict=True
        ):
            Figure(NAME, case, "up", took_s, "s", engine_s, ENGINES_ALONE).show()
            total, least = sum(memory.values()), sum(engine_memory.values())
            Figure(NAME, case, "memory", total / MIB, "MiB", least / MIB, ENGINES_ALONE).show()
        show_memory(whole[1][1])
        demo_s = demo(var)
        Figure(NAME, "warm", "make_demo", demo_s, "s", engines[1][0], ENGINES_ALONE).show()


def show_memory(memory: Mapping[str, int]) -> None:
    """Who holds how much of the warm stack's memory."""
    total = sum(memory.values())
    for name, held in sorted(memory.items(), key=lambda item: -item[1]):
        Figure(
            NAME,
            f"warm: {name}",
            "memory",
            held / MIB,
            "MiB",
            total / MIB,
            "all processes of the stack, same moment",
        ).show()


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for one stack; whatever runs in it at the end is stopped."""
    # Open to the database servers, which run as another user.
    path = Path(tempfile.mkdtemp(prefix="orion-bench-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        _infra("down", path)
        shutil.rmtree(path, ignore_errors=True)


def start(var: Path, *options: str) -> tuple[float, Mapping[str, int]]:
    """Seconds until it is up, and its memory then; it is stopped again. Raises StackFailure."""
    what = " ".join(options) or "whole stack"
    progress(NAME, f"{what} in {var}; {machine()}")
    begin = time.monotonic()
    _infra("up", var, "--detach", *options)
    took_s = time.monotonic() - begin
    memory = proportional_bytes(Stack(var))
    progress(NAME, f"up in {took_s:.1f} s, {sum(memory.values()) / MIB:.0f} MiB; {machine()}")
    _infra("down", var)
    return took_s, memory


def demo(var: Path) -> float:
    """Seconds of `make demo` on a folder that was up before. Raises StackFailure."""
    progress(NAME, f"make demo; {machine()}")
    begin = time.monotonic()
    _run(("make", "demo"), {**os.environ, "ORION_VAR": str(var)})
    took_s = time.monotonic() - begin
    progress(NAME, f"make demo in {took_s:.1f} s; {machine()}")
    return took_s


def _infra(command: str, var: Path, *options: str) -> None:
    _run((sys.executable, "-m", "infra.local", command, "--var", str(var), *options), os.environ)


def _run(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run to the end, its output on our stderr: stdout is for figures alone."""
    done = subprocess.run(
        argv, cwd=ROOT, env=environment, stdout=sys.stderr, timeout=DEMO_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise StackFailure(f"{' '.join(argv)} ended with status {done.returncode}")
