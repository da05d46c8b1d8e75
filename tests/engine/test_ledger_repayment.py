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
    counters,
    credit,
    final,
    payout,
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


def repayments(admin: Cursor) -> Sequence[tuple[int, ...]]:
    """Units of each, and whether it stands right behind its cause, as a transfer of its own."""
    return rows(
        admin,
        "SELECT r.units, r.number = c.number AND r.position = c.position + 1, r.kind = 'direct'"
        " AND r.pending_id IS NULL AND r.counterpart IS NULL FROM transfer r JOIN transfer c"
        " ON JSON_VALUE(CONVERT(r.cause USING utf8mb4), '$.transfer_id') = LOWER(HEX(c.id))"
        " WHERE r.code = 'reversal_repaid' ORDER BY r.number, r.position",
    )


def test_what_a_payout_gives_back_pays_the_debt_in_every_writers_hands(
    store: MySqlLedgerStore, admin: Cursor, mysql_admin: MariaDb
) -> None:
    first, second, third = (payout("pending", units) for units in (4, 5, 6))
    ends = [payout("void", 4, of=first), payout("timeout", 5, of=second)]
    last = payout("post", 2, of=third)
    batches: list[tuple[Content, ...]] = [
        (credit(15), final(15), first, second, third),
        (reversal(12),),
        (ends[0],),
        (ends[1], ends[0]),
    ]
    for offset, asked in enumerate(batches):
        post_partition(store, [record(offset, *asked)], NOW + timedelta(seconds=offset))
    assert receivable(admin) == [(12, 9)]
    # Another writer, which remembers nothing, and is told of everything again.
    end = [record(4, last), record(5, *ends, last)]
    result = post_partition(writer(mysql_admin), end, NOW + timedelta(seconds=9))
    assert (result.posted, result.refused, result.unchanged) == (2, 0, 3)
    assert receivable(admin) == [(12, 12)]
    assert repayments(admin) == [(4, 1, 1), (5, 1, 1), (3, 1, 1)]
    assert counters(admin, "available") == (14, 0, 15, 0)
    assert reasons(admin) == []
    # The unit that is left is his to pay out again, and no more than that.
    more = [payout("pending", 2), payout("pending", 1)]
    post_partition(store, [record(6, *more)], NOW + timedelta(seconds=10))
    assert reasons(admin) == ["exceeds_credits"]
    follow_shard(MySqlStatementFollower(database(mysql_admin)), 0)
    assert causes(mysql_admin) == (3, [])
    shown = rows(
        admin,
        "SELECT e.side, e.debits_posted, e.debits_pending FROM entry e JOIN account a"
        " ON a.id = e.account WHERE e.code = 'reversal_repaid' AND a.purpose = 'available'"
        " ORDER BY e.number, e.position",
    )
    assert shown == [("debit", 4, 11), ("debit", 9, 6), ("debit", 14, 0)]


@pytest.mark.parametrize("refused", [False, True])
def test_an_id_that_is_taken_leaves_the_end_posted_and_the_payouts_refused(
    store: MySqlLedgerStore, admin: Cursor, refused: bool
) -> None:
    opened = payout("pending", 5)
    asked = payout("void", 5, of=opened)
    identity = fact_id("repaid", bytes.fromhex(str(asked["id"]))).hex()
    squatter = (final(9) if refused else credit(9)) | {"id": identity}
    before = record(0, credit(5), final(5), opened, reversal(3), squatter)
    post_partition(store, [before], NOW)
    assert post_partition(store, [record(1, asked)], NOW).posted == 1
    assert receivable(admin) == [(3, 0)]
    post_partition(store, [record(2, payout("pending", 1))], NOW)
    assert reasons(admin) == ["exceeds_credits"] * refused + ["receivable_open"]


def test_a_repayment_behind_a_payout_that_did_not_end_is_found(
    store: MySqlLedgerStore, admin: Cursor, mysql_admin: MariaDb
) -> None:
    opened = payout("pending", 5)
    post_partition(store, [record(0, credit(5), final(5), opened, reversal(3))], NOW)
    post_partition(store, [record(1, payout("void", 5, of=opened))], NOW)
    assert causes(mysql_admin) == (1, [])
    for kind in ("signed", "pending"):
        admin.execute(f"UPDATE transfer SET kind = '{kind}' WHERE kind IN ('void', 'signed')")
        number, [expected] = causes(mysql_admin)
        assert (number, "that repays" in expected) == (1, True)
