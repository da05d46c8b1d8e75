"""The three books compared on real engines: equal books, and every kind of tampering, named."""

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.mariadb import MariaDb
from infra.local.postgres import Postgres
from orion.ledger.book import entry_line
from orion.ledger.merkle import leaf
from orion.ledger.model import Entry
from orion.log.reconciliation.planning import Span
from tests.engine.external_book_scene import NOON, every_kind
from tests.engine.reconciliation_scene import Scene

pytestmark = pytest.mark.engine


@pytest.fixture
def scene(mysql_admin: MariaDb, postgres_server: Postgres, aws_engine: Any) -> Iterator[Scene]:
    opened = Scene(mysql_admin, postgres_server, aws_engine)
    yield opened
    opened.close()


def test_equal_books_have_no_difference_and_everything_is_checked(scene: Scene) -> None:
    scene.story()
    findings = scene.read("run")
    assert findings.differences == ()
    report = scene.report()
    assert (report.outcome, report.differences, report.incidents) == ("equal", 0, ())


def insert(scene: Scene, position: int, entry: Entry) -> None:
    transfer, counterpart = entry.transfer, entry.counterpart
    scene.cursor.execute(
        "INSERT INTO orion_ledger.transfer (shard_no, number, position, id, digest, kind, code,"
        " linked, pending_id, debit_account, credit_account, counterpart, units, cause, trace_id,"
        " posted_at) VALUES (65535, 9, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (position, transfer.id, entry.digest, transfer.kind.value, transfer.code.value,
         transfer.linked, transfer.pending_id, transfer.debit.id, transfer.credit.id,
         counterpart.id if counterpart else None, transfer.units, transfer.cause,
         transfer.trace_id, NOON.replace(tzinfo=None)),
    )  # fmt: skip


def test_the_ledgers_server_writes_the_line_and_the_leaf_of_every_kind_of_entry(
    scene: Scene,
) -> None:
    entries = every_kind()
    for position, entry in enumerate(entries):
        insert(scene, position, entry)
    lines = [entry_line(65535, 9, at, entry, NOON) for at, entry in enumerate(entries)]
    read = scene.books.ledger.lines(65535, [9])
    assert [placed.line for placed in read] == lines
    [record] = scene.books.ledger.records(65535, Span(1, 100))
    assert record.leaves == b"".join(leaf(line) for line in lines)
    assert (record.number, record.posted_at, record.whole) == (9, NOON, True)


def test_a_full_record_of_the_longest_causes_is_not_cut_off(scene: Scene) -> None:
    """MySQL's own limit for a concatenation is 1,024 bytes, and it only warns."""
    scene.cursor.execute("SELECT @@GLOBAL.group_concat_max_len")
    [own] = scene.cursor.fetchone() or (0,)
    # Connections from now on begin with MySQL's default, whatever this server has.
    scene.cursor.execute("SET GLOBAL group_concat_max_len = 1024")
    try:
        _full_record(scene)
    finally:
        scene.cursor.execute("SET GLOBAL group_concat_max_len = %s", (own,))


def _full_record(scene: Scene) -> None:
    wanted = every_kind()[6]
    for position in range(700):
        identity = position.to_bytes(16, "big")
        insert(scene, position, wanted._replace(transfer=wanted.transfer._replace(id=identity)))
    [record] = scene.books.ledger.records(65535, Span(9, 9))
    assert len(record.leaves) == 700 * 32
    [entries] = scene.causes.entries(65535, Span(9, 9))
    assert len(entries) == 700
    assert {len(entry.cause) for entry in entries} == {len(wanted.transfer.cause)}
