"""What all engines have in common: prepare, start, wait until ready with a deadline, stop."""

import os
import pwd
import signal
import stat
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from infra.local.authority import Authority
from infra.local.failure import EngineFailure, StackFailure
from infra.local.layout import LOOPBACK, Layout
from infra.local.processes import (
    ProcessRecord,
    ProcessTable,
    clean_environment,
    is_alive,
    stop_group,
)
from infra.setup.tools import ToolMissing, tool

_POLL_S = 0.03


class NotReady(Exception):
    """The engine does not serve yet; asked again until the deadline."""


@dataclass(frozen=True, slots=True)
class Command:
    """How to start an engine: `user` is a system user to run as, None for ourselves."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    pass_fds: tuple[int, ...] = ()


class Engine(ABC):
    """A private server process of one stack."""

    name: ClassVar[str]
    ports: ClassVar[tuple[str, ...]]
    ready_timeout_s: ClassVar[float] = 30.0
    stop_timeout_s: ClassVar[float] = 15.0
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._table = ProcessTable(layout)
        self.authority = Authority(layout)

    @property
    def host(self) -> str:
        return LOOPBACK

    @property
    def port(self) -> int:
        """The engine's client port. Raises StackFailure when it was never started here."""
        return self._layout.port(self.ports[0])

    @property
    def data(self) -> Path:
        return self._layout.data(self.name)

    @property
    def log(self) -> Path:
        return self._layout.log(self.name)

    @abstractmethod
    def prepare(self) -> None:
        """Make the data folder and configuration if they are missing. The ports are claimed
        already.
        """

    @abstractmethod
    def command(self) -> Command:
        """The command to start now."""

    @abstractmethod
    def check(self) -> None:
        """Return when the engine serves a real request; raise NotReady otherwise. Takes at most
        about 1 s.
        """

    def provision(self) -> None:  # noqa: B027 - most engines need nothing more.
        """Make what others expect to find inside the engine; idempotent, run once it is ready."""

    def record(self) -> ProcessRecord | None:
        """The living process of this engine, if any."""
        found = self._table.find(self.name)
        return found if found is not None and is_alive(found) else None

    def start(self) -> Sequence[str]:
        """Start and wait until ready; answers notes for people, such as a changed port. No-op when
        it runs.

        Raises EngineFailure; then nothing of the engine runs any more.
        """
        if self.record() is not None:
            return ()
        # A dead leader may have left workers in its group.
        self.stop()
        notes = []
        try:
            for port_name in self.ports:
                port, before = self._layout.claim_port(port_name)
                if before is not None:
                    notes.append(
                        f"port {before} of {port_name} is taken by another process, now {port}"
                    )
            self.authority.ensure()
            self.prepare()
            command = self.command()
        except ToolMissing as exc:
            raise EngineFailure(
                self.name, f"{exc.name} is not installed", mend="make setup"
            ) from exc
        except StackFailure:
            raise
        except OSError as exc:
            raise self._failure(f"its data folder cannot be made ({exc})") from exc
        started = self._spawn(command)
        try:
            self._wait(started)
            self.provision()
        except EngineFailure:
            self.stop()
            raise
        except BaseException as exc:
            self.stop()
            if isinstance(exc, Exception):
                raise self._failure(f"it started but could not be set up ({exc})") from exc
            raise
        return notes

    def _spawn(self, command: Command) -> ProcessRecord:
        try:
            return self._table.spawn(
                self.name,
                command.argv,
                env=clean_environment(command.env),
                cwd=command.cwd,
                user=command.user,
                group=primary_group(command.user),
                pass_fds=command.pass_fds,
            )
        except OSError as exc:
            raise EngineFailure(
                self.name, f"{command.argv[0]} cannot be started ({exc})", mend="make setup"
            ) from exc
        finally:
            for descriptor in command.pass_fds:
                os.close(descriptor)

    def _wait(self, started: ProcessRecord) -> None:
        deadline = time.monotonic() + self.ready_timeout_s
        while True:
            try:
                self.check()
                if is_alive(started):
                    return
            except NotReady as exc:
                if time.monotonic() > deadline:
                    raise self._failure(
                        f"not ready after {self.ready_timeout_s:.0f} s ({exc})"
                    ) from exc
            if not is_alive(started):
                raise self._failure("it ended while starting")
            time.sleep(_POLL_S)

    def _failure(self, what: str) -> EngineFailure:
        return EngineFailure(
            self.name,
            what,
            log=self.log,
            mend=f"read the log; if its data is damaged, make down and delete {self.data}",
        )

    def stop(self) -> None:
        """Stop the engine's whole process group, if it is ours; forget it."""
        found = self._table.find(self.name)
        if found is not None:
            stop_group(found, self.stop_signal, self.stop_timeout_s)
            self._table.forget(self.name)

    def kill(self) -> None:
        """SIGKILL to the whole group, as a crash test does; the record stays, so that it shows as
        dead.
        """
        found = self._table.find(self.name)
        if found is not None:
            stop_group(found, signal.SIGKILL, self.stop_timeout_s)


def tool_path(name: str) -> str:
    """Absolute path of an installed tool. Raises ToolMissing."""
    return str(tool(name))


def service_user(*candidates: str) -> str | None:
    """The first existing system user to run a server as when we are root; None runs it as
    ourselves.
    """
    if os.geteuid() != 0:
        return None
    for name in (*candidates, "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise StackFailure("no system user to run databases as; to mend: adduser --system nobody")


def reaches(user: str, folder: Path) -> bool:
    """Whether `user` may pass through every folder down to `folder`, as in a clone below /root."""
    entry = pwd.getpwnam(user)
    for place in (folder, *folder.parents):
        found = place.stat()
        if found.st_uid == entry.pw_uid:
            needed = stat.S_IXUSR
        elif found.st_gid == entry.pw_gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not found.st_mode & needed:
            return False
    return True


def primary_group(user: str | None) -> int | None:
    return None if user is None else pwd.getpwnam(user).pw_gid


def give_to(user: str | None, *paths: Path) -> None:
    """Make `user` the owner of `paths`; nothing when we run servers as ourselves."""
    if user is not None:
        entry = pwd.getpwnam(user)
        for path in paths:
            os.chown(path, entry.pw_uid, entry.pw_gid)
