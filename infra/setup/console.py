"""What a person sees while setup works, and how its commands are run."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.setup.cache import SetupFailed, cache_root

_STARTED = time.monotonic()
_TAIL_LINES = 15


def say(text: str) -> None:
    """One progress line with the seconds since the start."""
    print(f"[setup {time.monotonic() - _STARTED:6.1f} s] {text}", flush=True)


def run(
    step: str,
    command: Sequence[str | Path],
    *,
    mend: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: int = 900,
) -> None:
    """Run `command`, output to a log; on failure show the log's end and raise SetupFailed."""
    logs = cache_root() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{step}.{os.getpid()}.log"
    words = [str(word) for word in command]
    with log.open("ab") as output:
        try:
            code = subprocess.run(
                words,
                cwd=cwd,
                env=dict(os.environ, **(env or {})),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            raise SetupFailed(f"{step} took longer than {timeout_s} s (log {log})", mend) from None
        except OSError as problem:
            raise SetupFailed(f"{step}: {words[0]} did not start: {problem}", mend) from problem
    if code != 0:
        for line in log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]:
            print(f"    {line}", flush=True)
        raise SetupFailed(f"{step}: {words[0]} ended with {code} (log {log})", mend)
    log.unlink()
