"""The external book's writer on a real PostgreSQL: one effect a record, nothing skipped."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.local.postgres import Postgres
from orion.adapters.postgres import book_lines
from orion.adapters.postgres.external_book import PostgresExternalBook
from orion.adapters.postgres.session import Database, DatabaseUnavailable
from orion.ledger.book import entry_line
from orion.ledger.merkle import leaf
from orion.ledger.transfer_record import MalformedTransfer, read_posted
from orion.log.errors import ForeignShard, GapInBook
from orion.log.external_book.errors import BookDiffers, OffsetsWentBack
from orion.log.external_book.service import write_partition
from orion.records import Record
from tests.engine.external_book_scene import (
    AUDITOR,
    NOON,
    WRITER,
    Book,
    dropped,
    entry,
    every_kind,
    history,
    made,
    record,
)

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 60
# A writer as a process of its own: what it gets are the arguments of a configuration and records.
WRITER_PROCESS = """
import pickle, sys
config, records = pickle.load(sys.stdin.buffer)
from orion.adapters.postgres.external_book import PostgresExternalBook
from orion.adapters.postgres.session import Database
from orion.log.external_book.service import write_partition
print(write_partition(PostgresExternalBook(Database(config)), records).records)
"""


@pytest.fixture
def book(postgres_server: Postgres) -> Iterator[Book]:
    opened = made(postgres_server)
    yield opened
    dropped(opened)


def writer(book: Book) -> PostgresExternalBook:
    return PostgresExternalBook(Database(book.config(WRITER)))


def place(book: Book) -> list[tuple[Any, ...]]:
    return book.ask("SELECT partition_no, next_offset, next_number FROM external_book.cursor")


def stored(book: Book) -> list[bytes]:
    """The lines of all that the book holds, as the auditor reads them."""
    with closing(book.connection(AUDITOR)) as connection:
        rows = connection.execute(
            f"SELECT {book_lines.ENTRY_LINE_SQL} FROM external_book.entry"
            " ORDER BY shard_no, number, position".encode()
        )
        return [line for (line,) in rows]


def expected(records: Sequence[Record]) -> list[bytes]:
    told = [read_posted(each.value) for each in records]
    return [
        entry_line(one.shard, one.number, position, each, one.posted_at)
        for one in told
        for position, each in enumerate(one.entries)
    ]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


def waiting(book: Book) -> int:
    return int(
        book.ask(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND usename = %s"
            " AND wait_event_type = 'Lock'",
            book.database, WRITER,
        )[0][0]
    )  # fmt: skip


def test_the_server_writes_the_line_and_leaf_of_every_kind_of_entry_as_the_specification(
    book: Book,
) -> None:
    moments = [NOON, NOON.replace(microsecond=0), datetime(1999, 12, 31, 23, 59, 59, 1, UTC)]
    records = [
        record(number, every_kind(), posted_at=moment, shard=7) if number == 1 else
        record(number, [entry(1000 + number)], posted_at=moment, shard=7)
        for number, moment in enumerate(moments, start=1)
    ]  # fmt: skip
    write_partition(writer(book), records)

    assert stored(book) == expected(records)
    leaves = book.ask(
        f"SELECT {book_lines.LEAF_SQL} FROM external_book.entry ORDER BY number, position"
    )
    assert leaves == [(leaf(line),) for line in expected(records)]


def test_a_cause_that_is_no_text_gives_another_line_and_no_failure(book: Book) -> None:
    write_partition(writer(book), history(1))
    book.ask("ALTER TABLE external_book.entry DISABLE TRIGGER ALL")
    book.ask("UPDATE external_book.entry SET cause = '\\xff00fe' WHERE position = 1")
    assert [b'{"cause":\xff\x00\xfe,"code"' in line for line in stored(book)] == [
        False, True, False
    ]  # fmt: skip


def test_a_record_delivered_again_changes_nothing(book: Book) -> None:
    records = history(5)
    first = write_partition(writer(book), records)
    again = write_partition(writer(book), records)
    late = write_partition(writer(book), [replace(records[1], offset=9)])
    assert (first.records, first.entries, first.repeated) == (5, 15, 0)
    assert (again.records, again.entries, again.repeated) == (0, 0, 5)
    assert (late.records, late.repeated) == (0, 1)
    assert stored(book) == expected(records)
    assert place(book) == [(0, 10, 6)]


def test_repetitions_between_new_records_are_dropped_within_one_batch(book: Book) -> None:
    one, two, three = history(3)
    batch = [one, replace(one, offset=1), replace(two, offset=2), replace(one, offset=3),
             replace(two, offset=4), replace(three, offset=9)]  # fmt: skip
    written = write_partition(writer(book), batch)
    assert (written.records, written.repeated) == (3, 3)
    assert stored(book) == expected([one, two, three])
    assert place(book) == [(0, 10, 4)]


def test_a_missing_number_stops_the_partition_behind_what_precedes_it(book: Book) -> None:
    one, two, three, four = history(4)
    for _ in range(2):
        with pytest.raises(GapInBook) as caught:
            write_partition(writer(book), [one, three, four])
        assert caught.value.fields["number"] == 3
    assert stored(book) == expected([one])
    assert place(book) == [(0, 1, 2)]
    write_partition(writer(book), [two, three, four])
    assert stored(book) == expected([one, two, three, four])


def test_the_first_number_of_a_book_is_one(book: Book) -> None:
    with pytest.raises(GapInBook):
        write_partition(writer(book), history(2)[1:])
    assert stored(book) == []


@pytest.mark.parametrize("together", [True, False])
def test_a_number_told_again_with_other_entries_stops_the_partition(
    book: Book, together: bool
) -> None:
    one, two, three = history(3)
    good = [entry(3), entry(4), entry(5)]
    forged = [
        record(1, [entry(3, units=77), *good[1:]], offset=2),
        record(1, good[:2], offset=2),
        record(1, [*good, entry(99)], offset=2),
        record(1, good, offset=2, posted_at=NOON),
    ]
    batches = [[one, two]] if not together else []
    for batch in batches:
        write_partition(writer(book), batch)
    for lie in forged:
        before = [one, two] if together else []
        with pytest.raises(BookDiffers) as caught:
            write_partition(writer(book), [*before, lie, replace(three, offset=3)])
        assert caught.value.fields["number"] == 1
        assert stored(book) == expected([one, two])
        assert place(book) == [(0, 2, 3)]


def test_an_id_under_two_numbers_stops_the_partition_and_stores_nothing(book: Book) -> None:
    one = history(1)[0]
    write_partition(writer(book), [one])
    with pytest.raises(BookDiffers):
        write_partition(writer(book), [record(2, [entry(50), entry(3)])])
    assert stored(book) == expected([one])
    assert place(book) == [(0, 1, 2)]


def test_new_numbers_under_taken_offsets_stop_the_partition(book: Book) -> None:
    one, two, three = history(3)
    write_partition(writer(book), [one, two])
    with pytest.raises(OffsetsWentBack):
        write_partition(writer(book), [replace(three, offset=0)])
    assert stored(book) == expected([one, two])


def test_what_stands_before_a_malformed_record_is_written_and_the_partition_stops(
    book: Book,
) -> None:
    one, two, three = history(3)
    for broken, error in (
        (replace(two, value=two.value.replace(b'"units":"7"', b'"units":7')), MalformedTransfer),
        (replace(two, partition=0, value=history(2, shard=1)[1].value), ForeignShard),
    ):
        with pytest.raises(error) as caught:
            write_partition(writer(book), [one, broken, three])
        assert caught.value.fields["offset"] == 1
        assert stored(book) == expected([one])


def test_shards_are_written_beside_each_other(book: Book) -> None:
    first, second = history(2), history(3, shard=1, start=1000)
    write_partition(writer(book), second)
    write_partition(writer(book), first)
    assert stored(book) == expected([*first, *second])
    assert sorted(place(book)) == [(0, 2, 3), (1, 3, 4)]


def test_a_long_delivery_is_several_bounded_transactions(book: Book) -> None:
    records = history(18, 700)
    assert write_partition(writer(book), records).entries == 18 * 700
    # An entry's xmin is the transaction that stored it.
    sizes = book.ask("SELECT count(*) FROM external_book.entry GROUP BY xmin ORDER BY 1")
    assert sizes == [(4 * 700,), (14 * 700,)]


def test_of_two_writers_at_once_one_writes_and_the_other_only_compares(book: Book) -> None:
    records = history(20)
    results: list[tuple[int, int]] = []

    def write() -> None:
        written = write_partition(writer(book), records)
        results.append((written.records, written.repeated))

    write_partition(writer(book), records[:1])
    holder = book.connection("admin")
    holder.execute(b"BEGIN")
    holder.execute(b"SELECT * FROM external_book.cursor FOR UPDATE")
    writers = [threading.Thread(target=write) for _ in range(2)]
    for each in writers:
        each.start()
    until(lambda: waiting(book) == 2)
    holder.execute(b"ROLLBACK")
    holder.close()
    for each in writers:
        each.join(WAIT_S)
    assert sorted(results) == [(0, 20), (19, 1)]
    assert stored(book) == expected(records)


@pytest.mark.parametrize("held_at", ["entry", "cursor"])
def test_a_writer_killed_before_its_commit_leaves_nothing_and_its_successor_writes_all(
    book: Book, held_at: str
) -> None:
    """Held before the entries, or with all of them stored and only the place to move."""
    records = history(3)
    import pickle

    book.ask("CREATE FUNCTION public.hold() RETURNS trigger LANGUAGE plpgsql AS"
             " $$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NEW; END $$")  # fmt: skip
    event = "AFTER INSERT ON external_book.entry" if held_at == "entry" else (
        "AFTER UPDATE ON external_book.cursor"
    )  # fmt: skip
    book.ask(f"CREATE TRIGGER hold {event} FOR EACH ROW EXECUTE FUNCTION public.hold()")
    holder = book.connection("admin")
    holder.execute(b"SELECT pg_advisory_lock(7)")
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER_PROCESS],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT / "layers/orion/python")},
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(pickle.dumps((book.config(WRITER), records)))
    process.stdin.close()
    until(lambda: waiting(book) == 1)
    process.send_signal(signal.SIGKILL)
    process.wait(WAIT_S)
    holder.close()
    book.ask(f"DROP TRIGGER hold ON external_book.{held_at}")
    # The server notices the end of the client once it answers it.
    until(lambda: book.ask("SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
                           " AND usename = %s", book.database, WRITER) == [(0,)])  # fmt: skip
    found = stored(book)
    again = write_partition(writer(book), records)
    assert (found, again.records, again.repeated) in (
        ([], 3, 0),
        # The lock went with its holder: the server may have come to the commit before it noticed.
        (expected(records), 0, 3),
    )
    assert stored(book) == expected(records)
    assert place(book) == [(0, 3, 4)]


def test_a_connection_lost_in_the_middle_is_an_unknown_outcome_and_a_repeat_writes_once(
    book: Book,
) -> None:
    records = history(2)
    store = writer(book)
    write_partition(store, records[:1])
    holder = book.connection("admin")
    holder.execute(b"BEGIN")
    holder.execute(b"LOCK TABLE external_book.entry IN EXCLUSIVE MODE")
    faults: list[Exception] = []

    def write() -> None:
        try:
            write_partition(store, records)
        except DatabaseUnavailable as exc:
            faults.append(exc)

    thread = threading.Thread(target=write)
    thread.start()
    until(lambda: waiting(book) == 1)
    book.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
             " AND usename = %s", book.database, WRITER)  # fmt: skip
    thread.join(WAIT_S)
    holder.close()
    assert len(faults) == 1
    assert write_partition(store, records).records == 1
    assert stored(book) == expected(records)


def test_a_server_that_was_away_is_found_again(book: Book) -> None:
    store = writer(book)
    one, two = history(2)
    write_partition(store, [one])
    book.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
             " AND usename = %s", book.database, WRITER)  # fmt: skip
    assert write_partition(store, [two]).records == 1
