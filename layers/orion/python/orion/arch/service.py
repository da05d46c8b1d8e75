"""Bring the databases to the state that the files describe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orion.arch.model import (
    Layout,
    MalformedMigration,
    Migration,
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
    postgres: MigrationServer | None,
) -> Report:
    """Create schemas, run what is due, create users and set their rights; safe to repeat.

    `passwords` maps each principal of the layout to its secret. All files of a schema are judged
    before its first statement runs. PostgreSQL is left alone when `postgres` is None.
    """
    layout = read_layout(sources.layout)
    _check_complete(layout, sources, passwords)
    every = read_folder(EVERY, sources.mysql.get(EVERY, {}))
    steps: list[Step] = []
    changed: list[str] = []
    with mysql.exclusive():
        for schema in layout.schemas:
            files = every + read_folder(schema.module, sources.mysql.get(schema.module, {}))
            steps += _bring_up(mysql, schema.name, files)
        principals = sorted({schema.principal for schema in layout.schemas})
        for principal in principals:
            secret = passwords[principal]
            mysql.create_principal(secret)
            changed += mysql.set_rights(
                secret.username,
                [schema for schema in layout.schemas if schema.principal == principal],
                [grant for grant in layout.grants if grant.principal == principal],
            )
    if postgres is not None:
        files = read_folder(POSTGRES_FOLDER, sources.postgres)
        with postgres.exclusive():
            steps += _bring_up(postgres, POSTGRES_SCHEMA, files)
    return Report(tuple(steps), tuple(principals), tuple(changed))


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
    principals = {schema.principal for schema in layout.schemas}
    for grant in layout.grants:
        if grant.principal not in principals:
            raise MalformedMigration(
                f"grants.toml: {grant.principal} has a grant but no schema", file="grants.toml"
            )
    for principal in sorted(principals - set(passwords)):
        raise MalformedMigration(f"no password for principal {principal}", principal=principal)
