"""Writers of one shard that meet, die or lose their answer: one effect, and nothing believed that
another writer has changed.
"""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pymysql
import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql import fence
from orion.adapters.mysql.ledger_store import MySqlLedgerStore
from orion.adapters.mysql.session import Cursor, DatabaseUnavailable
from orion.ledger.service import post_partition
from orion.records import Record
from tests.engine.ledger_store_scene import (
    NOW,
    WAIT_S,
    config,
    counters,
    credit,
    database,
    empty_ledger,
    final,
    record,
    rows,
    settled,
    state,
    statements,
    together,
    until,
    writer,
)

ROOT = Path(__file__).parents[2]
WRITER = """
import json, sys
from datetime import datetime
from orion.adapters.mysql.ledger_store import MySqlLedgerStore
from orion.adapters.mysql.session import Database, MySqlConfig
from orion.ledger.service import post_partition
from orion.records import Record
work = json.loads(sys.stdin.read())
records = [Record(t, p, o, b"k", v.encode()) for t, p, o, v in work["records"]]
store = MySqlLedgerStore(Database(MySqlConfig(*work["config"])))
post_partition(store, records, datetime.fromisoformat(work["now"]))
"""


@pytest.fixture
def admin(mysql_admin: MariaDb) -> Iterator[Cursor]:
    with empty_ledger(mysql_admin) as cursor:
        yield cursor


