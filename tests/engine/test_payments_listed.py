"""A merchant's payments on a large table: every one once, by pages and files of bounded work."""

import csv
import io
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orion.adapters.mysql.billing_exports import MySqlExportStore
from orion.adapters.mysql.ledger_statement_pages import MySqlStatements
from orion.billing.exports import service as exports_service
from orion.billing.exports.csv import PART_MAX_BYTES, PART_MAX_ROWS, Part, answered_bytes, fill
from orion.billing.exports.service import Exports
from orion.billing.model import DepositState
from orion.billing.moments import Period
from orion.billing.payments.model import SCAN_MAX, Wanted
from orion.billing.payments.service import Payments
from orion.ids import parse_public_id, public_id, random_id
from tests.engine.billing_scene import MERCHANT, STRANGER, BillingScene, scene_of

pytestmark = pytest.mark.engine
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ROWS = 12_345
ALWAYS = Period(None, None)
_PAYMENT = (
    "INSERT INTO orion_billing.deposit (deposit_id, version, merchant_id, invoice_id, asset, units,"
    " state, confirmations, confirmations_settled, credit_epoch, block_time, first_seen_at, txid)"
    " VALUES (%s, 1, %s, %s, %s, %s, 'final', 3, 2, 0, %s, %s, %s)"
)
_INVOICE = (
    "INSERT INTO orion_billing.invoice (invoice_id, merchant_id, lane, status, currency,"
    " price_units, reference, created_at, expires_at, changes)"
    " VALUES (%s, %s, 'standard', 'settled', 'EUR', %s, %s, %s, %s, 1)"
)


