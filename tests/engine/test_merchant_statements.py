"""A merchant's statements over the ledger's on a real MariaDB: lines, balances and files."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql.billing_exports import MySqlExportStore
from orion.adapters.mysql.ledger_statement_pages import MySqlStatements
from orion.adapters.mysql.ledger_statements import MySqlStatementFollower
from orion.adapters.mysql.session import Cursor
from orion.billing.exports import service as exports_service
from orion.billing.exports.csv import fill
from orion.billing.exports.service import Exports
from orion.billing.moments import Period
from orion.billing.statements.model import read_asked
from orion.billing.statements.service import MerchantStatements
from orion.ledger.following import follow_shard
from orion.ledger.model import AccountKey, Purpose
from orion.ledger.statement import Order, StatementCursorMalformed, UnknownAccount
from orion.money import Amount, asset
from tests.engine.statement_scene import (
    ASSET,
    NOON,
    History,
    account,
    database,
    empty_ledger,
    recomputed,
)

pytestmark = pytest.mark.engine
RICH = 1
COIN = asset(ASSET)
ALWAYS = Period(None, None)


@pytest.fixture(scope="module")
def admin(mysql_admin: MariaDb) -> Iterator[Cursor]:
    with empty_ledger(mysql_admin) as cursor:
        history = History(mysql_admin, 11)
        for _ in range(6):
            history.batch(60)
        follow_shard(MySqlStatementFollower(database(mysql_admin)), 0)
        yield cursor


def text(units: int) -> str:
    return Amount(units, COIN).text()


def lines_of(admin: Cursor, key: AccountKey, period: Period = ALWAYS) -> list[tuple[Any, ...]]:
    """(moment, side, kind, units, booked before, booked after, movable after), oldest first."""
    found, booked = [], 0
    for at, _, _, _, side, kind, units, debits, dpending, credits_, _ in recomputed(admin)[key.id]:
        before, booked = booked, credits_ - debits
        moment = at.replace(tzinfo=NOON.tzinfo)
        if (period.since is None or moment >= period.since) and (
            period.until is None or moment < period.until
        ):
            found.append((moment, side, kind, units, before, booked, booked - dpending))
    return found


def shown(line: Any) -> tuple[Any, ...]:
    return (
        datetime.fromisoformat(line["posted_at"]),
        line["direction"],
        line["kind"],
        line["amount"],
        line["balance_before"],
        line["balance_after"],
        line["movable_after"],
    )


def written(line: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*line[:3], *(text(units) for units in line[3:]))


def asked(key: AccountKey, period: Period, order: Order, limit: int, cursor: str | None) -> Any:
    merchant = bytes.fromhex(key.owner.removeprefix("merchant:"))
    return read_asked(
        merchant, ASSET, key.purpose.value, period, order=order, limit=limit, cursor=cursor
    )


def walked(
    server: MariaDb, key: AccountKey, period: Period, order: Order, limit: int
) -> tuple[list[Any], Any]:
    """All lines, and the first page."""
    service = MerchantStatements(MySqlStatements(database(server, "statements")))
    found: list[Any] = []
    first, cursor = None, None
    for _ in range(1_000):
        page: Any = service.page(asked(key, period, order, limit, cursor))
        first = first or page
        assert len(page["data"]) <= limit
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found, first
    raise AssertionError("the pages have no end")


PERIODS = [
    ALWAYS,
    Period(NOON + timedelta(seconds=2), None),
    Period(None, NOON + timedelta(seconds=4)),
    Period(NOON + timedelta(seconds=1), NOON + timedelta(seconds=3)),
    Period(NOON + timedelta(seconds=1, microseconds=1), NOON + timedelta(days=9)),
    Period(NOON + timedelta(days=1), None),
    Period(None, NOON),
]


@pytest.mark.parametrize("order", Order)
def test_a_period_has_its_lines_and_the_balances_around_them(
    mysql_admin: MariaDb, admin: Cursor, order: Order
) -> None:
    for purpose in (Purpose.AVAILABLE, Purpose.SETTLING):
        key = account(RICH, purpose)
        every = lines_of(admin, key)
        assert len(every) > 30
        for period in PERIODS:
            wanted = lines_of(admin, key, period)
            found, first = walked(mysql_admin, key, period, order, 7)
            in_order = wanted if order is Order.OLDEST_FIRST else wanted[::-1]
            assert [shown(line) for line in found] == [written(line) for line in in_order]
            before = [line for line in every if period.since and line[0] < period.since]
            opening = before[-1][5] if before else 0
            assert first["opening_balance"] == text(opening)
            closing = wanted[-1][5] if wanted else opening
            assert first["closing_balance"] == text(closing)


def test_each_line_goes_on_from_the_one_before(mysql_admin: MariaDb, admin: Cursor) -> None:
    key = account(8)
    found, first = walked(mysql_admin, key, ALWAYS, Order.OLDEST_FIRST, 500)
    balance = first["opening_balance"]
    for line in found:
        assert line["balance_before"] == balance
        balance = line["balance_after"]
    assert balance == first["closing_balance"]
    assert {line["kind"] for line in found} > {"direct", "pending", "post", "void"}


def test_an_account_that_nobody_named_is_unknown_and_not_empty(
    mysql_admin: MariaDb, admin: Cursor
) -> None:
    for key in (account(77), account(RICH, Purpose.REVERSAL_RECEIVABLE)):
        if admin.execute("SELECT 1 FROM orion_ledger.account WHERE id = %s", (key.id,)):
            continue
        with pytest.raises(UnknownAccount):
            walked(mysql_admin, key, ALWAYS, Order.OLDEST_FIRST, 7)


def test_a_cursor_opens_no_other_merchants_statement(mysql_admin: MariaDb, admin: Cursor) -> None:
    service = MerchantStatements(MySqlStatements(database(mysql_admin, "statements")))
    page: Any = service.page(asked(account(RICH), ALWAYS, Order.OLDEST_FIRST, 1, None))
    with pytest.raises(StatementCursorMalformed):
        asked(account(2), ALWAYS, Order.OLDEST_FIRST, 1, page["next_cursor"])


def test_the_parts_of_a_file_have_every_line_once(
    mysql_admin: MariaDb, admin: Cursor, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = account(RICH)
    statements = MySqlStatements(database(mysql_admin, "statements"))
    service = Exports(MySqlExportStore(database(mysql_admin)), statements)
    monkeypatch.setattr(exports_service, "PAGE", 7)
    monkeypatch.setattr(
        exports_service, "fill", lambda header, rows: fill(header, rows, max_rows=11)
    )
    file, cursor = "", None
    for _ in range(100):
        one = asked(key, ALWAYS, Order.OLDEST_FIRST, 100, cursor)
        found = service.statement(one, continued=cursor is not None)
        assert found.complete_through is not None
        file += found.part.text
        cursor = found.part.following
        if cursor is None:
            break
    rows = list(csv.DictReader(io.StringIO(file, newline=""), strict=True))
    wanted = [written(line) for line in lines_of(admin, key)]
    assert [shown(row) for row in rows] == wanted
    assert {row["asset"] for row in rows} == {ASSET}
