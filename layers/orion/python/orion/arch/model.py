"""Which migrations are due, and why some must not run. Pure: files are bytes, the record is
rows."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from orion.errors import OrionError, Retry

MAX_FILE_BYTES = 1_000_000
MAX_FILES = 4_000
RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
# In its own schema a principal also runs the procedures, which have no rights but its own
# (SQL SECURITY INVOKER).
OWN_RIGHTS = (*RIGHTS, "EXECUTE")
# Schemas of the external database that principals may be let into.
POSTGRES_SCHEMAS = ("external_book",)

_NAME = re.compile(r"(?P<number>\d{4})_[a-z0-9]+(_[a-z0-9]+)*\.sql")
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,62}")
_PRINCIPAL = re.compile(r"[a-z][a-z0-9-]{0,30}")


class MalformedMigration(OrionError):
    """A migration file or the grants file cannot be read."""

    code: ClassVar[str] = "malformed_migration"
    retry: ClassVar[Retry] = Retry.NEVER


class MigrationChanged(OrionError):
    """A file that was applied has other bytes now. Migrations only go forward: write a new file."""

    code: ClassVar[str] = "migration_changed"
    retry: ClassVar[Retry] = Retry.NEVER


class MigrationMissing(OrionError):
    """An applied file is not in the folder any more: deleted or renamed."""

    code: ClassVar[str] = "migration_missing"
    retry: ClassVar[Retry] = Retry.NEVER


class MigrationGap(OrionError):
    """Numbers of a folder do not run 0001, 0002, … without gap or repetition."""

    code: ClassVar[str] = "migration_gap"
    retry: ClassVar[Retry] = Retry.NEVER


class MigrationHalfDone(OrionError):
    """An earlier run stopped inside a file. A person has to look: DDL is not transactional."""

    code: ClassVar[str] = "migration_half_done"
    retry: ClassVar[Retry] = Retry.NEVER


class MigrationFailed(OrionError):
    """The database refused a statement of a file."""

    code: ClassVar[str] = "migration_failed"
    retry: ClassVar[Retry] = Retry.NEVER


class MigrationLocked(OrionError):
    """Another runner holds the lock."""

    code: ClassVar[str] = "migration_locked"
    retry: ClassVar[Retry] = Retry.LATER


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. `name` is folder and file ("every/0001_outbox.sql"), `number` its place there."""

    name: str
    number: int
    sha256: bytes
    statements: tuple[str, ...]

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Applied:
    """One row of the record. `statements_done` counts those known to have succeeded."""

    name: str
    sha256: bytes
    statements_done: int
    finished: bool


@dataclass(frozen=True, slots=True)
class Schema:
    """A module's MySQL schema, its folder of migrations and the principal that owns its rows."""

    name: str
    module: str
    principal: str


