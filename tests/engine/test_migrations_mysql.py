"""The runner on a real MariaDB: recorded, locked, half-done files named, users without DDL."""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pymysql
import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql import migrations
from orion.adapters.mysql.migrations import MySqlMigrations
from orion.adapters.mysql.session import MySqlConfig
from orion.arch.model import (
    MigrationChanged,
    MigrationFailed,
    MigrationHalfDone,
    MigrationLocked,
)
from orion.arch.ports import Password, Sources
from orion.arch.service import Report, migrate
from orion.errors import Unavailable

WAIT_S = 20
ONE = {"0001_one.sql": b"CREATE TABLE one (x INT NOT NULL PRIMARY KEY);\n"}
TWO = {"0001_two.sql": b"CREATE TABLE two (x INT);\nINSERT INTO two VALUES (1);\n"}


class Place:
    """A schema and a user of one test, so that tests do not see each other."""

    def __init__(self, server: MariaDb) -> None:
        self.server = server
        self.word = "t" + secrets.token_hex(4)
        self.schema = f"orion_{self.word}"
        self.password = Password(self.word, "quote ' and % sign")

    def config(self) -> MySqlConfig:
        admin = self.server.admin
        return MySqlConfig(
            self.server.host, self.server.port, admin.username, admin.password, "",
            self.server.ca_pem,
        )  # fmt: skip

    def migrate(
        self, own: dict[str, bytes], every: dict[str, bytes] = ONE, *, grants: str = ""
    ) -> Report:
        layout = (
            f'[[schema]]\nname = "{self.schema}"\n'
            f'module = "{self.word}"\nprincipal = "{self.word}"\n'
        )
        sources = Sources((layout + grants).encode(), {"every": every, self.word: own}, {})
        with closing(MySqlMigrations(self.config())) as server:
            return migrate(sources, {self.word: self.password}, server, None)

    def user(self, *, tls: bool = True) -> pymysql.Connection:
        return pymysql.connect(
            host=self.server.host, port=self.server.port, user=self.word,
            password=self.password.password, database=self.schema, autocommit=True,
            ssl={"ca": self.server.ca_path} if tls else None, ssl_disabled=not tls,
        )  # fmt: skip


