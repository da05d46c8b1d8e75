"""A merchant's settings, what is kept with an invoice, and finding invoices again."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from orion.adapters.mysql.billing import MySqlBillingStore
from orion.billing.audit import Origin
from orion.billing.errors import LimitOutOfRange
from orion.billing.listing import Wanted
from orion.billing.merchant_settings import MerchantSettings
from orion.billing.model import InvoiceStatus
from orion.errors import OrionError
from orion.ids import parse_public_id, public_id
from tests.engine.billing_life_facts import asked_with, cancel, created, new_invoice, settle, view
from tests.engine.billing_scene import MERCHANT, STRANGER, TRACE, BillingScene, scene_of

pytestmark = pytest.mark.engine


@pytest.fixture
def scene(mysql_admin: Any) -> Iterator[BillingScene]:
    found = scene_of(mysql_admin)
    found.prepare()
    yield found
    found.close()


def put(scene: BillingScene, tolerance_bps: int = 0, expires_in_s: int = 900) -> None:
    wanted = MerchantSettings(tolerance_bps, expires_in_s)
    scene.billing().put_settings(MERCHANT, wanted, trace_id=TRACE)


def test_a_merchant_without_settings_has_the_defaults(scene: BillingScene) -> None:
    assert scene.billing().settings(MERCHANT) == {"tolerance_bps": 0, "expires_in_s": 900}


def test_settings_are_told_when_they_change_and_only_then(scene: BillingScene) -> None:
    for _ in range(2):
        put(scene, 50, 1_800)
    assert scene.billing().settings(MERCHANT) == {"tolerance_bps": 50, "expires_in_s": 1_800}
    assert scene.billing().settings(STRANGER) == {"tolerance_bps": 0, "expires_in_s": 900}
    told = [row for row in scene.outbox("kafka:audit.events") if row["action"] == "settings.set"]
    assert [row["details"] for row in told] == [{"tolerance_bps": 50, "expires_in_s": 1_800}]


@pytest.mark.parametrize("values", [(-1, 900), (1_001, 900), (0, 0), (0, 30 * 86_400 + 1)])
def test_settings_out_of_range_are_refused(values: tuple[int, int]) -> None:
    with pytest.raises(LimitOutOfRange):
        MerchantSettings(*values)


def test_the_tolerance_is_locked_when_the_invoice_is_made(scene: BillingScene) -> None:
    put(scene, 100)
    invoice_id = new_invoice(scene)
    put(scene, 0)
    settle(scene, invoice_id, units="41251")
    assert scene.status(invoice_id) == "settled"
    assert view(scene, invoice_id)["tolerance_bps"] == 100
    strict = new_invoice(scene, "k2")
    settle(scene, strict, "d2", units="41251")
    assert scene.status(strict) == "partially_paid"
    assert "tolerance_bps" not in scene.billing().public_status(invoice_id).fields


def test_an_invoice_waits_as_long_as_asked_or_as_the_merchant_set(scene: BillingScene) -> None:
    put(scene, 0, 60)
    assert created(scene, asked_with())["expires_at"] == "2026-01-02T03:05:05.000Z"
    longer = created(scene, asked_with(expires_in_s=120), "k2")
    assert longer["expires_at"] == "2026-01-02T03:06:05.000Z"


def test_what_an_invoice_is_made_with_is_kept_and_only_the_merchants_own_is_hidden(
    scene: BillingScene,
) -> None:
    link, session = b"l" * 16, b"c" * 16
    made = created(
        scene,
        asked_with(
            reference="order 7",
            metadata={"basket": "三つ", "note": ""},
            payment_link_id=link,
            session_id=session,
            success_url="https://shop.example.com/thanks?order=7",
            language="nl",
        ),
    )
    assert made["metadata"] == {"basket": "三つ", "note": ""}
    assert made["payment_link_id"] == public_id("pl", link)
    assert made["session_id"] == public_id("cs", session)
    invoice_id = parse_public_id("inv", made["id"])
    assert view(scene, invoice_id) == made
    shown = scene.billing().public_status(invoice_id).fields
    assert shown["success_url"] == "https://shop.example.com/thanks?order=7"
    assert shown["language"] == "nl"
    hidden = {"reference", "metadata", "tolerance_bps", "payment_link_id", "session_id"}
    assert hidden.isdisjoint(shown)


def test_a_return_address_that_leads_nowhere_is_refused(scene: BillingScene) -> None:
    with pytest.raises(OrionError) as refusal:
        created(scene, asked_with(success_url="http://shop.example.com/"))
    assert refusal.value.code == "return_url_refused"


def test_an_invoice_made_inside_a_transaction_ends_with_it(scene: BillingScene) -> None:
    billing, store = scene.billing(), MySqlBillingStore(scene.database())
    origin = Origin(MERCHANT, "standard", TRACE, scene.now)
    made = store.transact(lambda tx: billing.new_invoice(tx, origin, asked_with()))
    assert view(scene, made.invoice_id)["status"] == "new"

    def undone(tx: Any) -> None:
        billing.new_invoice(tx, origin, asked_with())
        raise LookupError("the caller changed its mind")

    with pytest.raises(LookupError):
        store.transact(undone)
    assert scene.one("SELECT COUNT(*) FROM orion_billing.invoice") == 1
    assert scene.one("SELECT COUNT(*) FROM orion_moneyin.wallet WHERE state = 'assigned'") == 1


def found(scene: BillingScene, wanted: Wanted, limit: int = 2) -> list[str]:
    """Ids of all pages, newest first."""
    ids: list[str] = []
    cursor: Any = None
    while True:
        page: Any = scene.billing().invoices(MERCHANT, wanted, limit=limit, cursor=cursor)
        ids += [row["id"] for row in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return ids


def several(scene: BillingScene) -> list[str]:
    """Seven invoices a minute apart, oldest first; the odd ones cancelled."""
    ids = []
    for number in range(7):
        made = created(scene, asked_with(reference=f"Order {number % 3}"), f"k{number}")
        if number % 2:
            cancel(scene, parse_public_id("inv", made["id"]), f"c{number}")
        ids.append(made["id"])
        scene.now += timedelta(minutes=1)
    return ids


def test_filters_find_each_wanted_invoice_once_newest_first(scene: BillingScene) -> None:
    start = scene.now
    ids = several(scene)
    cancelled, new = InvoiceStatus.CANCELLED, InvoiceStatus.NEW
    assert found(scene, Wanted()) == ids[::-1]
    assert found(scene, Wanted(status=cancelled)) == ids[1::2][::-1]
    assert found(scene, Wanted(reference="Order 1")) == [ids[4], ids[1]]
    assert found(scene, Wanted(reference="order 1")) == []
    assert found(scene, Wanted(reference="Order 1", status=new)) == [ids[4]]

    def at(minutes: float) -> datetime:
        return start + timedelta(minutes=minutes)

    assert found(scene, Wanted(created_from=at(2))) == ids[2:][::-1]
    assert found(scene, Wanted(created_to=at(2))) == ids[:2][::-1]
    assert found(scene, Wanted(created_from=at(1.5), created_to=at(5))) == ids[2:5][::-1]
    assert found(scene, Wanted(created_from=at(3), created_to=at(2))) == []
    part = Wanted(status=cancelled, created_from=at(2), created_to=at(4))
    assert found(scene, part) == [ids[3]]


@pytest.mark.parametrize(
    "condition,key",
    [
        ("", "of_merchant"),
        ("AND status = 'cancelled'", "of_status"),
        ("AND reference = 'Order 1'", "of_reference"),
    ],
)
def test_each_filter_has_an_index_that_ends_in_the_order_of_the_list(
    scene: BillingScene, condition: str, key: str
) -> None:
    several(scene)
    ((plan,),) = scene.rows(
        "EXPLAIN FORMAT=JSON SELECT invoice_id FROM orion_billing.invoice"
        f" FORCE INDEX ({key}) WHERE merchant_id = %s {condition}"
        " AND invoice_id < %s ORDER BY invoice_id DESC LIMIT 2",
        MERCHANT,
        b"\xff" * 16,
    )
    assert "filesort" not in plan
    table = json.loads(plan)["query_block"]
    assert f'"key": "{key}"' in json.dumps(table)
