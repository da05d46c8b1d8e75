"""The ledger's store on a real MariaDB: one transaction a batch, one effect a record."""

import json
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql import fence
from orion.adapters.mysql.ledger_store import MySqlLedgerStore, UnknownShard
from orion.adapters.mysql.session import Cursor, Database, DatabaseUnavailable, MySqlConfig
from orion.ledger.service import post_partition
from orion.ledger.transfer_record import MalformedTransfer
from orion.records import Record

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TABLES = (
    *("transfer", "refusal", "account", "outbox", "consumer_offset", "pending", "leg", "held"),
    "asset_freeze",
)
WAIT_S = 20


@pytest.fixture
def admin(mysql_admin: MariaDb) -> Iterator[Cursor]:
    """An administrator's cursor on an empty ledger."""
    connection = mysql_admin.connect()
    with connection.cursor() as cursor:
        cursor.execute("USE orion_ledger")
        for table in TABLES:
            cursor.execute(f"DELETE FROM {table}")
        cursor.execute("DELETE FROM shard WHERE shard_no > 0")
        cursor.execute("DELETE FROM shard_map WHERE map_version > 1")
        cursor.execute("UPDATE bucket SET shard_no = 0, map_version = 1, taken = 1")
        cursor.execute(
            "UPDATE shard SET next_posted = 1, next_refused = 1, next_leg = 1, version = 0,"
            " last_posted_at = '1970-01-01'"
        )
        connection.commit()
        connection.autocommit(True)
        yield cursor
    connection.close()


def database(server: MariaDb) -> Database:
    login = server.credentials("ledger")
    return Database(
        MySqlConfig(
            server.host, server.port, login.username, login.password, "orion_ledger", server.ca_pem
        )
    )


@pytest.fixture
def store(mysql_admin: MariaDb, admin: Cursor) -> MySqlLedgerStore:
    return MySqlLedgerStore(database(mysql_admin))


def credit(
    units: int = 100, *, merchant: int = 0, identity: str | None = None
) -> dict[str, object]:
    return {
        "id": identity or secrets.token_hex(16),
        "kind": "direct",
        "code": "deposit_credit",
        "asset": "BTC.bitcoin",
        "units": str(units),
        "debit": {"owner": "system:bitcoin", "purpose": "custody"},
        "credit": {"owner": f"merchant:{merchant:032x}", "purpose": "settling"},
        "cause": {"type": "deposit", "deposit_id": "cd" * 16, "credit_epoch": 0},
        "linked": False,
    }


def final(units: int) -> dict[str, object]:
    return credit(units) | {
        "code": "deposit_final",
        "debit": {"owner": f"merchant:{0:032x}", "purpose": "settling"},
        "credit": {"owner": f"merchant:{0:032x}", "purpose": "available"},
    }


def payout(kind: str, units: int, *, of: dict[str, object] | None = None) -> dict[str, object]:
    asked = credit(units) | {
        "kind": kind,
        "code": "payout",
        "debit": {"owner": f"merchant:{0:032x}", "purpose": "available"},
        "credit": {"owner": "system:bitcoin", "purpose": "custody"},
        "cause": {"type": "payout"},
    }
    return asked if of is None else asked | {"pending_id": of["id"]}


def record(offset: int, *transfers: dict[str, object], partition: int = 0) -> Record:
    body = {"v": 1, "trace_id": "ef" * 16, "transfers": transfers}
    return Record("ledger.transfers", partition, offset, b"0", json.dumps(body).encode())


def state(admin: Cursor) -> dict[str, Sequence[Any]]:
    found: dict[str, Sequence[Any]] = {}
    for table in (*TABLES, "shard"):
        admin.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3")
        found[table] = admin.fetchall()
    return found


def rows(admin: Cursor, sql: str) -> list[tuple[Any, ...]]:
    admin.execute(sql)
    return list(admin.fetchall())


def settled(admin: Cursor) -> int:
    return int(
        rows(
            admin, "SELECT COALESCE(SUM(credits_posted), 0) FROM account WHERE purpose='settling'"
        )[0][0]
    )


