"""The runner on a real PostgreSQL: a file and its record are one transaction."""

import secrets
from collections.abc import Iterator
from contextlib import closing

import pytest

from infra.local.postgres import Postgres
from orion.adapters.postgres import migrations
from orion.adapters.postgres.config import PostgresConfig
from orion.adapters.postgres.migrations import PostgresMigrations
from orion.arch.model import Migration, MigrationFailed, MigrationLocked, due, read_folder

GOOD = b"CREATE TABLE one (x integer);\nINSERT INTO one VALUES (1);\n"


@pytest.fixture
def config(postgres_server: Postgres) -> PostgresConfig:
    """A database of this test's own; the runner makes it."""
    admin = postgres_server.admin
    return PostgresConfig(
        postgres_server.host, postgres_server.port, admin.username, admin.password,
        "t" + secrets.token_hex(4), postgres_server.ca_pem,
    )  # fmt: skip


@pytest.fixture
def server(config: PostgresConfig) -> Iterator[PostgresMigrations]:
    with closing(PostgresMigrations(config)) as opened:
        opened.create_schema("records")
        yield opened


def only(content: bytes) -> Migration:
    (migration,) = read_folder("postgres", {"0001_one.sql": content})
    return migration


def test_a_file_runs_once_and_is_recorded(server: PostgresMigrations) -> None:
    server.apply("records", only(GOOD))
    server.create_schema("records")
    assert due([only(GOOD)], server.applied("records")) == ()


def test_a_file_that_fails_leaves_nothing_behind(server: PostgresMigrations) -> None:
    with pytest.raises(
        MigrationFailed, match=r"(?s)0001_one.sql, statement 2.*nothing of the file"
    ):
        server.apply(
            "records", only(b"CREATE TABLE one (x integer);\nINSERT INTO nowhere VALUES (1);")
        )
    assert server.applied("records") == []
    server.apply("records", only(GOOD))


def test_a_percent_sign_in_a_statement_is_only_a_character(server: PostgresMigrations) -> None:
    server.apply("records", only(b"CREATE TABLE one (x text CHECK (x LIKE 'a%s'));\n"))
    assert len(server.applied("records")) == 1


def test_a_second_runner_is_refused_while_the_first_holds_the_lock(
    server: PostgresMigrations, config: PostgresConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_WAIT_S", 0)
    with closing(PostgresMigrations(config)) as second:
        with server.exclusive(), pytest.raises(MigrationLocked), second.exclusive():
            pass
        with second.exclusive():
            pass
