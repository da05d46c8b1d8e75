"""What failures of a PostgreSQL connection mean to a caller, on a real server."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest

from infra.local.authority import Authority
from infra.local.layout import Layout
from infra.local.postgres import Postgres
from orion.adapters.postgres import session
from orion.adapters.postgres.session import Cursor, Database, DatabaseUnavailable
from orion.errors import Retry
from tests.engine.external_book_scene import WRITER, Book, dropped, made

INSERT = "INSERT INTO external_book.cursor VALUES ('t', 0, 0, 1)"


@pytest.fixture(scope="module")
def book(postgres_server: Postgres) -> Iterator[Book]:
    opened = made(postgres_server)
    yield opened
    dropped(opened)


@pytest.fixture
def database(book: Book) -> Iterator[Database]:
    book.ask("DELETE FROM external_book.cursor")
    opened = Database(book.config(WRITER))
    yield opened
    opened.close()


def rows(book: Book) -> int:
    return int(book.ask("SELECT count(*) FROM external_book.cursor")[0][0])


def test_what_raises_inside_a_transaction_takes_it_back(database: Database, book: Book) -> None:
    def work(cursor: Cursor) -> None:
        cursor.execute(INSERT)
        raise KeyError

    with pytest.raises(KeyError):
        database.run(work)
    # At once, and not only when the connection is used again: others wait for its locks.
    assert book.ask(
        "SELECT state FROM pg_stat_activity WHERE datname = %s AND usename = %s",
        book.database, WRITER,
    ) == [("idle",)]  # fmt: skip
    assert rows(book) == 0
    with database.transaction() as cursor:
        cursor.execute(INSERT)
    assert rows(book) == 1


def test_a_mistake_of_ours_is_no_outage_and_the_connection_stays_good(
    database: Database, book: Book
) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable), database.transaction() as cursor:
        cursor.execute("SELECT * FROM external_book.nothing")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), database.transaction() as cursor:
        cursor.execute("DELETE FROM external_book.cursor")
    with database.transaction() as cursor:
        cursor.execute(INSERT)
    assert rows(book) == 1


def test_a_lock_that_others_keep_is_tried_again_and_then_an_outage(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "LOCK_TIMEOUT_MS", 20)
    tries = []

    def work(cursor: Cursor) -> None:
        tries.append(1)
        cursor.execute("UPDATE external_book.cursor SET next_offset = 5")

    with closing(book.connection("admin")) as holder:
        holder.execute(b"DELETE FROM external_book.cursor")
        holder.execute(INSERT.encode())
        holder.execute(b"BEGIN")
        holder.execute(b"SELECT * FROM external_book.cursor FOR UPDATE")
        with (
            closing(Database(book.config(WRITER))) as database,
            pytest.raises(DatabaseUnavailable) as caught,
        ):
            database.run(work)
    assert len(tries) == 3
    assert caught.value.retry is Retry.SAME_KEY
    assert book.ask("SELECT next_offset FROM external_book.cursor") == [(0,)]


def test_a_statement_without_end_is_broken_off(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "STATEMENT_TIMEOUT_MS", 20)
    with closing(Database(book.config(WRITER))) as database, pytest.raises(DatabaseUnavailable):
        database.run(lambda cursor: cursor.execute("SELECT pg_sleep(60)"))


def test_a_server_that_only_reads_is_left(database: Database, book: Book) -> None:
    def work(cursor: Cursor) -> None:
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        cursor.execute("COMMIT")
        cursor.execute(INSERT)

    with pytest.raises(DatabaseUnavailable):
        database.run(work)
    with database.transaction() as cursor:
        cursor.execute(INSERT)
    assert rows(book) == 1


def test_a_transaction_that_lies_idle_loses_its_locks(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was frozen in the middle must not keep its successors waiting."""
    monkeypatch.setattr(session, "IDLE_TIMEOUT_MS", 30)

    def frozen(cursor: Cursor) -> None:
        cursor.execute("SELECT * FROM external_book.cursor FOR UPDATE")
        while book.ask(
            "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND usename = %s",
            book.database, WRITER,
        ):  # fmt: skip
            pass
        cursor.execute("SELECT 1")

    with closing(Database(book.config(WRITER))) as database, pytest.raises(DatabaseUnavailable):
        database.run(frozen)


def test_a_server_of_another_authority_or_name_is_not_spoken_to(
    book: Book, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = book.config(WRITER)
    # libpq goes there, whatever name is asked for.
    monkeypatch.setenv("PGHOSTADDR", good.host)
    other = Authority(Layout(tmp_path_factory.mktemp("authority")))
    other.ensure()
    for config in (
        replace(good, ca_pem=other.ca_pem),
        replace(good, ca_pem=None),
        replace(good, host="elsewhere.example"),
        replace(good, password="another"),
        replace(good, port=1),
    ):
        with pytest.raises(DatabaseUnavailable), Database(config).transaction():
            pass
