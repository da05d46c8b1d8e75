"""Writers die and relays lose their locks while buckets move: each hazard shown, then its guard."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql import ledger_store
from orion.adapters.mysql.ledger_watch import Late, late
from orion.ledger.model import bucket
from tests.engine.ledger_shards_scene import Ledger, emptied
from tests.engine.test_ledger_shards import MOVED, owner, same_as_one_shard
from tests.unit.ledger_shards_world import life

pytestmark = pytest.mark.engine

WAIT_S = 20
STORY = life(MOVED)


@pytest.fixture
def ledger(mysql_admin: MariaDb) -> Iterator[Ledger]:
    with emptied(mysql_admin) as admin:
        opened = Ledger(mysql_admin, admin)
        yield opened
        opened.close()


@contextmanager
def locked(ledger: Ledger, statement: str) -> Iterator[None]:
    """Hold what `statement` locks, gaps included."""
    connection = ledger.server.connect()
    try:
        connection.begin()
        with connection.cursor() as cursor:
            cursor.execute(statement)
            cursor.fetchall()
            yield
    finally:
        connection.rollback()
        connection.close()


def wait_until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not look():
        assert time.monotonic() < deadline, "the writer never came to the lock"
        time.sleep(0.01)


def stuck_in(ledger: Ledger, part: str) -> bool:
    return bool(
        ledger.rows(
            "SELECT 1 FROM information_schema.processlist WHERE user = 'ledger' AND info LIKE %s",
            f"{part}%",
        )
    )


def kill(ledger: Ledger, writer: "subprocess.Popen[str]") -> None:
    """SIGKILL, and wait until the server has noticed."""
    threads = ledger.rows("SELECT id FROM information_schema.processlist WHERE user = 'ledger'")
    mine = {thread for (thread,) in threads} - sleeping(ledger)
    writer.kill()
    writer.wait()
    for thread in mine:
        ledger.admin.execute(f"KILL CONNECTION {thread:d}")
    wait_until(lambda: not running(ledger) & mine)


def sleeping(ledger: Ledger) -> set[int]:
    found = ledger.rows("SELECT id FROM information_schema.processlist WHERE command = 'Sleep'")
    return {thread for (thread,) in found}


def running(ledger: Ledger) -> set[int]:
    return {thread for (thread,) in ledger.rows("SELECT id FROM information_schema.processlist")}


def test_a_writer_killed_inside_a_handover_lets_go_once_when_it_is_repeated(ledger: Ledger) -> None:
    ledger.ask(*STORY[:3])
    ledger.relays["moneyin"].run()
    ledger.work(0)
    ledger.grow(2)
    ledger.ask(*STORY[3:])
    for relay in ledger.relays.values():
        relay.run()
    with locked(ledger, "SELECT seq FROM orion_ledger.outbox ORDER BY seq FOR UPDATE"):
        writer = ledger.start_writer(0)
        wait_until(lambda: stuck_in(ledger, "INSERT INTO outbox"))  # It owes the takeover.
        kill(ledger, writer)
    assert ledger.one("SELECT COUNT(*) FROM bucket WHERE shard_no = 1") == 0
    ledger.drain()
    assert ledger.moving() == 0
    same_as_one_shard(ledger, [tuple(STORY[:3]), tuple(STORY[3:])])


def test_a_writer_killed_between_handover_and_takeover_decides_what_was_held_once(
    ledger: Ledger,
) -> None:
    ledger.ask(*STORY[:3])
    ledger.relays["moneyin"].run()
    ledger.grow(2)
    ledger.ask(*STORY[3:])
    ledger.relays["moneyin"].run()
    ledger.relays["ledger"].run()
    ledger.work(1)
    ledger.work(0)  # The handover is committed.
    assert ledger.one("SELECT COUNT(*) FROM held") == 1
    ledger.relays["ledger"].run()
    with locked(ledger, "SELECT seq FROM orion_ledger.held FOR UPDATE"):
        writer = ledger.start_writer(1)
        wait_until(lambda: stuck_in(ledger, "DELETE FROM held"))  # All of it is decided.
        kill(ledger, writer)
    assert ledger.one("SELECT COUNT(*) FROM bucket WHERE shard_no = 1 AND taken = 1") == 0
    assert ledger.one("SELECT COUNT(*) FROM held") == 1
    assert ledger.one("SELECT COUNT(*) FROM transfer WHERE shard_no = 1") == 0
    writer = ledger.start_writer(1)
    assert writer.wait(WAIT_S) == 0
    assert ledger.one("SELECT COUNT(*) FROM held") == 0
    ledger.drain()  # Delivers it once more.
    same_as_one_shard(ledger, [tuple(STORY[:3]), tuple(STORY[3:])])


def hand_over(ledger: Ledger) -> None:
    """Both control records arrive and are carried out."""
    ledger.owe_handovers()
    ledger.relays["ledger"].run()
    ledger.work(0)
    ledger.relays["ledger"].run()
    ledger.work(1)
    assert ledger.moving() == 0


@pytest.mark.parametrize("barrier", [False, True])
def test_without_the_barrier_a_causally_later_transfer_is_refused_wrongly(
    ledger: Ledger, barrier: bool
) -> None:
    relay = ledger.relays["moneyin"]
    ledger.ask(STORY[0])
    assert relay.lock()
    sending = relay.read()  # By the map of one shard.
    ledger.draw_map(2)
    ledger.ask(STORY[1])
    if barrier:  # It passes only after this relay is done.
        relay.send(sending)
        relay.mark(sending)
        relay.unlock()
        ledger.pass_barrier()
        hand_over(ledger)
    else:
        hand_over(ledger)
        relay.send(sending)
        relay.mark(sending)
        relay.unlock()
    relay.run()
    ledger.drain()
    wrong = [] if barrier else [(STORY[1].id, "exceeds_credits")]
    assert ledger.rows("SELECT id, reason FROM refusal") == wrong


@pytest.mark.parametrize("guarded", [False, True])
def test_a_relay_that_lost_its_lock_repeats_late_and_harmlessly_if_it_cannot_mark(
    ledger: Ledger, guarded: bool
) -> None:
    relay = ledger.relays["moneyin"]
    ledger.ask(STORY[0])
    assert relay.lock()
    sending = relay.read()
    relay.database.close()  # Its session ends; it opens another when it marks.
    ledger.draw_map(2)
    wait_until(lambda: ledger.one("SELECT IS_FREE_LOCK('orion-outbox-moneyin')") == 1)
    ledger.pass_barrier()
    hand_over(ledger)
    ledger.ask(STORY[1])
    relay.send(sending)
    assert relay.mark(sending, guarded=guarded) is not guarded
    relay.run()
    ledger.work(1)
    ledger.drain()
    wrong = [] if guarded else [(STORY[1].id, "exceeds_credits")]
    assert ledger.rows("SELECT id, reason FROM refusal") == wrong
    if guarded:
        same_as_one_shard(ledger, [(STORY[0],), (STORY[1],)])


def test_more_held_than_one_batch_takes_is_decided_in_as_many_as_it_needs(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    merchants = [n for n in range(4_000) if bucket(owner(n)) == bucket(owner(MOVED))]
    asked = [tuple(life(n)) for n in merchants]
    ledger.grow(2)
    for record in asked:
        ledger.ask(*record)
    ledger.relays["moneyin"].run()
    ledger.work(1)
    assert ledger.one("SELECT COUNT(*) FROM held") == len(asked)
    ledger.relays["ledger"].run()
    ledger.work(0)
    ledger.relays["ledger"].run()
    monkeypatch.setattr(ledger_store, "MAX_BATCH", 30)
    moved = "SELECT from_number, to_number FROM bucket_move WHERE bucket = %s"
    begun = ledger.rows(moved, bucket(owner(MOVED)))
    assert begun == [(None, None)]
    version = ledger.one("SELECT version FROM shard WHERE shard_no = 1")
    first = ledger.one("SELECT next_posted FROM shard WHERE shard_no = 1")
    ledger.work(1)
    commits = ledger.one("SELECT version FROM shard WHERE shard_no = 1") - version
    # Each takes 30 transfers and at most what completes its last record.
    assert commits >= sum(len(record) for record in asked) // (30 + 12)
    assert ledger.rows(moved, bucket(owner(MOVED)))[0][1] == first
    ledger.drain()
    numbers = ledger.one("SELECT COUNT(DISTINCT number) FROM transfer WHERE code <> 'leg'")
    assert numbers > 3
    same_as_one_shard(ledger, asked)


def test_what_is_late_is_counted(ledger: Ledger) -> None:
    ledger.grow(2)
    ledger.ask(*STORY[:2])
    ledger.relays["moneyin"].run()
    ledger.work(1)
    assert counted(ledger, 0) == Late(legs_late=0, transfers_held=1, statements_behind=0)
    ledger.relays["ledger"].run()
    ledger.work(0)
    ledger.relays["ledger"].run()
    ledger.work(1)
    assert ledger.one("SELECT COUNT(*) FROM leg WHERE applied_at IS NULL") == 1
    assert counted(ledger, 59) == Late(legs_late=0, transfers_held=0, statements_behind=1)
    assert counted(ledger, 61) == Late(legs_late=1, transfers_held=0, statements_behind=1)
    ledger.admin.execute("UPDATE leg SET sent_at = sent_at + INTERVAL 2 SECOND")
    assert counted(ledger, 61).legs_late == 0
    ledger.drain()
    assert counted(ledger, 3_600).legs_late == 0


def counted(ledger: Ledger, after_s: int) -> Late:
    moment = ledger.now + timedelta(seconds=after_s)
    return ledger.operator.run(lambda cursor: late(cursor, moment))
