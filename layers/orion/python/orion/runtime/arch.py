"""Composition of the module arch: the databases brought to the state of the migrations folder."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from orion.adapters.mysql.migrations import MySqlMigrations
from orion.adapters.mysql.session import MySqlConfig
from orion.adapters.postgres.config import PostgresConfig
from orion.adapters.postgres.migrations import PostgresMigrations
from orion.arch.folder import read_sources
from orion.arch.model import read_layout
from orion.arch.ports import Password
from orion.arch.service import Report, migrate
from orion.runtime.settings import mysql_config, secret, settings

POSTGRES_DATABASE = "orion"


def run(folder: Path) -> Report:
    """Migrate the databases of this stage with the secrets of `arch`."""
    known = settings()
    sources = read_sources(folder)
    passwords = {
        schema.principal: _password(secret(f"orion/{known.stage}/mysql/{schema.principal}"))
        for schema in read_layout(sources.layout).schemas
    }
    login = secret(f"orion/{known.stage}/postgres/arch")
    external = PostgresConfig(
        host=known.text("postgres/host"),
        port=known.number("postgres/port"),
        user=login["username"],
        password=login["password"],
        database=POSTGRES_DATABASE,
        ca_pem=known.ca_pem("postgres/ca-pem"),
    )
    return run_with(folder, passwords, mysql_config("arch", "", direct=True), external)


def run_with(
    folder: Path,
    passwords: Mapping[str, Password],
    mysql: MySqlConfig,
    external: PostgresConfig | None,
) -> Report:
    """The same with configurations at hand; without `external` PostgreSQL is left alone."""
    sources = read_sources(folder)
    with closing(MySqlMigrations(mysql)) as system_of_record:
        if external is None:
            return migrate(sources, passwords, system_of_record, None)
        with closing(PostgresMigrations(external)) as external_book:
            return migrate(sources, passwords, system_of_record, external_book)


def summary(report: Report) -> dict[str, object]:
    """`report` as JSON."""
    return {
        "applied": [
            {"schema": step.schema, "file": step.file, "duration_ms": step.duration_ms}
            for step in report.steps
        ],
        "principals": list(report.principals),
        "rights_changed": list(report.rights_changed),
    }


def _password(login: Mapping[str, str]) -> Password:
    return Password(login["username"], login["password"])