def test_a_record_delivered_again_changes_nothing(store: MySqlLedgerStore, admin: Cursor) -> None:
    records = [record(0, credit(), final(100)), record(1, final(1))]
    assert post_partition(store, records, NOW).posted == 2
    before = state(admin)
    again = post_partition(store, records, NOW)
    assert (again.posted, again.refused, again.unchanged, again.records) == (0, 0, 0, 2)
    assert state(admin) == before


def test_a_transfer_sent_again_under_another_offset_changes_only_the_offset(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    first = record(0, credit(), final(500))
    post_partition(store, [first], NOW)
    before = state(admin)
    again = post_partition(store, [replace(first, offset=7)], NOW)
    assert (again.posted, again.refused, again.unchanged) == (0, 0, 2)
    after = state(admin)
    assert after.pop("consumer_offset")[0][2] == 8
    before.pop("consumer_offset")
    assert after == before


def test_an_id_with_other_content_is_refused_and_told_to_the_world(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    identity = "11" * 16
    post_partition(store, [record(0, credit(5, identity=identity))], NOW)
    result = post_partition(store, [record(1, credit(6, identity=identity))], NOW)
    assert (result.posted, result.refused) == (0, 1)
    assert settled(admin) == 5
    (payload,) = rows(
        admin, "SELECT payload FROM outbox WHERE destination = 'kafka:ledger.refused'"
    )[0]
    body = json.loads(payload)
    assert (body["shard"], body["number"]) == (0, 1)
    assert [(row["id"], row["reason"]) for row in body["refused"]] == [(identity, "id_conflict")]


def test_numbers_of_posted_records_have_no_gap_even_after_a_rolled_back_batch(
    store: MySqlLedgerStore, admin: Cursor, mysql_admin: MariaDb
) -> None:
    post_partition(store, [record(0, *[credit() for _ in range(900)])], NOW)
    with pytest.raises(MalformedTransfer):
        post_partition(store, [record(1, credit()), record(2, credit(0))], NOW)
    wide = [record(2 + n, *[credit() for _ in range(900)]) for n in range(3)]
    post_partition(store, wide, NOW)
    posted = rows(
        admin,
        "SELECT payload FROM outbox WHERE destination = 'kafka:ledger.posted' ORDER BY seq",
    )
    bodies = [json.loads(payload) for (payload,) in posted]
    assert [body["number"] for body in bodies] == list(range(1, len(bodies) + 1))
    assert [len(body["transfers"]) for body in bodies] == [700, 200, 1, 700, 700, 700, 600]
    logged = rows(admin, "SELECT number, position, HEX(id) FROM transfer ORDER BY number, position")
    told = [
        (body["number"], position, row["id"].upper())
        for body in bodies
        for position, row in enumerate(body["transfers"])
    ]
    assert logged == told


def test_what_stands_before_a_malformed_record_is_posted_and_the_partition_stops_there(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    records = [record(0, credit(5)), record(1, credit(-1)), record(2, credit(7))]
    for _ in range(2):
        with pytest.raises(MalformedTransfer) as caught:
            post_partition(store, records, NOW)
        assert caught.value.fields["offset"] == 1
    assert settled(admin) == 5


def test_a_partition_that_is_no_shard_stops(store: MySqlLedgerStore, admin: Cursor) -> None:
    before = state(admin)
    with pytest.raises(UnknownShard):
        post_partition(store, [record(0, credit(), partition=5)], NOW)
    assert state(admin) == before


def test_eight_thousand_transfers_are_one_transaction(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    records = [
        record(n, *[credit(2**64 + i, merchant=(n * 1000 + i) % 700) for i in range(1000)])
        for n in range(8)
    ]
    started = rows(admin, "SHOW GLOBAL STATUS LIKE 'Binlog_commits'")[0][1]
    assert post_partition(store, records, NOW).posted == 8000
    ended = rows(admin, "SHOW GLOBAL STATUS LIKE 'Binlog_commits'")[0][1]
    assert int(ended) - int(started) == 1
    assert rows(admin, "SELECT COUNT(*) FROM transfer") == [(8000,)]
    sides = rows(admin, "SELECT SUM(debits_posted), SUM(credits_posted) FROM account")[0]
    assert sides[0] == sides[1] == sum(2**64 + i for i in range(1000)) * 8


def test_a_reversal_after_the_money_is_spent_is_posted_from_the_receivable(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    reversal = final(100) | {
        "id": "22" * 16,
        "code": "deposit_reversal_final",
        "debit": {"owner": f"merchant:{0:032x}", "purpose": "available"},
        "credit": {"owner": "system:bitcoin", "purpose": "custody"},
    }
    post_partition(store, [record(0, credit(100), final(100))], NOW)
    paid = payout("pending", 70)
    post_partition(store, [record(1, paid, payout("post", 70, of=paid))], NOW)
    first = post_partition(store, [record(2, reversal)], NOW)
    again = post_partition(store, [record(3, reversal)], NOW)
    assert (first.posted, first.refused, again.unchanged) == (2, 0, 1)
    assert rows(
        admin, "SELECT debits_posted FROM account WHERE purpose = 'reversal_receivable'"
    ) == [(70,)]


def _together(writers: Sequence[threading.Thread]) -> None:
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(WAIT_S)
        assert not writer.is_alive()


def test_without_the_fence_two_writers_lose_one_of_two_updates(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    """The hazard: read, decide, write, with neither fence nor lock."""
    post_partition(MySqlLedgerStore(database(mysql_admin)), [record(0, credit(5))], NOW)
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

    _together([threading.Thread(target=unguarded) for _ in range(2)])
    assert settled(admin) == 10  # 5 + 5 + 5 was asked for.


def test_of_two_writers_at_once_one_wins_and_the_other_changes_nothing(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    records = [record(n, credit(5), credit(7)) for n in range(20)]
    results = []

    def write() -> None:
        results.append(post_partition(MySqlLedgerStore(database(mysql_admin)), records, NOW))

    holder = database(mysql_admin)
    with holder.transaction() as cursor:
        # Both writers reach the fence and wait there before either may go on.
        cursor.execute("INSERT INTO consumer_offset VALUES ('ledger.transfers', 0, 0, 0)")
        fence.fresh(cursor, [record(0)])
        cursor.execute("UPDATE consumer_offset SET next_offset = 0")
        writers = [threading.Thread(target=write) for _ in range(2)]
        for writer in writers:
            writer.start()
        _until(lambda: len(_statements(admin, "consumer_offset")) == 2)
    for writer in writers:
        writer.join(WAIT_S)
    assert sorted(result.posted for result in results) == [0, 40]
    assert settled(admin) == 20 * 12
    assert rows(admin, "SELECT next_posted FROM shard") == [(2,)]


def _statements(admin: Cursor, part: str) -> list[tuple[Any, ...]]:
    return [
        row
        for row in rows(
            admin,
            "SELECT id, info FROM information_schema.processlist"
            " WHERE user = 'ledger' AND info IS NOT NULL",
        )
        if part in row[1]
    ]


def _until(condition: Any) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "the writers never came to the lock"
        time.sleep(0.01)


def test_a_connection_killed_between_insert_and_commit_stores_nothing_and_a_retry_posts_once(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    store = MySqlLedgerStore(database(mysql_admin))
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
        writer = threading.Thread(target=write)
        writer.start()
        _until(lambda: _statements(admin, "INSERT INTO transfer"))
        ((thread, _),) = _statements(admin, "INSERT INTO transfer")
        assert rows(admin, "SELECT COUNT(*) FROM outbox") == [(1,)]
        admin.execute("KILL CONNECTION %s", (thread,))
        writer.join(WAIT_S)
        blocker.rollback()
    blocker.close()
    assert len(faults) == 1
    assert state(admin) == before
    assert post_partition(store, records, NOW).posted == 2
    assert post_partition(store, records, NOW).posted == 0
    assert settled(admin) == 20
