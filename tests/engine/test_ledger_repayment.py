"""Debts and their repayment on a real MariaDB: in the ledger, its statements, and what is made of
them when causes are checked.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql.ledger_statements import MySqlStatementFollower
from orion.adapters.mysql.ledger_store import MySqlLedgerStore
from orion.adapters.mysql.reconciled_causes import MySqlCauseReader
from orion.adapters.mysql.session import Cursor, Database, MySqlConfig
from orion.ids import fact_id
from orion.ledger.following import follow_shard
from orion.ledger.service import post_partition
from orion.log.reconciliation import rules
from orion.log.reconciliation.planning import Span
from tests.engine.ledger_store_scene import (
    NOW,
    Content,
    credit,
    final,
    reasons,
    record,
    rows,
    writer,
)
from tests.engine.statement_scene import database, empty_ledger

pytestmark = pytest.mark.engine


@pytest.fixture
def admin(mysql_admin: MariaDb) -> Iterator[Cursor]:
    with empty_ledger(mysql_admin) as cursor:
        yield cursor


@pytest.fixture
def store(mysql_admin: MariaDb, admin: Cursor) -> MySqlLedgerStore:
    return writer(mysql_admin)


def reversal(units: int) -> Content:
    asked = credit(units)
    return asked | {"code": "deposit_reversal", "debit": asked["credit"], "credit": asked["debit"]}


def receivable(admin: Cursor) -> Sequence[tuple[int, int]]:
    return rows(
        admin,
        "SELECT debits_posted, credits_posted FROM account WHERE purpose = 'reversal_receivable'",
    )


def causes(server: MariaDb) -> tuple[int, Sequence[str]]:
    """How many repayments there are, and what is untrue of them."""
    login = server.credentials("log")
    reader = MySqlCauseReader(
        Database(
            MySqlConfig(
                server.host, server.port, login.username, login.password, "orion_log", server.ca_pem
            )
        )
    )
    entries = [
        entry
        for piece in reader.entries(0, Span(1, 1_000))
        for entry in piece
        if entry.code == "reversal_repaid"
    ]
    facts = reader.facts(rules.wanted(entries), NOW)
    return len(entries), [found.expected or "" for found in rules.untrue(entries, facts)]


def test_a_debt_that_came_after_its_merchant_had_none_is_paid_back(
    store: MySqlLedgerStore, admin: Cursor, mysql_admin: MariaDb
) -> None:
    # The writer learns that nothing is owed, then makes the debt, then has it paid back.
    done = [
        post_partition(store, [record(offset, *asked)], NOW + timedelta(seconds=offset))
        for offset, asked in enumerate(
            [(credit(9), final(4)), (reversal(14),), (credit(2), final(2)), (credit(7),)]
        )
    ]
    assert [(result.posted, result.unchanged) for result in done] == [
        (2, 0), (2, 0), (3, 0), (1, 0),
    ]  # fmt: skip
    assert receivable(admin) == [(9, 6)]
    # Another writer, which remembers nothing.
    last = final(7)
    post_partition(writer(mysql_admin), [record(4, last)], NOW + timedelta(seconds=9))
    assert receivable(admin) == [(9, 9)]
    found = rows(admin, "SELECT id, units FROM transfer WHERE code = 'reversal_repaid'")
    assert (fact_id("repaid", bytes.fromhex(str(last["id"]))), 3) in found
    assert (len(found), reasons(admin)) == (2, [])


def test_an_id_that_is_taken_leaves_the_deposit_posted_and_the_debt(
    store: MySqlLedgerStore, admin: Cursor
) -> None:
    asked = final(5)
    squatter = credit(9, identity=fact_id("repaid", bytes.fromhex(str(asked["id"]))).hex())
    post_partition(store, [record(0, reversal(3)), record(1, squatter)], NOW)
    assert post_partition(store, [record(2, asked)], NOW).posted == 1
    assert (receivable(admin), reasons(admin)) == ([(3, 0)], [])


def test_a_repayment_is_checked_against_the_debt_that_its_merchants_statement_shows(
    store: MySqlLedgerStore, admin: Cursor, mysql_admin: MariaDb
) -> None:
    post_partition(store, [record(0, reversal(3), credit(5), final(5))], NOW)
    assert causes(mysql_admin) == (1, [])  # The statements have not come so far.
    follow_shard(MySqlStatementFollower(database(mysql_admin)), 0)
    assert causes(mysql_admin) == (1, [])
    admin.execute("UPDATE entry SET debits_posted = 2 WHERE code = 'reversal_repaid'")
    assert causes(mysql_admin) == (1, ["units 2, which were owed"])
