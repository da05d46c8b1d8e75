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
AFTER_DEMO = "warm, three stories told"
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
        demo_s, memory = demo(var)
        engine_s, engine_memory = engines[1]
        Figure(NAME, AFTER_DEMO, "make_demo", demo_s, "s", engine_s, ENGINES_ALONE).show()
        total, least = sum(memory.values()), sum(engine_memory.values())
        Figure(NAME, AFTER_DEMO, "memory", total / MIB, "MiB", least / MIB, ENGINES_ALONE).show()
        show_memory(memory)


def show_memory(memory: Mapping[str, int]) -> None:
    """Who holds how much, the pollers as one."""
    total = sum(memory.values())
    held_by: dict[str, int] = {}
    for name, held in memory.items():
        kind = "pollers" if name.startswith("poller-") else name
        held_by[kind] = held_by.get(kind, 0) + held
    for name, held in sorted(held_by.items(), key=lambda item: -item[1]):
        Figure(
            NAME,
            f"{AFTER_DEMO}: {name}",
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


def demo(var: Path) -> tuple[float, Mapping[str, int]]:
    """Seconds of `make demo` on a folder that was up before, and the memory held at its end.

    Started with KEEP=1 and stopped here, so that the stack can be looked at in between; stopping
    counts, as it does without KEEP. Raises StackFailure.
    """
    progress(NAME, f"make demo; {machine()}")
    begin = time.monotonic()
    _run(("make", "demo", "KEEP=1"), {**os.environ, "ORION_VAR": str(var)})
    told_s = time.monotonic() - begin
    memory = proportional_bytes(Stack(var))
    begin = time.monotonic()
    _infra("down", var)
    took_s = told_s + time.monotonic() - begin
    progress(NAME, f"make demo in {took_s:.1f} s, {sum(memory.values()) / MIB:.0f} MiB")
    return took_s, memory


def _infra(command: str, var: Path, *options: str) -> None:
    _run((sys.executable, "-m", "infra.local", command, "--var", str(var), *options), os.environ)


def _run(argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run to the end, its output on our stderr: stdout is for figures alone."""
    done = subprocess.run(
        argv, cwd=ROOT, env=environment, stdout=sys.stderr, timeout=DEMO_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise StackFailure(f"{' '.join(argv)} ended with status {done.returncode}")
