"""Supervised programs beside the engines (pollers, agents), registered as data."""

import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.local.authority import write_private
from infra.local.failure import EngineFailure
from infra.local.layout import Layout
from infra.local.processes import (
    ProcessRecord,
    ProcessTable,
    clean_environment,
    is_alive,
    stop_group,
)

_POLL_S = 0.03
_STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Program:
    """`ready` is a text that the program writes to its log (its output) once it serves; None: at
    once.

    `env` is the whole environment but PATH, HOME, LANG and TMPDIR.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    ready: str | None = None
    ready_timeout_s: float = 20.0


class Programs:
    """The programs of one stack, recorded in `<var>/programs/<name>.json` (mode 0600: `env` may
    hold secrets).
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._table = ProcessTable(layout)

    def registered(self) -> dict[str, Program]:
        """Every program that was started in this folder and not stopped, by name."""
        found = [_read(path) for path in sorted(self._layout.programs.glob("*.json"))]
        return {program.name: program for program in found}

    def start(self, program: Program) -> ProcessRecord:
        """Start `program` and wait until it is ready; the living process when it runs already.

        Raises EngineFailure.
        """
        found = self._table.find(program.name)
        if found is not None and is_alive(found):
            return found
        self._halt(program.name)
        self._layout.create()
        content = {**asdict(program), "cwd": str(program.cwd), "env": dict(program.env)}
        write_private(self._path(program.name), json.dumps(content, indent=1).encode())
        log = self._layout.log(program.name)
        offset = log.stat().st_size if log.exists() else 0
        try:
            started = self._table.spawn(
                program.name, program.argv, cwd=program.cwd, env=clean_environment(program.env)
            )
        except OSError as exc:
            raise EngineFailure(
                program.name, f"{program.argv[0]} cannot be started ({exc})", mend="make setup"
            ) from exc
        try:
            self._wait(program, started, log, offset)
        except BaseException:
            self.stop(program.name)
            raise
        return started

    def _wait(self, program: Program, started: ProcessRecord, log: Path, offset: int) -> None:
        deadline = time.monotonic() + program.ready_timeout_s
        while program.ready is not None and not _says(log, offset, program.ready):
            if not is_alive(started):
                raise EngineFailure(
                    program.name, "it ended while starting", log=log, mend="read the log"
                )
            if time.monotonic() > deadline:
                raise EngineFailure(
                    program.name,
                    f"not ready after {program.ready_timeout_s:.0f} s",
                    log=log,
                    mend="read the log",
                )
            time.sleep(_POLL_S)

    def stop(self, name: str) -> None:
        """Stop the program and forget it."""
        self._halt(name)
        self._path(name).unlink(missing_ok=True)

    def _halt(self, name: str) -> None:
        found = self._table.find(name)
        if found is not None:
            stop_group(found, signal.SIGTERM, _STOP_TIMEOUT_S)
            self._table.forget(name)

    def kill(self, name: str) -> None:
        """SIGKILL to its group; it stays registered."""
        found = self._table.find(name)
        if found is not None:
            stop_group(found, signal.SIGKILL, _STOP_TIMEOUT_S)

    def _path(self, name: str) -> Path:
        return self._layout.programs / f"{name}.json"


def _says(log: Path, offset: int, text: str) -> bool:
    with log.open("rb") as file:
        file.seek(offset, os.SEEK_SET)
        return text.encode() in file.read()


def _read(path: Path) -> Program:
    content = json.loads(path.read_text())
    return Program(
        name=str(content["name"]),
        argv=tuple(str(part) for part in content["argv"]),
        env={str(key): str(value) for key, value in content["env"].items()},
        cwd=Path(content["cwd"]),
        ready=content["ready"],
        ready_timeout_s=float(content["ready_timeout_s"]),
    )
