"""An event id stands for one content: told again it is one event, other content is an error."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql import outbox
from orion.adapters.mysql.outbox import EventDiffers, OutboxRow, kafka_row
from orion.adapters.mysql.session import Cursor, Database, MySqlConfig
from orion.ids import fact_id

pytestmark = pytest.mark.engine

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STATEMENTS = "SHOW SESSION STATUS LIKE 'Com_select'"


@pytest.fixture
def database(mysql_admin: MariaDb) -> Iterator[Database]:
    login = mysql_admin.credentials("user")
    opened = Database(
        MySqlConfig(
            mysql_admin.host,
            mysql_admin.port,
            login.username,
            login.password,
            "orion_user",
            mysql_admin.ca_pem,
        )
    )
    opened.run(lambda cursor: cursor.execute("DELETE FROM outbox"))
    yield opened
    opened.run(lambda cursor: cursor.execute("DELETE FROM outbox"))
    opened.close()


def event(number: int, **said: object) -> OutboxRow:
    body = {"v": 1, "trace_id": "ab" * 16, "at": "2026-01-02T03:04:05Z", "n": number}
    return kafka_row("audit.events", "user", body | said, fact_id("outbox-identity", number))


def append(database: Database, *rows: OutboxRow) -> None:
    database.run(lambda cursor: outbox.append(cursor, rows, NOW))


def payloads(database: Database) -> list[bytes]:
    def read(cursor: Cursor) -> list[bytes]:
        cursor.execute("SELECT payload FROM outbox ORDER BY seq")
        return [payload for (payload,) in cursor.fetchall()]

    return database.run(read)


def test_an_event_told_again_at_another_time_for_another_request_is_one_event(
    database: Database,
) -> None:
    first = event(1)
    append(database, first, first)
    append(database, event(1, trace_id="cd" * 16, at="2027-01-01T00:00:00Z"), first)
    assert payloads(database) == [first.payload]


@pytest.mark.parametrize(
    "other",
    [
        event(1, units="2"),
        event(1, v=2),
        replace(event(1), destination="kafka:ledger.transfers"),
        replace(event(1), key=b"billing"),
    ],
    ids=["more", "changed", "elsewhere", "another key"],
)
def test_other_content_under_a_stored_event_is_an_error_and_stores_nothing(
    database: Database, other: OutboxRow
) -> None:
    append(database, event(1))
    with pytest.raises(EventDiffers) as raised:
        append(database, event(2), other)
    assert raised.value.fields["event"] == other.event_id.hex()
    assert payloads(database) == [event(1).payload]


def test_two_contents_of_one_event_in_one_call_are_an_error(database: Database) -> None:
    with pytest.raises(EventDiffers):
        append(database, event(1), event(1, units="2"))
    assert payloads(database) == []


def test_one_that_differs_is_found_wherever_it_stands_among_many(database: Database) -> None:
    rows = [event(number) for number in range(700)]
    append(database, *rows)
    append(database, *rows)
    for place in (0, 49, 50, 499, 500, 699):
        with pytest.raises(EventDiffers):
            append(database, *rows[:place], event(place, units="2"), *rows[place + 1 :])
    assert payloads(database) == [row.payload for row in rows]


def test_new_events_are_stored_without_reading_any(database: Database) -> None:
    def reads(cursor: Cursor) -> int:
        cursor.execute(STATEMENTS)
        ((_, count),) = cursor.fetchall()
        return int(count)

    def work(cursor: Cursor) -> int:
        before = reads(cursor)
        outbox.append(cursor, [event(number) for number in range(20)], NOW)
        return reads(cursor) - before

    assert database.run(work) == 0
    assert database.run(work) == 1
