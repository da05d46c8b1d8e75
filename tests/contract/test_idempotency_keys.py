"""The contract of idempotency keys, on the table that every module has."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest

from orion.adapters.mysql.idempotency import (
    Answer,
    IdempotencyKeyInFlight,
    IdempotencyKeyReused,
    forget,
    once,
)
from orion.adapters.mysql.session import Cursor, Database, MySqlConfig

pytestmark = pytest.mark.engine
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SHOWN = Answer(201, b'{"secret":"x"}', b'{"secret":null}')


@pytest.fixture
def databases(mysql_admin: Any) -> Iterator[list[Database]]:
    """Four connections of billing's user; its table of keys is empty."""
    login = mysql_admin.credentials("billing")
    config = MySqlConfig(
        mysql_admin.host,
        mysql_admin.port,
        login.username,
        login.password,
        "orion_billing",
        mysql_admin.ca_pem,
    )
    found = [Database(config) for _ in range(4)]
    found[0].run(lambda cursor: cursor.execute("DELETE FROM idempotency"))
    yield found
    for database in found:
        database.close()


class Effect:
    """Work whose every run is counted."""

    def __init__(self, error: Exception | None = None) -> None:
        self.runs = 0
        self.error = error

    def __call__(self) -> Answer:
        self.runs += 1
        if self.error is not None:
            raise self.error
        return SHOWN


def ask(cursor: Cursor, work: Effect, *, key: str = "k", payload: bytes = b"p") -> Answer:
    return once(
        cursor,
        scope=b"m" * 16,
        key=key,
        route="POST /v1/x",
        request_hash=payload.ljust(32),
        now=NOW,
        work=work,
    )


def test_the_first_answer_is_shown_whole_and_later_ones_without_secrets(
    databases: list[Database],
) -> None:
    work = Effect()
    assert databases[0].run(lambda cursor: ask(cursor, work)) == SHOWN
    assert databases[1].run(lambda cursor: ask(cursor, work)).body == SHOWN.kept
    assert work.runs == 1


def test_a_key_of_another_request_is_refused(databases: list[Database]) -> None:
    work = Effect()
    databases[0].run(lambda cursor: ask(cursor, work))
    with pytest.raises(IdempotencyKeyReused):
        databases[0].run(lambda cursor: ask(cursor, work, payload=b"q"))
    assert work.runs == 1


def test_a_failed_request_leaves_its_key_free(databases: list[Database]) -> None:
    with pytest.raises(ValueError, match="refused"):
        databases[0].run(lambda cursor: ask(cursor, Effect(ValueError("refused"))))
    assert databases[0].run(lambda cursor: ask(cursor, Effect(), payload=b"q")) == SHOWN


def test_keys_differ_by_the_case_of_their_letters(databases: list[Database]) -> None:
    work = Effect()
    for key in ("key", "KEY"):
        databases[0].run(lambda cursor, key=key: ask(cursor, work, key=key))  # type: ignore[misc]
    assert work.runs == 2


def test_a_request_that_never_ends_does_not_hold_others_for_ever(
    databases: list[Database],
) -> None:
    with databases[0].transaction() as cursor:
        ask(cursor, Effect())
        with pytest.raises(IdempotencyKeyInFlight):
            databases[1].run(lambda other: ask(other, Effect()))


def test_of_four_requests_at_once_one_has_an_effect(databases: list[Database]) -> None:
    for number in range(10):
        work, barrier = Effect(), Barrier(len(databases))

        def request(
            database: Database,
            key: str = f"k{number}",
            work: Effect = work,
            start: Barrier = barrier,
        ) -> Answer:
            start.wait()
            return database.run(lambda cursor: ask(cursor, work, key=key))

        with ThreadPoolExecutor(len(databases)) as pool:
            answers = list(pool.map(request, databases))
        assert work.runs == 1
        assert sorted(answer.body for answer in answers) == [SHOWN.body, *[SHOWN.kept] * 3]


def test_old_keys_are_forgotten_a_bounded_number_at_a_time(databases: list[Database]) -> None:
    for number in range(3):
        databases[0].run(lambda c, key=f"k{number}": ask(c, Effect(), key=key))  # type: ignore[misc]
    day = timedelta(days=1)
    counts = [
        databases[0].run(lambda cursor: forget(cursor, NOW + 2 * day, older_than=day, limit=2))
        for _ in range(3)
    ]
    assert counts == [2, 1, 0]
