"""What one part of a batch decided is known to the next: control records and held pieces part."""

import json
from collections.abc import Callable, Iterator

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql import ledger_shards
from orion.adapters.mysql.session import Cursor
from orion.ledger.model import Code
from orion.ledger.service import post_partition
from orion.records import Record
from tests.engine.ledger_shards_scene import Ledger, emptied
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
    writer,
)
from tests.engine.test_ledger_shards import MOVED
from tests.unit.ledger_shards_world import life, step

pytestmark = pytest.mark.engine


@pytest.fixture
def admin(mysql_admin: MariaDb) -> Iterator[Cursor]:
    with empty_ledger(mysql_admin) as cursor:
        yield cursor


@pytest.fixture
def ledger(mysql_admin: MariaDb) -> Iterator[Ledger]:
    with emptied(mysql_admin) as admin:
        opened = Ledger(mysql_admin, admin)
        yield opened
        opened.close()


def control(offset: int) -> Record:
    """A control record that changes nothing."""
    body = {"v": 1, "trace_id": "ef" * 16, "handover": {"bucket": 7, "map_version": 1}}
    return Record("ledger.transfers", 0, offset, b"shard:0", json.dumps(body).encode())


@pytest.mark.parametrize(
    "asked, cover",
    [
        (lambda: [final(5)], [credit(5)]),
        (lambda: [payout("pending", 5)], [credit(5), final(5)]),
        (lambda: [final(5) | {"linked": True}, final(3)], [credit(8)]),
    ],
    ids=["transfer", "payout", "chain"],
)
def test_what_was_refused_before_a_control_record_stays_refused_after_it(
    mysql_admin: MariaDb, admin: Cursor, asked: Callable[[], list[Content]], cover: list[Content]
) -> None:
    refused = asked()
    batch = [record(0, *refused), record(1, *cover), control(2), record(3, *refused)]
    result = post_partition(writer(mysql_admin), batch, NOW)
    assert (result.posted, result.refused, result.unchanged) == (
        len(cover),
        len(refused),
        len(refused),
    )
    assert len(reasons(admin)) == len(refused)
    assert rows(admin, "SELECT * FROM pending") == []
    assert rows(admin, "SELECT 1 FROM transfer t JOIN refusal r ON r.id = t.id") == []


def test_what_was_posted_before_a_control_record_is_a_replay_after_it(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    twice = credit(5)
    batch = [record(0, twice), control(1), record(2, twice), control(3), record(4, twice)]
    result = post_partition(writer(mysql_admin), batch, NOW)
    assert (result.posted, result.refused, result.unchanged) == (1, 0, 2)
    assert settled(admin) == 5


@pytest.mark.parametrize("known", [False, True], ids=["careless", "careful"])
def test_a_conflict_on_both_sides_of_a_control_record_is_refused_once(
    mysql_admin: MariaDb, admin: Cursor, known: bool
) -> None:
    first = credit(5)
    other, third = first | {"units": "6"}, first | {"units": "7"}
    store = writer(mysql_admin)
    begin = [record(0, first)]
    if known:
        post_partition(store, begin, NOW)
        begin = []
    batch = [*begin, record(1, other), control(2), record(3, other, first, third)]
    result = post_partition(store, batch, NOW)
    assert (result.refused, result.unchanged) == (2, 2)
    assert reasons(admin) == ["id_conflict", "id_conflict"]
    assert settled(admin) == 5


def test_a_payout_that_ended_before_a_control_record_has_ended_after_it(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    opened = payout("pending", 5)
    ending = payout("void", 5, of=opened)
    batch = [
        record(0, credit(5), final(5), opened, ending),
        control(1),
        record(2, opened, ending, payout("post", 5, of=opened)),
    ]
    result = post_partition(writer(mysql_admin), batch, NOW)
    assert (result.posted, result.refused, result.unchanged) == (4, 1, 2)
    assert counters(admin, "available") == (0, 0, 5, 0)


def test_what_one_piece_of_held_records_was_refused_stays_refused_in_the_next(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_shards, "_HELD_ROWS", 2)
    early = step(MOVED, 30, Code.DEPOSIT_FINAL, 5)
    cover = life(MOVED)[0]
    ledger.draw_map(2)
    for transfer in (early, cover, early):
        ledger.ask(transfer)
    ledger.relays["moneyin"].run()
    ledger.pass_barrier()
    ledger.owe_handovers()
    ledger.drain()
    assert ledger.rows("SELECT id, reason FROM refusal") == [(early.id, "exceeds_credits")]
    assert ledger.rows("SELECT id FROM transfer WHERE code <> 'leg'") == [(cover.id,)]
