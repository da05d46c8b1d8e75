"""Several reads in one round trip say what each would say alone, of every type that is read so."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql.one_trip import Columns, Question, ask
from orion.adapters.mysql.session import Cursor, Database
from tests.engine.ledger_store_scene import config

pytestmark = pytest.mark.engine

COLUMNS = Columns({"number": int, "body": bytes, "word": str, "at": datetime})
# As a DATETIME column holds moments: without a zone.
WHOLE = datetime.fromisoformat("2026-01-02")
EXACT = datetime.fromisoformat("2026-01-02T03:04:05.000060")
ROWS: list[tuple[Any, ...]] = [
    (2**128 - 1, b"\x00\xff'\\\"", "\u6bd4\u7279 \"quoted\" \\ 'and' \n", WHOLE),
    (0, b"", "", EXACT),
    (None, None, None, None),
]


@pytest.fixture
def database(mysql_admin: MariaDb) -> Iterator[Database]:
    found = Database(config(mysql_admin))
    yield found
    found.close()


def filled(cursor: Cursor) -> None:
    cursor.execute("DROP TEMPORARY TABLE IF EXISTS typed")
    cursor.execute(
        "CREATE TEMPORARY TABLE typed (number DECIMAL(39,0), body VARBINARY(64),"
        " word VARCHAR(64) CHARACTER SET utf8mb4, at DATETIME(6))"
    )
    cursor.executemany("INSERT INTO typed VALUES (%s, %s, %s, %s)", ROWS)


@pytest.fixture
def typed(mysql_admin: MariaDb) -> Iterator[Cursor]:
    connection = mysql_admin.connect()
    with connection.cursor() as cursor:
        cursor.execute("USE orion_ledger")
        filled(cursor)
        yield cursor
    connection.close()


def test_values_of_every_type_come_as_they_were_stored(typed: Cursor) -> None:
    [rows] = ask(typed, [Question(COLUMNS, "FROM typed")])
    assert sorted(rows, key=str) == sorted(ROWS, key=str)


def test_each_question_has_its_own_rows_and_values(typed: Cursor) -> None:
    number = Question(Columns({"number": int}), "FROM typed WHERE word = %s", ("",))
    body = Question(Columns({"body": bytes, "at": datetime}), "FROM typed WHERE number > %s", (1,))
    nothing = Question(COLUMNS, "FROM typed WHERE word = %s", ("%s",))
    assert ask(typed, [number, nothing, body]) == [[(0,)], [], [(ROWS[0][1], ROWS[0][3])]]


def test_a_row_that_one_question_locks_is_passed_over_by_another_transaction(
    mysql_admin: MariaDb, database: Database
) -> None:
    one = Question(Columns({"1": int}), "FROM DUAL")
    free = Question(
        Columns({"w.topic": str}),
        "FROM (SELECT topic FROM consumer_offset WHERE topic LIKE 'trip-%%'"
        " ORDER BY topic LIMIT 1 FOR UPDATE SKIP LOCKED) w",
    )
    database.run(
        lambda c: c.execute(
            "REPLACE INTO consumer_offset (topic, partition_no, next_offset)"
            " VALUES ('trip-a', 0, 1), ('trip-b', 0, 1)"
        )
    )
    other = Database(config(mysql_admin))
    with database.transaction() as first, other.transaction() as second:
        assert ask(first, [one, free]) == [[(1,)], [("trip-a",)]]
        assert ask(second, [one, free]) == [[(1,)], [("trip-b",)]]
    other.close()
    database.run(lambda c: c.execute("DELETE FROM consumer_offset WHERE topic LIKE 'trip-%'"))
