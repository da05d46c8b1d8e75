"""Statements against the transfers that they show: rows, their chain, and where they end."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from infra.local.mariadb import MariaDb
from infra.local.postgres import Postgres
from orion.adapters.mysql.ledger_statements import MySqlStatementFollower
from orion.log.reconciliation.model import Difference
from tests.engine.reconciliation_scene import Deposit, Scene, merchant
from tests.engine.reconciliation_tamper import mysql

pytestmark = pytest.mark.engine
_runs = count()
SETTLING = f"{merchant(1)}/settling/BTC.bitcoin"
ACCOUNT = (
    f"(SELECT id FROM orion_ledger.account WHERE owner = '{merchant(1)}' AND purpose = 'settling')"
)
# What the merchant was credited first, and what he was credited last.
FIRST, LAST = (f"account = {ACCOUNT} AND number = {number}" for number in (1, 5))
COLUMNS = (
    "account, posted_at, shard_no, number, position, side, kind, code, units, other,"
    " debits_posted, debits_pending, credits_posted, credits_pending"
)


def enter(scene: Scene) -> None:
    follower = MySqlStatementFollower(scene.database("ledger", "orion_ledger"))
    for shard in (0, 1):
        while not follower.follow(shard).at_end:
            pass


@pytest.fixture(scope="module")
def scene(mysql_admin: MariaDb, postgres_server: Postgres, aws_engine: Any) -> Iterator[Scene]:
    opened = Scene(mysql_admin, postgres_server, aws_engine)
    opened.story()
    enter(opened)
    yield opened
    opened.close()


def run(scene: Scene) -> list[Difference]:
    return list(scene.differences(f"statements-{next(_runs)}"))


def wrong(scene: Scene) -> list[tuple[str, str | None, str | None, int | None]]:
    return [(str(d.kind), d.account, d.asset, d.number) for d in run(scene)]


def told(number: int | None) -> tuple[str, str, str, int | None]:
    return ("statement_differs", SETTLING, "BTC.bitcoin", number)


def test_statements_as_the_follower_entered_them_are_equal_also_while_it_is_behind(
    scene: Scene,
) -> None:
    assert run(scene) == []
    late = Deposit(60, 1, 5)
    late.becomes("included")
    scene.know([late])
    scene.post(late.transfer("deposit_credit"))
    scene.deliver_legs(1)
    scene.follow()
    assert run(scene) == []
    enter(scene)
    assert run(scene) == []


@pytest.mark.parametrize(
    "change",
    [
        "units = units + 1", "side = 'debit'", "kind = 'post'", "code = 'payout'",
        "other = account",
    ],
)  # fmt: skip
def test_a_row_that_shows_something_else_than_its_transfer_is_told(
    scene: Scene, change: str
) -> None:
    with mysql(scene, "entry", FIRST, f"UPDATE {{table}} SET {change} WHERE {{where}}"):
        assert wrong(scene) == [told(1)]


@pytest.mark.parametrize(
    "counter", ["debits_posted", "debits_pending", "credits_posted", "credits_pending"]
)
def test_counters_that_do_not_follow_from_the_row_before_are_told(
    scene: Scene, counter: str
) -> None:
    change = f"UPDATE {{table}} SET {counter} = {counter} + 1 WHERE {{where}}"
    with mysql(scene, "entry", FIRST, change):
        found = wrong(scene)
    assert found[0] == told(1)
    assert {each[1] for each in found} == {SETTLING}


def test_a_lost_row_is_told(scene: Scene) -> None:
    with mysql(scene, "entry", FIRST, "DELETE FROM {table} WHERE {where}"):
        assert told(1) in wrong(scene)


@pytest.mark.parametrize("moved", ["posted_at - INTERVAL 1 SECOND", "posted_at + INTERVAL 1 YEAR"])
def test_a_row_at_another_moment_is_told(scene: Scene, moved: str) -> None:
    with mysql(scene, "entry", LAST, f"UPDATE {{table}} SET posted_at = {moved} WHERE {{where}}"):
        assert told(5) in wrong(scene)


@pytest.mark.parametrize("beside", [FIRST, LAST])
@pytest.mark.parametrize("seconds", [-1, 1_000_000])
def test_a_row_without_a_transfer_is_told_wherever_it_stands(
    scene: Scene, beside: str, seconds: int
) -> None:
    """With the counters of the row beside it: no chain of counters shows it."""
    values = COLUMNS.replace("posted_at", f"posted_at + INTERVAL {seconds} SECOND", 1)
    values = values.replace("number", "777", 1)
    added = f"INSERT INTO {{table}} ({COLUMNS}) SELECT {values} FROM {{table}} WHERE {{where}}"
    with mysql(scene, "entry", beside, added):
        assert told(777) in wrong(scene)


def test_a_row_that_shows_an_account_the_transfer_of_others_is_told(scene: Scene) -> None:
    foreign = COLUMNS.replace("account", "x'" + "ee" * 16 + "'", 1)
    added = f"INSERT INTO {{table}} ({COLUMNS}) SELECT {foreign} FROM {{table}} WHERE {{where}}"
    with mysql(scene, "entry", FIRST, added):
        [found] = run(scene)
    assert (found.kind, found.account) == ("statement_differs", "ee" * 16)


def test_a_statement_ends_in_what_the_follower_reached_and_that_in_the_counters(
    scene: Scene,
) -> None:
    where = f"account = {ACCOUNT}"
    change = "UPDATE {table} SET credits_posted = credits_posted - 1 WHERE {where}"
    with mysql(scene, "statement_account", where, change):
        found = wrong(scene)
    assert [each[:3] for each in found] == [told(None)[:3]] * 2
    with mysql(scene, "entry", where, "DELETE FROM {table} WHERE {where}"):
        found = wrong(scene)
    # One for each row, and one for a statement without a last row.
    assert told(None) in found
    assert told(5) in found
