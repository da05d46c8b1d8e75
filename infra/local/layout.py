"""The folder of one stack: data, logs, and three small records (ports, credentials, processes).

The records are JSON files changed under one file lock, so that the supervisor, the command line and
tests may work on the same stack at the same time.
"""

import fcntl
import json
import os
import random
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.local.failure import StackFailure

LOOPBACK = "127.0.0.1"
DEFAULT_VAR = Path("var/stack")

# Below the kernel's ephemeral range (32768 and up): a client that retries a dead engine's ephemeral
# port may connect to itself and so take the port away from the engine's restart.
_PORT_FIRST = 20_000
_PORT_LAST = 31_999
_PORT_ATTEMPTS = 200
_PORT_PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name with its random password."""

    username: str
    password: str


def port_is_free(port: int) -> bool:
    """Whether an engine could listen on `port` of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _becomes_free(port: int) -> bool:
    """Whether `port` is free within a moment: a killed engine's listener may outlive it, and
    its clients know no other port.
    """
    deadline_s = time.monotonic() + _PORT_PATIENCE_S
    while not port_is_free(port):
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.05)
    return True


class Layout:
    """Paths and records under `var`. Creating one touches nothing on disk."""

    def __init__(self, var: Path) -> None:
        self.var = var.absolute()

    @property
    def logs(self) -> Path:
        return self.var / "logs"

    @property
    def programs(self) -> Path:
        return self.var / "programs"

    def data(self, name: str) -> Path:
        """The data folder of engine `name`; the engine creates it."""
        return self.var / name

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def create(self) -> None:
        """Make the folders, readable by others only down to the engines' own data folders."""
        for folder in (self.var, self.logs, self.programs):
            folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.create()
        with (self.var / "records.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def read_record(self, name: str) -> dict[str, object]:
        """The JSON object `<var>/<name>.json`, empty when there is none."""
        path = self.var / f"{name}.json"
        try:
            loaded = json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except ValueError as exc:
            raise StackFailure(f"{path} is not JSON; to mend: delete {self.var}") from exc
        if not isinstance(loaded, dict):
            raise StackFailure(f"{path} is not a JSON object; to mend: delete {self.var}")
        return loaded

    @contextmanager
    def change_record(self, name: str) -> Iterator[dict[str, object]]:
        """The record for changing; written back whole (new file, then rename) when the block ends
        well.
        """
        with self._locked():
            record = self.read_record(name)
            yield record
            self._write(name, record)

    def _write(self, name: str, record: Mapping[str, object]) -> None:
        path = self.var / f"{name}.json"
        fresh = path.with_suffix(".json.new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(record, file, indent=1, sort_keys=True)
        fresh.rename(path)

    def port(self, name: str) -> int:
        """The recorded port of `name`. Raises StackFailure when there is none yet."""
        value = self.read_record("ports").get(name)
        if not isinstance(value, int):
            raise StackFailure(f"{name} has no port in {self.var}; to mend: start the stack first")
        return value

    def claim_port(self, name: str) -> tuple[int, int | None]:
        """The port for a start of `name` and the one it replaces, if that is taken by somebody
        else.
        """
        with self.change_record("ports") as ports:
            before = ports.get(name)
            if isinstance(before, int) and _becomes_free(before):
                return before, None
            used = set(ports.values())
            for _ in range(_PORT_ATTEMPTS):
                port = random.randint(_PORT_FIRST, _PORT_LAST)  # noqa: S311 - no secret
                if port not in used and port_is_free(port):
                    ports[name] = port
                    return port, before if isinstance(before, int) else None
        raise StackFailure(
            f"no free port found for {name} on {LOOPBACK}; to mend: close some servers"
        )

    def remember(self, name: str, make: Callable[[], str]) -> str:
        """The secret text `name` of this stack; `make` chooses it on first use."""
        known = self.read_record("credentials").get(name)
        if isinstance(known, str):
            return known
        fresh = make()
        with self.change_record("credentials") as credentials:
            value = credentials.setdefault(name, fresh)
        return str(value)

    def secret(self, name: str) -> str:
        """The random password `name` of this stack: hexadecimal digits only, 192 bits."""
        return self.remember(name, lambda: secrets.token_hex(24))

    def credentials(self, engine: str, username: str) -> Credentials:
        return Credentials(username, self.secret(f"{engine}/{username}"))
