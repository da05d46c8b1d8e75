"""What the migration service needs of a database server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from orion.arch.model import Applied, Grant, Migration, Schema


@dataclass(frozen=True, slots=True)
class Sources:
    """The content of the migrations folder: file name to bytes, by folder name.

    `mysql` has the folders "every" and one for each module; `postgres` is one flat folder.
    """

    layout: bytes
    mysql: Mapping[str, Mapping[str, bytes]]
    postgres: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Password:
    """A principal's name at the database and its password, which no representation shows."""

    username: str
    password: str = field(repr=False)


class MigrationServer(Protocol):
    """One database server, seen by the runner. Raises Unavailable when the connection fails."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Hold the server-wide lock of the runners; raises MigrationLocked after a bounded wait."""
        ...

    def create_schema(self, schema: str) -> None:
        """Create `schema` with its table of applied migrations; no-op when both exist."""
        ...

    def applied(self, schema: str) -> Sequence[Applied]:
        """Every recorded migration of `schema`, finished or not."""
        ...

    def apply(self, schema: str, migration: Migration) -> int:
        """Run one file as one recorded step and return its duration in ms.

        Raises MigrationFailed with the statement's number and the server's words. Where DDL is not
        transactional the record keeps how far the file came, and `applied` shows it as unfinished.
        """
        ...


class PrincipalServer(MigrationServer, Protocol):
    """A server that also keeps the modules' users."""

    def create_principal(self, password: Password) -> None:
        """Create the user or set its password.

        TLS is required of it: by the user itself (MySQL), or by the server's rules for everybody
        (PostgreSQL: `hostssl`, rds.force_ssl).
        """
        ...

    def set_rights(
        self, username: str, own: Sequence[Schema], grants: Sequence[Grant]
    ) -> Sequence[str]:
        """Give the user exactly these rights and take all others; returns the changes as text.

        Own schemas: SELECT, INSERT, UPDATE, DELETE on all tables, and no DDL.
        """
        ...
