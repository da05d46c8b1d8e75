"""How long a page of a statement takes at a million entries of one account, and how fast the
follower catches up.

A private server, as durable as in production, gets a log of a million transfers: every one debits
one custody account, so that it has a million entries, and credits one of a thousand merchants, who
have a thousand each. Pages of both are read by the product's reader in turn; the reference of each
is the same page of the account with a thousand entries. The follower enters the log in its bounded
transactions; its reference is a plain INSERT … SELECT of the same rows, in the same order and in as
many transactions, into a table of the same form. Goal: a page at a million is as fast as at a
thousand.

Run: `make bench BENCH=statements`.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

from infra.local.mariadb import MariaDb
from infra.local.migrations import migrate
from infra.local.stack import Stack
from orion.adapters.mysql.ledger_statement_pages import MySqlStatements
from orion.adapters.mysql.ledger_statements import MySqlStatementFollower
from orion.adapters.mysql.session import Cursor, Database, MySqlConfig
from orion.ledger.model import AccountKey, Purpose
from orion.ledger.statement import Order, Page, Question
from tests.bench.figures import Figure, progress

NAME = "statements"
TRANSFERS = 1_000_000
MERCHANTS = 1_000
A_RECORD = 500
ROUNDS = 40
# Half of the smaller account has room for a page of each.
_LIMITS = (50, 400)
_LOG_BYTES = 512 * 2**20
_ASSET = "BTC.bitcoin"
_START = datetime(2026, 1, 1, tzinfo=UTC)
LARGE = AccountKey("system:bitcoin", Purpose.CUSTODY, _ASSET)


def merchant(number: int) -> AccountKey:
    """One of those with a thousand entries."""
    return AccountKey(f"merchant:{number:032x}", Purpose.SETTLING, _ASSET)


@contextmanager
def server() -> Iterator[MariaDb]:
    """A private server with the ledger's schema."""
    with tempfile.TemporaryDirectory(prefix="orion-bench-") as folder:
        Path(folder).chmod(0o711)
        stack = Stack(Path(folder) / "stack", report=lambda line: progress(NAME, line))
        try:
            stack.start("mariadb")
            migrate(stack.mariadb, None)
            yield stack.mariadb
        finally:
            stack.down()


def database(mariadb: MariaDb) -> Database:
    """As the principal `ledger`."""
    login = mariadb.credentials("ledger")
    return Database(
        MySqlConfig(
            mariadb.host, mariadb.port, login.username, login.password, "orion_ledger",
            mariadb.ca_pem,
        )
    )  # fmt: skip


