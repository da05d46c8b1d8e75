"""memcached 1.6 in the place of ElastiCache: TCP on loopback, small, losing it loses no data."""

import socket
from typing import ClassVar

from infra.local.engine import Command, Engine, NotReady, service_user, tool_path
from infra.local.layout import LOOPBACK

_MEMORY_MB = 64
_TIMEOUT_S = 1.0


class Memcached(Engine):
    name: ClassVar[str] = "memcached"
    ports: ClassVar[tuple[str, ...]] = ("memcached",)

    @property
    def servers(self) -> str:
        return f"{self.host}:{self.port}"

    def prepare(self) -> None:
        self.data.mkdir(exist_ok=True)

    def command(self) -> Command:
        argv = [
            tool_path("memcached"),
            "-l",
            LOOPBACK,
            "-p",
            str(self.port),
            "-U",
            "0",
            "-m",
            str(_MEMORY_MB),
        ]
        user = service_user("memcache")
        if user is not None:
            argv += ["-u", user]
        return Command(tuple(argv), cwd=self.data)

    def check(self) -> None:
        try:
            with socket.create_connection((self.host, self.port), _TIMEOUT_S) as connection:
                connection.sendall(b"version\r\n")
                answer = connection.recv(64)
        except OSError as exc:
            raise NotReady(str(exc)) from exc
        if not answer.startswith(b"VERSION "):
            raise NotReady("another server answers on its port")
