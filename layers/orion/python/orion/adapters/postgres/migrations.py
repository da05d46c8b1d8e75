"""Migrations, users and rights on PostgreSQL, where a file and its record are one transaction."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import sql

from orion.adapters.postgres import rights, session
from orion.adapters.postgres.config import PostgresConfig
from orion.arch.model import (
    Applied,
    Grant,
    Migration,
    MigrationFailed,
    MigrationLocked,
    Schema,
)
from orion.arch.ports import Password
from orion.errors import Unavailable

STATEMENT_TIMEOUT_MS = 840_000
LOCK_WAIT_S = 30
_LOCK_POLL_S = 0.2
# Any number, as long as nothing else in this database takes the same one: "orion" in ASCII.
_LOCK = 0x6F72696F6E

_RECORD = """
CREATE TABLE IF NOT EXISTS {}.schema_migration (
  file varchar(160) PRIMARY KEY,
  sha256 bytea NOT NULL CHECK (length(sha256) = 32),
  statements integer NOT NULL,
  started_at timestamptz NOT NULL,
  finished_at timestamptz NOT NULL,
  duration_ms bigint NOT NULL
)
"""


class PostgresMigrations:
    """The port PrincipalServer on one connection; creates the configured database if missing."""

    def __init__(self, config: PostgresConfig) -> None:
        _create_database(config)
        self._database = config.database
        self._connection = _connect(config, config.database)

    def close(self) -> None:
        """Drop the connection and with it the lock."""
        self._connection.close()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        deadline = time.monotonic() + LOCK_WAIT_S
        while not self._ask("SELECT pg_try_advisory_lock(%s)", (_LOCK,))[0][0]:
            if time.monotonic() >= deadline:
                raise MigrationLocked(
                    f"another run of the migrations holds the lock for over {LOCK_WAIT_S} s"
                )
            time.sleep(_LOCK_POLL_S)
        try:
            yield
        finally:
            # A lost connection has released the lock already, and its own error is the one to see.
            if not self._connection.closed:
                self._ask("SELECT pg_advisory_unlock(%s)", (_LOCK,))

    def create_schema(self, schema: str) -> None:
        name = sql.Identifier(schema)
        self._ask(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
        self._ask(sql.SQL(_RECORD).format(name))

    def applied(self, schema: str) -> Sequence[Applied]:
        query = sql.SQL("SELECT file, sha256, statements FROM {}.schema_migration ORDER BY file")
        return [
            Applied(file, bytes(sha256), statements, finished=True)
            for file, sha256, statements in self._ask(query.format(sql.Identifier(schema)))
        ]

    def apply(self, schema: str, migration: Migration) -> int:
        started = time.monotonic()
        number = 0
        try:
            with self._connection.transaction():
                for statement in migration.statements:
                    number += 1
                    self._connection.execute(sql.SQL(statement))
                duration_ms = int((time.monotonic() - started) * 1000)
                self._connection.execute(
                    sql.SQL(
                        "INSERT INTO {}.schema_migration"
                        " (file, sha256, statements, started_at, finished_at, duration_ms)"
                        " VALUES (%s, %s, %s, transaction_timestamp(), clock_timestamp(), %s)"
                    ).format(sql.Identifier(schema)),
                    (migration.name, migration.sha256, len(migration.statements), duration_ms),
                )
        except psycopg.Error as exc:
            if self._connection.closed:
                raise Unavailable(f"{migration.name}: the connection failed") from exc
            raise MigrationFailed(
                f"{migration.name}, statement {number}: {exc}; nothing of the file is stored",
                file=migration.name,
                statement=number,
            ) from exc
        return duration_ms

    def create_principal(self, password: Password) -> None:
        name = sql.Identifier(password.username)
        if not self._ask("SELECT 1 FROM pg_roles WHERE rolname = %s", (password.username,)):
            # Roles belong to the whole server: a run on another database may be faster.
            with suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
                self._ask(sql.SQL("CREATE ROLE {}").format(name))
        # What is sent, and what a log may show, is the verifier of RFC 5803, not the password.
        verifier = self._connection.pgconn.encrypt_password(
            password.password.encode(), password.username.encode(), b"scram-sha-256"
        )
        self._ask(
            sql.SQL(
                "ALTER ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
                " PASSWORD {}"
            ).format(name, sql.Literal(verifier.decode()))
        )

    def set_rights(
        self, username: str, own: Sequence[Schema], grants: Sequence[Grant]
    ) -> Sequence[str]:
        if own:
            raise ValueError("no principal owns a schema of the external database")
        wanted = rights.wanted(self._database, grants)
        held = rights.held(self._ask, username)
        changes = []
        for right in sorted(held - wanted):
            self._ask(rights.revoke(right, username))
            changes.append(f"{username}: revoked {right}")
        for right in sorted(wanted - held):
            try:
                self._ask(rights.grant(right, username))
            except psycopg.ProgrammingError as exc:
                raise MigrationFailed(
                    f"grants.toml: {right} for {username}: {exc}", file="grants.toml"
                ) from exc
            changes.append(f"{username}: granted {right}")
        return changes

    def _ask(self, query: Any, values: Sequence[object] = ()) -> list[Any]:
        try:
            cursor = self._connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []
        except psycopg.OperationalError as exc:
            raise Unavailable("the database connection was lost") from exc


def _create_database(config: PostgresConfig) -> None:
    """CREATE DATABASE cannot run inside a transaction and has no IF NOT EXISTS."""
    with _connect(config, "postgres") as connection:
        found = connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", (config.database,)
        ).fetchone()
        if found is None:
            try:
                connection.execute(
                    sql.SQL("CREATE DATABASE {}").format(sql.Identifier(config.database))
                )
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                # A second runner was faster; the wanted state is there.
                return


def _connect(config: PostgresConfig, database: str) -> session.Connection:
    try:
        return session.connect(
            config, database, f"-c statement_timeout={STATEMENT_TIMEOUT_MS}", autocommit=True
        )
    except psycopg.Error as exc:
        raise Unavailable("the external database does not answer") from exc
