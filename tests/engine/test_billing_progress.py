"""Deposits, credits and time on a real database: any order, any repetition, one end."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import combinations
from threading import Barrier
from typing import Any

import pytest

from orion.adapters.mysql.billing import MySqlBillingStore
from orion.billing.delivery import (
    Endpoint,
)
from orion.billing.errors import DepositOfUnknownInvoice
from orion.ids import parse_public_id
from orion.records import MalformedRecord, Record
from tests.engine.billing_scene import MERCHANT, BillingScene, scene_of

pytestmark = pytest.mark.engine


@pytest.fixture
def scene(mysql_admin: Any) -> Iterator[BillingScene]:
    found = scene_of(mysql_admin)
    found.prepare()
    yield found
    found.close()


def new_invoice(scene: BillingScene, key: str = "k1", *assets: str) -> bytes:
    return parse_public_id("inv", json.loads(scene.create(key, *assets).body)["id"])


def listen(scene: BillingScene, number: int = 1, *types: str) -> bytes:
    endpoint_id = bytes([number]) * 16
    endpoint = Endpoint(
        endpoint_id, MERCHANT, "https://shop.example.com/h", frozenset(types or ("*",)), b"c"
    )
    store = MySqlBillingStore(scene.database())
    store.transact(lambda tx: tx.add_endpoint(endpoint, scene.now))
    return endpoint_id


def told(scene: BillingScene) -> list[str]:
    """Types of the events that left for the sender, in order."""
    return [json.loads(message["body"])["type"] for message in scene.outbox("sqs:webhooks")]


def changes(scene: BillingScene, invoice_id: bytes) -> list[tuple[Any, ...]]:
    return scene.rows(
        "SELECT number, to_status, cause_type FROM orion_billing.invoice_change"
        " WHERE invoice_id = %s ORDER BY number",
        invoice_id,
    )


def story(scene: BillingScene, invoice_id: bytes, name: str) -> tuple[list[Record], list[Record]]:
    """A deposit that settles, is reversed, and is mined and credited again."""
    facts: Sequence[tuple[str, int, int]] = (
        ("included", 1, 0),
        ("confirmed", 2, 0),
        ("reversed", 0, 1),
        ("included", 1, 1),
        ("confirmed", 2, 1),
    )
    deposits = [
        scene.deposit(
            invoice_id,
            version,
            deposit_id=name,
            state=state,
            confirmations=confirmations,
            credit_epoch=epoch,
        )
        for version, (state, confirmations, epoch) in enumerate(facts, start=1)
    ]
    return deposits, [scene.posted(0, name), scene.posted(1, name)]


def test_a_deposit_settles_an_invoice_when_confirmed_and_posted(scene: BillingScene) -> None:
    invoice_id, progress = new_invoice(scene), scene.progress()
    progress.apply_deposits([scene.deposit(invoice_id)])
    assert scene.status(invoice_id) == "confirming"
    progress.apply_posted([scene.posted()])
    assert scene.status(invoice_id) == "confirming"
    progress.apply_deposits([scene.deposit(invoice_id, 2, state="confirmed", confirmations=2)])
    assert scene.status(invoice_id) == "settled"
    assert changes(scene, invoice_id) == [
        (1, "new", "created"),
        (2, "confirming", "deposit"),
        (3, "settled", "deposit"),
    ]
    view: Any = scene.billing().public_status(invoice_id).fields
    assert view["deposits"][0]["credited"] is True
    assert view["payment_options"][0]["paid"] == "0.00041667"


def test_a_reorg_takes_a_settled_invoice_back_and_the_payment_comes_again(
    scene: BillingScene,
) -> None:
    listen(scene)
    invoice_id, progress = new_invoice(scene), scene.progress()
    deposits, posted = story(scene, invoice_id, "d1" * 16)
    progress.apply_deposits(deposits[:2])
    progress.apply_posted(posted[:1])
    assert scene.status(invoice_id) == "settled"
    progress.apply_deposits(deposits[2:3])
    assert scene.status(invoice_id) == "confirming"
    progress.apply_deposits(deposits[3:])
    assert scene.status(invoice_id) == "confirming"
    progress.apply_posted(posted[1:])
    assert scene.status(invoice_id) == "settled"
    kinds = [cause for _, _, cause in changes(scene, invoice_id)]
    assert kinds == ["created", "deposit", "credit", "reorg", "credit"]


def test_facts_in_every_interleaving_end_in_the_same_status(scene: BillingScene) -> None:
    for number, places in enumerate(combinations(range(7), 2)):
        name = f"{number:032x}"
        invoice_id, progress = new_invoice(scene, f"k{number}"), scene.progress()
        deposits, posted = story(scene, invoice_id, name)
        for place in range(7):
            if place in places:
                progress.apply_posted([posted.pop(0)])
            else:
                progress.apply_deposits([deposits.pop(0)])
        assert scene.status(invoice_id) == "settled", places


def test_older_versions_and_replayed_records_change_nothing(scene: BillingScene) -> None:
    invoice_id, progress = new_invoice(scene), scene.progress()
    deposits, posted = story(scene, invoice_id, "d1" * 16)
    progress.apply_deposits(deposits)
    progress.apply_posted(posted)
    before = changes(scene, invoice_id)
    assert progress.apply_deposits(deposits) == 0
    assert progress.apply_posted(posted) == 0
    again, posted_again = story(scene, invoice_id, "d1" * 16)  # New offsets, old versions.
    assert progress.apply_deposits(again) == 0
    assert progress.apply_posted(posted_again) == 0
    assert changes(scene, invoice_id) == before


def test_two_facts_of_one_deposit_at_the_same_time_do_not_miss_each_other(
    scene: BillingScene,
) -> None:
    rounds = 25
    ids = [new_invoice(scene, f"k{number}") for number in range(rounds)]
    barrier = Barrier(2)
    # The two consumers' records lie in different partitions, so no fence orders them.
    deposits = [
        scene.deposit(i, 1, deposit_id=f"{n:032x}", state="confirmed", confirmations=2)
        for n, i in enumerate(ids)
    ]
    posted = [scene.posted(0, f"{n:032x}") for n in range(rounds)]

    def run(apply: Any, records: list[Record]) -> None:
        for record in records:
            barrier.wait()
            apply([record])

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(run, scene.progress().apply_deposits, deposits)
        two = pool.submit(run, scene.progress().apply_posted, posted)
        one.result()
        two.result()
    assert {scene.status(invoice_id) for invoice_id in ids} == {"settled"}


def test_unpaid_and_partly_paid_invoices_expire_and_others_do_not(scene: BillingScene) -> None:
    new, part, seen = (new_invoice(scene, key) for key in ("k1", "k2", "k3"))
    progress = scene.progress()
    progress.apply_deposits([scene.deposit(part, units="1")])
    progress.apply_deposits([scene.deposit(seen, deposit_id="d2" * 16)])
    assert progress.expire() == 0
    scene.now += timedelta(seconds=900)
    assert progress.expire() == 2
    assert progress.expire() == 0
    assert [scene.status(i) for i in (new, part, seen)] == ["expired", "underpaid", "confirming"]


def test_payments_after_the_expiry_are_recorded_and_each_is_reported(scene: BillingScene) -> None:
    listen(scene)
    invoice_id, progress = new_invoice(scene), scene.progress()
    scene.now += timedelta(hours=1)
    progress.expire()
    for name in ("d1", "d2"):
        progress.apply_deposits([scene.deposit(invoice_id, deposit_id=name * 16, units="1")])
    assert scene.status(invoice_id) == "underpaid"
    types = scene.rows("SELECT type FROM orion_billing.webhook_event ORDER BY number")
    assert [row[0] for row in types] == [
        "invoice.created",
        "invoice.expired",
        "invoice.underpaid",
        "invoice.deposit_received",
    ]


def test_a_payment_mined_again_for_another_invoice_leaves_the_first(scene: BillingScene) -> None:
    first, second = new_invoice(scene, "k1"), new_invoice(scene, "k2")
    progress = scene.progress()
    progress.apply_deposits([scene.deposit(first, 1)])
    progress.apply_deposits([scene.deposit(first, 2, state="reversed", credit_epoch=1)])
    progress.apply_deposits([scene.deposit(second, 3, credit_epoch=1)])
    assert (scene.status(first), scene.status(second)) == ("new", "confirming")


def test_a_deposit_of_an_unknown_invoice_is_refused_whole(scene: BillingScene) -> None:
    invoice_id = new_invoice(scene)
    records = [scene.deposit(invoice_id), scene.deposit(b"x" * 16, deposit_id="d2" * 16)]
    with pytest.raises(DepositOfUnknownInvoice):
        scene.progress().apply_deposits(records)
    assert scene.status(invoice_id) == "new"
    assert scene.one("SELECT COUNT(*) FROM orion_billing.consumer_offset") == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"units": "1e3"},
        {"units": 5},
        {"units": "0"},
        {"units": "-1"},
        {"units": "9" * 40},
        {"state": "lost"},
        {"deposit_id": "zz"},
        {"version": True},
        {"block_time": 10**15},
    ],
)
def test_a_malformed_deposit_stops_its_partition(
    scene: BillingScene, wrong: dict[str, Any]
) -> None:
    with pytest.raises(MalformedRecord):
        scene.progress().apply_deposits([scene.deposit(new_invoice(scene), **wrong)])
