"""The databases of one stack brought to the state of `infra/migrations`, by the product's own
runner.
"""

from pathlib import Path

from infra.local.mariadb import MariaDb
from infra.local.postgres import Postgres
from infra.local.stack import Stack
from orion.adapters.mysql.session import MySqlConfig
from orion.adapters.postgres.config import PostgresConfig
from orion.arch.folder import read_sources
from orion.arch.model import read_layout
from orion.arch.ports import Password
from orion.arch.service import Report
from orion.runtime.arch import run_with

FOLDER = Path(__file__).resolve().parents[1] / "migrations"


def mysql_principals() -> tuple[str, ...]:
    """Principals that own a schema or read in some, sorted."""
    return read_layout(read_sources(FOLDER).layout).mysql_principals


def postgres_principals() -> tuple[str, ...]:
    """Principals with rights in the external database, sorted."""
    return read_layout(read_sources(FOLDER).layout).postgres_principals


def migrate(mysql: MariaDb, postgres: Postgres | None) -> Report:
    """Apply what is due as administrator; safe to repeat. PostgreSQL is left alone when None."""
    passwords = {}
    for principal in mysql_principals():
        login = mysql.credentials(principal)
        passwords[principal] = Password(login.username, login.password)
    admin = mysql.admin
    system_of_record = MySqlConfig(
        host=mysql.host,
        port=mysql.port,
        user=admin.username,
        password=admin.password,
        schema="",
        ca_pem=mysql.ca_pem,
    )
    if postgres is None:
        return run_with(FOLDER, passwords, system_of_record, None, {})
    external = {}
    for principal in postgres_principals():
        login = postgres.credentials(principal)
        external[principal] = Password(login.username, login.password)
    return run_with(FOLDER, passwords, system_of_record, _external(postgres), external)


def apply(stack: Stack) -> None:
    """Both databases of a running stack."""
    report = migrate(stack.mariadb, stack.postgres)
    if report.steps:
        stack.report(f"    {len(report.steps)} migrations applied")


def _external(postgres: Postgres) -> PostgresConfig:
    admin = postgres.admin
    return PostgresConfig(
        host=postgres.host,
        port=postgres.port,
        user=admin.username,
        password=admin.password,
        database=postgres.database,
        ca_pem=postgres.ca_pem,
    )
