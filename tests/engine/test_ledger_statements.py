"""The statements' follower on a real MariaDB, against a simple recomputation of the log."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql import ledger_moves
from orion.adapters.mysql.ledger_statements import MySqlStatementFollower
from orion.adapters.mysql.session import Cursor, DatabaseUnavailable
from orion.ledger.following import GapInLog, StatementsBehind, Step, follow_shard
from orion.ledger.model import Purpose, clearing
from orion.ledger.service import post_partition
from tests.engine.statement_scene import (
    CUSTODY,
    NOON,
    History,
    account,
    asked,
    counters,
    database,
    empty_ledger,
    entered,
    recomputed,
    told,
)

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 60
FOLLOWER_PROCESS = """
import pickle, sys
from orion.adapters.mysql.ledger_statements import MySqlStatementFollower
from orion.adapters.mysql.session import Database
from orion.ledger.following import follow_shard
follow_shard(MySqlStatementFollower(Database(pickle.load(sys.stdin.buffer))), 0)
"""


@pytest.fixture
def admin(mysql_admin: MariaDb) -> Iterator[Cursor]:
    with empty_ledger(mysql_admin) as cursor:
        # Tests hold locks until others have come to them, however slow the machine is.
        cursor.execute("SELECT @@GLOBAL.innodb_lock_wait_timeout")
        before = cursor.fetchone()
        cursor.execute("SET GLOBAL innodb_lock_wait_timeout = 90")
        yield cursor
        cursor.execute("SET GLOBAL innodb_lock_wait_timeout = %s", before)


def follower(server: MariaDb, chunk: int = 10_000) -> MySqlStatementFollower:
    return MySqlStatementFollower(database(server), chunk=chunk)


def rows(admin: Cursor, sql: str) -> list[tuple[Any, ...]]:
    admin.execute(sql)
    return list(admin.fetchall())


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


def at_lock(admin: Cursor, part: str) -> int:
    """Sessions of `ledger` that run, and wait in, a statement with these words."""
    admin.execute(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'ledger'"
        " AND info LIKE %s",
        (f"%{part}%",),
    )
    row = admin.fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("seed, chunk", [(1, 5), (2, 64), (3, 10_000), (4, 1)])
def test_statements_are_what_the_log_says_one_transfer_after_the_other(
    mysql_admin: MariaDb, admin: Cursor, seed: int, chunk: int
) -> None:
    history = History(mysql_admin, seed)
    following = follower(mysql_admin, chunk)
    for size in (3, 60, 0, 90, 40):
        history.batch(size)
        follow_shard(following, 0, steps=400)
        assert entered(admin) == recomputed(admin)
    reached = counters(admin, "statement_account", "account")
    assert reached == counters(admin, "account", "id")
    kinds = {kind for (kind,) in rows(admin, "SELECT DISTINCT kind FROM entry")}
    assert kinds == {"direct", "pending", "post", "void", "timeout"}
    assert rows(admin, "SELECT COUNT(*) > 0 FROM entry WHERE code = 'reversal_shortfall'") == [(1,)]
    assert rows(admin, "SELECT COUNT(*) > 0 FROM transfer WHERE kind = 'signed'") == [(1,)]


def test_a_step_enters_whole_records_and_a_bounded_number(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    history = History(mysql_admin, 5)
    for _ in range(4):
        history.batch(10)
    one = follower(mysql_admin, 1)
    assert [one.follow(0) for _ in range(5)] == [
        Step(1, at_end=False), Step(1, at_end=False), Step(1, at_end=False), Step(1, at_end=True),
        Step(0, at_end=True),
    ]  # fmt: skip
    assert entered(admin) == recomputed(admin)


def test_more_than_one_call_may_follow_is_refused_and_the_next_call_goes_on(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    history = History(mysql_admin, 6)
    for _ in range(5):
        history.batch(5)
    with pytest.raises(StatementsBehind):
        follow_shard(follower(mysql_admin, 1), 0, steps=3)
    assert follow_shard(follower(mysql_admin, 1), 0, steps=3) == 2


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_number_that_the_log_lacks_stops_the_follower_before_it(
    mysql_admin: MariaDb, admin: Cursor, lost: int
) -> None:
    history = History(mysql_admin, 7)
    for _ in range(3):
        history.batch(5)
    admin.execute("DELETE FROM transfer WHERE number = %s", (lost,))
    for chunk in (10_000, 1, 1):
        with pytest.raises(GapInLog):
            follow_shard(follower(mysql_admin, chunk), 0)
    assert {row[0] for row in rows(admin, "SELECT number FROM entry")} == set(range(1, lost))


def test_a_shard_that_does_not_exist_has_nothing_to_follow(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    assert follow_shard(follower(mysql_admin), 9) == 0


def test_two_followers_at_once_enter_each_record_once(mysql_admin: MariaDb, admin: Cursor) -> None:
    history = History(mysql_admin, 8)
    for _ in range(6):
        history.batch(20)
    follower(mysql_admin, 1).follow(0)
    results: list[int] = []
    holder = database(mysql_admin)
    with holder.transaction() as cursor:
        cursor.execute("SELECT * FROM statement_cursor FOR UPDATE")
        threads = [
            threading.Thread(
                target=lambda: results.append(follow_shard(follower(mysql_admin, 20), 0))
            )
            for _ in range(2)
        ]
        for each in threads:
            each.start()
        until(lambda: at_lock(admin, "statement_cursor") == 2)
    for each in threads:
        each.join(WAIT_S)
    assert sum(results) == 5
    assert entered(admin) == recomputed(admin)
    assert counters(admin, "statement_account", "account") == counters(admin, "account", "id")


@pytest.mark.parametrize("killed", ["process", "connection"])
def test_a_follower_that_dies_before_its_commit_leaves_nothing_and_the_next_enters_all(
    mysql_admin: MariaDb, admin: Cursor, killed: str
) -> None:
    import pickle

    history = History(mysql_admin, 9)
    history.batch(30)
    follower(mysql_admin).follow(0)
    history.batch(30)
    before = entered(admin)
    holder = database(mysql_admin)
    with holder.transaction() as cursor:
        # The entries of the second record are stored when the follower comes to this lock.
        cursor.execute("SELECT * FROM statement_account FOR UPDATE")
        process = subprocess.Popen(
            [sys.executable, "-c", FOLLOWER_PROCESS], cwd=ROOT, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT / "layers/orion/python")},
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(pickle.dumps(database(mysql_admin)._config))
        process.stdin.close()
        until(lambda: at_lock(admin, "INSERT INTO statement_account") == 1)
        ((session, stored),) = rows(
            admin,
            "SELECT p.id, t.trx_rows_modified FROM information_schema.processlist p"
            " JOIN information_schema.innodb_trx t ON t.trx_mysql_thread_id = p.id"
            " WHERE p.user = 'ledger' AND p.info LIKE 'INSERT INTO statement_account%'",
        )
        assert stored > 30
        if killed == "process":
            process.send_signal(signal.SIGKILL)
        # The server itself would notice a client's end only after the lock.
        admin.execute("KILL CONNECTION %s", (session,))
        process.wait(WAIT_S)
    assert process.returncode != 0
    until(lambda: at_lock(admin, "statement_account") == 0)
    assert entered(admin) == before
    assert follow_shard(follower(mysql_admin), 0) == 1
    assert entered(admin) == recomputed(admin)


def test_a_lost_connection_is_an_unknown_outcome(mysql_admin: MariaDb, admin: Cursor) -> None:
    History(mysql_admin, 10).batch(5)
    following = follower(mysql_admin)
    faults: list[Exception] = []

    def follow() -> None:
        try:
            following.follow(0)
        except DatabaseUnavailable as exc:
            faults.append(exc)

    with database(mysql_admin).transaction() as cursor:
        cursor.execute("INSERT INTO statement_cursor VALUES (0, 1)")
        thread = threading.Thread(target=follow)
        thread.start()
        until(lambda: at_lock(admin, "INSERT INTO statement_cursor") == 1)
        admin.execute(
            "SELECT id FROM information_schema.processlist"
            " WHERE user = 'ledger' AND info LIKE 'INSERT INTO statement_cursor%'"
        )
        admin.execute("KILL CONNECTION %s", admin.fetchone())
        thread.join(WAIT_S)
    assert len(faults) == 1
    assert follow_shard(following, 0) == 1 or entered(admin) == recomputed(admin)
    assert entered(admin) == recomputed(admin)


def logged(
    admin: Cursor, shard: int, number: int, second: int, debit: bytes, credit: bytes,
    counterpart: bytes | None = None,
) -> None:  # fmt: skip
    """One direct transfer of 5 in the log, as a writer of a shard would leave it."""
    admin.execute(
        "INSERT INTO transfer (shard_no, number, position, id, digest, kind, code, linked,"
        " debit_account, credit_account, counterpart, units, cause, trace_id, posted_at) VALUES"
        " (%s, %s, 0, %s, %s, 'direct', 'deposit_credit', 0, %s, %s, %s, 5, '{}', %s, %s)",
        (shard, number, bytes([shard, number]) * 8, b"d" * 16, debit, credit, counterpart,
         b"t" * 16, f"2026-11-23 12:00:{second:02d}"),
    )  # fmt: skip
    admin.execute(
        "INSERT INTO shard (shard_no, next_posted, next_refused) VALUES (%s, %s, 1)"
        " ON DUPLICATE KEY UPDATE next_posted = VALUES(next_posted)",
        (shard, number + 1),
    )


def test_after_a_handover_the_new_shards_log_waits_for_the_old_shards(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    settling = account(1, Purpose.SETTLING).id
    logged(admin, 0, 1, 1, CUSTODY.id, settling)
    logged(admin, 1, 1, 2, CUSTODY.id, account(2).id)
    with database(mysql_admin).transaction() as cursor:
        ledger_moves.order(cursor, 2, [(7, 0, 1)], NOON)
    with database(mysql_admin).transaction() as cursor:
        ledger_moves.taken_over(cursor, 7, 2)
    logged(admin, 1, 2, 3, CUSTODY.id, settling)
    logged(admin, 0, 2, 4, CUSTODY.id, account(3).id)
    with database(mysql_admin).transaction() as cursor:
        ledger_moves.taken_over(cursor, 7, 2)
    assert rows(admin, "SELECT from_number, to_number FROM bucket_move") == [(2, 2)]

    following = follower(mysql_admin)
    assert following.follow(1) == Step(1, at_end=False)
    assert following.follow(1) == Step(0, at_end=False, waits_for=0)
    assert following.follow(1) == Step(0, at_end=False, waits_for=0)
    assert settling not in entered(admin)
    assert follow_shard(following, 1) == 3
    sums = [row[-2] for row in entered(admin)[settling]]
    assert sums == [5, 10]


def test_a_shard_between_that_posted_nothing_hides_no_earlier_one(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    merchant = account(1, Purpose.SETTLING).id
    logged(admin, 0, 1, 1, CUSTODY.id, merchant)
    for shard in (1, 2):
        admin.execute("INSERT INTO shard (shard_no, next_posted, next_refused) VALUES (%s, 1, 1)",
                      (shard,))  # fmt: skip
        with database(mysql_admin).transaction() as cursor:
            ledger_moves.order(cursor, shard + 1, [(7, shard - 1, shard)], NOON)
            ledger_moves.taken_over(cursor, 7, shard + 1)
    logged(admin, 2, 1, 2, CUSTODY.id, merchant)
    following = follower(mysql_admin)
    assert following.follow(2) == Step(0, at_end=False, waits_for=0)
    assert follow_shard(following, 2) == 2
    assert [row[-2] for row in entered(admin)[merchant]] == [5, 10]


def test_moves_there_and_back_are_followed_in_the_order_of_their_handovers(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    merchant = account(1, Purpose.SETTLING).id
    logged(admin, 1, 1, 0, CUSTODY.id, account(9).id)
    for turn in range(4):
        shard, number = turn % 2, turn // 2 + 1 + turn % 2
        if turn:
            with database(mysql_admin).transaction() as cursor:
                ledger_moves.order(cursor, turn + 1, [(7, 1 - shard, shard)], NOON)
                ledger_moves.taken_over(cursor, 7, turn + 1)
        logged(admin, shard, number, turn + 1, clearing(shard, "BTC.bitcoin").id, merchant)
    assert follow_shard(follower(mysql_admin), 1) == 5
    assert [row[-2] for row in entered(admin)[merchant]] == [5, 10, 15, 20]
    assert entered(admin) == recomputed(admin)


def test_a_line_names_the_account_meant_instead_of_the_clearing_account(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    merchant, meant, own = account(1, Purpose.SETTLING), CUSTODY, clearing(0, "BTC.bitcoin")
    admin.execute(
        "INSERT INTO account VALUES (%s, 'shard:0', 'clearing', 'BTC.bitcoin', 0, 0, 0, 0, 0,"
        " NOW(), NOW())",
        (own.id,),
    )
    logged(admin, 0, 1, 1, own.id, merchant.id, meant.id)
    logged(admin, 0, 2, 2, merchant.id, own.id, meant.id)
    logged(admin, 0, 3, 3, own.id, merchant.id)
    follow_shard(follower(mysql_admin), 0)
    other = dict(
        rows(admin, f"SELECT number, other FROM entry WHERE account = x'{merchant.id.hex()}'")
    )
    assert other == {1: meant.id, 2: meant.id, 3: own.id}
    other = dict(rows(admin, f"SELECT number, other FROM entry WHERE account = x'{own.id.hex()}'"))
    assert other == {1: merchant.id, 2: merchant.id, 3: merchant.id}


def test_pending_units_are_taken_back_whatever_shard_opened_the_transfer(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    store = History(mysql_admin, 11).store
    batch = [
        asked("in", 1, "deposit_credit", 100),
        asked("final", 1, "deposit_final", 100),
        asked("out", 1, "payout", 60, "pending"),
        asked("end", 1, "payout", 45, "post", "out"),
    ]
    post_partition(store, [told(0, batch)], NOON)
    admin.execute("UPDATE transfer SET shard_no = 1, number = 1 WHERE kind = 'post'")
    admin.execute("INSERT INTO shard (shard_no, next_posted, next_refused) VALUES (1, 2, 1)")
    follow_shard(follower(mysql_admin), 0)
    follow_shard(follower(mysql_admin), 1)
    assert counters(admin, "statement_account", "account") == counters(admin, "account", "id")
