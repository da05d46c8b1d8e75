"""A session's connection between two transactions: believed while it has just answered, asked when
it lay idle, replaced when it is gone.
"""

import time
from collections.abc import Iterator

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql.session import Cursor, Database, DatabaseUnavailable
from tests.engine.ledger_store_scene import config, empty_ledger, rows

pytestmark = pytest.mark.engine

STORE = "INSERT INTO consumer_offset (topic, partition_no, next_offset) VALUES ('session', 0, 1)"
STORED = "SELECT COUNT(*) FROM consumer_offset WHERE topic = 'session'"


@pytest.fixture
def admin(mysql_admin: MariaDb) -> Iterator[Cursor]:
    with empty_ledger(mysql_admin) as cursor:
        yield cursor


@pytest.fixture
def database(mysql_admin: MariaDb) -> Iterator[Database]:
    found = Database(config(mysql_admin))
    yield found
    found.close()


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """As if the process had been frozen for so long (negative: its clock was put back)."""
    now_s = time.time()
    monkeypatch.setattr(time, "time", lambda: now_s + seconds)


def end_of(admin: Cursor, database: Database) -> None:
    """The server ends the session, as it does when a proxy or a failover takes it away."""
    ((thread,),) = database.run(lambda cursor: _all(cursor, "SELECT CONNECTION_ID()"))
    admin.execute(f"KILL {thread:d}")


def _all(cursor: Cursor, sql: str) -> tuple[tuple[int, ...], ...]:
    cursor.execute(sql)
    return tuple(cursor.fetchall())


@pytest.mark.parametrize("seconds", [2.0, -2.0])
def test_a_connection_that_was_ended_while_the_process_was_frozen_is_replaced_unnoticed(
    admin: Cursor, database: Database, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    end_of(admin, database)
    later(monkeypatch, seconds)
    database.run(lambda cursor: cursor.execute(STORE))
    assert database.opened == 2
    assert rows(admin, STORED) == [(1,)]


def test_a_connection_that_is_ended_a_moment_after_it_answered_has_no_effect_and_is_replaced(
    admin: Cursor, database: Database
) -> None:
    end_of(admin, database)
    with pytest.raises(DatabaseUnavailable):
        database.run(lambda cursor: cursor.execute(STORE))
    assert rows(admin, STORED) == [(0,)]
    database.run(lambda cursor: cursor.execute(STORE))
    assert rows(admin, STORED) == [(1,)]


def test_transactions_one_after_another_ask_nothing_but_their_own_statements(
    database: Database,
) -> None:
    def asked() -> int:
        ((_, number),) = database.run(lambda c: _all(c, "SHOW SESSION STATUS LIKE 'Questions'"))
        return int(number)

    # The question itself, its commit, and nothing between them.
    before = asked()
    assert asked() - before == 2


def test_each_transaction_is_undone_alone(admin: Cursor, database: Database) -> None:
    database.run(lambda cursor: cursor.execute(STORE))

    def fail(cursor: Cursor) -> None:
        cursor.execute("DELETE FROM consumer_offset WHERE topic = 'session'")
        raise ValueError("undone")

    with pytest.raises(ValueError, match="undone"):
        database.run(fail)
    database.run(lambda cursor: cursor.execute("SELECT 1"))
    assert rows(admin, STORED) == [(1,)]
