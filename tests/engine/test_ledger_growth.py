"""A growth that is carried on: by one caller at a time, behind the barrier, each handover once."""

import threading
from collections.abc import Iterator

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql import ledger_growth
from orion.adapters.mysql.ledger_growth import GROWTH_LOCK, SenderBusy
from tests.engine.ledger_shards_scene import NOW, Ledger, emptied, told
from tests.unit.ledger_shards_world import TRACE

pytestmark = pytest.mark.engine

HANDOVERS = "SELECT COUNT(*) FROM outbox WHERE payload LIKE '%%\"handover\":%%'"


@pytest.fixture
def ledger(mysql_admin: MariaDb) -> Iterator[Ledger]:
    with emptied(mysql_admin) as admin:
        opened = Ledger(mysql_admin, admin)
        yield opened
        opened.close()


def test_nothing_is_owed_while_a_sender_keeps_its_lock_and_all_of_it_afterwards(
    ledger: Ledger,
) -> None:
    assert ledger.carry_on() == 0
    ledger.draw_map(2)
    relay = ledger.relays["ledger"]
    assert relay.lock()
    with pytest.raises(SenderBusy):
        ledger.carry_on()
    assert ledger.one(HANDOVERS) == 0
    relay.unlock()
    assert [ledger.carry_on(), ledger.carry_on()] == [128, 0]
    ledger.drain()
    assert ledger.moving() == 0


def test_a_relay_that_starts_over_and_over_does_not_end_the_wait_of_several_questions(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_growth, "ASK_S", 1)
    ledger.draw_map(2)
    relay = ledger.relays["moneyin"]
    assert relay.lock()
    letting_go = threading.Timer(1.5, relay.unlock)  # After the first question was answered.
    letting_go.start()
    assert ledger.carry_on(wait_s=60) == 128
    letting_go.join()


def test_a_second_caller_leaves_the_growth_to_the_first(ledger: Ledger) -> None:
    ledger.draw_map(2)
    ledger.admin.execute(f"SELECT GET_LOCK('{GROWTH_LOCK}', 0)")
    try:
        assert ledger.carry_on() == 0
        assert ledger.one(HANDOVERS) == 0
    finally:
        ledger.admin.execute(f"SELECT RELEASE_LOCK('{GROWTH_LOCK}')")
    assert ledger.carry_on() == 128
    assert ledger.one(f"SELECT IS_FREE_LOCK('{GROWTH_LOCK}')") == 1


def test_only_what_lacks_is_owed(ledger: Ledger) -> None:
    ledger.grow(2)
    before = ledger.rows("SELECT event_id, payload FROM outbox ORDER BY event_id")
    ledger.admin.execute("DELETE FROM outbox ORDER BY seq LIMIT 28")
    assert ledger.carry_on() == 28
    assert ledger.rows("SELECT event_id, payload FROM outbox ORDER BY event_id") == before
    ledger.relays["ledger"].run(64)
    ledger.work(0)
    # Those that left are moving still, and are not told again.
    assert (ledger.moving(), ledger.carry_on()) == (128, 0)
    ledger.drain()
    assert len(told(ledger.partitions[0], "handover")) == 128


def test_a_barrier_passed_for_one_map_owes_nothing_of_a_newer_one(ledger: Ledger) -> None:
    ledger.draw_map(2)
    owed = ledger.operator.run(lambda cursor: ledger_growth.owe_handovers(cursor, 1, TRACE, NOW))
    assert (owed, ledger.one(HANDOVERS)) == (0, 0)
