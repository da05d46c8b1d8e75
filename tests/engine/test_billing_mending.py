"""What the pass of every minute finds besides what is due: rows that old code wrote, and payments
whose block stays gone.
"""

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from orion.adapters.mysql.billing import MySqlBillingStore
from orion.billing.progress import EXPIRY_BATCH, REVERSED_MAX
from orion.ids import public_id
from tests.engine.billing_life_facts import in_mempool, new_invoice, settle
from tests.engine.billing_scene import MERCHANT, BillingScene, scene_of
from tests.engine.billing_stage import run, stage_scene

__all__ = ["stage_scene"]
pytestmark = pytest.mark.engine


@pytest.fixture
def scene(mysql_admin: Any) -> Iterator[BillingScene]:
    found = scene_of(mysql_admin)
    found.prepare()
    yield found
    found.close()


def statuses(scene: BillingScene, *invoices: bytes) -> list[str]:
    return [scene.status(invoice_id) for invoice_id in invoices]


def test_open_invoices_that_nothing_wakes_are_found_and_expire(scene: BillingScene) -> None:
    new, part, over = (new_invoice(scene, key) for key in ("k1", "k2", "k3"))
    progress = scene.progress()
    progress.apply_deposits([scene.deposit(part, units="1")])
    scene.rows("UPDATE orion_billing.invoice SET wakes_at = NULL")
    assert progress.expire() == 0
    wakes = "SELECT COUNT(*) FROM orion_billing.invoice WHERE wakes_at = expires_at"
    assert scene.one(wakes) == 3, "they have their moment now"
    scene.rows("UPDATE orion_billing.invoice SET wakes_at = NULL WHERE invoice_id = %s", over)
    scene.now += timedelta(seconds=900)
    assert progress.expire() == 3
    assert statuses(scene, new, part, over) == ["expired", "underpaid", "expired"]


def test_invoices_that_rightly_never_wake_are_not_looked_at(scene: BillingScene) -> None:
    """The pass reads as many rows with hundreds of settled invoices as with one."""
    invoice_id, database = new_invoice(scene), scene.database()
    settle(scene, invoice_id)
    columns = "merchant_id, lane, status, currency, price_units, created_at, expires_at, changes"

    def read() -> int:
        with database.transaction() as cursor:
            cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
            return sum(int(value) for _, value in cursor.fetchall())

    def looked_at() -> int:
        store, before = MySqlBillingStore(database), read()
        store.transact(lambda tx: (tx.waking(scene.now, 100), tx.sleeping(100)))
        return read() - before

    alone = looked_at()
    with database.transaction() as cursor:
        cursor.executemany(
            f"INSERT INTO invoice (invoice_id, {columns})"
            f" SELECT %s, {columns} FROM invoice WHERE invoice_id = %s",
            [(number.to_bytes(16, "big"), invoice_id) for number in range(500)],
        )
    assert looked_at() <= alone + 3


def test_deposits_without_their_merchant_get_him_and_are_listed(scene: BillingScene) -> None:
    invoice_id, progress = new_invoice(scene), scene.progress()
    names = [f"{number:032x}" for number in range(3)]
    progress.apply_deposits([scene.deposit(invoice_id, deposit_id=name) for name in names])
    progress.apply_posted([scene.posted(0, "e1" * 16)])  # Its own event is still to come.
    scene.rows("UPDATE orion_billing.deposit SET merchant_id = NULL")
    progress.expire()
    rows = scene.rows("SELECT invoice_id, merchant_id FROM orion_billing.deposit")
    assert sorted(rows, key=str) == sorted([(invoice_id, MERCHANT)] * 3 + [(None, None)], key=str)
    assert EXPIRY_BATCH > 3


def test_a_payment_whose_block_is_gone_for_too_long_is_named_until_it_comes_back(
    scene: BillingScene,
) -> None:
    invoice_id, progress = new_invoice(scene), scene.progress()
    progress.apply_deposits([scene.deposit(invoice_id, 1)])
    gone = {"state": "reversed", "confirmations": 0}
    progress.apply_deposits([scene.deposit(invoice_id, 2, credit_epoch=1, **gone)])
    since = scene.now
    scene.now += REVERSED_MAX
    # A further version of it does not begin the wait anew.
    progress.apply_deposits([scene.deposit(invoice_id, 3, credit_epoch=1, **gone)])
    assert progress.lost_deposits() == []
    scene.now += timedelta(seconds=1)
    [lost] = progress.lost_deposits()
    assert (lost.invoice_id, lost.txid, lost.since) == (invoice_id, "t1", since)
    progress.apply_deposits([scene.deposit(invoice_id, 4, credit_epoch=1)])
    assert progress.lost_deposits() == []
    progress.apply_deposits([scene.deposit(invoice_id, 5, credit_epoch=2, **gone)])
    assert progress.lost_deposits() == [], "the next loss waits for its own time"
    progress.apply_deposits([in_mempool(scene, invoice_id, 6, state="invalid", credit_epoch=2)])
    scene.now += 2 * REVERSED_MAX
    assert progress.lost_deposits() == []


def test_a_reversal_that_old_code_stored_counts_from_when_it_was_found(
    scene: BillingScene,
) -> None:
    invoice_id, progress = new_invoice(scene), scene.progress()
    progress.apply_deposits([scene.deposit(invoice_id, state="reversed", credit_epoch=1)])
    scene.rows("UPDATE orion_billing.deposit SET reversed_at = NULL")
    scene.now += 2 * REVERSED_MAX
    assert progress.lost_deposits() == []
    scene.now += REVERSED_MAX + timedelta(seconds=1)
    assert len(progress.lost_deposits()) == 1


def test_the_scheduled_function_counts_lost_payments_and_names_them_in_its_log(
    stage_scene: BillingScene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in a new process, whose log is this test's output.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    scene = stage_scene
    invoice_id = new_invoice(scene)
    scene.progress().apply_deposits([scene.deposit(invoice_id, state="reversed", credit_epoch=1)])
    scene.rows("UPDATE orion_billing.deposit SET reversed_at = UTC_TIMESTAMP(6)")
    run("expiry", {})
    scene.rows("UPDATE orion_billing.deposit SET reversed_at = reversed_at - INTERVAL 3 HOUR")
    run("expiry", {})
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line[:1] == "{"]
    counts = [line["Deposits reversed long"] for line in lines if "_aws" in line]
    assert counts == [[0], [1]]
    [named] = [line for line in lines if line.get("message") == "a deposit stays reversed"]
    assert named["invoice"] == public_id("inv", invoice_id)
    assert (named["txid"], named["level"]) == ("t1", "WARNING")
