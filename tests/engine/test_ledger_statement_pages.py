"""Statements read from a real MariaDB: at each past moment, in both directions, page by page."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymysql.err import OperationalError

from infra.local.mariadb import MariaDb
from orion.adapters.mysql import ledger_moves
from orion.adapters.mysql.ledger_statement_pages import MySqlStatements
from orion.adapters.mysql.ledger_statements import MySqlStatementFollower
from orion.adapters.mysql.session import Cursor
from orion.ledger.following import GapInLog, follow_shard
from orion.ledger.model import AccountKey, Purpose, clearing
from orion.ledger.statement import UnknownAccount, answer, read_question
from orion.ledger.transfer_record import rfc3339
from tests.engine.statement_scene import (
    CUSTODY,
    NOON,
    History,
    account,
    database,
    empty_ledger,
    recomputed,
)

MICROSECOND = timedelta(microseconds=1)
COUNTERS = ("debits_posted", "debits_pending", "credits_posted", "credits_pending")


@pytest.fixture
def admin(mysql_admin: MariaDb) -> Iterator[Cursor]:
    with empty_ledger(mysql_admin) as cursor:
        yield cursor


def asked(server: MariaDb, key: AccountKey, **question: object) -> dict[str, Any]:
    name = f"{key.owner}/{key.purpose}/{key.asset}"
    read = read_question({"account": name, **question})
    return answer(read, MySqlStatements(database(server, "statements")).page(read))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entry SET units = units + 1", "DELETE FROM entry", "UPDATE account SET asset = ''",
        "UPDATE asset_freeze SET lifted_at = NOW(6)", "SELECT COUNT(*) FROM asset_freeze",
        "SELECT COUNT(*) FROM outbox",
    ],
)  # fmt: skip
def test_whoever_shows_statements_changes_nothing_and_reads_nothing_else(
    mysql_admin: MariaDb, change: str
) -> None:
    def work(cursor: Cursor) -> None:
        cursor.execute(change)

    with pytest.raises(OperationalError, match="denied"):
        database(mysql_admin, "statements").run(work)


def follow(server: MariaDb, shard: int = 0) -> None:
    follow_shard(MySqlStatementFollower(database(server)), shard)


def grown(server: MariaDb, seed: int, batches: int = 4) -> History:
    """A followed ledger, a second between its moments."""
    history = History(server, seed)
    for size in range(10, 10 + batches):
        history.batch(size)
    follow(server)
    return history


def shown(line: Mapping[str, Any]) -> tuple[Any, ...]:
    """A line in the form of the recomputation."""
    moment = datetime.fromisoformat(line["posted_at"]).replace(tzinfo=None)
    sums = tuple(int(line["balance"][name]) for name in COUNTERS)
    place = (moment, line["shard"], line["number"], line["position"])
    return (*place, line["side"], line["kind"], int(line["units"]), *sums)


def walked(server: MariaDb, key: AccountKey, **question: object) -> list[tuple[Any, ...]]:
    """All lines, page after page."""
    found = []
    cursor = None
    for _ in range(200):
        page = asked(server, key, cursor=cursor, **question)
        assert len(page["lines"]) <= int(str(question.get("limit", 100)))
        found += [shown(line) for line in page["lines"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return found
    raise AssertionError("the pages have no end")


@pytest.mark.parametrize("limit", [1, 7, 500])
def test_pages_in_either_direction_join_to_the_whole_statement(
    mysql_admin: MariaDb, admin: Cursor, limit: int
) -> None:
    grown(mysql_admin, 1)
    for key in (CUSTODY, account(8), account(0, Purpose.SETTLING)):
        whole = recomputed(admin)[key.id]
        assert walked(mysql_admin, key, limit=limit, order="oldest_first") == whole
        assert walked(mysql_admin, key, limit=limit) == whole[::-1]


def test_a_page_turns_round_without_loss_or_repetition(mysql_admin: MariaDb, admin: Cursor) -> None:
    grown(mysql_admin, 2)
    whole = recomputed(admin)[CUSTODY.id]
    first = asked(mysql_admin, CUSTODY, limit=5)
    second = asked(mysql_admin, CUSTODY, limit=5, cursor=first["next_cursor"])
    back = asked(
        mysql_admin, CUSTODY, limit=5, cursor=second["previous_cursor"], order="oldest_first"
    )
    assert [shown(line) for line in back["lines"]] == whole[-5:]
    assert back["lines"][::-1] == first["lines"]


def test_at_each_past_moment_a_statement_shows_what_had_happened_by_then(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    grown(mysql_admin, 3)
    for key in (CUSTODY, account(8), account(9, Purpose.SETTLING)):
        whole = recomputed(admin)[key.id]
        for second in range(-1, 5):
            for past in (MICROSECOND, timedelta(0)):
                moment = NOON + timedelta(seconds=second) - past
                due = [row for row in whole if row[0].replace(tzinfo=UTC) <= moment]
                page = asked(mysql_admin, key, at=rfc3339(moment), limit=500)
                assert [shown(line) for line in page["lines"]] == due[::-1]
                sums = tuple(int(page["balance"][name]) for name in COUNTERS)
                assert sums == (due[-1][-4:] if due else (0, 0, 0, 0))
                booked = sums[2] - sums[0]
                assert int(page["balance"]["booked"]) == booked
                assert int(page["balance"]["movable"]) == booked - sums[1]
                assert page["balance"]["at"] == min(page["complete_through"], rfc3339(moment))


def test_a_line_says_its_transfer_its_cause_and_the_other_account(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    grown(mysql_admin, 4, batches=1)
    line = asked(mysql_admin, account(8), order="oldest_first", limit=1)["lines"][0]
    admin.execute(
        "SELECT HEX(id), HEX(trace_id) FROM transfer WHERE code = 'deposit_final' AND"
        " credit_account = %s",
        (account(8).id,),
    )
    identity, trace = admin.fetchone() or ("", "")
    assert line["transfer_id"] == identity.lower()
    assert line["trace_id"] == trace.lower()
    assert line["cause"] == {"type": "test", "name": "4/0/final"}
    settling = account(8, Purpose.SETTLING)
    assert line["other"] == {
        "id": settling.id.hex(),
        "owner": settling.owner,
        "purpose": "settling",
    }


def test_nothing_beyond_what_is_complete_is_shown_and_the_answer_says_so(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    history = grown(mysql_admin, 5, batches=2)
    history.batch(3)
    history.batch(3)
    second = NOON + timedelta(seconds=2)
    for at in (None, rfc3339(second + timedelta(hours=1))):
        page = asked(mysql_admin, CUSTODY, at=at, limit=1)
        assert page["complete_through"] == rfc3339(second - MICROSECOND)
        assert page["balance"]["at"] == rfc3339(second - MICROSECOND)
        assert page["lines"][0]["number"] == 2
    MySqlStatementFollower(database(mysql_admin), chunk=1).follow(0)
    page = asked(mysql_admin, CUSTODY, limit=1)
    assert page["complete_through"] == rfc3339(second + timedelta(seconds=1) - MICROSECOND)
    assert page["lines"][0]["number"] == 3
    follow(mysql_admin)
    page = asked(mysql_admin, CUSTODY, limit=1)
    assert page["complete_through"] == rfc3339(second + timedelta(seconds=1))
    assert page["lines"][0]["number"] == 4


def test_of_records_posted_at_one_moment_none_is_shown_before_all_are_entered(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    history = grown(mysql_admin, 6, batches=2)
    admin.execute("UPDATE transfer SET posted_at = %s", (NOON.replace(tzinfo=None),))
    admin.execute("DELETE FROM entry")
    admin.execute("DELETE FROM statement_account")
    admin.execute("UPDATE statement_cursor SET next_number = 1")
    MySqlStatementFollower(database(history.server), chunk=1).follow(0)
    page = asked(mysql_admin, CUSTODY)
    assert page["complete_through"] == rfc3339(NOON - MICROSECOND)
    assert page["lines"] == []


def test_where_nothing_was_posted_a_balance_is_unknown_and_not_zero(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    admin.execute(
        "INSERT INTO account VALUES (%s, %s, 'custody', 'BTC.bitcoin', 0, 0, 0, 0, 0, NOW(),"
        " NOW())",
        (CUSTODY.id, CUSTODY.owner),
    )
    page = asked(mysql_admin, CUSTODY)
    assert (page["complete_through"], page["balance"], page["lines"]) == (None, None, [])


def test_an_account_that_no_transfer_named_is_unknown(mysql_admin: MariaDb, admin: Cursor) -> None:
    grown(mysql_admin, 7, batches=1)
    with pytest.raises(UnknownAccount):
        asked(mysql_admin, account(77))


def test_a_log_that_lost_a_followed_transfer_is_not_shown_without_it(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    grown(mysql_admin, 8, batches=1)
    admin.execute("DELETE FROM transfer WHERE code = 'deposit_final'")
    with pytest.raises(GapInLog):
        asked(mysql_admin, account(8))


def test_a_clearing_account_is_as_complete_as_its_own_shard(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    own = clearing(0, "BTC.bitcoin")
    admin.execute(
        "INSERT INTO account VALUES (%s, 'shard:0', 'clearing', 'BTC.bitcoin', 0, 0, 0, 0, 0,"
        " NOW(), NOW())",
        (own.id,),
    )
    grown(mysql_admin, 9, batches=1)
    assert asked(mysql_admin, own)["complete_through"] == rfc3339(NOON)


def test_while_a_moved_account_waits_for_its_old_shard_it_is_complete_only_so_far(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    """Three shards: the bucket came from 0 over 1 to 2, and only 2's own log has been followed."""
    history = grown(mysql_admin, 10, batches=1)
    for size in (1, 1):
        history.batch(size)
    for shard, last in ((1, 40), (2, 50)):
        admin.execute(
            "INSERT INTO shard (shard_no, next_posted, next_refused, last_posted_at)"
            " VALUES (%s, 1, 1, %s)",
            (shard, f"2026-11-23 12:00:{last}"),
        )
    number = CUSTODY.owner
    admin.execute("SELECT bucket FROM account WHERE owner = %s", (number,))
    (moved,) = admin.fetchone() or (0,)

    def move(version: int, old: int, new: int, *, taken: bool) -> None:
        with database(mysql_admin).transaction() as cursor:
            ledger_moves.order(cursor, version, [(moved, old, new)], NOON)
            if taken:
                ledger_moves.taken_over(cursor, moved, version)
        admin.execute("UPDATE bucket SET shard_no = %s WHERE bucket = %s", (new, moved))

    waiting = rfc3339(NOON + timedelta(seconds=1) - MICROSECOND)
    move(2, 0, 1, taken=False)
    assert asked(mysql_admin, CUSTODY)["complete_through"] == waiting
    with database(mysql_admin).transaction() as cursor:
        ledger_moves.taken_over(cursor, moved, 2)
    move(3, 1, 2, taken=True)
    assert asked(mysql_admin, CUSTODY)["complete_through"] == waiting
    assert asked(mysql_admin, CUSTODY)["lines"][0]["number"] == 1
    follow(mysql_admin)
    page = asked(mysql_admin, CUSTODY)
    assert page["complete_through"] == "2026-11-23T12:00:50.000000Z"
    assert page["lines"][0]["number"] == 3
    # What the old shard posts from here on is of others.
    admin.execute("INSERT INTO transfer SELECT 0, 4, 0, x'77', digest, kind, code, linked,"
                  " pending_id, debit_account, credit_account, counterpart, units, cause, trace_id,"
                  " posted_at FROM transfer WHERE number = 3 AND position = 0")  # fmt: skip
    admin.execute("UPDATE shard SET next_posted = 5 WHERE shard_no = 0")
    assert asked(mysql_admin, CUSTODY)["complete_through"] == page["complete_through"]
