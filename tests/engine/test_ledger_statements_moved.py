"""Statements while buckets move between shards: each account's lines stay in order."""

import random
from collections.abc import Iterator

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql.ledger_statement_pages import MySqlStatements
from orion.adapters.mysql.ledger_statements import MySqlStatementFollower
from orion.ledger.following import follow_shard
from orion.ledger.statement import Order, Question
from tests.engine.ledger_shards_scene import Ledger
from tests.engine.statement_scene import counters, database, empty_ledger, entered, recomputed
from tests.unit.ledger_shards_world import life

MERCHANTS = 12
SHARDS = 3


@pytest.fixture
def ledger(mysql_admin: MariaDb) -> Iterator[Ledger]:
    with empty_ledger(mysql_admin) as admin:
        opened = Ledger(mysql_admin, admin)
        yield opened
        opened.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_statements_of_a_ledger_that_grows_under_traffic_are_what_its_logs_say(
    ledger: Ledger, seed: int
) -> None:
    """Followers run for any shard at any time; what is entered is never taken back."""
    dice = random.Random(seed)  # noqa: S311 - a repeatable story, not a secret
    follower = MySqlStatementFollower(database(ledger.server), chunk=3)
    left = {merchant: life(merchant) for merchant in range(MERCHANTS)}
    shards, turn = 1, 0
    while any(left.values()):
        merchant = dice.choice([m for m, rest in left.items() if rest])
        ledger.ask(left[merchant].pop(0))
        turn += 1
        if turn in {15, 40}:
            if ledger.moving():
                ledger.drain()
            shards += 1
            ledger.grow(shards)
        for relay in ledger.relays.values():
            relay.run()
        for shard in range(shards):
            if dice.randrange(3):
                ledger.work(shard, limit=3)
        if dice.randrange(4) == 0:
            follow_shard(follower, dice.randrange(shards), steps=500)
            seen, log = entered(ledger.admin), recomputed(ledger.admin)
            assert all(lines == log[account][: len(lines)] for account, lines in seen.items())
    ledger.drain()
    moved = ledger.one("SELECT COUNT(*) FROM bucket_move WHERE to_number IS NOT NULL")
    assert moved == ledger.one("SELECT COUNT(*) FROM bucket_move") > 0
    for shard in range(SHARDS):
        follow_shard(follower, shard, steps=500)
    assert entered(ledger.admin) == recomputed(ledger.admin)
    reached = counters(ledger.admin, "statement_account", "account")
    assert reached == counters(ledger.admin, "account", "id")
    statements = MySqlStatements(database(ledger.server))
    for account, sums in reached.items():
        page = statements.page(Question(account, 1, None, None, Order.NEWEST_FIRST))
        assert page.counters is not None
        assert tuple(page.counters) == sums
