"""Schemas, migrations, users and rights on MySQL (or MariaDB).

DDL commits by itself there, so a file cannot be one transaction. Its row in `schema_migration` is
written before the first statement, counts the statements that succeeded and gets `finished_at` at
the end: a run that died between two statements is seen by the next one instead of being repeated
over half of its effect.
"""

import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pymysql
from pymysql.cursors import Cursor

from orion.adapters.mysql.session import SESSION, MySqlConfig
from orion.arch.model import (
    OWN_RIGHTS,
    Applied,
    Grant,
    Migration,
    MigrationFailed,
    MigrationLocked,
    Schema,
)
from orion.arch.ports import Password
from orion.errors import Unavailable

CONNECT_TIMEOUT_S = 5
# Below the fifteen minutes of a function, so that a statement that never ends is named by us.
STATEMENT_TIMEOUT_S = 840
LOCK_WAIT_S = 30
# For rows that the functions hold: theirs wait for 2 s, but a migration that gives up is half done.
ROW_WAIT_S = 60
_LOCK = "orion_migrations"

_RECORD = """
CREATE TABLE IF NOT EXISTS `{schema}`.schema_migration (
  file VARCHAR(160) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  sha256 BINARY(32) NOT NULL,
  statements INT NOT NULL,
  statements_done INT NOT NULL,
  started_at DATETIME(6) NOT NULL,
  finished_at DATETIME(6) NULL,
  duration_ms BIGINT NULL
) ENGINE=InnoDB
"""

# Rights are stored as "schema.table" or "schema.*" and the right's name.
_Right = tuple[str, str, str]