@pytest.fixture
def place(mysql_server: MariaDb) -> Iterator[Place]:
    made = Place(mysql_server)
    yield made
    with closing(mysql_server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {made.schema}")
        cursor.execute("DROP USER IF EXISTS %s", (made.word,))


def ask(place: Place, sql: str) -> list[tuple[Any, ...]]:
    with closing(place.server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"USE {place.schema}")
        cursor.execute(sql)
        connection.commit()
        return list(cursor.fetchall())


def test_files_run_once_and_are_recorded_with_their_digest_and_duration(place: Place) -> None:
    assert [step.file for step in place.migrate(TWO).steps] == [
        "every/0001_one.sql",
        f"{place.word}/0001_two.sql",
    ]
    assert place.migrate(TWO) == Report((), (place.word,), ())
    assert ask(place, "SELECT COUNT(*) FROM two") == [(1,)]
    recorded = ask(
        place,
        "SELECT HEX(sha256) = UPPER(SHA2('CREATE TABLE one (x INT NOT NULL PRIMARY KEY);\n', 256)),"
        " statements_done, duration_ms >= 0, finished_at >= started_at"
        " FROM schema_migration WHERE file = 'every/0001_one.sql'",
    )
    assert recorded == [(1, 1, 1, 1)]


def test_a_changed_file_is_refused_and_nothing_runs(place: Place) -> None:
    place.migrate(TWO)
    changed = {
        "0001_two.sql": TWO["0001_two.sql"] + b"\n",
        "0002_x.sql": b"CREATE TABLE x (x INT);",
    }
    with pytest.raises(MigrationChanged, match=r"0001_two.sql"):
        place.migrate(changed)
    assert ask(place, "SHOW TABLES LIKE 'x'") == []


def test_a_file_that_fails_after_its_first_statement_stays_named_until_a_person_looked(
    place: Place,
) -> None:
    broken = {"0001_two.sql": b"CREATE TABLE two (x INT);\nINSERT INTO nowhere VALUES (1);\n"}
    with pytest.raises(MigrationFailed, match=r"0001_two.sql, statement 2.*nowhere"):
        place.migrate(broken)
    with pytest.raises(MigrationHalfDone, match=r"0001_two.sql .* 1 of its statements"):
        place.migrate(broken)
    ask(place, "DROP TABLE two")
    ask(place, "DELETE FROM schema_migration WHERE finished_at IS NULL")
    assert len(place.migrate(TWO).steps) == 1


def test_a_file_refused_at_its_first_statement_may_be_mended_and_run_again(place: Place) -> None:
    with pytest.raises(MigrationFailed, match="statement 1"):
        place.migrate({"0001_two.sql": b"CREATE TABEL two (x INT);\n"})
    assert len(place.migrate(TWO).steps) == 1


def test_a_run_killed_inside_a_file_is_seen_by_the_next_one(place: Place) -> None:
    place.migrate({})
    faults: list[Exception] = []

    def run() -> None:
        try:
            place.migrate({"0001_two.sql": b"CREATE TABLE two (x INT);\nDROP TABLE one;\n"})
        except Unavailable as exc:
            faults.append(exc)

    with closing(place.server.connect()) as holder, holder.cursor() as cursor:
        # A reader's metadata lock holds the second statement where it is.
        holder.begin()
        cursor.execute(f"SELECT * FROM {place.schema}.one")
        runner = threading.Thread(target=run)
        runner.start()
        _kill_when_waiting(holder_of=place, statement="DROP TABLE one")
        runner.join(WAIT_S)
        holder.rollback()
    assert len(faults) == 1
    with pytest.raises(MigrationHalfDone, match=r"0001_two.sql .* 1 of its statements"):
        place.migrate(TWO)


def _kill_when_waiting(*, holder_of: Place, statement: str) -> None:
    deadline = time.monotonic() + WAIT_S
    with closing(holder_of.server.connect()) as connection, connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute(
                "SELECT id FROM information_schema.processlist WHERE info = %s", (statement,)
            )
            found = cursor.fetchone()
            if found is not None:
                cursor.execute("KILL CONNECTION %s", (found[0],))
                return
            time.sleep(0.01)
    raise AssertionError("the runner never came to the statement")


def test_a_second_runner_waits_for_the_first_and_gives_up_by_name(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_WAIT_S", 1)
    with (
        closing(MySqlMigrations(place.config())) as first,
        first.exclusive(),
        pytest.raises(MigrationLocked),
    ):
        place.migrate(TWO)
    assert len(place.migrate(TWO).steps) == 2


def test_two_runners_at_once_apply_every_file_once(place: Place) -> None:
    reports: list[Report] = []
    runners = [
        threading.Thread(target=lambda: reports.append(place.migrate(TWO))) for _ in range(3)
    ]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join(WAIT_S)
    assert sorted(len(report.steps) for report in reports) == [0, 0, 2]


def test_a_modules_user_reads_and_writes_rows_but_changes_no_table_and_needs_tls(
    place: Place,
) -> None:
    place.migrate(TWO)
    with closing(place.user()) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO two VALUES (2)")
        cursor.execute("UPDATE two SET x = 3 WHERE x = 2")
        cursor.execute("DELETE FROM two WHERE x = 3")
        for ddl in ("CREATE TABLE x (x INT)", "ALTER TABLE two ADD y INT", "DROP TABLE two"):
            with pytest.raises(pymysql.err.OperationalError, match="denied"):
                cursor.execute(ddl)
        with pytest.raises(pymysql.err.OperationalError, match="denied"):
            cursor.execute("SELECT * FROM mysql.user")
    ((created,),) = ask(place, f"SHOW CREATE USER {place.word}")
    assert "REQUIRE SSL" in created
    with pytest.raises(pymysql.err.OperationalError):
        place.user(tls=False)


def test_a_right_that_left_the_file_is_revoked_and_wildcards_do_not_leak(place: Place) -> None:
    grant = (
        f'[[grant]]\nprincipal = "{place.word}"\ntable = "{place.schema}.two"\n'
        'rights = ["SELECT"]\nwhy = "a test"\n'
    )
    assert (
        f"{place.word}: granted SELECT on {place.schema}.two"
        in place.migrate(TWO, grants=grant).rights_changed
    )
    ask(place, f"GRANT DROP ON {place.schema}.* TO {place.word}")
    assert set(place.migrate(TWO).rights_changed) == {
        f"{place.word}: revoked SELECT on {place.schema}.two",
        f"{place.word}: revoked DROP on {place.schema}.*",
    }
    # `_` is a wildcard in a right on a schema: orionX… must not be reached by it.
    sibling = place.schema.replace("_", "x")
    ask(place, f"CREATE DATABASE {sibling}")
    try:
        with closing(place.user()) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW DATABASES")
            assert (sibling,) not in cursor.fetchall()
    finally:
        ask(place, f"DROP DATABASE {sibling}")


def test_a_new_password_replaces_the_old_one(place: Place) -> None:
    place.migrate(TWO)
    place.password = Password(place.word, "another")
    place.migrate(TWO)
    place.user().close()