@dataclass(frozen=True, slots=True)
class Grant:
    """A right across schemas, with its reason."""

    principal: str
    schema: str
    table: str
    rights: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything that `grants.toml` says; `postgres` are rights in the external database,
    `readers` are MySQL principals that own no schema and change nothing.
    """

    schemas: tuple[Schema, ...]
    grants: tuple[Grant, ...]
    postgres: tuple[Grant, ...] = ()
    readers: tuple[str, ...] = ()

    @property
    def mysql_principals(self) -> tuple[str, ...]:
        """Whoever owns a schema, and the readers, sorted."""
        return tuple(sorted({schema.principal for schema in self.schemas} | set(self.readers)))

    @property
    def postgres_principals(self) -> tuple[str, ...]:
        """Whoever has a right in the external database, sorted."""
        return tuple(sorted({grant.principal for grant in self.postgres}))


def read_migration(folder: str, file: str, content: bytes) -> Migration:
    """Parse one file. A statement ends with `;` at the end of a line; `--` starts a comment
    line."""
    name = f"{folder}/{file}"
    match = _NAME.fullmatch(file)
    if match is None:
        raise MalformedMigration(f"{name}: a migration is called NNNN_words.sql", file=name)
    if len(content) > MAX_FILE_BYTES:
        raise MalformedMigration(f"{name}: larger than {MAX_FILE_BYTES} bytes", file=name)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise MalformedMigration(f"{name}: not UTF-8", file=name) from exc
    return Migration(
        name=name,
        number=int(match["number"]),
        sha256=hashlib.sha256(content).digest(),
        statements=_statements(name, text),
    )


def _statements(name: str, text: str) -> tuple[str, ...]:
    found: list[str] = []
    current: list[str] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.rstrip()
        if not line or line.lstrip().startswith("--"):
            continue
        if "--" in line and line.endswith(";"):
            # A comment would hide the end of the statement, or be taken for one.
            raise MalformedMigration(
                f"{name} line {number}: no comment on a line that ends with `;`", file=name
            )
        current.append(line)
        if line.endswith(";"):
            found.append("\n".join(current)[:-1])
            current = []
    if current:
        raise MalformedMigration(f"{name}: the last statement has no `;`", file=name)
    if not found:
        raise MalformedMigration(f"{name}: no statement", file=name)
    return tuple(found)


def read_folder(folder: str, files: Mapping[str, bytes]) -> tuple[Migration, ...]:
    """All migrations of a folder in order. Raises MigrationGap when a number is missing or
    double."""
    if len(files) > MAX_FILES:
        raise MalformedMigration(f"{folder}: more than {MAX_FILES} files", file=folder)
    found = sorted(
        (read_migration(folder, file, content) for file, content in files.items()),
        key=lambda migration: migration.name,
    )
    for expected, migration in enumerate(found, start=1):
        if migration.number != expected:
            raise MigrationGap(
                f"{migration.name}: number {expected:04d} was expected at this place",
                file=migration.name,
            )
    return tuple(found)


def due(files: Sequence[Migration], applied: Sequence[Applied]) -> tuple[Migration, ...]:
    """The migrations that are still to run, in the order of `files`.

    `files` may join several folders, each already in order; every folder is judged by itself.
    Raises MigrationHalfDone, MigrationMissing, MigrationChanged or MigrationGap, naming the file.
    """
    by_name = {migration.name: migration for migration in files}
    for row in sorted(applied, key=lambda row: row.name):
        _check_applied(row, by_name.get(row.name))
    done = {row.name for row in applied}
    skipped: dict[str, str] = {}
    for migration in files:
        if migration.name not in done:
            skipped.setdefault(migration.folder, migration.name)
        elif migration.folder in skipped:
            earlier = skipped[migration.folder]
            raise MigrationGap(
                f"{earlier} was never applied, but {migration.name} was", file=earlier
            )
    return tuple(migration for migration in files if migration.name not in done)


def _check_applied(row: Applied, file: Migration | None) -> None:
    if not row.finished:
        raise MigrationHalfDone(
            f"{row.name} was started and did not finish: {row.statements_done} of its statements"
            " are done, the next one may be. Look at the schema; then either complete the file by"
            " hand and set finished_at in its row of schema_migration, or undo it by hand and"
            " delete the row.",
            file=row.name,
            statements_done=row.statements_done,
        )
    if file is None:
        raise MigrationMissing(
            f"{row.name} was applied, but there is no such file now", file=row.name
        )
    if file.sha256 != row.sha256:
        raise MigrationChanged(
            f"{row.name} was applied with SHA-256 {row.sha256.hex()}, the file now has "
            f"{file.sha256.hex()}: restore it and write a new migration",
            file=row.name,
        )


def read_layout(content: bytes) -> Layout:
    """Parse `grants.toml`.

    `[[schema]]` has name, module, principal; `[[grant]]` and `[[postgres]]` principal, table,
    rights, why. The first two are about MySQL, the third about PostgreSQL. `[[reader]]` has
    principal: one of MySQL with grants of SELECT only.
    """
    try:
        data = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise MalformedMigration(f"grants.toml: {exc}", file="grants.toml") from exc
    schemas = tuple(
        Schema(
            name=_text(row, "name", _IDENTIFIER),
            module=_text(row, "module", _IDENTIFIER),
            principal=_text(row, "principal", _PRINCIPAL),
        )
        for row in _rows(data, "schema")
    )
    names = [schema.name for schema in schemas]
    if len(set(names)) != len(names):
        raise MalformedMigration("grants.toml: a schema stands twice", file="grants.toml")
    grants = tuple(_grant(row, names) for row in _rows(data, "grant"))
    readers = tuple(_text(row, "principal", _PRINCIPAL) for row in _rows(data, "reader"))
    for grant in grants:
        if grant.principal in readers and grant.rights != ("SELECT",):
            raise MalformedMigration(
                f"grants.toml: {grant.principal} reads only", file="grants.toml"
            )
    return Layout(
        schemas,
        grants,
        tuple(_grant(row, POSTGRES_SCHEMAS) for row in _rows(data, "postgres")),
        readers,
    )


def _grant(row: Mapping[str, object], schemas: Sequence[str]) -> Grant:
    table = row.get("table")
    schema, _, bare = table.partition(".") if isinstance(table, str) else ("", "", "")
    if schema not in schemas or not _IDENTIFIER.fullmatch(bare):
        raise MalformedMigration(
            f"grants.toml: table {table!r} is not schema.table", file="grants.toml"
        )
    rights = row.get("rights")
    if not isinstance(rights, list) or not rights or any(right not in RIGHTS for right in rights):
        raise MalformedMigration(
            f"grants.toml: rights of {table} are {rights!r}", file="grants.toml"
        )
    why = row.get("why")
    if not isinstance(why, str) or not why.strip():
        raise MalformedMigration(
            f"grants.toml: the grant on {table} has no reason", file="grants.toml"
        )
    return Grant(_text(row, "principal", _PRINCIPAL), schema, bare, tuple(rights), why)


def _rows(data: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    rows = data.get(key, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise MalformedMigration(
            f"grants.toml: [[{key}]] is not a list of tables", file="grants.toml"
        )
    return rows


def _text(row: Mapping[str, object], key: str, form: re.Pattern[str]) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not form.fullmatch(value):
        raise MalformedMigration(f"grants.toml: {key} is {value!r}", file="grants.toml")
    return value