def fill(cursor: Cursor) -> None:
    """The log, written by the server itself: a record a second, A_RECORD entries each."""
    cursor.execute("SET GLOBAL innodb_log_file_size = %s", (_LOG_BYTES,))
    cursor.execute("USE orion_ledger")
    accounts = [merchant(number) for number in range(MERCHANTS)]
    cursor.executemany(
        "INSERT INTO account VALUES (%s, %s, %s, %s, 0, 0, 0, 0, 0, NOW(), NOW())",
        [(key.id, key.owner, key.purpose.value, key.asset) for key in (LARGE, *accounts)],
    )
    cursor.execute("CREATE TEMPORARY TABLE merchant (n INT PRIMARY KEY, id BINARY(16))")
    cursor.executemany(
        "INSERT INTO merchant VALUES (%s, %s)", [(n, key.id) for n, key in enumerate(accounts)]
    )
    for start in range(0, TRANSFERS, 100_000):
        cursor.execute(
            "INSERT INTO transfer (shard_no, number, position, id, digest, kind, code, linked,"
            " debit_account, credit_account, units, cause, trace_id, posted_at)"
            " SELECT 0, 1 + s.seq DIV %s, s.seq MOD %s, UNHEX(MD5(CONCAT('id', s.seq))),"
            " UNHEX(MD5(s.seq)), 'direct', 'deposit_credit', 0, %s, m.id, 1 + s.seq,"
            ' CONCAT(\'{"credit_epoch":0,"deposit_id":"\', MD5(s.seq),'
            ' \'","type":"deposit"}\'), UNHEX(MD5(CONCAT(\'trace\', s.seq))),'
            " TIMESTAMPADD(SECOND, s.seq DIV %s, %s)"
            " FROM (SELECT seq + %s AS seq FROM seq_0_to_99999) AS s"
            " JOIN merchant m ON m.n = (s.seq * 7919) MOD %s ORDER BY s.seq",
            (A_RECORD, A_RECORD, LARGE.id, A_RECORD, _START.replace(tzinfo=None), start, MERCHANTS),
        )
        cursor.connection.commit()
    last = _START + timedelta(seconds=TRANSFERS // A_RECORD - 1)
    cursor.execute(
        "UPDATE shard SET next_posted = %s, last_posted_at = %s",
        (TRANSFERS // A_RECORD + 1, last.replace(tzinfo=None)),
    )
    cursor.connection.commit()


def catch_up(mariadb: MariaDb, cursor: Cursor) -> None:
    """The follower over the whole log, then the plain copy of what it made."""
    follower = MySqlStatementFollower(database(mariadb))
    chunks: list[int] = []
    started = time.perf_counter()
    while True:
        step = follower.follow(0)
        chunks.append(step.records)
        if step.at_end:
            break
    followed = time.perf_counter() - started
    progress(
        NAME, f"followed {TRANSFERS} transfers in {len(chunks)} transactions: {followed:.1f} s"
    )
    # In the order of the log, as the follower met the rows.
    cursor.execute(
        "CREATE TABLE told (PRIMARY KEY (number, position, side)) SELECT * FROM entry"
        " ORDER BY number, position, side"
    )
    cursor.execute("CREATE TABLE plain LIKE entry")
    cursor.connection.commit()
    copier = mariadb.connect()
    with copier.cursor() as copying:
        copying.execute("USE orion_ledger")
        started = time.perf_counter()
        first = 1
        for records in chunks:
            copying.execute(
                "INSERT INTO plain SELECT * FROM told WHERE number BETWEEN %s AND %s",
                (first, first + records - 1),
            )
            copier.commit()
            first += records
        copied = time.perf_counter() - started
    copier.close()
    cursor.execute("SELECT COUNT(*) FROM plain")
    if cursor.fetchone() != (2 * TRANSFERS,):
        raise RuntimeError("the copy is not what the follower entered")
    cursor.execute("DROP TABLE plain, told")
    Figure(
        NAME,
        f"follower, {TRANSFERS:,} transfers, {len(chunks)} transactions",
        "transfers_per_s",
        TRANSFERS / followed,
        "1/s",
        TRANSFERS / copied,
        "plain INSERT … SELECT of the same rows, same order and transactions, same run",
    ).show()


def questions(key: AccountKey, limit: int, middle: Page) -> Mapping[str, Question]:
    """What operators ask, for one account; `middle` is a page in the middle of it."""
    place, at = middle.lines[-1].place, middle.lines[-1].place.posted_at
    return MappingProxyType(
        {
            "newest": Question(key.id, limit, None, None, Order.NEWEST_FIRST),
            "oldest": Question(key.id, limit, None, None, Order.OLDEST_FIRST),
            "on from the middle": Question(key.id, limit, None, place, Order.NEWEST_FIRST),
            "back from the middle": Question(key.id, limit, None, place, Order.OLDEST_FIRST),
            "with the balance of a past moment": Question(
                key.id, limit, at, None, Order.NEWEST_FIRST
            ),
        }
    )


def pages(statements: MySqlStatements) -> None:
    """Each question to the large account and to a small one in turn."""
    half = _START + timedelta(seconds=TRANSFERS // A_RECORD // 2)
    for limit in _LIMITS:
        asked = {
            key: questions(
                key, limit, statements.page(Question(key.id, 1, half, None, Order.NEWEST_FIRST))
            )
            for key in (LARGE, merchant(1))
        }
        for case in asked[LARGE]:
            taken: dict[AccountKey, list[float]] = {key: [] for key in asked}
            for _ in range(ROUNDS):
                for key, its_questions in asked.items():
                    started = time.perf_counter()
                    page = statements.page(its_questions[case])
                    taken[key].append(time.perf_counter() - started)
                    if len(page.lines) <= limit:
                        raise RuntimeError(f"a short page: {len(page.lines)} lines")
            medians = {key: statistics.median(times) * 1000 for key, times in taken.items()}
            Figure(
                NAME,
                f"page of {limit}, {case}, account of {TRANSFERS:,} entries",
                "page_ms",
                medians[LARGE],
                "ms",
                medians[merchant(1)],
                f"the same of an account of {TRANSFERS // MERCHANTS:,} entries, same run",
            ).show()


def main() -> None:
    """Fill, follow, read."""
    with server() as mariadb:
        connection = mariadb.connect()
        with connection.cursor() as cursor:
            progress(NAME, f"a log of {TRANSFERS:,} transfers is written")
            fill(cursor)
            catch_up(mariadb, cursor)
            pages(MySqlStatements(database(mariadb)))
        connection.close()