def test_without_the_fence_two_writers_lose_one_of_two_updates(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    """The hazard: read, decide, write, with neither fence nor lock."""
    post_partition(writer(mysql_admin), [record(0, credit(5))], NOW)
    meeting = threading.Barrier(2)

    def unguarded() -> None:
        with database(mysql_admin).transaction() as cursor:
            cursor.execute("SELECT credits_posted FROM account WHERE purpose = 'settling'")
            row = cursor.fetchone()
            assert row is not None
            meeting.wait(WAIT_S)
            cursor.execute(
                "UPDATE account SET credits_posted = %s WHERE purpose = 'settling'", (row[0] + 5,)
            )

    together([threading.Thread(target=unguarded) for _ in range(2)])
    assert settled(admin) == 10  # 5 + 5 + 5 was asked for.


def test_of_two_writers_at_once_one_wins_and_the_other_changes_nothing(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    records = [record(n, credit(5), credit(7)) for n in range(20)]
    results = []

    def write() -> None:
        results.append(post_partition(writer(mysql_admin), records, NOW))

    holder = database(mysql_admin)
    with holder.transaction() as cursor:
        # Both writers reach the fence and wait there before either may go on.
        cursor.execute("INSERT INTO consumer_offset VALUES ('ledger.transfers', 0, 0, 0)")
        fence.fresh(cursor, [record(0)])
        cursor.execute("UPDATE consumer_offset SET next_offset = 0")
        writers = [threading.Thread(target=write) for _ in range(2)]
        for each in writers:
            each.start()
        until(lambda: len(statements(admin, "consumer_offset")) == 2)
    for each in writers:
        each.join(WAIT_S)
    assert sorted(result.posted for result in results) == [0, 40]
    assert settled(admin) == 20 * 12
    assert rows(admin, "SELECT next_posted FROM shard") == [(2,)]


def test_a_connection_killed_between_insert_and_commit_stores_nothing_and_a_retry_posts_once(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    store = writer(mysql_admin)
    post_partition(store, [record(0, credit(5))], NOW)
    before = state(admin)
    records = [record(1, credit(7), credit(8))]
    faults: list[Exception] = []

    def write() -> None:
        try:
            post_partition(store, records, NOW)
        except DatabaseUnavailable as exc:
            faults.append(exc)

    blocker = mysql_admin.connect()
    with blocker.cursor() as cursor:
        # A lock on the end of the log holds the writer after the fence and before the commit.
        blocker.begin()
        cursor.execute("USE orion_ledger")
        cursor.execute("SELECT * FROM transfer WHERE number >= 2 FOR UPDATE")
        posting = threading.Thread(target=write)
        posting.start()
        until(lambda: statements(admin, "INSERT INTO transfer"))
        ((thread, _),) = statements(admin, "INSERT INTO transfer")
        assert rows(admin, "SELECT COUNT(*) FROM outbox") == [(1,)]
        admin.execute("KILL CONNECTION %s", (thread,))
        posting.join(WAIT_S)
        blocker.rollback()
    blocker.close()
    assert len(faults) == 1
    assert state(admin) == before
    assert post_partition(store, records, NOW).posted == 2
    assert post_partition(store, records, NOW).posted == 0
    assert settled(admin) == 20


def test_unchecked_memory_writes_over_what_another_writer_posted(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    """The hazard: a writer that believes what it remembers, whatever the shard's version says."""
    first, second = writer(mysql_admin), writer(mysql_admin)
    post_partition(first, [record(0, credit(5))], NOW)
    post_partition(second, [record(1, credit(7))], NOW)
    ((version,),) = rows(admin, "SELECT version FROM shard")
    first._memories[0].version = version
    post_partition(first, [record(2, credit(9))], NOW)
    assert settled(admin) == 5 + 9
    assert rows(admin, "SELECT SUM(units) FROM transfer") == [(5 + 7 + 9,)]


def test_a_deposed_writer_does_not_use_its_memory_again(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    first, second = writer(mysql_admin), writer(mysql_admin)
    post_partition(first, [record(0, credit(5))], NOW)
    post_partition(second, [record(1, credit(7))], NOW)
    assert post_partition(first, [record(1, credit(7))], NOW).posted == 0
    post_partition(first, [record(2, credit(9))], NOW)
    post_partition(second, [record(3, credit(11))], NOW)
    assert settled(admin) == 5 + 7 + 9 + 11 == counters(admin, "custody")[0]


def test_a_writer_uses_its_memory_as_long_as_nobody_else_commits(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    """What the two tests above are about happens: a change behind the shard's back is not seen."""
    store = writer(mysql_admin)
    post_partition(store, [record(0, credit(5))], NOW)
    admin.execute("UPDATE account SET credits_posted = 1000 WHERE purpose = 'settling'")
    post_partition(store, [record(1, credit(7))], NOW)
    assert settled(admin) == 12


def test_over_another_connection_a_writer_remembers_nothing(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    """It may lead to a server that was restored and has since come to the same numbers."""
    behind = database(mysql_admin)
    store = MySqlLedgerStore(behind)
    other = final(5)
    post_partition(store, [record(0, final(500))], NOW)
    post_partition(store, [record(1, credit(5))], NOW)  # Has read what the first one refused.
    admin.execute("UPDATE account SET credits_posted = 1000 WHERE purpose = 'settling'")
    admin.execute("UPDATE refusal SET id = %s", (bytes.fromhex(str(other["id"])),))
    behind.close()
    result = post_partition(store, [record(2, credit(7), other)], NOW)
    assert (result.posted, result.refused) == (1, 1)
    assert settled(admin) == 1007


def test_a_known_id_over_another_connection_brings_no_memory_back(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    behind = database(mysql_admin)
    store = MySqlLedgerStore(behind)
    known = credit(5)
    post_partition(store, [record(0, known)], NOW)
    admin.execute("UPDATE account SET credits_posted = 1000 WHERE purpose = 'settling'")
    behind.close()
    assert post_partition(store, [record(1, known, credit(7))], NOW).posted == 1
    assert settled(admin) == 1007


def test_an_account_that_vanished_undoes_the_batch_instead_of_being_made_anew(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    store = writer(mysql_admin)
    post_partition(store, [record(0, credit(5))], NOW)
    admin.execute("DELETE FROM account WHERE purpose = 'settling'")
    before = state(admin)
    with pytest.raises(RuntimeError, match="counters of accounts that exist"):
        post_partition(store, [record(1, credit(7))], NOW)
    assert state(admin) == before


def test_eight_writers_of_a_shard_on_hot_accounts_lose_nothing(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    records = [
        record(n, *[credit(10**12 + n, merchant=n % 2) for _ in range(3)]) for n in range(96)
    ]

    def write(seed: int) -> None:
        store, chance, place = writer(mysql_admin), random.Random(seed), 0  # noqa: S311 - sizes of batches
        while place < len(records):
            size = chance.randrange(1, 9)
            # Now and then from further back, as after a rebalance.
            start = max(0, place - chance.randrange(4))
            post_partition(store, records[start : place + size], NOW)
            place += size

    together([threading.Thread(target=write, args=(seed,)) for seed in range(8)])
    asked = sum(3 * (10**12 + n) for n in range(96))
    assert settled(admin) == asked == counters(admin, "custody")[0]
    assert rows(admin, "SELECT COUNT(*), SUM(units) FROM transfer") == [(288, asked)]
    numbers = [number for (number,) in rows(admin, "SELECT DISTINCT number FROM transfer")]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


def test_a_commit_whose_answer_was_lost_is_forgotten_and_redelivery_changes_nothing(
    mysql_admin: MariaDb, admin: Cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = writer(mysql_admin)
    post_partition(store, [record(0, credit(5))], NOW)
    commit = pymysql.connections.Connection.commit

    def lost(connection: "pymysql.connections.Connection[Cursor]") -> None:
        commit(connection)
        raise pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query")

    with monkeypatch.context() as patched:
        patched.setattr(pymysql.connections.Connection, "commit", lost)
        with pytest.raises(DatabaseUnavailable):
            post_partition(store, [record(1, credit(7))], NOW)
    assert store._memories == {}
    before = state(admin)
    assert post_partition(store, [record(1, credit(7))], NOW).posted == 0
    assert state(admin) == before
    post_partition(store, [record(2, credit(9))], NOW)
    assert settled(admin) == 21


@contextmanager
def _process(server: MariaDb, records: Sequence[Record]) -> "Iterator[subprocess.Popen[str]]":
    """A writer in a process of its own, posting `records`."""
    work = {
        "config": dataclasses.astuple(config(server)),
        "records": [(r.topic, r.partition, r.offset, r.value.decode()) for r in records],
        "now": NOW.isoformat(),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "layers/orion/python")},
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(work))
    process.stdin.close()
    try:
        yield process
    finally:
        process.kill()
        process.wait(WAIT_S)


def test_a_writer_killed_before_its_commit_stores_nothing_and_a_redelivery_posts_once(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    post_partition(writer(mysql_admin), [record(0, credit(5))], NOW)
    before = state(admin)
    records = [record(1, *[credit(7, merchant=n) for n in range(1000)])]
    blocker = mysql_admin.connect()
    with blocker.cursor() as cursor:
        # The account is written last: everything else is in the transaction by then.
        cursor.execute("USE orion_ledger")
        blocker.begin()
        cursor.execute("SELECT * FROM account FOR UPDATE")
        with _process(mysql_admin, records) as process:
            until(lambda: statements(admin, "INSERT INTO account"))
            process.send_signal(signal.SIGKILL)
            process.wait(WAIT_S)
        until(lambda: not statements(admin, "INSERT INTO account"))
        blocker.rollback()
    blocker.close()
    assert state(admin) == before
    assert post_partition(writer(mysql_admin), records, NOW).posted == 1000
    assert post_partition(writer(mysql_admin), records, NOW).posted == 0
    assert settled(admin) == 5 + 7000


def test_a_writer_killed_in_its_commit_has_one_effect_with_the_redelivery(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    records = [record(0, *[credit(7, merchant=n) for n in range(1000)])]
    blocker = mysql_admin.connect()
    with blocker.cursor() as cursor:
        for stage in ("START", "FLUSH", "BLOCK_DDL", "BLOCK_COMMIT"):
            cursor.execute(f"BACKUP STAGE {stage}")
        with _process(mysql_admin, records) as process:
            until(lambda: statements(admin, "COMMIT"))
            process.send_signal(signal.SIGKILL)
            process.wait(WAIT_S)
        assert rows(admin, "SELECT COUNT(*) FROM transfer") == [(0,)]
        cursor.execute("BACKUP STAGE END")
    blocker.close()
    post_partition(writer(mysql_admin), records, NOW)
    assert rows(admin, "SELECT COUNT(*), MIN(number), MAX(number) FROM transfer") == [(1000, 1, 2)]
    assert settled(admin) == 7000 == counters(admin, "custody")[0]
    assert rows(admin, "SELECT next_posted, version FROM shard") == [(3, 1)]


def test_a_writer_waits_for_whoever_holds_its_shard_and_sees_what_that_one_left(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    store = writer(mysql_admin)
    post_partition(store, [record(0, credit(5))], NOW)
    posting = threading.Thread(target=post_partition, args=(store, [record(1, credit(7))], NOW))
    holder = mysql_admin.connect()
    with holder.cursor() as cursor:
        cursor.execute("USE orion_ledger")
        holder.begin()
        cursor.execute("UPDATE shard SET version = version + 1")
        cursor.execute("UPDATE account SET credits_posted = 50 WHERE purpose = 'settling'")
        posting.start()
        until(lambda: statements(admin, "FROM shard WHERE shard_no = 0 FOR UPDATE"))
        holder.commit()
    posting.join(WAIT_S)
    holder.close()
    assert settled(admin) == 57
