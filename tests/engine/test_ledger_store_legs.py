"""Legs: applied once, whole as their shard sent them, and without a wait for those of others."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql.ledger_store import MySqlLedgerStore
from orion.adapters.mysql.ledger_store_legs import UnknownLeg
from orion.adapters.mysql.ledger_store_rows import legs_statement
from orion.adapters.mysql.session import Cursor
from orion.ledger.model import AccountKey, Leg, Purpose, Side, leg_cause, leg_id
from orion.ledger.service import post_partition
from orion.ledger.transfer_record import transfers_body
from orion.records import Record, canonical_json
from tests.engine.ledger_store_scene import (
    NOW,
    counters,
    empty_ledger,
    rows,
    state,
    writer,
)

pytestmark = pytest.mark.engine

CUSTODY = AccountKey("system:bitcoin", Purpose.CUSTODY, "BTC.bitcoin")


@pytest.fixture
def admin(mysql_admin: MariaDb) -> Iterator[Cursor]:
    with empty_ledger(mysql_admin) as cursor:
        yield cursor


@pytest.fixture
def store(mysql_admin: MariaDb, admin: Cursor) -> MySqlLedgerStore:
    return writer(mysql_admin)


def leg(number: int, units: int = 50) -> Leg:
    """A leg of shard 1."""
    cause = leg_cause(1, number, (number, 0), (number, 0))
    return Leg(leg_id(1, number), number, CUSTODY, Side.DEBIT, units, cause, 1, b"t" * 16)


def sent(offset: int, *legs: Leg) -> Record:
    body = transfers_body([leg.as_transfer() for leg in legs], b"t" * 16)
    return Record("ledger.transfers", 0, offset, b"", canonical_json(body))


def put_in_flight(admin: Cursor, legs: Sequence[Leg]) -> None:
    admin.execute(legs_statement(legs, NOW))


def test_a_leg_that_no_shard_put_in_flight_stops_the_partition(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    """Whoever can write the topic could otherwise make money."""
    before = state(admin)
    with pytest.raises(UnknownLeg):
        post_partition(store, [sent(0, leg(1))], NOW)
    assert state(admin) == before
    put_in_flight(admin, [leg(1)])
    admin.execute("UPDATE leg SET applied_at = '2026-01-01'")
    with pytest.raises(UnknownLeg):
        post_partition(store, [sent(0, leg(1))], NOW)
    admin.execute("UPDATE leg SET applied_at = NULL")
    assert post_partition(store, [sent(0, leg(1))], NOW).posted == 1
    assert counters(admin, "custody") == (50, 0, 0, 0)
    assert rows(admin, "SELECT COUNT(*) FROM leg WHERE applied_at IS NULL") == [(0,)]


@pytest.mark.parametrize(
    "forged",
    [
        replace(leg(1), units=51),
        replace(leg(1), side=Side.CREDIT),
        replace(leg(1), cause=leg_cause(1, 1, (1, 0), (999_999, 3))),
        replace(leg(1), account=AccountKey("system:ethereum", Purpose.CUSTODY, "ETH.ethereum")),
    ],
    ids=["units", "side", "cause", "account"],
)
def test_a_leg_that_differs_from_what_was_sent_is_never_posted_and_the_true_one_is(
    store: MySqlLedgerStore, admin: Cursor, forged: Leg
) -> None:
    put_in_flight(admin, [leg(1)])
    with pytest.raises(UnknownLeg):
        post_partition(store, [sent(0, forged)], NOW)
    assert rows(admin, "SELECT * FROM transfer") == []
    assert post_partition(store, [sent(0, leg(1))], NOW).posted == 1
    assert counters(admin, "custody") == (50, 0, 0, 0)


def test_a_leg_that_comes_again_is_a_replay_though_it_would_not_fit_twice(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    largest = leg(1, 2**128 - 1)
    put_in_flight(admin, [largest])
    post_partition(store, [sent(0, largest)], NOW)
    again = post_partition(store, [sent(1, largest)], NOW)
    assert (again.posted, again.refused, again.unchanged) == (0, 0, 1)


def test_a_shard_that_applies_legs_waits_for_none_of_another_shard(
    store: MySqlLedgerStore, admin: Cursor, mysql_admin: MariaDb
) -> None:
    """Two shards that did would wait for each other."""
    admin.execute(
        "INSERT INTO leg SELECT UNHEX(MD5(seq)), REPEAT('d', 16), seq MOD 7, 1000 + seq,"
        " REPEAT('a', 16), 1, 'BTC.bitcoin', 'debit', 1, '2026-01-01', '2026-01-01'"
        " FROM seq_1_to_20000"
    )
    legs = [leg(number) for number in range(1, 41)]
    put_in_flight(admin, legs)
    admin.execute("ANALYZE TABLE leg")
    admin.fetchall()
    other = mysql_admin.connect()
    try:
        with other.cursor() as cursor:
            cursor.execute("USE orion_ledger")
            cursor.execute(legs_statement([leg(100)], NOW))
            assert post_partition(store, [sent(0, *legs)], NOW).posted == 40
    finally:
        other.rollback()
        other.close()
    assert rows(admin, "SELECT COUNT(*) FROM leg WHERE applied_at IS NULL") == [(0,)]