class MySqlMigrations:
    """The port PrincipalServer on one autocommitting connection of the principal `arch`."""

    def __init__(self, config: MySqlConfig) -> None:
        try:
            self._connection: pymysql.Connection[Cursor] = pymysql.connect(
                host=config.host,
                port=config.port,
                user=config.user,
                password=config.password,
                charset="utf8mb4",
                autocommit=True,
                local_infile=False,
                ssl=ssl.create_default_context(cadata=config.ca_pem),
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=STATEMENT_TIMEOUT_S,
                write_timeout=STATEMENT_TIMEOUT_S,
                init_command=f"{SESSION}, innodb_lock_wait_timeout = {ROW_WAIT_S:d}",
            )
            with self._connection.cursor() as cursor:
                # A statement over a whole table must not lock the gaps of the tables that it reads.
                cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        except (pymysql.err.Error, OSError) as exc:
            raise Unavailable("the database does not answer") from exc

    def close(self) -> None:
        """Drop the connection and with it the lock."""
        if self._connection.open:
            self._connection.close()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        (taken,) = self._ask("SELECT GET_LOCK(%s, %s)", (_LOCK, LOCK_WAIT_S))[0]
        if taken != 1:
            raise MigrationLocked(
                f"another run of the migrations holds the lock for over {LOCK_WAIT_S} s"
            )
        try:
            yield
        finally:
            # A lost connection has released the lock already, and its own error is the one to see.
            if self._connection.open:
                self._ask("SELECT RELEASE_LOCK(%s)", (_LOCK,))

    def create_schema(self, schema: str) -> None:
        self._ask(
            f"CREATE DATABASE IF NOT EXISTS `{schema}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        )
        self._ask(_RECORD.format(schema=schema))

    def applied(self, schema: str) -> Sequence[Applied]:
        rows = self._ask(
            "SELECT file, sha256, statements_done, finished_at IS NOT NULL"  # noqa: S608
            f" FROM `{schema}`.schema_migration ORDER BY file"
        )
        return [
            Applied(str(file), bytes(sha256), int(done), bool(finished))
            for file, sha256, done, finished in rows
        ]

    def apply(self, schema: str, migration: Migration) -> int:
        started = time.monotonic()
        self._ask(f"USE `{schema}`")
        self._ask(
            "INSERT INTO schema_migration (file, sha256, statements, statements_done, started_at)"
            " VALUES (%s, %s, %s, 0, UTC_TIMESTAMP(6))",
            (migration.name, migration.sha256, len(migration.statements)),
        )
        for number, statement in enumerate(migration.statements, start=1):
            self._run(migration, number, statement)
            self._ask(
                "UPDATE schema_migration SET statements_done = %s WHERE file = %s",
                (number, migration.name),
            )
        duration_ms = int((time.monotonic() - started) * 1000)
        self._ask(
            "UPDATE schema_migration SET finished_at = UTC_TIMESTAMP(6), duration_ms = %s"
            " WHERE file = %s",
            (duration_ms, migration.name),
        )
        return duration_ms

    def _run(self, migration: Migration, number: int, statement: str) -> None:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(statement)
        except (pymysql.err.InterfaceError, OSError) as exc:
            raise Unavailable(
                f"{migration.name}: the connection failed in statement {number}"
            ) from exc
        except pymysql.err.Error as exc:
            if not self._connection.open:
                raise Unavailable(
                    f"{migration.name}: the connection failed in statement {number}"
                ) from exc
            if number == 1:
                # The server answered that its only effect so far was refused: nothing has happened.
                self._ask("DELETE FROM schema_migration WHERE file = %s", (migration.name,))
            raise MigrationFailed(
                f"{migration.name}, statement {number}: {exc}",
                file=migration.name,
                statement=number,
            ) from exc

    def create_principal(self, password: Password) -> None:
        who = (password.username, password.password)
        self._ask("CREATE USER IF NOT EXISTS %s@'%%' IDENTIFIED BY %s REQUIRE SSL", who)
        self._ask("ALTER USER %s@'%%' IDENTIFIED BY %s REQUIRE SSL", who)

    def set_rights(
        self, username: str, own: Sequence[Schema], grants: Sequence[Grant]
    ) -> Sequence[str]:
        # In a right on a whole schema `_` is a wildcard unless it is escaped.
        wanted: set[_Right] = {
            (schema.name.replace("_", r"\_"), "*", right) for schema in own for right in OWN_RIGHTS
        }
        wanted |= {(grant.schema, grant.table, right) for grant in grants for right in grant.rights}
        held = self._held(username)
        changes = []
        for schema, table, right in sorted(held - wanted):
            self._ask(f"REVOKE {right} ON {_target(schema, table)} FROM %s@'%%'", (username,))
            changes.append(f"{username}: revoked {right} on {schema}.{table}")
        for schema, table, right in sorted(wanted - held):
            try:
                self._ask(f"GRANT {right} ON {_target(schema, table)} TO %s@'%%'", (username,))
            except pymysql.err.ProgrammingError as exc:
                raise MigrationFailed(
                    f"grants.toml: {right} on {schema}.{table} for {username}: {exc}",
                    file="grants.toml",
                ) from exc
            changes.append(f"{username}: granted {right} on {schema}.{table}")
        return changes

    def _held(self, username: str) -> set[_Right]:
        grantee = f"'{username}'@'%'"
        tables = self._ask(
            "SELECT table_schema, table_name, privilege_type"
            " FROM information_schema.table_privileges WHERE grantee = %s",
            (grantee,),
        )
        schemas = self._ask(
            "SELECT table_schema, privilege_type FROM information_schema.schema_privileges"
            " WHERE grantee = %s",
            (grantee,),
        )
        return {(str(s), str(t), str(right)) for s, t, right in tables} | {
            (str(s), "*", str(right)) for s, right in schemas
        }

    def _ask(self, sql: str, values: Sequence[object] = ()) -> Sequence[tuple[Any, ...]]:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql, values or None)
                return cursor.fetchall()
        except (pymysql.err.OperationalError, pymysql.err.InterfaceError, OSError) as exc:
            if self._connection.open:
                raise
            raise Unavailable("the database connection was lost") from exc


def _target(schema: str, table: str) -> str:
    """The object of a GRANT, quoted; `*` stands for all tables."""
    return f"{_quoted(schema)}.{table if table == '*' else _quoted(table)}"


def _quoted(name: str) -> str:
    # A percent sign would be read as a parameter of the statement.
    return "`" + name.replace("`", "``").replace("%", "%%") + "`"
