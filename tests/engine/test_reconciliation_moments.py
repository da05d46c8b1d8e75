"""What is read of one moment: a commit between two statements of a step is no difference."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from infra.local.mariadb import MariaDb
from infra.local.postgres import Postgres
from orion.adapters.mysql.reconciled_causes import MySqlCauseReader
from orion.adapters.mysql.reconciled_ledger import MySqlLedgerReader
from orion.adapters.mysql.reconciled_sums import MySqlLedgerSums
from orion.adapters.mysql.session import Cursor, Database
from orion.log.reconciliation import rules
from orion.log.reconciliation.planning import MySqlHead, Span
from tests.engine.reconciliation_scene import Deposit, Scene

pytestmark = pytest.mark.engine


class Between:
    """A cursor that lets something happen once, right before a statement that has `words`."""

    def __init__(self, cursor: Cursor, words: str, happens: list[Callable[[], object]]) -> None:
        self._cursor = cursor
        self._words = words
        self._happens = happens

    def execute(self, statement: str, values: Any = None) -> int:
        if self._words in statement and self._happens:
            self._happens.pop()()
        return self._cursor.execute(statement, values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


@contextmanager
def between(database: Database, words: str, happens: Callable[[], object]) -> Iterator[Database]:
    left = [happens]
    connected = database.transaction

    @contextmanager
    def transaction() -> Iterator[Cursor]:
        with connected() as cursor:
            yield cast(Cursor, Between(cursor, words, left))

    database.transaction = transaction  # type: ignore[method-assign]
    yield database
    database.close()
    assert not left, "the statement was never reached"


@pytest.fixture
def scene(mysql_admin: MariaDb, postgres_server: Postgres, aws_engine: Any) -> Iterator[Scene]:
    opened = Scene(mysql_admin, postgres_server, aws_engine)
    opened.story(shards=1)
    yield opened
    opened.close()


def test_a_deposit_that_is_reversed_while_it_is_read_bears_its_credit(scene: Scene) -> None:
    waiting = Deposit(2, 2, 500)

    def reversal() -> None:
        scene.cursor.execute(
            "INSERT INTO orion_moneyin.deposit_history VALUES"
            " (%s, 9, 'reversed', 'test', '500', 7, 'hash', 7, 1, %s, NOW(6))",
            (waiting.id, bytes(16)),
        )
        scene.cursor.execute(
            "UPDATE orion_moneyin.deposit SET state = 'reversed', credit_epoch = 1"
            " WHERE deposit_id = %s",
            (waiting.id,),
        )

    log = scene.database("log", "orion_log")
    # History is looked at first: without a snapshot the deposit would be newer than its history.
    with between(log, "orion_moneyin.deposit d", reversal) as database:
        reader = MySqlCauseReader(database)
        [entries] = reader.entries(0, Span(1, 100))
        facts = reader.facts(rules.wanted(entries), scene.posted_at)
        assert rules.untrue(entries, facts) == []
    again = MySqlCauseReader(scene.database("log", "orion_log"))
    facts = again.facts(rules.wanted(entries), scene.posted_at)
    assert rules.untrue(entries, facts) == []
    assert facts.deposits[waiting.id].state == "reversed"


def test_a_record_that_is_posted_while_shards_are_read_moves_no_number(scene: Scene) -> None:
    log = scene.database("log", "orion_log")
    before = scene.books.ledger.shard_heads()

    def post() -> None:
        scene.post(Deposit(60, 2, 5).transfer("deposit_credit"))

    with between(log, "MAX(number)", post) as database:
        assert MySqlLedgerReader(database).shard_heads() == before
    after = scene.books.ledger.shard_heads()
    assert after[0].next_posted == (before[0].next_posted or 0) + 1
    scene.cursor.execute("INSERT INTO orion_ledger.transfer SELECT 9, number, position, x'0f', "
        "digest, kind, code, linked, pending_id, debit_account, credit_account, counterpart, units,"
        " cause, trace_id, posted_at FROM orion_ledger.transfer WHERE number = 2")  # fmt: skip
    [rows] = [head.rows for shard, head in scene.books.ledger.shard_heads().items() if shard == 9]
    assert rows is not None
    assert scene.books.ledger.shard_heads()[9] == MySqlHead(rows, None)
    assert (rows.lowest, rows.highest) == (2, 2)


def test_what_is_posted_while_counters_are_read_is_in_none_of_them(scene: Scene) -> None:
    log = scene.database("log", "orion_log")
    through = {0: 100}

    def post() -> None:
        scene.post(Deposit(60, 2, 5).transfer("deposit_credit"))

    with (
        between(log, "UNION ALL", post) as database,
        MySqlLedgerSums(database).snapshot() as snapshot,
    ):
        counters = {each.id: each.sums for each in snapshot.counters()}
        assert counters == dict(snapshot.summed(counters, through) or {})


def test_entries_of_a_shard_that_began_after_the_run_are_later(scene: Scene) -> None:
    """A shard without a number of its own in the run is all later than the run."""
    sums = MySqlLedgerSums(scene.database("log", "orion_log"))
    with sums.snapshot() as snapshot:
        assert snapshot.later({0: 100}) == {}
        whole = snapshot.later({1: 100})
        assert whole == dict(snapshot.summed(whole, {0: 100}) or {})
        assert len(whole) > 2
        assert snapshot.summed(whole, {1: 100}) == {}
