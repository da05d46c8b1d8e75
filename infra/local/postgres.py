"""PostgreSQL 15 in the place of RDS PostgreSQL: SCRAM passwords over TLS only, durable."""

import os
import shutil
import signal
from typing import ClassVar

import psycopg
from psycopg import sql

from infra.local.authority import write_private
from infra.local.engine import (
    Command,
    Engine,
    NotReady,
    give_to,
    primary_group,
    service_user,
    tool_path,
)
from infra.local.failure import EngineFailure
from infra.local.layout import LOOPBACK, Credentials
from infra.local.processes import run_to_log

_INIT_TIMEOUT_S = 60
_SETTINGS = (
    "unix_socket_directories=",
    "ssl=on",
    "ssl_cert_file=server.pem",
    "ssl_key_file=server-key.pem",
    "ssl_min_protocol_version=TLSv1.2",
    "password_encryption=scram-sha-256",
    "timezone=UTC",
    "log_timezone=UTC",
    "shared_buffers=32MB",
    "max_connections=50",
)
_HOST_RULES = f"hostssl all all {LOOPBACK}/32 scram-sha-256\n"


class Postgres(Engine):
    """The external book's server: superuser `admin` and an empty database `orion`."""

    name: ClassVar[str] = "postgres"
    ports: ClassVar[tuple[str, ...]] = ("postgres",)
    # "Fast shutdown": SIGTERM would wait for every client to leave.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT
    database: ClassVar[str] = "orion"

    @property
    def admin(self) -> Credentials:
        return self._layout.credentials("postgres", "admin")

    def credentials(self, principal: str) -> Credentials:
        """User and password of a principal; the migrations make the user."""
        return self._layout.credentials("postgres", principal)

    @property
    def ca_path(self) -> str:
        return str(self.authority.ca_path)

    @property
    def ca_pem(self) -> str:
        return self.authority.ca_pem

    def prepare(self) -> None:
        user = service_user("postgres")
        if not self.data.is_dir():
            self._initialise(user)
        shutil.copyfile(self.authority.certificate_path, self.data / "server.pem")
        key = self.data / "server-key.pem"
        write_private(key, self.authority.key_path.read_bytes())
        rules = self.data / "pg_hba.conf"
        write_private(rules, _HOST_RULES.encode())
        give_to(user, self.data / "server.pem", key, rules)

    def _initialise(self, user: str | None) -> None:
        fresh = self.data.with_name("postgres.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        secret = self.data.with_name("postgres.password")
        write_private(secret, self.admin.password.encode())
        give_to(user, fresh, secret)
        folder = os.open(fresh, os.O_RDONLY | os.O_DIRECTORY)
        password = os.open(secret, os.O_RDONLY)
        argv = (
            *(tool_path("initdb"), "-D", _by_descriptor(folder), "-U", self.admin.username),
            *("--auth=scram-sha-256", f"--pwfile={_by_descriptor(password)}"),
            *("-E", "UTF8", "--locale=C.UTF-8", "--no-instructions"),
        )
        try:
            done = run_to_log(
                argv,
                self.log,
                timeout_s=_INIT_TIMEOUT_S,
                user=user,
                group=primary_group(user),
                cwd=self.data.parent,
                pass_fds=(folder, password),
            )
        finally:
            os.close(folder)
            os.close(password)
            secret.unlink()
        if not done:
            raise EngineFailure(
                self.name,
                "its data folder could not be made",
                log=self.log,
                mend="read the log, then make up again",
            )
        fresh.rename(self.data)

    def command(self) -> Command:
        folder = os.open(self.data, os.O_RDONLY | os.O_DIRECTORY)
        settings = (f"listen_addresses={LOOPBACK}", f"port={self.port}", *_SETTINGS)
        options = tuple(part for setting in settings for part in ("-c", setting))
        argv = (tool_path("postgres"), "-D", _by_descriptor(folder), *options)
        return Command(argv, cwd=self.data, user=service_user("postgres"), pass_fds=(folder,))

    def check(self) -> None:
        try:
            self.connect("postgres", timeout_s=1).close()
        except psycopg.OperationalError as exc:
            raise NotReady(str(exc)) from exc

    def provision(self) -> None:
        with self.connect("postgres") as connection:
            found = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", (self.database,)
            ).fetchone()
            if found is None:
                connection.execute(
                    sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self.database))
                )

    def connect(
        self, database: str | None = None, *, timeout_s: int = 5
    ) -> "psycopg.Connection[tuple[object, ...]]":
        """A new autocommitting connection as `admin`, to the database `orion` unless another is
        named.
        """
        admin = self.admin
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=admin.username,
            password=admin.password,
            dbname=database or self.database,
            sslmode="verify-full",
            sslrootcert=self.ca_path,
            connect_timeout=timeout_s,
            autocommit=True,
        )


def _by_descriptor(descriptor: int) -> str:
    """A name of an open file that works whatever folders lie above it.

    PostgreSQL refuses to run as root, and another user cannot pass through /root: proc(5) lets a
    process reach what it holds open without walking its path.
    """
    return f"/proc/self/fd/{descriptor}"
