"""The ledger's store on a real MariaDB: one transaction a batch, one effect a record."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql.ledger_store import MySqlLedgerStore, UnknownShard
from orion.adapters.mysql.session import Cursor
from orion.ledger.service import post_partition
from orion.ledger.transfer_record import MalformedTransfer
from tests.engine.ledger_store_scene import (
    NOW,
    counters,
    credit,
    empty_ledger,
    final,
    payout,
    reasons,
    record,
    rows,
    settled,
    state,
    writer,
)

MOST = 2**128 - 1


@pytest.fixture
def admin(mysql_admin: MariaDb) -> Iterator[Cursor]:
    with empty_ledger(mysql_admin) as cursor:
        yield cursor


@pytest.fixture
def store(mysql_admin: MariaDb, admin: Cursor) -> MySqlLedgerStore:
    return writer(mysql_admin)


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


def test_the_largest_amount_is_stored_exactly_and_one_more_is_refused(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    post_partition(store, [record(0, credit(MOST)), record(1, credit(1))], NOW)
    assert reasons(admin) == ["overflow"]
    post_partition(store, [record(2, final(MOST))], NOW)
    assert counters(admin, "custody") == (MOST, 0, 0, 0)
    assert counters(admin, "settling") == (MOST, 0, MOST, 0)
    assert rows(admin, "SELECT units FROM transfer") == [(MOST,), (MOST,)]
    told = rows(admin, "SELECT payload FROM outbox WHERE destination = 'kafka:ledger.posted'")
    assert json.loads(told[0][0])["transfers"][0]["units"] == str(MOST)


def test_every_counter_at_rest_is_the_sum_of_the_log(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    for turn in range(6):
        transfers = [credit(50 + n, merchant=n % 5) for n in range(40)]
        transfers += [final(30 + n, merchant=n % 5) for n in range(40)]
        opened = payout("pending", 20 + turn)
        transfers += [opened, payout("post", 11, of=opened)]
        post_partition(store, [record(turn, *transfers)], NOW)
    for side, account in (("debits_posted", "debit_account"), ("credits_posted", "credit_account")):
        assert (
            rows(
                admin,
                f"SELECT a.id FROM account a LEFT JOIN (SELECT {account} AS id, SUM(units) AS units"
                f" FROM transfer WHERE kind IN ('direct', 'post') GROUP BY {account}) t"
                f" ON t.id = a.id WHERE a.{side} <> COALESCE(t.units, 0)",
            )
            == []
        )
    sides = "SELECT SUM(debits_posted) - SUM(credits_posted), SUM(debits_pending) FROM account"
    assert rows(admin, sides) == [(0, 0)]


def test_the_time_of_the_log_rises_with_each_commit_though_the_clock_falls_or_stands(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    for offset, seconds in enumerate((0, -90, 5, 5)):
        post_partition(store, [record(offset, credit())], NOW + timedelta(seconds=seconds))
    moments = [at for (at,) in rows(admin, "SELECT posted_at FROM transfer ORDER BY number")]
    start = NOW.replace(tzinfo=None)
    tick = timedelta(microseconds=1)
    later = start + timedelta(seconds=5)
    assert moments == [start, start + tick, later, later + tick]
    posted = rows(admin, "SELECT payload FROM outbox ORDER BY seq")
    assert json.loads(posted[1][0])["posted_at"] == "2026-01-02T03:04:05.000001Z"


def test_a_partition_of_more_than_a_batch_is_posted_in_several(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    records = [record(n, *[credit(1) for _ in range(1000)]) for n in range(11)]
    result = post_partition(store, records, NOW)
    assert (result.posted, result.records) == (11_000, 11)
    assert rows(admin, "SELECT version, next_posted FROM shard") == [(2, 18)]
    assert settled(admin) == 11_000


def test_a_cause_keeps_every_character_on_its_way_through_the_statements(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    note = 'it\'s \\ "quoted"; -- %s \n\t\0 €𝄞'
    transfer = credit() | {"cause": {"type": "note", "text": note}}
    post_partition(store, [record(0, transfer)], NOW)
    ((cause,),) = rows(admin, "SELECT cause FROM transfer")
    ((payload,),) = rows(admin, "SELECT payload FROM outbox")
    assert json.loads(cause)["text"] == note
    assert json.loads(payload)["transfers"][0]["cause"]["text"] == note
