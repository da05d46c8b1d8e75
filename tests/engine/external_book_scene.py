"""An external book of one test: a database of its own on the session's PostgreSQL."""

import secrets
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg

from infra.local.migrations import FOLDER
from infra.local.postgres import Postgres
from orion.adapters.postgres.config import PostgresConfig
from orion.adapters.postgres.migrations import PostgresMigrations
from orion.arch.folder import read_sources
from orion.arch.model import read_folder, read_layout
from orion.arch.ports import Password
from orion.arch.service import POSTGRES_FOLDER, POSTGRES_SCHEMA

WRITER, AUDITOR = "external-book", "book-auditor"


@dataclass(frozen=True)
class Book:
    """A migrated database with its users."""

    server: Postgres
    database: str

    def config(self, principal: str) -> PostgresConfig:
        """How a principal, or `admin`, comes in."""
        login = self.server.admin if principal == "admin" else self.server.credentials(principal)
        return PostgresConfig(
            self.server.host, self.server.port, login.username, login.password, self.database,
            self.server.ca_pem,
        )  # fmt: skip

    def connection(self, principal: str) -> "psycopg.Connection[tuple[Any, ...]]":
        """Autocommitting."""
        config = self.config(principal)
        return psycopg.connect(
            host=config.host, port=config.port, user=config.user, password=config.password,
            dbname=config.database, sslmode="verify-full", sslrootcert=self.server.ca_path,
            autocommit=True,
        )  # fmt: skip

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """As the administrator."""
        with closing(self.connection("admin")) as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def set_up(self) -> Sequence[str]:
        """Migrate and let the users in, as a deployment does; which rights changed."""
        sources = read_sources(FOLDER)
        layout = read_layout(sources.layout)
        changes: list[str] = []
        with closing(PostgresMigrations(self.config("admin"))) as runner:
            runner.create_schema(POSTGRES_SCHEMA)
            if not runner.applied(POSTGRES_SCHEMA):
                for migration in read_folder(POSTGRES_FOLDER, sources.postgres):
                    runner.apply(POSTGRES_SCHEMA, migration)
            for principal in layout.postgres_principals:
                login = self.server.credentials(principal)
                runner.create_principal(Password(login.username, login.password))
                grants = [grant for grant in layout.postgres if grant.principal == principal]
                changes += runner.set_rights(login.username, [], grants)
        return changes


def made(server: Postgres) -> Book:
    """A new empty book."""
    book = Book(server, "t" + secrets.token_hex(4))
    book.set_up()
    return book


def dropped(book: Book) -> None:
    """Its sessions end with it."""
    with closing(book.server.connect("postgres")) as connection:
        connection.execute(f'DROP DATABASE "{book.database}" WITH (FORCE)'.encode())
