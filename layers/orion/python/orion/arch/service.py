"""Bring the databases to the state that the files describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from orion.arch.model import (
    Grant,
    Layout,
    MalformedMigration,
    Migration,
    Schema,
    due,
    read_folder,
    read_layout,
)
from orion.arch.ports import MigrationServer, Password, PrincipalServer, Sources

EVERY = "every"
POSTGRES_FOLDER = "postgres"
POSTGRES_SCHEMA = "orion_migrations"


@dataclass(frozen=True, slots=True)
class Step:
    """One file applied by this run."""

    schema: str
    file: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Report:
    """What this run did; empty when everything stood already."""

    steps: tuple[Step, ...]
    principals: tuple[str, ...]
    rights_changed: tuple[str, ...]


def migrate(
    sources: Sources,
    passwords: Mapping[str, Password],
    mysql: PrincipalServer,
    postgres: PrincipalServer | None,
    postgres_passwords: Mapping[str, Password] = MappingProxyType({}),
) -> Report:
    """Create schemas, run what is due, create users and set their rights; safe to repeat.

    `passwords` and `postgres_passwords` map each principal of the layout to its secret at that
    server. All files of a schema are judged before its first statement runs. PostgreSQL is left
    alone when `postgres` is None.
    """
    layout = read_layout(sources.layout)
    _check_complete(layout, sources, passwords)
    if postgres is not None:
        _check_passwords(layout.postgres_principals, postgres_passwords)
    every = read_folder(EVERY, sources.mysql.get(EVERY, {}))
    steps: list[Step] = []
    changed: list[str] = []
    with mysql.exclusive():
        for schema in layout.schemas:
            files = every + read_folder(schema.module, sources.mysql.get(schema.module, {}))
            steps += _bring_up(mysql, schema.name, files)
        principals = list(layout.mysql_principals)
        for principal in principals:
            own = [schema for schema in layout.schemas if schema.principal == principal]
            changed += _let_in(mysql, passwords[principal], own, layout.grants, principal)
    if postgres is not None:
        files = read_folder(POSTGRES_FOLDER, sources.postgres)
        with postgres.exclusive():
            steps += _bring_up(postgres, POSTGRES_SCHEMA, files)
            for principal in layout.postgres_principals:
                secret = postgres_passwords[principal]
                changed += _let_in(postgres, secret, [], layout.postgres, principal)
                principals.append(principal)
    return Report(tuple(steps), tuple(principals), tuple(changed))


def _let_in(
    server: PrincipalServer,
    secret: Password,
    own: Sequence[Schema],
    grants: Sequence[Grant],
    principal: str,
) -> Sequence[str]:
    server.create_principal(secret)
    return server.set_rights(
        secret.username, own, [grant for grant in grants if grant.principal == principal]
    )


def _bring_up(server: MigrationServer, schema: str, files: tuple[Migration, ...]) -> list[Step]:
    server.create_schema(schema)
    return [
        Step(schema, migration.name, server.apply(schema, migration))
        for migration in due(files, server.applied(schema))
    ]


def _check_complete(layout: Layout, sources: Sources, passwords: Mapping[str, Password]) -> None:
    modules = {schema.module for schema in layout.schemas} | {EVERY}
    for folder in sorted(sources.mysql):
        if folder not in modules:
            raise MalformedMigration(f"mysql/{folder}: no schema in grants.toml", file=folder)
    principals = layout.mysql_principals
    for grant in layout.grants:
        if grant.principal not in principals:
            raise MalformedMigration(
                f"grants.toml: {grant.principal} owns and reads nothing", file="grants.toml"
            )
    _check_passwords(principals, passwords)


def _check_passwords(principals: Sequence[str], passwords: Mapping[str, Password]) -> None:
    for principal in principals:
        if principal not in passwords:
            raise MalformedMigration(f"no password for principal {principal}", principal=principal)
