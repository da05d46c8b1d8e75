"""Links, invoices and deposits from before migration 0011 of billing: counters that are right from
the first moment, and old code that can no longer take a place uncounted.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql
import pytest

from infra.local.mariadb import MariaDb
from tests.engine.test_migrations_mysql import Place

pytestmark = pytest.mark.engine

FOLDER = Path(__file__).resolve().parents[2] / "infra" / "migrations" / "mysql" / "billing"
FILES = {path.name: path.read_bytes() for path in sorted(FOLDER.glob("*.sql"))}
BEFORE = {name: text for name, text in FILES.items() if name < "0011"}
UPTO = {name: text for name, text in FILES.items() if name < "0012"}
MERCHANT = b"m" * 16
FULL, FREE = b"f" * 16, b"g" * 16


@pytest.fixture
def place(mysql_server: MariaDb) -> Iterator[Place]:
    made = Place(mysql_server)
    yield made
    with closing(mysql_server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {made.schema}")
        cursor.execute("DROP USER IF EXISTS %s", (made.word,))


def an_invoice(cursor: Any, number: int, status: str, wakes_at: str | None = None) -> bytes:
    invoice_id = bytes([number]) * 16
    cursor.execute(
        "INSERT INTO invoice (invoice_id, merchant_id, lane, status, currency, price_units,"
        " created_at, expires_at, changes, wakes_at)"
        " VALUES (%s, %s, 'standard', %s, 'EUR', 2500, '2026-01-02', '2026-01-03', 1, %s)",
        (invoice_id, MERCHANT, status, wakes_at),
    )
    return invoice_id


def a_link(cursor: Any, link_id: bytes, use_limit: int | None) -> None:
    cursor.execute(
        "INSERT INTO payment_link (link_id, merchant_id, lane, title, currency, assets, use_limit,"
        " active, metadata, created_at, updated_at) VALUES"
        " (%s, %s, 'standard', 't', 'EUR', 'a', %s, 1, '{}', '2026-01-02', '2026-01-02')",
        (link_id, MERCHANT, use_limit),
    )


def test_counters_are_filled_from_the_rows_and_old_code_takes_no_place_any_more(
    place: Place,
) -> None:
    place.migrate(BEFORE)
    take = "INSERT INTO payment_link_place (link_id, invoice_id, held) VALUES (%s, %s, %s)"
    with closing(place.server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"USE {place.schema}")
        a_link(cursor, FULL, 9)
        a_link(cursor, FREE, None)
        # Waiting twice, dead, paid, ended but not given back yet, and given back.
        rows = [("new", 1), ("new", 1), ("invalid", 1), ("settled", 1), ("expired", 1), ("new", 0)]
        for number, (status, held) in enumerate(rows):
            cursor.execute(take, (FULL, an_invoice(cursor, number, status), held))
        connection.commit()
        place.migrate(UPTO)
        cursor.execute("SELECT link_id, held, unpaid FROM payment_link ORDER BY link_id")
        assert cursor.fetchall() == ((FULL, 5, 4), (FREE, 0, 0))
        cursor.execute("SELECT held, until IS NULL FROM payment_link_invoice ORDER BY invoice_id")
        assert cursor.fetchall() == ((1, 0), (1, 0), (1, 0), (1, 1), (1, 0), (0, 1))
        with pytest.raises(pymysql.err.ProgrammingError, match="payment_link_place"):
            cursor.execute(take, (FULL, b"x" * 16, 1))


def test_old_invoices_wake_and_old_deposits_have_their_merchant_and_their_loss(
    place: Place,
) -> None:
    place.migrate(BEFORE)
    with closing(place.server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"USE {place.schema}")
        for number, status in enumerate(("new", "partially_paid", "settled", "confirming")):
            an_invoice(cursor, number, status)
        an_invoice(cursor, 9, "new", "2026-01-02 12:00")
        for number, state in enumerate(("reversed", "final")):
            cursor.execute(
                "INSERT INTO deposit (deposit_id, version, invoice_id, asset, units, state,"
                " first_seen_at) VALUES (%s, 1, %s, 'a', 1, %s, '2026-01-02')",
                (bytes([number]) * 16, bytes([0]) * 16, state),
            )
        connection.commit()
        place.migrate(UPTO)
        cursor.execute("SELECT wakes_at = expires_at, status FROM invoice ORDER BY invoice_id")
        woken = cursor.fetchall()
        assert [row[0] for row in woken] == [1, 1, None, None, 0]
        cursor.execute(
            "SELECT merchant_id, reversed_at IS NOT NULL FROM deposit ORDER BY deposit_id"
        )
        assert cursor.fetchall() == ((MERCHANT, 1), (MERCHANT, 0))
