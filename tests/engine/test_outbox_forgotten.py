"""What was sent long ago goes as fast as it comes, and nothing goes that is still of use."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql.session import Cursor, Database, MySqlConfig
from orion.runtime.relay import FORGET_ROWS, forget_old

pytestmark = pytest.mark.engine

MANY = 4_200
MINUTE_MS = 60_000


class Context:
    """Lambda's, with a fixed time left."""

    def __init__(self, remaining_ms: int) -> None:
        self._remaining_ms = remaining_ms

    def get_remaining_time_in_millis(self) -> int:
        return self._remaining_ms


@pytest.fixture
def databases(mysql_admin: MariaDb) -> Iterator[Mapping[str, Database]]:
    opened = {name: Database(config(mysql_admin, name)) for name in ("user", "ledger")}
    for database in opened.values():
        database.run(empty)
    yield opened
    for database in opened.values():
        database.run(empty)
        database.close()


def config(server: MariaDb, principal: str) -> MySqlConfig:
    login = server.credentials(principal)
    place = (server.host, server.port, login.username, login.password)
    return MySqlConfig(*place, f"orion_{principal}", server.ca_pem)


def empty(cursor: Cursor) -> None:
    cursor.execute("DELETE FROM outbox")
    cursor.execute("DELETE FROM idempotency")


def ago(age: timedelta) -> datetime:
    return (datetime.now(UTC) - age).replace(tzinfo=None)


def store_sent(database: Database, first: int, count: int, age: timedelta | None) -> None:
    sent = None if age is None else ago(age)
    rows = [
        (n.to_bytes(16, "big"), sent, ago(timedelta(days=30))) for n in range(first, first + count)
    ]
    database.run(
        lambda cursor: cursor.executemany(
            "INSERT INTO outbox (event_id, destination, partition_key, payload, sent_at,"
            " created_at) VALUES (%s, 'kafka:audit.events', 'k', '{}', %s, %s)",
            rows,
        )
    )


def store_keys(database: Database, count: int, age: timedelta) -> None:
    rows = [(f"{age.days}-{n}", ago(age)) for n in range(count)]
    database.run(
        lambda cursor: cursor.executemany(
            "INSERT INTO idempotency (scope, idempotency_key, route, request_hash, created_at)"
            " VALUES ('s', %s, 'r', REPEAT('h', 32), %s)",
            rows,
        )
    )


def counts(database: Database) -> tuple[int, int]:
    def read(cursor: Cursor) -> tuple[int, int]:
        cursor.execute("SELECT (SELECT COUNT(*) FROM outbox), (SELECT COUNT(*) FROM idempotency)")
        ((sent, keys),) = cursor.fetchall()
        return int(sent), int(keys)

    return database.run(read)


def test_one_run_deletes_all_that_is_old_and_keeps_what_is_young_or_unsent(
    databases: Mapping[str, Database],
) -> None:
    database = databases["user"]
    store_sent(database, 0, MANY, timedelta(days=7, minutes=1))
    store_sent(database, MANY, 3, timedelta(days=6, hours=23))
    store_sent(database, MANY + 3, 2, None)
    store_keys(database, MANY, timedelta(days=8))
    store_keys(database, 1, timedelta(days=6))
    forget_old(database, "user", Context(MINUTE_MS))
    assert counts(database) == (5, 1)


def test_the_clean_up_stops_when_the_time_is_up_and_touches_both_tables(
    databases: Mapping[str, Database],
) -> None:
    database = databases["user"]
    store_sent(database, 0, 3 * FORGET_ROWS, timedelta(days=8))
    store_keys(database, 3 * FORGET_ROWS, timedelta(days=8))
    forget_old(database, "user", Context(10_000))
    assert counts(database) == (2 * FORGET_ROWS, 2 * FORGET_ROWS)


def test_the_ledger_keeps_what_it_sent_for_a_day(databases: Mapping[str, Database]) -> None:
    database = databases["ledger"]
    store_sent(database, 0, 10, timedelta(hours=24, minutes=1))
    store_sent(database, 10, 3, timedelta(hours=23))
    store_sent(database, 13, 2, None)
    forget_old(database, "ledger", Context(MINUTE_MS))
    assert counts(database) == (5, 0)
