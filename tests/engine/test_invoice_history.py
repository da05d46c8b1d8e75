"""How an invoice came to its state, as its merchant reads it, on a real database."""

from collections.abc import Iterator
from typing import Any

import pytest

from orion.adapters.mysql.billing_history import MySqlInvoiceHistory
from tests.engine.billing_life_facts import in_mempool, new_invoice
from tests.engine.billing_scene import MERCHANT, STRANGER, TRACE, BillingScene, scene_of

pytestmark = pytest.mark.engine


@pytest.fixture
def scene(mysql_admin: Any) -> Iterator[BillingScene]:
    found = scene_of(mysql_admin)
    found.prepare()
    yield found
    found.close()


def test_every_change_is_read_in_its_order_with_its_cause_and_page_by_page(
    scene: BillingScene,
) -> None:
    invoice_id, progress = new_invoice(scene), scene.progress()
    progress.apply_deposits([in_mempool(scene, invoice_id)])
    progress.apply_deposits([scene.deposit(invoice_id, 2)])
    history = MySqlInvoiceHistory(scene.database())
    whole = history.changes(MERCHANT, invoice_id, after=0, limit=10)
    assert whole is not None
    assert [row.number for row in whole] == [1, 2, 3]
    assert [row.new.value for row in whole] == ["new", "seen", "confirming"]
    assert whole[0].old is None
    assert [row.old for row in whole[1:]] == [row.new for row in whole[:-1]]
    assert [row.cause.type.value for row in whole] == ["created", "deposit", "deposit"]
    assert {row.cause.trace_id for row in whole} == {TRACE}
    first = history.changes(MERCHANT, invoice_id, after=0, limit=2)
    rest = history.changes(MERCHANT, invoice_id, after=2, limit=2)
    assert first is not None
    assert rest is not None
    assert [*first, *rest] == whole


def test_a_strangers_invoice_has_no_history(scene: BillingScene) -> None:
    invoice_id = new_invoice(scene)
    history = MySqlInvoiceHistory(scene.database())
    assert history.changes(STRANGER, invoice_id, after=0, limit=10) is None
    assert history.changes(MERCHANT, b"x" * 16, after=0, limit=10) is None
