"""The life of invoices on a real database: mempools, dead deposits, cancellation, refunds, time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from threading import Barrier
from typing import Any

import pytest

from orion.billing.errors import (
    InvoiceNotCancellable,
    InvoiceNotFound,
    RefundOfUnknownInvoice,
)
from orion.errors import OrionError
from orion.records import Record
from tests.engine.billing_life_facts import (
    DUE,
    cancel,
    causes,
    in_mempool,
    new_invoice,
    refund,
    settle,
    story,
    view,
)
from tests.engine.billing_scene import STRANGER, TRACE, BillingScene, keyed, scene_of

pytestmark = pytest.mark.engine


@pytest.fixture
def scene(mysql_admin: Any) -> Iterator[BillingScene]:
    found = scene_of(mysql_admin)
    found.prepare()
    yield found
    found.close()


def wakes(scene: BillingScene, invoice_id: bytes) -> Any:
    return scene.one("SELECT wakes_at FROM orion_billing.invoice WHERE invoice_id = %s", invoice_id)


def test_a_payment_is_seen_in_the_mempool_then_confirms_and_settles(scene: BillingScene) -> None:
    invoice_id, progress = new_invoice(scene), scene.progress()
    progress.apply_deposits([in_mempool(scene, invoice_id)])
    option = view(scene, invoice_id)["payment_options"][0]
    assert (option["paid"], option["unconfirmed"]) == ("0.00000000", "0.00041667")
    assert option["remaining"] == "0.00000000"
    assert wakes(scene, invoice_id) is None, "nothing is missing: time alone changes nothing"
    progress.apply_deposits([scene.deposit(invoice_id, 2)])
    progress.apply_deposits([scene.deposit(invoice_id, 3, state="confirmed", confirmations=2)])
    progress.apply_posted([scene.posted()])
    assert story(scene, invoice_id) == ["new", "seen", "confirming", "settled"]


def test_a_replaced_payment_leaves_its_invoice_to_the_one_that_replaces_it(
    scene: BillingScene,
) -> None:
    invoice_id, progress = new_invoice(scene), scene.progress()
    progress.apply_deposits([in_mempool(scene, invoice_id)])
    progress.apply_deposits([in_mempool(scene, invoice_id, 2, state="invalid")])
    assert view(scene, invoice_id)["deposits"][0]["state"] == "invalid"
    settle(scene, invoice_id, "d2")
    assert story(scene, invoice_id) == ["new", "seen", "invalid", "confirming", "settled"]
    assert causes(scene, invoice_id)[2] == "invalid"


def test_a_settled_payment_whose_coins_were_spent_otherwise_leaves_nothing(
    scene: BillingScene,
) -> None:
    invoice_id, progress = new_invoice(scene), scene.progress()
    settle(scene, invoice_id)
    scene.now += timedelta(hours=1)
    gone = {"credit_epoch": 1, "confirmations": 0}
    progress.apply_deposits([scene.deposit(invoice_id, 2, state="reversed", **gone)])
    progress.apply_deposits([scene.deposit(invoice_id, 3, state="invalid", **gone)])
    assert story(scene, invoice_id)[-3:] == ["settled", "confirming", "invalid"]
    assert progress.expire() == 0


def test_a_block_that_comes_again_later_does_not_make_a_payment_late(scene: BillingScene) -> None:
    invoice_id, progress = new_invoice(scene), scene.progress()
    mined = int((scene.now + timedelta(seconds=1)).timestamp())
    scene.now += timedelta(hours=1)
    again = int(scene.now.timestamp())
    progress.apply_deposits([scene.deposit(invoice_id, 1, block_time=mined)])
    progress.apply_deposits([scene.deposit(invoice_id, 2, state="reversed", credit_epoch=1)])
    confirmed = {"state": "confirmed", "credit_epoch": 1, "block_time": again}
    progress.apply_deposits([scene.deposit(invoice_id, 3, **confirmed)])
    progress.apply_posted([scene.posted(1)])
    assert scene.status(invoice_id) == "settled"


def test_what_remains_of_one_chain_counts_what_came_on_another(scene: BillingScene) -> None:
    invoice_id = new_invoice(scene, "k1", "BTC.bitcoin", "ETH.ethereum")
    part = {"asset": "ETH.ethereum", "units": "5200000000000000", "chain": "ethereum"}
    scene.progress().apply_deposits([scene.deposit(invoice_id, 1, **part)])
    bitcoin, ether = view(scene, invoice_id)["payment_options"]
    assert bitcoin["remaining"] == "0.00020001"
    assert ether["remaining"] == "0.004800000000000000"
    settle(scene, invoice_id, "d2", units="20001")
    scene.progress().apply_deposits([scene.deposit(invoice_id, 2, **part, state="confirmed")])
    scene.progress().apply_posted([scene.posted()])
    assert scene.status(invoice_id) == "overpaid", "by the part of a satoshi that does not exist"


def test_a_cancelled_invoice_says_so_and_keeps_its_addresses(scene: BillingScene) -> None:
    invoice_id = new_invoice(scene)
    found = cancel(scene, invoice_id)
    assert (found["status"], found["cancelled_at"]) == ("cancelled", "2026-01-02T03:04:05.000Z")
    assert found["cause"]["type"] == "cancelled"
    assert cancel(scene, invoice_id) == found, "a replay"
    assert cancel(scene, invoice_id, "c2") == found, "a second request changes nothing"
    assert story(scene, invoice_id) == ["new", "cancelled"]
    assert scene.one("SELECT COUNT(*) FROM orion_moneyin.wallet WHERE state = 'assigned'") == 1
    assert [row["action"] for row in scene.outbox("kafka:audit.events")][-1] == "invoice.cancelled"
    scene.now += timedelta(hours=1)
    assert scene.progress().expire() == 0


def test_a_payment_after_the_cancellation_is_recorded_credited_and_reported(
    scene: BillingScene,
) -> None:
    invoice_id = new_invoice(scene)
    cancel(scene, invoice_id)
    scene.progress().apply_deposits([scene.deposit(invoice_id, 1, units="1", deposit_id="d2" * 16)])
    settle(scene, invoice_id, "d1")
    assert story(scene, invoice_id) == [
        "new",
        "cancelled",
        "underpaid",
        "confirming",
        "paid_late",
    ]
    assert {row["credited"] for row in view(scene, invoice_id)["deposits"]} == {True, False}


@pytest.mark.parametrize(
    "happened",
    [
        lambda scene, i: scene.progress().apply_deposits([in_mempool(scene, i)]),
        lambda scene, i: scene.progress().apply_deposits([scene.deposit(i, asset="ETH.ethereum")]),
        lambda scene, i: scene.progress().apply_deposits([in_mempool(scene, i, state="invalid")]),
        settle,
        lambda scene, i: setattr(scene, "now", scene.now + timedelta(seconds=900)),
    ],
    ids=["seen", "another asset", "invalid", "settled", "expired"],
)
def test_an_invoice_to_which_something_happened_is_not_cancelled(
    scene: BillingScene, happened: Any
) -> None:
    invoice_id = new_invoice(scene)
    happened(scene, invoice_id)
    with pytest.raises(InvoiceNotCancellable):
        cancel(scene, invoice_id)
    assert view(scene, invoice_id)["cancelled_at"] is None
    assert scene.one("SELECT COUNT(*) FROM orion_billing.idempotency") == 1


def test_an_invoice_of_another_merchant_is_not_there_to_be_cancelled(scene: BillingScene) -> None:
    invoice_id = new_invoice(scene)
    with pytest.raises(InvoiceNotFound):
        cancel(scene, invoice_id, merchant=STRANGER)
    assert scene.status(invoice_id) == "new"


def test_a_payment_and_a_cancellation_at_the_same_time_see_each_other(scene: BillingScene) -> None:
    ids = [new_invoice(scene, f"k{number}") for number in range(20)]
    facts = [scene.deposit(i, deposit_id=f"{n:032x}") for n, i in enumerate(ids)]
    barrier = Barrier(2)

    def pay() -> None:
        progress = scene.progress()
        for fact in facts:
            barrier.wait()
            progress.apply_deposits([fact])

    def end(invoice_id: bytes, number: int) -> bool:
        barrier.wait()
        try:
            cancel(scene, invoice_id, f"c{number}")
        except InvoiceNotCancellable:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        paying = pool.submit(pay)
        ended = pool.submit(lambda: [end(i, number) for number, i in enumerate(ids)]).result()
        paying.result()
    for invoice_id, cancelled in zip(ids, ended, strict=True):
        expected = ["new", "cancelled", "confirming"] if cancelled else ["new", "confirming"]
        assert story(scene, invoice_id) == expected


def test_refunds_that_the_ledger_posts_are_set_against_what_settled(scene: BillingScene) -> None:
    invoice_id, progress = new_invoice(scene), scene.progress()
    settle(scene, invoice_id, units="50000")
    first = refund(scene, invoice_id, "8333")
    assert progress.apply_posted([first]) == 1
    assert progress.apply_posted([refund(scene, invoice_id, "8333")]) == 0, "known by its transfer"
    assert progress.apply_posted([refund(scene, invoice_id, "1", "f2", kind="pending")]) == 0
    assert progress.apply_posted([refund(scene, invoice_id, "1", "f3", cause_type="payout")]) == 0
    progress.apply_posted([refund(scene, invoice_id, "41666", "f4")])
    progress.apply_posted([refund(scene, invoice_id, "1", "f5")])
    assert story(scene, invoice_id)[-4:] == [
        "overpaid",
        "settled",
        "partially_refunded",
        "refunded",
    ]
    refunds = view(scene, invoice_id)["refunds"]
    assert [row["amount"] for row in refunds] == ["0.00008333", "0.00041666", "0.00000001"]
    assert causes(scene, invoice_id)[-1] == "refund"


def test_a_refund_that_leaves_the_status_is_told_as_a_refund(scene: BillingScene) -> None:
    invoice_id, progress = new_invoice(scene), scene.progress()
    settle(scene, invoice_id, units=DUE)
    progress.apply_posted([refund(scene, invoice_id, "100")])
    progress.apply_posted([refund(scene, invoice_id, "200", "f2")])
    types = scene.rows("SELECT type FROM orion_billing.webhook_event ORDER BY number")
    assert types[-2:] == [("invoice.partially_refunded",), ("invoice.refund_posted",)]


def test_a_refund_of_an_unknown_invoice_stops_its_shard(scene: BillingScene) -> None:
    with pytest.raises(RefundOfUnknownInvoice):
        scene.progress().apply_posted([refund(scene, b"x" * 16, DUE)])
    assert scene.one("SELECT COUNT(*) FROM orion_billing.consumer_offset") == 0


def test_a_payment_a_dead_one_and_a_refund_in_every_order_end_alike(scene: BillingScene) -> None:
    ends = set()
    for number, order in enumerate(permutations(range(4))):
        invoice_id, progress = new_invoice(scene, f"k{number}"), scene.progress()
        paid, dead = f"{number:032x}", f"{number + 100:032x}"
        confirmed = {"deposit_id": paid, "state": "confirmed"}
        acts: list[tuple[Any, Record]] = [
            (progress.apply_deposits, scene.deposit(invoice_id, 1, **confirmed)),
            (progress.apply_posted, scene.posted(0, paid)),
            (progress.apply_deposits, in_mempool(scene, invoice_id, deposit_id=dead)),
            (progress.apply_posted, refund(scene, invoice_id, "1", f"{number:02x}")),
        ]
        for place in order:
            apply, record = acts[place]
            apply([replace(record, offset=next(scene.offsets))])
        ends.add(scene.status(invoice_id))
    assert ends == {"partially_refunded"}


def test_invoices_that_wait_for_confirmations_are_no_business_of_the_expiry(
    scene: BillingScene,
) -> None:
    seen, part, new = (new_invoice(scene, key) for key in ("k1", "k2", "k3"))
    progress = scene.progress()
    progress.apply_deposits([in_mempool(scene, seen)])
    progress.apply_deposits([in_mempool(scene, part, deposit_id="d2" * 16, units="1")])
    scene.now += timedelta(seconds=900)
    assert progress.expire() == 2
    assert [scene.status(i) for i in (seen, part, new)] == ["seen", "underpaid", "expired"]
    assert scene.one("SELECT COUNT(*) FROM orion_billing.invoice WHERE wakes_at IS NOT NULL") == 0


def test_whose_clock_is_behind_undoes_no_expiry(scene: BillingScene) -> None:
    paid, cancelled = new_invoice(scene, "k1"), new_invoice(scene, "k2")
    scene.now += timedelta(seconds=900)
    assert scene.progress().expire() == 2
    scene.now -= timedelta(seconds=1)  # Another process, or one that waited for the lock.
    scene.progress().apply_deposits([scene.deposit(paid, 1, units="1")])
    assert story(scene, paid) == ["new", "expired", "underpaid"]
    with pytest.raises(InvoiceNotCancellable):
        cancel(scene, cancelled)
    times = scene.rows("SELECT at FROM orion_billing.invoice_change ORDER BY invoice_id, number")
    assert len({row[0] for row in times}) == 2, "one of creation, one of the expiry"


def test_a_part_of_an_invoice_that_was_never_paid_whole_is_refunded(scene: BillingScene) -> None:
    invoice_id = new_invoice(scene)
    settle(scene, invoice_id, units="2")
    scene.now += timedelta(seconds=900)
    scene.progress().expire()
    assert scene.status(invoice_id) == "underpaid"
    scene.progress().apply_posted([refund(scene, invoice_id, units="1")])
    assert scene.status(invoice_id) == "partially_refunded"


def test_an_invoice_that_wakes_for_nothing_is_not_woken_again(scene: BillingScene) -> None:
    invoice_id = new_invoice(scene)
    scene.progress().apply_deposits([in_mempool(scene, invoice_id)])
    scene.rows("UPDATE orion_billing.invoice SET wakes_at = created_at")
    assert scene.progress().expire() == 0
    assert wakes(scene, invoice_id) is None


def test_a_key_that_cancelled_one_invoice_cancels_no_other(scene: BillingScene) -> None:
    first, second = new_invoice(scene, "k1"), new_invoice(scene, "k2")
    cancel(scene, first)
    with pytest.raises(OrionError) as refusal:
        scene.billing().cancel_invoice(keyed("c1", b"other"), second, trace_id=TRACE)
    assert refusal.value.code == "idempotency_key_reused"
    assert scene.status(second) == "new"
