"""The procedure that stores an invoice: with its caller's rights only, strict, and whole or not."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pymysql
import pytest

from infra.local.mariadb import MariaDb
from orion.adapters.mysql.billing import MySqlBillingTransaction
from orion.adapters.mysql.session import Cursor
from orion.billing.invoice import Invoice, Made
from orion.billing.ports import Message, NewInvoice
from tests.engine.billing_scene import BillingScene, scene_of

pytestmark = pytest.mark.engine

ALL = ("BTC.bitcoin", "ETH.ethereum", "USDT.ethereum")
ANOTHER = b"o" * 16


@pytest.fixture
def scene(mysql_admin: MariaDb) -> Iterator[BillingScene]:
    found = scene_of(mysql_admin)
    found.prepare()
    yield found
    found.close()


def test_every_procedure_has_the_rights_of_its_caller_and_is_strict(scene: BillingScene) -> None:
    found = scene.rows(
        "SELECT routine_name, security_type, sql_mode FROM information_schema.routines"
        " WHERE routine_schema LIKE 'orion%%'"
    )
    assert [row[0] for row in found] == ["store_invoice_1"]
    assert all(row[1] == "INVOKER" for row in found)
    assert all("STRICT_ALL_TABLES" in row[2] for row in found)


def stored_again(scene: BillingScene, change: Callable[[Invoice], Invoice]) -> Invoice:
    """An invoice that the API made, changed, and stored once more with another id."""
    scene.create("k1", *ALL)

    def again(cursor: Cursor) -> Invoice | None:
        tx = MySqlBillingTransaction(cursor)
        cursor.execute("SELECT object_id, event_id FROM webhook_event")
        [(invoice_id, event_id)] = cursor.fetchall()
        known = tx.invoice(invoice_id)
        assert known is not None
        event = tx.event(known.merchant_id, event_id)
        assert event is not None
        event = replace(event, event_id=b"e" * 16, object_id=ANOTHER)
        cause = replace(known.cause, subject=ANOTHER)
        other = change(replace(known, invoice_id=ANOTHER, cause=cause))
        told = Message("kafka:audit.events", "k", {}, b"m" * 16)
        tx.add_new(NewInvoice(other, tx.free_wallet(), event, told))
        return tx.invoice(ANOTHER)

    found = scene.database().run(again)
    assert found is not None
    return found


def test_what_is_stored_is_what_was_given(scene: BillingScene) -> None:
    made = Made(
        reference="\u6bd4\u7279 'one' \\ \"two\"",
        metadata={"name": "\u00e9 \\n"},
        success_url="https://shop.example.com/thanks?a=1",
        cancel_url="https://shop.example.com/",
        language="zh",
    )
    given: list[Invoice] = []

    def change(known: Invoice) -> Invoice:
        given.append(replace(known, made=made, tolerance_bps=77, lane="vip"))
        return given[0]

    assert stored_again(scene, change) == given[0]
    assert [option.due.asset.code for option in given[0].options] == list(ALL)
    assert all(option.rate_lock is not None for option in given[0].options)


def test_an_option_without_a_reason_for_its_rate_is_stored_without_one(
    scene: BillingScene,
) -> None:
    def bare(known: Invoice) -> Invoice:
        return replace(
            known, options=tuple(replace(each, rate_lock=None) for each in known.options)
        )

    assert all(option.rate_lock is None for option in stored_again(scene, bare).options)


def test_a_value_that_does_not_fit_stores_nothing(scene: BillingScene) -> None:
    before = scene.one("SELECT COUNT(*) FROM orion_billing.invoice")
    with pytest.raises(pymysql.err.DataError):
        stored_again(scene, lambda known: replace(known, lane="l" * 17))
    assert scene.one("SELECT COUNT(*) FROM orion_billing.invoice") == before + 1
    assert scene.one("SELECT COUNT(*) FROM orion_billing.webhook_event") == before + 1
