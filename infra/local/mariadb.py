"""MariaDB 10.11 in the place of Aurora MySQL: durable at every commit, TLS only, strict SQL."""

import shutil
from pathlib import Path
from typing import ClassVar

import pymysql

from infra.local.authority import write_private
from infra.local.engine import (
    Command,
    Engine,
    NotReady,
    give_to,
    reaches,
    service_user,
    tool_path,
)
from infra.local.failure import EngineFailure
from infra.local.layout import LOOPBACK, Credentials
from infra.local.processes import run_to_log

# MySQL 8's own default, so that both refuse the same statements.
_SQL_MODE = (
    "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
)
_OPTIONS = (
    "--sync-binlog=1",
    "--innodb-flush-log-at-trx-commit=1",
    "--log-bin=binlog",
    "--binlog-format=ROW",
    "--binlog-expire-logs-seconds=86400",
    "--server-id=1",
    "--require-secure-transport=ON",
    "--tls-version=TLSv1.2,TLSv1.3",
    "--ssl-ca=ca.pem",
    "--ssl-cert=server.pem",
    "--ssl-key=server-key.pem",
    "--local-infile=ON",
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_bin",
    "--default-time-zone=+00:00",
    f"--sql-mode={_SQL_MODE}",
    "--max-allowed-packet=64M",
    "--max-connections=200",
    "--innodb-lock-wait-timeout=2",
    # The keys of a million wallets' addresses are random and have to fit. Only pages that are used
    # take memory: an idle server is 17 MiB larger than one of 128 MiB (docs/performance.md).
    "--innodb-buffer-pool-size=1G",
    "--innodb-log-file-size=64M",
    "--innodb-log-buffer-size=8M",
    "--key-buffer-size=1M",
    "--aria-pagecache-buffer-size=8M",
    "--performance-schema=OFF",
    "--skip-name-resolve",
    "--socket=mariadb.sock",
    "--pid-file=mariadb.pid",
)
_INSTALL_TIMEOUT_S = 60


class MariaDb(Engine):
    """The system of record. `admin` may do everything; there is no other user at first."""

    name: ClassVar[str] = "mariadb"
    ports: ClassVar[tuple[str, ...]] = ("mariadb",)

    @property
    def admin(self) -> Credentials:
        return self._layout.credentials("mysql", "admin")

    def credentials(self, principal: str) -> Credentials:
        """User and password of a module's principal; the migrations make the user."""
        return self._layout.credentials("mysql", principal)

    @property
    def ca_path(self) -> str:
        return str(self.authority.ca_path)

    @property
    def ca_pem(self) -> str:
        return self.authority.ca_pem

    def prepare(self) -> None:
        user = self._user()
        if not self.data.is_dir():
            self._install(user)
        for source in (self.authority.ca_path, self.authority.certificate_path):
            shutil.copyfile(source, self.data / source.name)
        key = self.data / self.authority.key_path.name
        write_private(key, self.authority.key_path.read_bytes())
        # A folder of its own: a server that starts deletes what another left in a shared one.
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir(mode=0o700)
        give_to(user, self._temporary)
        first_statements = self.data / "first.sql"
        write_private(first_statements, self._first_statements().encode())
        give_to(user, key, first_statements)

    @property
    def _temporary(self) -> Path:
        return self.data.with_name("mariadb.tmp")

    def _user(self) -> str | None:
        """Whom the server runs as when we are root, None when we are not."""
        user = service_user("mysql")
        if user is not None and not reaches(user, self.data.parent):
            # It opens its files by their full paths, so it has to pass through the folders above.
            return "root"
        return user

    def _install(self, user: str | None) -> None:
        fresh = self.data.with_name("mariadb.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o750)
        give_to(user, fresh)
        argv = [
            tool_path("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={fresh}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            "--innodb-log-file-size=64M",
        ]
        if user is not None:
            argv.append(f"--user={user}")
        if not run_to_log(argv, self.log, timeout_s=_INSTALL_TIMEOUT_S):
            raise EngineFailure(
                self.name,
                "its data folder could not be made",
                log=self.log,
                mend="read the log, then make up again",
            )
        # Whole or not at all: a first start may be interrupted.
        fresh.rename(self.data)

    def _first_statements(self) -> str:
        """Run at every start, before connections are accepted: one user, with our password."""
        admin = self.admin
        return "\n".join(
            (
                "SET sql_log_bin = 0;",
                "DELETE FROM mysql.global_priv WHERE User IN ('root', '');",
                "FLUSH PRIVILEGES;",
                f"CREATE USER IF NOT EXISTS '{admin.username}'@'%';",
                f"ALTER USER '{admin.username}'@'%' IDENTIFIED BY '{admin.password}';",
                f"GRANT ALL PRIVILEGES ON *.* TO '{admin.username}'@'%' WITH GRANT OPTION;",
                "",
            )
        )

    def command(self) -> Command:
        argv = (
            tool_path("mariadbd"),
            "--no-defaults",
            f"--datadir={self.data}",
            f"--tmpdir={self._temporary}",
            f"--bind-address={LOOPBACK}",
            f"--port={self.port}",
            "--init-file=first.sql",
            *_OPTIONS,
        )
        user = self._user()
        if user == "root":
            return Command((*argv, "--user=root"), cwd=self.data)
        return Command(argv, cwd=self.data, user=user)

    def check(self) -> None:
        try:
            self.connect(timeout_s=1).close()
        except (pymysql.err.OperationalError, OSError) as exc:
            raise NotReady(str(exc)) from exc

    def connect(
        self, *, timeout_s: int = 5
    ) -> "pymysql.connections.Connection[pymysql.cursors.Cursor]":
        """A new connection as `admin`."""
        admin = self.admin
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=admin.username,
            password=admin.password,
            charset="utf8mb4",
            connect_timeout=timeout_s,
            ssl_ca=self.ca_path,
            ssl_verify_cert=True,
            ssl_verify_identity=True,
        )
