"""Ids that are known already, met by a writer that takes for granted that none is."""

import json
from collections.abc import Iterator

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql import ledger_store_reading, ledger_store_refusals
from orion.adapters.mysql.ledger_store import MySqlLedgerStore
from orion.adapters.mysql.session import Cursor
from orion.ledger.service import post_partition
from tests.engine.ledger_store_scene import (
    NOW,
    Content,
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


@pytest.fixture
def admin(mysql_admin: MariaDb) -> Iterator[Cursor]:
    with empty_ledger(mysql_admin) as cursor:
        yield cursor


@pytest.fixture
def store(mysql_admin: MariaDb, admin: Cursor) -> MySqlLedgerStore:
    return writer(mysql_admin)


def test_a_large_batch_with_known_ids_among_new_ones_posts_only_the_new_ones(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    known = [credit(1) for _ in range(10)]
    post_partition(store, [record(0, *known)], NOW)
    fresh = [credit(1) for _ in range(3990)]
    mixed = [*fresh[:1999], known[3], *fresh[1999:], known[7], known[3]]
    records = [record(1 + n, *mixed[n * 1000 : n * 1000 + 1000]) for n in range(4)]
    result = post_partition(store, records, NOW)
    assert (result.posted, result.refused, result.unchanged) == (3990, 0, 3)
    assert settled(admin) == 4000 == counters(admin, "custody")[0]
    assert rows(admin, "SELECT next_posted, next_refused FROM shard") == [(8, 1)]


def test_a_refused_transfer_stays_refused_though_it_would_pass_now(
    store: MySqlLedgerStore, admin: Cursor, mysql_admin: MariaDb
) -> None:
    early = final(5)
    post_partition(store, [record(0, early)], NOW)
    assert reasons(admin) == ["exceeds_credits"]
    post_partition(store, [record(1, credit(5))], NOW)
    for number, who in enumerate((store, writer(mysql_admin))):
        again = post_partition(who, [record(2 + number, early)], NOW)
        assert (again.posted, again.refused, again.unchanged) == (0, 0, 1)
    assert reasons(admin) == ["exceeds_credits"]
    assert counters(admin, "settling")[0] == 0


def test_what_another_shard_refused_stays_refused_here(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    """Its bucket may have moved since."""
    post_partition(store, [record(0, credit(5))], NOW)
    early = final(5)
    admin.execute("INSERT INTO shard (shard_no, next_posted, next_refused) VALUES (1, 1, 2)")
    admin.execute(
        "INSERT INTO refusal VALUES (1, 1, 0, %s, REPEAT('d', 16), 'exceeds_credits', '{}',"
        " REPEAT('t', 16), '2026-01-01')",
        (bytes.fromhex(str(early["id"])),),
    )
    assert post_partition(store, [record(1, early)], NOW).posted == 0
    # Other content under that id, as far as this shard can see.
    assert reasons(admin) == ["id_conflict", "exceeds_credits"]


def test_with_more_refusals_than_are_remembered_the_table_is_asked(
    store: MySqlLedgerStore, admin: Cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_store_refusals, "MAX_REFUSED", 3)
    early = [final(5) for _ in range(8)]
    post_partition(store, [record(0, *early)], NOW)
    post_partition(store, [record(1, credit(40))], NOW)
    again = post_partition(store, [record(2, *early)], NOW)
    assert (again.posted, again.refused, again.unchanged) == (0, 0, 8)
    assert counters(admin, "settling")[0] == 0


def test_a_posted_transfer_that_comes_again_is_no_refusal_though_it_would_not_pass_now(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    spent = final(5)
    post_partition(store, [record(0, credit(5), spent)], NOW)
    before = state(admin)
    again = post_partition(store, [record(1, spent)], NOW)
    assert (again.posted, again.refused, again.unchanged) == (0, 0, 1)
    after = state(admin)
    before.pop("consumer_offset")
    after.pop("consumer_offset")
    assert after == before


def test_one_id_twice_in_parts_of_one_batch_is_posted_once(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    twice = credit(3)
    filler = [[credit(1) for _ in range(999)] for _ in range(2)]
    records = [record(0, twice, *filler[0]), record(1, *filler[1], twice)]
    result = post_partition(store, records, NOW)
    assert (result.posted, result.unchanged) == (1999, 1)
    assert settled(admin) == 1998 + 3


def test_a_conflict_among_known_ids_is_refused_once_for_each_content(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    identity = "11" * 16
    post_partition(store, [record(0, credit(5, identity=identity))], NOW)
    others: list[Content] = [credit(6, identity=identity), credit(7, identity=identity)]
    for offset in (1, 2):
        post_partition(store, [record(offset, *others)], NOW)
    assert reasons(admin) == ["id_conflict", "id_conflict"]
    assert settled(admin) == 5


def test_pending_transfers_are_found_by_a_writer_that_starts_anew(
    admin: Cursor, mysql_admin: MariaDb
) -> None:
    first, second = payout("pending", 30), payout("pending", 60)
    post_partition(writer(mysql_admin), [record(0, credit(100), final(100), first, second)], NOW)
    assert counters(admin, "available") == (0, 90, 100, 0)
    post_partition(writer(mysql_admin), [record(1, payout("signed", 30, of=first))], NOW)
    held = writer(mysql_admin)
    post_partition(
        held, [record(2, payout("timeout", 30, of=first), payout("post", 25, of=first))], NOW
    )
    post_partition(held, [record(3, payout("void", 60, of=second))], NOW)
    post_partition(writer(mysql_admin), [record(4, payout("post", 60, of=second))], NOW)
    assert reasons(admin) == ["pending_signed", "pending_already_voided"]
    assert counters(admin, "available") == (25, 0, 100, 0)
    assert counters(admin, "custody") == (100, 0, 25, 0)
    assert rows(admin, "SELECT state, signed, units FROM pending ORDER BY units") == [
        ("posted", 1, 30),
        ("voided", 0, 60),
    ]
    told = rows(admin, "SELECT kind, pending_id FROM transfer WHERE kind = 'post'")
    assert told == [("post", bytes.fromhex(str(first["id"])))]


def test_a_pending_opened_and_voided_in_one_batch_leaves_the_counters_as_they_were(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    post_partition(store, [record(0, credit(9), final(9))], NOW)
    opened = payout("pending", 9)
    post_partition(store, [record(1, opened, payout("void", 9, of=opened))], NOW)
    assert counters(admin, "available") == (0, 0, 9, 0)
    assert rows(admin, "SELECT state FROM pending") == [("voided",)]


def test_an_open_freeze_refuses_payouts_from_the_next_batch_on_until_it_is_lifted(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    post_partition(store, [record(0, credit(90), final(90))], NOW)
    begun = payout("pending", 10)
    post_partition(store, [record(1, begun)], NOW)
    admin.execute(
        "INSERT INTO asset_freeze (asset, incident_id, opened_at)"
        " VALUES ('BTC.bitcoin', REPEAT('i', 16), '2026-01-01')"
    )
    refused = payout("pending", 20)
    post_partition(store, [record(2, refused, payout("post", 10, of=begun))], NOW)
    admin.execute("UPDATE asset_freeze SET lifted_at = NOW(6), lifted_reason = 'found'")
    post_partition(store, [record(3, refused, payout("pending", 30))], NOW)
    assert reasons(admin) == ["asset_frozen"]
    assert counters(admin, "available") == (10, 30, 90, 0)


def test_what_is_told_of_a_batch_is_what_the_log_has(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    opened = payout("pending", 9)
    post_partition(
        store, [record(0, credit(9), final(9), opened, payout("post", 8, of=opened))], NOW
    )
    ((payload,),) = rows(admin, "SELECT payload FROM outbox")
    told = [
        (row["id"], row["kind"], row["digest"], row["units"], row.get("pending_id"))
        for row in json.loads(payload)["transfers"]
    ]
    logged = rows(
        admin,
        "SELECT LOWER(HEX(id)), kind, LOWER(HEX(digest)), CAST(units AS CHAR),"
        " LOWER(HEX(pending_id)) FROM transfer ORDER BY number, position",
    )
    assert told == logged


def test_an_asset_that_many_incidents_froze_is_one_and_too_many_assets_stop_the_writer(
    store: MySqlLedgerStore, admin: Cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_store_reading, "MAX_FROZEN", 2)
    freeze = (
        "INSERT INTO asset_freeze (asset, incident_id, opened_at)"
        " SELECT %s, UNHEX(MD5(seq)), '2026-01-01' FROM seq_1_to_5"
    )
    for asset in ("BTC.bitcoin", "ETH.ethereum"):
        admin.execute(freeze, (asset,))
    post_partition(store, [record(0, credit(9), final(9), payout("pending", 9))], NOW)
    assert reasons(admin) == ["asset_frozen"]
    admin.execute(freeze, ("USDT.ethereum",))
    with pytest.raises(ledger_store_reading.TooManyFrozen):
        post_partition(store, [record(1, credit(9))], NOW)
