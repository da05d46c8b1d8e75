"""Payment links on a real database: whose invoice a visitor gets, and places nobody overruns."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from orion.billing.errors import NoAddressAvailable
from orion.billing.payment_links.errors import (
    AmountOutOfBounds,
    PaymentLinkEnded,
    PaymentLinkInactive,
    PaymentLinkNotFound,
    PaymentLinkUsedUp,
)
from orion.billing.payment_links.model import LinkStatus
from orion.billing.payment_links.service import LinkChange
from orion.ids import public_id
from tests.engine.billing_scene import MERCHANT, STRANGER, TRACE
from tests.engine.sales_scene import SalesScene, sales_scene

pytestmark = pytest.mark.engine
ANN, BOB, CEM = b"a" * 16, b"b" * 16, b"c" * 16


@pytest.fixture
def scene(mysql_admin: Any) -> Iterator[SalesScene]:
    with sales_scene(mysql_admin) as found:
        yield found


def changed(scene: SalesScene, link_id: bytes, **fields: Any) -> Any:
    change = LinkChange(named=frozenset(fields), **fields)
    return scene.links().change(MERCHANT, link_id, change, trace_id=TRACE)


def test_an_invoice_of_a_link_is_an_invoice_with_the_links_words(scene: SalesScene) -> None:
    link_id = scene.link(metadata={"shelf": "7"}, success_url="https://shop.example/thanks")
    invoice_id = scene.pay(link_id, ANN)
    invoice = scene.billing.billing().invoice(MERCHANT, invoice_id)
    assert invoice["payment_link_id"] == public_id("pl", link_id)
    assert (invoice["amount"], invoice["currency"]) == ("25.00", "EUR")
    assert invoice["metadata"] == {"shelf": "7"}
    assert invoice["success_url"] == "https://shop.example/thanks"
    events = [body["action"] for body in scene.billing.outbox("kafka:audit.events")]
    assert events[-2:] == ["payment_link.created", "invoice.created"]


def test_a_link_is_made_once_for_its_key(scene: SalesScene) -> None:
    scene.link()
    scene.keys = 0
    scene.link()
    assert scene.billing.one("SELECT COUNT(*) FROM orion_billing.payment_link") == 1


def test_a_free_amount_is_what_was_typed_within_its_bounds(scene: SalesScene) -> None:
    link_id = scene.link(min_amount="5.00", max_amount="50.00")
    invoice = scene.billing.billing().invoice(MERCHANT, scene.pay(link_id, ANN, "12,5"))
    assert invoice["amount"] == "12.50"
    with pytest.raises(AmountOutOfBounds):
        scene.pay(link_id, BOB, "4.99")
    assert scene.invoices() == 1


def test_one_form_leads_to_one_invoice_however_often_it_is_sent(scene: SalesScene) -> None:
    link_id = scene.link(free=True)
    first = scene.pay(link_id, ANN, "5")
    assert scene.pay(link_id, ANN, "5.00") == first
    assert scene.pay(link_id, BOB, "5") != first
    assert scene.pay(link_id, ANN, "6") != first
    assert scene.invoices() == 3


def test_a_token_means_nothing_to_another_link(scene: SalesScene) -> None:
    assert scene.pay(scene.link(), ANN) != scene.pay(scene.link(), ANN)


def test_the_back_button_after_paying_makes_no_second_invoice(scene: SalesScene) -> None:
    link_id = scene.link()
    first = scene.pay(link_id, ANN)
    for status in ("settled", "confirming", "underpaid", "paid_late"):
        scene.billing.rows("UPDATE orion_billing.invoice SET status = %s", status)
        assert scene.pay(link_id, ANN) == first, status


def test_an_invoice_whose_time_is_over_is_replaced(scene: SalesScene) -> None:
    link_id = scene.link(expires_in_s=60)
    first = scene.pay(link_id, ANN)
    scene.billing.now += timedelta(seconds=60)
    second = scene.pay(link_id, ANN)
    assert second != first
    assert scene.pay(link_id, ANN) == second


def test_a_page_that_is_opened_after_paying_begins_another_purchase(scene: SalesScene) -> None:
    link_id = scene.link()
    visit = scene.visits().look(link_id, None)
    assert (visit.status, visit.waiting) == (LinkStatus.ACTIVE, None)
    first = scene.pay(link_id, visit.visitor)
    again = scene.visits().look(link_id, visit.visitor)
    assert (again.visitor, again.waiting) == (visit.visitor, first)
    scene.billing.rows("UPDATE orion_billing.invoice SET status = 'settled'")
    paid = scene.visits().look(link_id, visit.visitor)
    assert paid.visitor != visit.visitor
    assert paid.waiting is None
    assert scene.pay(link_id, paid.visitor) != first


def test_without_a_lock_two_visitors_would_share_the_last_place(scene: SalesScene) -> None:
    link_id = scene.link(use_limit=1)
    unguarded = "SELECT held < use_limit FROM payment_link WHERE link_id = %s"
    take = "INSERT INTO payment_link_invoice (link_id, invoice_id, held) VALUES (%s, %s, 1)"
    databases = scene.billing.database(), scene.billing.database()
    with databases[0].transaction() as one, databases[1].transaction() as two:
        for cursor, invoice_id in ((one, ANN), (two, BOB)):
            cursor.execute(unguarded, (link_id,))
            assert cursor.fetchone() == (1,)
            cursor.execute(take, (link_id, invoice_id))
    held = "SELECT COUNT(*) FROM orion_billing.payment_link_invoice WHERE held = 1"
    assert scene.billing.one(held) == 2


def test_a_limit_is_never_overrun_however_many_come_at_once(scene: SalesScene) -> None:
    link_id = scene.link(use_limit=5)

    def visit(number: int) -> str:
        try:
            scene.pay(link_id, number.to_bytes(16, "big"))
        except PaymentLinkUsedUp:
            return "refused"
        return "made"

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(visit, range(24)))
    assert found.count("made") == 5
    assert scene.invoices() == scene.taken_wallets() == 5
    assert (scene.view(link_id)["uses"], scene.view(link_id)["status"]) == (5, "used_up")


def test_one_visitors_clicks_at_once_make_one_invoice(scene: SalesScene) -> None:
    link_id = scene.link()
    with ThreadPoolExecutor(6) as pool:
        found = set(pool.map(lambda _: scene.pay(link_id, ANN), range(12)))
    assert len(found) == 1
    assert scene.invoices() == scene.taken_wallets() == 1


def test_a_refused_visitor_leaves_nothing_behind(scene: SalesScene) -> None:
    link_id = scene.link(use_limit=1)
    scene.billing.rows("UPDATE orion_moneyin.wallet SET state = 'assigned'")
    with pytest.raises(NoAddressAvailable):
        scene.pay(link_id, ANN)
    assert scene.view(link_id)["uses"] == 0
    assert scene.billing.rows("SELECT * FROM orion_billing.payment_link_visitor") == []
    assert scene.invoices() == 0


def test_a_link_that_makes_no_invoices_says_why_and_keeps_those_it_made(
    scene: SalesScene,
) -> None:
    link_id = scene.link()
    first = scene.pay(link_id, ANN)
    assert changed(scene, link_id, active=False)["status"] == "inactive"
    with pytest.raises(PaymentLinkInactive):
        scene.pay(link_id, BOB)
    assert scene.pay(link_id, ANN) == first
    changed(scene, link_id, active=True)
    scene.pay(link_id, BOB)
    end = scene.billing.now + timedelta(seconds=10)
    changed(scene, link_id, ends_at=end.isoformat())
    scene.billing.now = end
    assert scene.view(link_id)["status"] == "ended"
    with pytest.raises(PaymentLinkEnded):
        scene.pay(link_id, CEM)


def test_a_change_replaces_what_it_names_and_nothing_else(scene: SalesScene) -> None:
    link_id = scene.link(use_limit=3, metadata={"a": "1"}, success_url="https://shop.example/a")
    before = scene.view(link_id)
    scene.billing.now += timedelta(seconds=1)
    same = changed(scene, link_id, title="Coffee")
    assert same == before
    found = changed(scene, link_id, use_limit=None, metadata={"b": "2"})
    assert found == scene.view(link_id)
    moved = {"use_limit": None, "uses": None, "metadata": {"b": "2"}}
    assert found == {**before, **moved, "updated_at": found["updated_at"]}
    assert datetime.fromisoformat(found["updated_at"]) == scene.billing.now
    actions = [body["action"] for body in scene.billing.outbox("kafka:audit.events")]
    assert actions.count("payment_link.changed") == 1


def test_a_stranger_neither_sees_nor_changes_a_link(scene: SalesScene) -> None:
    link_id = scene.link()
    change = LinkChange(frozenset({"active"}), active=False)
    with pytest.raises(PaymentLinkNotFound):
        scene.links().link(STRANGER, link_id)
    with pytest.raises(PaymentLinkNotFound):
        scene.links().change(STRANGER, link_id, change, trace_id=TRACE)
    assert scene.links().links(STRANGER, limit=10, cursor=None)["data"] == []
    assert scene.view(link_id)["active"] is True


def test_all_links_are_listed_newest_first_by_pages(scene: SalesScene) -> None:
    made = []
    for number in range(5):
        scene.billing.now += timedelta(seconds=1)
        made.append(public_id("pl", scene.link(title=f"Link {number}", use_limit=2)))
    found, cursor = [], None
    for _ in range(5):
        page: Any = scene.links().links(MERCHANT, limit=2, cursor=cursor)
        found += [row["id"] for row in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == made[::-1]
