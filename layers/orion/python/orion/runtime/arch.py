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
from orion.runtime.settings import mysql_config, postgres_config, secret, settings


def run(folder: Path) -> Report:
    """Migrate the databases of this stage with the secrets of `arch`."""
    known = settings()
    sources = read_sources(folder)
    layout = read_layout(sources.layout)
    passwords = {
        principal: _password(secret(f"orion/{known.stage}/mysql/{principal}"))
        for principal in layout.mysql_principals
    }
    external_passwords = {
        principal: _password(secret(f"orion/{known.stage}/postgres/{principal}"))
        for principal in layout.postgres_principals
    }
    return run_with(
        folder,
        passwords,
        mysql_config("arch", "", direct=True),
        postgres_config("arch"),
        external_passwords,
    )


def run_with(
    folder: Path,
    passwords: Mapping[str, Password],
    mysql: MySqlConfig,
    external: PostgresConfig | None,
    external_passwords: Mapping[str, Password],
) -> Report:
    """The same with configurations at hand; without `external` PostgreSQL is left alone."""
    sources = read_sources(folder)
    with closing(MySqlMigrations(mysql)) as system_of_record:
        if external is None:
            return migrate(sources, passwords, system_of_record, None)
        with closing(PostgresMigrations(external)) as external_book:
            return migrate(sources, passwords, system_of_record, external_book, external_passwords)


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
