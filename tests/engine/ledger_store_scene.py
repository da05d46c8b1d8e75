"""The ledger's store on a real MariaDB: transfers, records, and what the tables then hold."""

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from infra.local.mariadb import MariaDb
from orion.adapters.mysql.ledger_store import MySqlLedgerStore
from orion.adapters.mysql.session import Cursor, Database, MySqlConfig
from orion.records import Record

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TABLES = (
    *("transfer", "refusal", "account", "outbox", "consumer_offset", "pending", "leg", "held"),
    "asset_freeze",
)
WAIT_S = 20
Content = dict[str, object]


@contextmanager
def empty_ledger(server: MariaDb) -> Iterator[Cursor]:
    """An administrator's cursor on an empty ledger of one shard."""
    connection = server.connect()
    with connection.cursor() as cursor:
        cursor.execute("USE orion_ledger")
        for table in TABLES:
            cursor.execute(f"DELETE FROM {table}")
        cursor.execute("DELETE FROM shard WHERE shard_no > 0")
        cursor.execute("DELETE FROM shard_map WHERE map_version > 1")
        cursor.execute("UPDATE bucket SET shard_no = 0, map_version = 1, taken = 1")
        cursor.execute(
            "UPDATE shard SET next_posted = 1, next_refused = 1, next_leg = 1, version = 0,"
            " last_posted_at = '1970-01-01'"
        )
        connection.commit()
        connection.autocommit(True)
        yield cursor
        cursor.execute("DELETE FROM asset_freeze")  # The next scene may not know of freezes.
    connection.close()


def config(server: MariaDb) -> MySqlConfig:
    login = server.credentials("ledger")
    return MySqlConfig(
        server.host, server.port, login.username, login.password, "orion_ledger", server.ca_pem
    )


def database(server: MariaDb) -> Database:
    return Database(config(server))


def writer(server: MariaDb) -> MySqlLedgerStore:
    """A writer that remembers nothing yet, as after a start."""
    return MySqlLedgerStore(database(server))


def credit(units: int = 100, *, merchant: int = 0, identity: str | None = None) -> Content:
    return {
        "id": identity or secrets.token_hex(16),
        "kind": "direct",
        "code": "deposit_credit",
        "asset": "BTC.bitcoin",
        "units": str(units),
        "debit": {"owner": "system:bitcoin", "purpose": "custody"},
        "credit": {"owner": f"merchant:{merchant:032x}", "purpose": "settling"},
        "cause": {"type": "deposit", "deposit_id": "cd" * 16, "credit_epoch": 0},
        "linked": False,
    }


def final(units: int, *, merchant: int = 0) -> Content:
    return credit(units) | {
        "code": "deposit_final",
        "debit": {"owner": f"merchant:{merchant:032x}", "purpose": "settling"},
        "credit": {"owner": f"merchant:{merchant:032x}", "purpose": "available"},
    }


def payout(kind: str, units: int, *, of: Content | None = None) -> Content:
    asked = credit(units) | {
        "kind": kind,
        "code": "payout",
        "debit": {"owner": f"merchant:{0:032x}", "purpose": "available"},
        "credit": {"owner": "system:bitcoin", "purpose": "custody"},
        "cause": {"type": "payout"},
    }
    return asked if of is None else asked | {"pending_id": of["id"]}


def record(offset: int, *transfers: Content, partition: int = 0) -> Record:
    body = {"v": 1, "trace_id": "ef" * 16, "transfers": transfers}
    return Record("ledger.transfers", partition, offset, b"0", json.dumps(body).encode())


def state(admin: Cursor) -> dict[str, Sequence[Any]]:
    found: dict[str, Sequence[Any]] = {}
    for table in (*TABLES, "shard"):
        admin.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3")
        found[table] = admin.fetchall()
    return found


def rows(admin: Cursor, sql: str) -> list[tuple[Any, ...]]:
    admin.execute(sql)
    return list(admin.fetchall())


def settled(admin: Cursor) -> int:
    ((units,),) = rows(
        admin, "SELECT COALESCE(SUM(credits_posted), 0) FROM account WHERE purpose='settling'"
    )
    return int(units)


def counters(admin: Cursor, purpose: str) -> tuple[int, int, int, int]:
    """Debits posted and pending, credits posted and pending, of all accounts of a purpose."""
    ((*sums,),) = rows(
        admin,
        "SELECT SUM(debits_posted), SUM(debits_pending), SUM(credits_posted), SUM(credits_pending)"
        f" FROM account WHERE purpose = '{purpose}'",
    )
    debits, debits_pending, credits_, credits_pending = (int(each) for each in sums)
    return debits, debits_pending, credits_, credits_pending


def reasons(admin: Cursor) -> list[str]:
    return [reason for (reason,) in rows(admin, "SELECT reason FROM refusal ORDER BY number, id")]


def statements(admin: Cursor, part: str) -> list[tuple[Any, ...]]:
    """The ledger's statements under way that contain `part`: (thread, text)."""
    return [
        row
        for row in rows(
            admin,
            "SELECT id, info FROM information_schema.processlist"
            " WHERE user = 'ledger' AND info IS NOT NULL",
        )
        if part in row[1]
    ]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "the writers never came to the lock"
        time.sleep(0.01)


def together(writers: Sequence[threading.Thread]) -> None:
    for each in writers:
        each.start()
    for each in writers:
        each.join(WAIT_S)
        assert not each.is_alive()
