"""Invoices and fees from before migration 0010 of billing keep what they agreed on."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from infra.local.mariadb import MariaDb
from orion.billing.fees.house import read_house
from orion.billing.quote import Rate
from tests.engine.test_migrations_mysql import Place

pytestmark = pytest.mark.engine

FOLDER = Path(__file__).resolve().parents[2] / "infra" / "migrations" / "mysql" / "billing"
FILES = {path.name: path.read_bytes() for path in sorted(FOLDER.glob("*.sql"))}
BEFORE = {name: text for name, text in FILES.items() if name < "0010"}
UPTO = {name: text for name, text in FILES.items() if name < "0011"}
ZERO = "0" * 32


@pytest.fixture
def place(mysql_server: MariaDb) -> Iterator[Place]:
    made = Place(mysql_server)
    yield made
    with closing(mysql_server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {made.schema}")
        cursor.execute("DROP USER IF EXISTS %s", (made.word,))


def test_old_rows_stay_valid_and_no_function_agrees_on_a_fee_without_rates(place: Place) -> None:
    place.migrate(BEFORE)
    with closing(place.server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"USE {place.schema}")
        for number, currency in ((1, "EUR"), (2, "EUR"), (3, "JPY")):
            _old_invoice(cursor, number, currency)
        _option(cursor, 1, 0, "BTC.bitcoin", 60_000 * 10**12)
        _option(cursor, 1, 1, "ETH.ethereum", 10**32 - 1)
        _option(cursor, 3, 0, "BTC.bitcoin", 1)
        # One of an asset that was offered, two that were not, of which one was returned.
        _assessment(cursor, 1, 1, 60_000 * 10**12, 2_500, None)
        _assessment(cursor, 2, 1, None, 0, "2026-01-03")
        _assessment(cursor, 3, 3, None, 0, None)
        cursor.execute(
            "INSERT INTO fee_volume VALUES (%s, '2026-01-02', 'EUR', 2500)", (b"m" * 16,)
        )
        connection.commit()
        place.migrate(UPTO)
        cursor.execute("SELECT house_rates FROM invoice_fee ORDER BY invoice_id")
        found = [read_house(text) for (text,) in cursor.fetchall()]
        assert found == [
            {"BTC.bitcoin": Rate(60_000 * 10**12), "ETH.ethereum": Rate(10**32 - 1)},
            {},
            {"BTC.bitcoin": Rate(1)},
        ]
        cursor.execute("SELECT value_units FROM fee_assessment ORDER BY deposit_id")
        assert cursor.fetchall() == ((2_500,), (None,), (None,))
        cursor.execute("SELECT day, currency, units, unvalued FROM fee_volume ORDER BY 1, 2")
        counted = [(str(day), *rest) for day, *rest in cursor.fetchall()]
        assert counted == [
            ("2026-01-02", "EUR", 2_500, 1),
            ("2026-01-02", "JPY", 0, 1),
            ("2026-01-03", "EUR", 0, -1),
        ]
        with pytest.raises(Exception, match="house_rates"):
            _old_invoice(cursor, 4, "EUR")


def test_what_the_migration_writes_is_what_is_read(place: Place) -> None:
    place.migrate(BEFORE)
    with closing(place.server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"USE {place.schema}")
        _old_invoice(cursor, 1, "EUR")
        for position in range(8):
            _option(cursor, 1, position, f"A{position}.{'c' * 60}", 10**32 - 1)
        connection.commit()
        place.migrate(UPTO)
        cursor.execute("SELECT house_rates FROM invoice_fee")
        [(text,)] = cursor.fetchall()
        assert len(json.loads(text)) == 8


def _id(number: int) -> bytes:
    return bytes([number]) * 16


def _old_invoice(cursor: Any, number: int, currency: str) -> None:
    cursor.execute(
        "INSERT INTO invoice (invoice_id, merchant_id, lane, status, currency, price_units,"
        " created_at, expires_at, changes)"
        " VALUES (%s, %s, 'standard', 'new', %s, 2500, '2026-01-02', '2026-01-02', 1)",
        (_id(number), b"m" * 16, currency),
    )
    cursor.execute(
        "INSERT INTO invoice_fee (invoice_id, plan_id, subject, assignment, bps, fixed_units,"
        " payer, referral_bps, asked_units, created_at)"
        " VALUES (%s, %s, 'lane:vip', 1, 100, 10, 'merchant', 0, 2500, '2026-01-02')",
        (_id(number), _id(9)),
    )


def _option(cursor: Any, number: int, position: int, asset: str, units: int) -> None:
    cursor.execute(
        "INSERT INTO payment_option (invoice_id, position, asset, due_units, rate_units, address,"
        " payment_link) VALUES (%s, %s, %s, 1, %s, 'a', 'l')",
        (_id(number), position, asset, units),
    )


def _assessment(
    cursor: Any, deposit: int, invoice: int, rate: int | None, value: int, returned: str | None
) -> None:
    cursor.execute(
        "INSERT INTO fee_assessment (deposit_id, credit_epoch, invoice_id, number, asset, units,"
        " rate_units, percent_units, open_before, fixed_taken, fixed_coins, fee_units,"
        " share_units, value_units, assessed_at, trace_id, returned_number, returned_at)"
        " VALUES (%s, 0, %s, %s, 'BTC.bitcoin', 41667, %s, 0, 0, 0, 0, 0, 0, %s,"
        " '2026-01-02 12:00:00', %s, %s, %s)",
        (
            _id(deposit), _id(invoice), deposit, rate, value, ZERO,
            None if returned is None else 9, returned,
        ),
    )  # fmt: skip
