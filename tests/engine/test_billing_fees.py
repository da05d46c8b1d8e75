"""Fees on a real database: taken once, whatever order, repetition or crash."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from orion.billing.errors import RateUnavailable
from orion.billing.fees.errors import FeeOfAnotherMerchant
from orion.ids import fact_id
from orion.ledger.model import bucket
from orion.ledger.transfer_record import read_transfers
from orion.records import canonical_json
from tests.engine.billing_scene import MERCHANT, STRANGER, scene_of
from tests.engine.fees_scene import MINE, STANDARD, THEIRS, FeesScene, fees_scene_of

pytestmark = pytest.mark.engine

FEE = ("fee", "mine", "system:bitcoin", 582)
SHARE = ("referral_share", "system:bitcoin", "theirs", 116)
FEE_BACK = ("fee_returned", "system:bitcoin", "mine", 582)
SHARE_BACK = ("referral_returned", "theirs", "system:bitcoin", 116)


@pytest.fixture
def scene(mysql_admin: Any) -> Iterator[FeesScene]:
    found = fees_scene_of(mysql_admin, scene_of(mysql_admin))
    found.prepare(wallets=12)
    found.assign()
    found.refer()
    yield found
    found.close()


@pytest.mark.parametrize("posted_first", [True, False])
def test_a_fee_is_taken_when_both_facts_of_a_final_credit_are_known(
    scene: FeesScene, posted_first: bool
) -> None:
    invoice_id, progress = scene.invoice(), scene.progress()
    if posted_first:
        progress.apply_posted([scene.final_posted()])
        assert scene.sent() == []
        progress.apply_deposits([scene.final_event(invoice_id)])
    else:
        progress.apply_deposits([scene.final_event(invoice_id)])
        assert scene.sent() == []
        progress.apply_posted([scene.final_posted()])
    assert scene.sent() == [FEE, SHARE]
    assert scene.numbers(invoice_id) == [(1, None, 10, 10)]
    assert scene.volume() == {("2026-01-02", "EUR"): 2_500}


def test_what_is_sent_has_the_form_that_the_ledger_reads_and_ids_of_its_cause(
    scene: FeesScene,
) -> None:
    invoice_id, progress = scene.invoice(), scene.progress()
    progress.apply_deposits([scene.final_event(invoice_id)])
    progress.apply_posted([scene.final_posted()])
    assert scene.keys() == [f"bucket:{bucket(MINE)}", f"bucket:{bucket(THEIRS)}"]
    deposit = bytes.fromhex("d1" * 16)
    for record, code in zip(
        scene.outbox("kafka:ledger.transfers"), ("fee", "referral_share"), strict=True
    ):
        (transfer,) = read_transfers(canonical_json(record))
        assert transfer.id == fact_id(code, deposit, 0)
        assert transfer.debit.fits
        assert transfer.credit.fits
        assert json.loads(transfer.cause) == {
            "type": "fee",
            "deposit_id": deposit.hex(),
            "credit_epoch": 0,
        }


def test_repeated_facts_take_nothing_twice(scene: FeesScene) -> None:
    invoice_id, progress = scene.invoice(), scene.progress()
    for _ in range(3):
        # Records of another offset: the consumer's fence does not hold them back.
        progress.apply_deposits([scene.final_event(invoice_id)])
        progress.apply_posted([scene.final_posted()])
    assert scene.sent() == [FEE, SHARE]
    assert scene.volume() == {("2026-01-02", "EUR"): 2_500}


def test_what_was_locked_at_creation_holds_whatever_is_assigned_later(scene: FeesScene) -> None:
    invoice_id, progress = scene.invoice(), scene.progress()
    scene.assign(plan=None)
    scene.rows("DELETE FROM orion_billing.referral")
    progress.apply_deposits([scene.final_event(invoice_id)])
    progress.apply_posted([scene.final_posted()])
    assert scene.sent() == [FEE, SHARE]


def test_an_invoice_that_agreed_on_no_fee_never_pays_one(scene: FeesScene) -> None:
    scene.assign(plan=None)
    invoice_id, progress = scene.invoice(), scene.progress()
    scene.assign()
    progress.apply_deposits([scene.final_event(invoice_id)])
    progress.apply_posted([scene.final_posted()])
    assert scene.sent() == []
    assert scene.volume() == {}


def test_the_merchants_own_plan_goes_before_his_lanes(scene: FeesScene) -> None:
    scene.assign("lane:standard", {**STANDARD, "tiers": [{"from": "0", "bps": 50}]})
    scene.assign("lane:vip", {**STANDARD, "tiers": [{"from": "0", "bps": 5}]})
    found = "SELECT subject, bps FROM orion_billing.invoice_fee WHERE invoice_id = %s"
    own = scene.invoice("k1")
    scene.assign(plan=None)
    of_lane = scene.invoice("k2")
    assert scene.rows(found, own) == [(MINE, 100)]
    assert scene.rows(found, of_lane) == [("lane:standard", 50)]


def test_the_tier_is_of_the_thirty_days_before_the_day_of_creation(scene: FeesScene) -> None:
    def add(days_ago: int, currency: str, units: int) -> None:
        day = scene.now.date() - timedelta(days=days_ago)
        scene.rows(
            "INSERT INTO orion_billing.fee_volume VALUES (%s, %s, %s, %s, 0)",
            MERCHANT, day, currency, units,
        )  # fmt: skip

    def terms(key: str) -> list[tuple[int, int]]:
        found = scene.rows(
            "SELECT bps, volume_units FROM orion_billing.invoice_fee WHERE invoice_id = %s",
            scene.invoice(key),
        )
        return [(bps, int(volume)) for bps, volume in found]

    add(0, "EUR", 10**9)
    add(31, "EUR", 10**9)
    assert terms("k1") == [(100, 0)]
    add(30, "EUR", 900_000)
    add(1, "USD", 108_695)
    add(2, "JPY", 10**9)
    assert terms("k2") == [(100, 999_999)]
    add(2, "USD", 1)
    assert terms("k3") == [(80, 1_000_000)]


def test_the_fixed_part_is_taken_once_and_dust_saves_nothing(scene: FeesScene) -> None:
    invoice_id, progress = scene.invoice(), scene.progress()
    for name, units in (("d1", 15), ("d2", 20), ("d3", 41_667), ("d4", 41_667)):
        progress.apply_deposits([scene.final_event(invoice_id, name, units=str(units))])
        progress.apply_posted([scene.final_posted(name, units=units)])
    fees = [units for code, _, _, units in scene.sent() if code == "fee"]
    assert fees == [16, 566, 416]
    assert scene.numbers(invoice_id) == [
        (1, None, 10, 0),
        (2, None, 10, 1),
        (3, None, 9, 9),
        (4, None, 0, 0),
    ]


def test_deposits_of_one_invoice_in_one_batch_share_its_fixed_part(scene: FeesScene) -> None:
    invoice_id, progress = scene.invoice(), scene.progress()
    names = ("d1", "d2", "d3")
    progress.apply_deposits([scene.final_event(invoice_id, name) for name in names])
    progress.apply_posted([scene.final_posted(name) for name in names])
    assert [units for code, _, _, units in scene.sent() if code == "fee"] == [582, 416, 416]
    assert [row[0] for row in scene.numbers(invoice_id)] == [1, 2, 3]
    assert scene.volume() == {("2026-01-02", "EUR"): 7_500}


def test_a_deposit_of_an_asset_without_a_market_pays_the_percent_only_and_is_unvalued(
    scene: FeesScene,
) -> None:
    invoice_id, progress = scene.invoice(), scene.progress()
    event = scene.final_event(invoice_id, asset="ETH.ethereum", units="1000", chain="ethereum")
    progress.apply_deposits([event])
    progress.apply_posted([scene.final_posted(units=1_000, asset="ETH.ethereum")])
    assert scene.sent() == [
        ("fee", "mine", "system:ethereum", 10),
        ("referral_share", "system:ethereum", "theirs", 2),
    ]
    assert scene.volume() == {}
    assert scene.unvalued() == {("2026-01-02", "EUR"): 1}
    assert scene.numbers(invoice_id) == [(1, None, 10, 0)]


def test_a_reversal_after_finality_gives_fee_and_share_back_once(scene: FeesScene) -> None:
    invoice_id, progress = scene.invoice(), scene.progress()
    progress.apply_deposits([scene.final_event(invoice_id)])
    progress.apply_posted([scene.final_posted()])
    scene.now += timedelta(days=1)
    # What an account lacked of a reversal stands in another entry: its units say nothing here.
    for _ in range(2):
        progress.apply_posted([scene.reversal_posted(units=5)])
    assert scene.sent() == [FEE, SHARE, FEE_BACK, SHARE_BACK]
    assert scene.volume() == {("2026-01-02", "EUR"): 2_500, ("2026-01-03", "EUR"): -2_500}
    progress.apply_deposits([scene.final_event(invoice_id, epoch=1, version=12)])
    progress.apply_posted([scene.final_posted(epoch=1)])
    assert scene.sent()[4:] == [FEE, SHARE]
    assert scene.numbers(invoice_id) == [(1, 2, 10, 10), (3, None, 10, 10)]


def test_what_a_reversal_opens_again_is_open_for_the_next_credit_of_the_same_batch(
    scene: FeesScene,
) -> None:
    invoice_id, progress = scene.invoice(), scene.progress()
    progress.apply_deposits([scene.final_event(invoice_id)])
    progress.apply_posted([scene.final_posted()])
    progress.apply_deposits([scene.final_event(invoice_id, epoch=1, version=12)])
    progress.apply_posted([scene.reversal_posted(), scene.final_posted(epoch=1)])
    assert scene.sent() == [FEE, SHARE, FEE_BACK, FEE, SHARE_BACK, SHARE]
    assert scene.numbers(invoice_id) == [(1, 2, 10, 10), (3, None, 10, 10)]


def test_a_fee_that_was_returned_is_never_returned_again_whatever_is_learnt(
    scene: FeesScene,
) -> None:
    first, second, progress = scene.invoice("k1"), scene.invoice("k2"), scene.progress()
    progress.apply_deposits([scene.final_event(first)])
    progress.apply_posted([scene.final_posted(), scene.reversal_posted()])
    assert scene.sent() == []
    progress.apply_deposits([scene.final_event(first, "d2")])
    progress.apply_posted([scene.final_posted("d2")])
    progress.apply_posted([scene.reversal_posted("d2")])
    assert scene.sent() == [FEE, SHARE, FEE_BACK, SHARE_BACK]
    progress.apply_deposits([scene.final_event(second, "d2", version=13)])
    assert scene.sent() == [FEE, SHARE, FEE_BACK, SHARE_BACK]


@pytest.mark.parametrize("together", [True, False])
def test_a_reversal_that_is_known_before_the_invoice_leaves_nothing_to_take(
    scene: FeesScene, together: bool
) -> None:
    invoice_id, progress = scene.invoice(), scene.progress()
    posted = [scene.final_posted(), scene.reversal_posted()]
    for batch in [posted] if together else [[one] for one in posted]:
        progress.apply_posted(batch)
    progress.apply_deposits([scene.final_event(invoice_id)])
    assert scene.sent() == []
    assert scene.numbers(invoice_id) == []


def test_each_epoch_pays_for_the_invoice_that_it_was_final_for(scene: FeesScene) -> None:
    first, second, progress = scene.invoice("k1"), scene.invoice("k2"), scene.progress()
    progress.apply_deposits([scene.final_event(first)])
    reversed_event = scene.deposit(first, 10, state="reversed", credit_epoch=1)
    progress.apply_deposits([reversed_event, scene.final_event(second, epoch=1, version=12)])
    progress.apply_posted([scene.final_posted(), scene.reversal_posted()])
    progress.apply_posted([scene.final_posted(epoch=1)])
    assert scene.numbers(first) == []
    assert scene.numbers(second) == [(1, None, 10, 10)]
    progress.apply_posted([scene.final_posted("d2")])
    progress.apply_deposits([scene.final_event(first, "d2")])
    assert scene.numbers(first) == [(1, None, 10, 10)]


def test_a_final_credit_of_another_merchant_stops_and_stores_nothing(scene: FeesScene) -> None:
    invoice_id, progress = scene.invoice(), scene.progress()
    progress.apply_deposits([scene.final_event(invoice_id)])
    with pytest.raises(FeeOfAnotherMerchant):
        progress.apply_posted([scene.final_posted(owner=f"merchant:{STRANGER.hex()}")])
    assert scene.sent() == []
    progress.apply_posted([scene.final_posted()])
    assert scene.sent() == [FEE, SHARE]


def test_a_transaction_that_ends_before_its_commit_leaves_nothing_and_comes_again(
    scene: FeesScene,
) -> None:
    """Whatever was written when the process died, the record is delivered again: here the last
    statement of the transaction waits for a lock until its connection is killed.
    """
    invoice_id = scene.invoice()
    scene.progress().apply_deposits([scene.final_event(invoice_id)])
    record = scene.final_posted()
    blocker = scene.admin.connect()
    with blocker.cursor() as cursor:
        # Volumes are written last of all that concerns fees.
        cursor.execute(
            "INSERT INTO orion_billing.fee_volume VALUES (%s, '2026-01-02', 'EUR', 0, 0)",
            (MERCHANT,),
        )
        progress = scene.progress()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(progress.apply_posted, [record])
            _kill_when_waiting(scene, "fee_volume")
            blocker.rollback()
            with pytest.raises(Exception, match="connection"):
                waiting.result(timeout=30)
    blocker.close()
    assert scene.sent() == []
    assert scene.numbers(invoice_id) == []
    scene.progress().apply_posted([record])
    scene.progress().apply_posted([record])
    assert scene.sent() == [FEE, SHARE]
    assert scene.volume() == {("2026-01-02", "EUR"): 2_500}


def _kill_when_waiting(scene: FeesScene, table: str) -> None:
    for _ in range(200_000):
        found = scene.rows(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND <> 'Sleep'"
            " AND USER = 'billing' AND INFO LIKE %s",
            f"INSERT INTO {table}%",
        )
        if found:
            scene.rows(f"KILL {found[0][0]}")
            return
    raise AssertionError("nobody waited")


def test_two_consumers_that_learn_the_two_facts_at_once_take_the_fee_once(
    scene: FeesScene,
) -> None:
    invoices = [scene.invoice(f"k{number}") for number in range(8)]
    names = [f"{number:02x}" for number in range(8)]
    events = [scene.final_event(i, n) for i, n in zip(invoices, names, strict=True)]
    # The other way round, so that now the one and now the other is first.
    posted = [scene.final_posted(name) for name in reversed(names)]
    both, start = (scene.progress(), scene.progress()), Barrier(2)

    def learn(which: int) -> None:
        start.wait()
        for event, credit in zip(events, posted, strict=True):
            if which:
                both[1].apply_posted([credit])
            else:
                both[0].apply_deposits([event])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(learn, range(2)))
    assert sorted(scene.sent()) == sorted([FEE, SHARE] * 8)
    assert scene.volume() == {("2026-01-02", "EUR"): 20_000}


CUSTOMER = {**STANDARD, "payer": "customer"}


def test_a_customer_who_bears_the_fee_is_asked_for_it_and_the_merchant_gets_his_price(
    scene: FeesScene,
) -> None:
    scene.assign(plan=CUSTOMER)
    view = json.loads(scene.create("k1").body)
    assert (view["amount"], view["customer_fee"]) == ("25.00", "0.36")
    assert view["payment_options"][0]["amount"] == "0.00042267"
    invoice_id = scene.invoice("k1")
    assert scene.billing().invoice(MERCHANT, invoice_id)["customer_fee"] == "0.36"
    progress = scene.progress()
    progress.apply_deposits([scene.final_event(invoice_id, units="42267")])
    progress.apply_posted([scene.final_posted(units=42_267)])
    assert scene.sent()[0] == ("fee", "mine", "system:bitcoin", 588)


def test_a_merchant_who_bears_the_fee_asks_for_his_price(scene: FeesScene) -> None:
    view = json.loads(scene.create("k1").body)
    assert (view["amount"], view["customer_fee"]) == ("25.00", "0.00")
    assert view["payment_options"][0]["amount"] == "0.00041667"


def test_an_invoice_that_is_refused_locks_no_fee(scene: FeesScene) -> None:
    scene.rows("DELETE FROM orion_billing.rate")
    scene.no_market()
    with pytest.raises(RateUnavailable):
        scene.create("k1")
    assert scene.rows("SELECT 1 FROM orion_billing.invoice_fee") == []