@pytest.fixture(scope="module")
def scene(mysql_admin: Any) -> Iterator[BillingScene]:
    """Three payments a second and an invoice each second; each hundredth payment is in ETH."""
    found = scene_of(mysql_admin)
    found.prepare(wallets=3)
    invoices, payments = [], []
    for number in range(ROWS // 3 + 1):
        at = (NOON + timedelta(seconds=number)).replace(tzinfo=None)
        home = random_id(NOON + timedelta(seconds=number))
        reference = '=1+"1", 注文' if number % 2 else None
        owner = STRANGER if number % 500 == 7 else MERCHANT
        invoices.append((home, owner, number + 1, reference, at, at))
        for place in range(3 * number, min(3 * number + 3, ROWS)):
            code = "BTC.bitcoin" if place % 100 else "ETH.ethereum"
            # Hashed, so that the order of identities is not that of time.
            identity = (place * 2_654_435_761 % 2**64).to_bytes(16, "big")
            payments.append((identity, owner, home, code, place + 1, at, at, f"tx{place}"))
    with found.admin.connect() as connection, connection.cursor() as cursor:
        cursor.executemany(_INVOICE, invoices)
        cursor.executemany(_PAYMENT, payments)
        # As the server keeps them by itself in a table that grew.
        cursor.execute("ANALYZE TABLE orion_billing.deposit, orion_billing.invoice")
        connection.commit()
    yield found
    found.rows("DELETE FROM orion_billing.deposit")
    found.rows("DELETE FROM orion_billing.invoice")
    found.close()


def payments(scene: BillingScene) -> Payments:
    return Payments(MySqlExportStore(scene.database()))


def exports(scene: BillingScene) -> Exports:
    database = scene.database()
    return Exports(MySqlExportStore(database), MySqlStatements(database))


def own(scene: BillingScene, more: str = "", *values: object) -> list[str]:
    """The merchant's payments as the table has them, oldest first."""
    rows = scene.rows(
        "SELECT deposit_id FROM orion_billing.deposit WHERE merchant_id = %s"
        f" {more} ORDER BY first_seen_at, deposit_id",
        MERCHANT,
        *values,
    )
    return [public_id("dep", identity) for (identity,) in rows]


def listed(
    scene: BillingScene, wanted: Wanted, period: Period = ALWAYS, limit: int = 100
) -> tuple[list[str], list[int]]:
    """Identities of all pages, and the size of each page."""
    service, cursor = payments(scene), None
    found: list[str] = []
    sizes: list[int] = []
    for _ in range(1_000):
        page: Any = service.page(MERCHANT, wanted, period, limit=limit, cursor=cursor)
        found += [row["id"] for row in page["data"]]
        sizes.append(len(page["data"]))
        cursor = page["next_cursor"]
        if cursor is None:
            return found, sizes
    raise AssertionError("the pages have no end")


def test_every_payment_of_a_period_is_listed_once_newest_first(scene: BillingScene) -> None:
    since, until = NOON + timedelta(seconds=100), NOON + timedelta(seconds=900)
    found, sizes = listed(scene, Wanted(), Period(since, until))
    bounds = "AND first_seen_at >= %s AND first_seen_at < %s"
    wanted = own(scene, bounds, since.replace(tzinfo=None), until.replace(tzinfo=None))
    assert found == wanted[::-1]
    assert set(sizes[:-1]) == {100}


def test_pages_that_end_within_one_moment_lose_no_payment(scene: BillingScene) -> None:
    since = NOON + timedelta(seconds=100)
    until = since + timedelta(seconds=40)
    found, _ = listed(scene, Wanted(), Period(since, until), 7)
    assert len(found) == 120
    assert found == listed(scene, Wanted(), Period(since, until))[0]


def test_a_rare_asset_is_found_whole_by_pages_that_may_be_short(scene: BillingScene) -> None:
    found, sizes = listed(scene, Wanted(asset="ETH.ethereum"), limit=20)
    assert found == own(scene, "AND asset = 'ETH.ethereum'")[::-1]
    # A page looks at a thousand rows, of which ten are in ETH.
    assert max(sizes) <= SCAN_MAX // 100 + 1
    assert listed(scene, Wanted(asset="USDT.ethereum"))[0] == []
    assert listed(scene, Wanted(state=DepositState.REVERSED))[0] == []


def test_payments_of_one_invoice_are_a_range_of_their_own(scene: BillingScene) -> None:
    home = scene.one(
        "SELECT invoice_id FROM orion_billing.deposit WHERE merchant_id = %s LIMIT 1", MERCHANT
    )
    found, sizes = listed(scene, Wanted(invoice_id=home))
    assert found == own(scene, "AND invoice_id = %s", home)[::-1]
    assert sizes == [3]
    foreign = scene.one(
        "SELECT invoice_id FROM orion_billing.deposit WHERE merchant_id = %s LIMIT 1", STRANGER
    )
    assert listed(scene, Wanted(invoice_id=foreign)) == ([], [0])


def read_rows(scene: BillingScene, work: Callable[[MySqlExportStore], object]) -> int:
    """How many rows the server touched for `work`, over one connection of its own."""
    database = scene.database()

    def counted() -> int:
        with database.transaction() as cursor:
            cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
            return sum(int(value) for _, value in cursor.fetchall())

    before = counted()
    overhead = counted() - before
    before = counted()
    work(MySqlExportStore(database))
    return counted() - before - overhead


def test_a_page_costs_the_same_at_the_beginning_and_deep_in_the_table(
    scene: BillingScene,
) -> None:
    def first(store: MySqlExportStore) -> Any:
        return Payments(store).page(MERCHANT, Wanted(), ALWAYS, limit=20, cursor=None)

    deep: Any = payments(scene).page(
        MERCHANT, Wanted(), Period(None, NOON + timedelta(seconds=600)), limit=1, cursor=None
    )

    def later(store: MySqlExportStore) -> Any:
        cursor = deep["next_cursor"]
        return Payments(store).page(MERCHANT, Wanted(), ALWAYS, limit=20, cursor=cursor)

    # 21 of the index, and 20 each of payment, invoice, option and credit.
    assert max(read_rows(scene, first), read_rows(scene, later)) < 200


def whole(part_of: Any) -> tuple[str, list[Part]]:
    """The file that the parts make."""
    parts: list[Part] = []
    cursor = None
    while True:
        parts.append(part_of(cursor))
        cursor = parts[-1].following
        if cursor is None:
            return "".join(part.text for part in parts), parts
        assert len(parts) < 100


def test_the_parts_of_a_file_have_every_payment_once_oldest_first(scene: BillingScene) -> None:
    service = exports(scene)
    text, parts = whole(lambda cursor: service.payments(MERCHANT, ALWAYS, cursor))
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert [row["id"] for row in rows] == own(scene)
    assert [len(part.text.splitlines()) for part in parts[:2]] == [PART_MAX_ROWS + 1, PART_MAX_ROWS]
    assert all(answered_bytes(part.text) <= PART_MAX_BYTES for part in parts)
    assert {row["reference"] for row in rows} == {"", '\'=1+"1", 注文'}
    assert rows[0]["amount"] == "0.000000000000000001"


def test_the_parts_of_a_file_have_every_invoice_of_a_period_once(scene: BillingScene) -> None:
    service = exports(scene)
    since, until = NOON + timedelta(seconds=10), NOON + timedelta(seconds=5_010)
    text, _ = whole(lambda cursor: service.invoices(MERCHANT, Period(since, until), cursor))
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    wanted = scene.rows(
        "SELECT invoice_id FROM orion_billing.invoice WHERE merchant_id = %s"
        " AND created_at >= %s AND created_at < %s ORDER BY created_at",
        MERCHANT,
        since.replace(tzinfo=None),
        until.replace(tzinfo=None),
    )
    assert [parse_public_id("inv", row["id"]) for row in rows] == [row[0] for row in wanted]
    assert rows[0]["amount"] == "0.11"


def test_a_part_holds_no_more_in_memory_than_itself_and_a_page(
    scene: BillingScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        exports_service, "fill", lambda header, rows: fill(header, rows, max_rows=1_200)
    )
    service = exports(scene)
    service.payments(MERCHANT, Period(NOON, NOON + timedelta(seconds=1)), None)
    tracemalloc.start()
    try:
        part = service.payments(MERCHANT, ALWAYS, None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(part.text.splitlines()) == 1_201
    # A page of 500 rows is under two megabytes; the whole table would be over twenty.
    assert peak < 4 * len(part.text) + 3_000_000


def test_a_deposit_is_a_payment_of_its_merchant_from_its_first_event(scene: BillingScene) -> None:
    """Last in this file: it adds a payment."""
    scene.now = datetime.now(UTC)
    answer = scene.create("k-new")
    invoice_id = scene.one(
        "SELECT invoice_id FROM orion_billing.invoice ORDER BY created_at DESC LIMIT 1"
    )
    assert answer.status == 201
    scene.progress().apply_deposits([scene.deposit(invoice_id)])
    since = Period(scene.now, None)
    page: Any = payments(scene).page(MERCHANT, Wanted(), since, limit=10, cursor=None)
    (payment,) = page["data"]
    assert payment["invoice_id"] == public_id("inv", invoice_id)
    assert (payment["amount"], payment["rate"]) == ("0.00041667", "60000.00")
    assert (payment["state"], payment["credited"]) == ("included", False)
    scene.progress().apply_posted([scene.posted()])
    page = payments(scene).page(MERCHANT, Wanted(), since, limit=10, cursor=None)
    assert page["data"][0]["credited"] is True
    scene.progress().apply_deposits([scene.deposit(invoice_id, 2, state="reversed")])
    page = payments(scene).page(MERCHANT, Wanted(), since, limit=10, cursor=None)
    assert (page["data"][0]["state"], page["data"][0]["credited"]) == ("reversed", False)
