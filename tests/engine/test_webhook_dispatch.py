"""Deliveries on a real database: order, schedule, shares of places, closed endpoints."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from orion.billing.delivery import ANSWER_WITHIN, RETRY_AFTER_S, DeliveryState, Outcome
from orion.billing.errors import UnknownDelivery
from orion.billing.webhook_pace import DISABLED_AFTER, DISABLED_AFTER_FAILURES, PLACES, Lane
from tests.engine.billing_scene import MERCHANT, BillingScene, scene_of
from tests.engine.webhook_scene import (
    SLOW,
    SLOW_MS,
    answer,
    deliver_all,
    dispatch,
    listen,
    new_invoice,
    pass_,
    result_of,
    state_of,
    tasks,
    told,
)

pytestmark = pytest.mark.engine
EVENT_TYPES = "SELECT type FROM orion_billing.webhook_event ORDER BY written"


@pytest.fixture
def scene(mysql_admin: Any) -> Iterator[BillingScene]:
    found = scene_of(mysql_admin)
    found.prepare()
    yield found
    found.close()


def test_a_change_is_an_event_whether_anybody_listens_or_not(scene: BillingScene) -> None:
    new_invoice(scene)
    assert scene.rows(EVENT_TYPES) == [("invoice.created",)]
    assert not scene.outbox("sqs:webhook-dispatch")


def test_a_change_tells_the_dispatcher_and_nobody_else(scene: BillingScene) -> None:
    listen(scene)
    new_invoice(scene)
    [message] = scene.outbox("sqs:webhook-dispatch")
    assert message["merchant_id"] == MERCHANT.hex()
    assert not tasks(scene)
    assert dispatch(scene) == 1
    assert told(scene) == ["invoice.created"]


def test_webhooks_of_one_invoice_leave_in_order_each_after_the_one_before(
    scene: BillingScene,
) -> None:
    listen(scene)
    invoice_id, progress = new_invoice(scene), scene.progress()
    progress.apply_deposits([scene.deposit(invoice_id)])
    progress.apply_posted([scene.posted()])
    progress.apply_deposits([scene.deposit(invoice_id, 2, state="confirmed")])
    dispatch(scene)
    assert told(scene) == ["invoice.created"]
    for expected in (["invoice.confirming"], ["invoice.confirming", "invoice.settled"]):
        assert answer(scene, tasks(scene)[-1], Outcome.DELIVERED)
        assert told(scene) == ["invoice.created", *expected]


def test_a_failing_delivery_holds_back_neither_another_invoice_nor_another_endpoint(
    scene: BillingScene,
) -> None:
    listen(scene, 1)
    listen(scene, 2)
    first = new_invoice(scene, "k1")
    dispatch(scene)
    failing, other = tasks(scene)
    answer(scene, failing, Outcome.FAILED)
    answer(scene, other, Outcome.DELIVERED)
    scene.progress().apply_deposits([scene.deposit(first)])
    new_invoice(scene, "k2")
    dispatch(scene)
    sent = {(t["endpoint_id"], t["event_id"]) for t in tasks(scene)[2:]}
    to_failing = {event for endpoint, event in sent if endpoint == failing["endpoint_id"]}
    assert len(sent) == 3, "two to the other endpoint, and the other invoice's to this one"
    assert len(to_failing) == 1


def test_a_failed_webhook_is_sent_again_when_due_with_the_same_event_id(
    scene: BillingScene,
) -> None:
    listen(scene)
    new_invoice(scene)
    dispatch(scene)
    [first] = tasks(scene)
    assert answer(scene, first, Outcome.FAILED)
    assert not answer(scene, first, Outcome.FAILED)
    assert pass_(scene) == 0
    assert pass_(scene, timedelta(seconds=5)) == 1
    assert pass_(scene) == 0
    second = tasks(scene)[1]
    same = ("event_id", "delivery_id", "body")
    assert [second[name] for name in same] == [first[name] for name in same]
    assert second["attempt"] == 2


def test_a_lost_answer_is_noticed_and_a_late_one_is_believed(scene: BillingScene) -> None:
    listen(scene)
    new_invoice(scene)
    dispatch(scene)
    [first] = tasks(scene)
    assert pass_(scene, ANSWER_WITHIN) == 1, "the silence to count as a failed attempt"
    assert len(tasks(scene)) == 1, "and to be followed by the schedule's pause"
    assert pass_(scene, timedelta(seconds=RETRY_AFTER_S[0])) == 1
    assert [task["attempt"] for task in tasks(scene)] == [1, 2]
    assert answer(scene, first, Outcome.DELIVERED, status=200)
    assert state_of(scene, first) == DeliveryState.DELIVERED
    assert pass_(scene, timedelta(days=9)) == 0
    logged = scene.rows("SELECT attempt, outcome, error FROM orion_billing.webhook_attempt")
    assert logged == [(1, "delivered", None)]


def test_an_answer_about_nothing_that_was_sent_is_refused(scene: BillingScene) -> None:
    task = {"delivery_id": "ab" * 16, "attempt": 1}
    with pytest.raises(UnknownDelivery):
        scene.deliveries().apply(result_of(task, Outcome.DELIVERED))


def test_an_endpoint_is_told_only_what_it_asked_for(scene: BillingScene) -> None:
    listen(scene, 1, "invoice.settled")
    invoice_id, progress = new_invoice(scene), scene.progress()
    progress.apply_deposits([scene.deposit(invoice_id, 1, state="confirmed")])
    assert dispatch(scene) == 0
    progress.apply_posted([scene.posted()])
    dispatch(scene)
    assert told(scene) == ["invoice.settled"]


def test_an_endpoint_gets_one_place_first_and_one_more_with_each_success(
    scene: BillingScene,
) -> None:
    listen(scene)
    for number in range(30):
        new_invoice(scene, f"k{number}")
    dispatch(scene)
    assert len(tasks(scene)) == 1
    for done in range(4):
        answer(scene, tasks(scene)[done], Outcome.DELIVERED)
    assert len(tasks(scene)) == 4 + 5
    assert deliver_all(scene) == 30
    share = scene.one("SELECT share FROM orion_billing.webhook_endpoint")
    assert share == PLACES[Lane.FAST]


def test_many_dispatchers_at_once_never_exceed_the_share(scene: BillingScene) -> None:
    listen(scene)
    for number in range(20):
        new_invoice(scene, f"k{number}")
    workers = [scene.deliveries() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        moved = list(pool.map(lambda one: one.dispatch(MERCHANT), workers))
    assert sum(moved) == len(tasks(scene)) == 1


def test_an_endpoint_that_hangs_leaves_the_fast_lane_and_keeps_one_place(
    scene: BillingScene,
) -> None:
    listen(scene)
    for number in range(10):
        new_invoice(scene, f"k{number}")
    dispatch(scene)
    slow = {"error": "timed_out", "duration_ms": SLOW_MS}
    answer(scene, tasks(scene)[0], Outcome.FAILED, **slow)
    assert (len(tasks(scene)), len(tasks(scene, SLOW))) == (1, 1)
    answer(scene, tasks(scene, SLOW)[0], Outcome.FAILED, **slow)
    assert (len(tasks(scene)), len(tasks(scene, SLOW))) == (1, 2)
    answer(scene, tasks(scene, SLOW)[1], Outcome.DELIVERED)
    assert (len(tasks(scene)), len(tasks(scene, SLOW))) == (2, 2)


def test_all_endpoints_of_a_merchant_together_have_no_more_than_a_lane_gives_one(
    scene: BillingScene,
) -> None:
    for number in range(1, 17):
        listen(scene, number)
    scene.rows("UPDATE orion_billing.webhook_endpoint SET share = 20")
    for number in range(4):
        new_invoice(scene, f"k{number}")
    dispatch(scene)
    sent = tasks(scene)
    assert len(sent) == PLACES[Lane.FAST]
    assert len({task["endpoint_id"] for task in sent}) == 16, "each its first before a second"
    dispatch(scene)
    assert len(tasks(scene)) == PLACES[Lane.FAST]


def fail_for_days(scene: BillingScene, status: int | None = 500) -> None:
    """Enough failures, the last one DISABLED_AFTER after the first."""
    for number in range(DISABLED_AFTER_FAILURES):
        new_invoice(scene, f"f{number}")
        dispatch(scene)
        if number == DISABLED_AFTER_FAILURES - 1:
            scene.now += DISABLED_AFTER
        answer(scene, tasks(scene)[-1], Outcome.FAILED, status=status, error="status")


def test_an_endpoint_that_fails_for_days_is_disabled_and_the_others_are_told(
    scene: BillingScene,
) -> None:
    dead = listen(scene, 1)
    fail_for_days(scene)
    found = scene.endpoints().get(MERCHANT, dead)
    assert (found["enabled"], found["disabled_reason"]) == (False, "failing")
    assert scene.rows(EVENT_TYPES)[-1] == ("webhook_endpoint.disabled",)
    pass_(scene)
    open_ones = "SELECT COUNT(*) FROM orion_billing.webhook_delivery WHERE finished_at IS NULL"
    assert scene.one(open_ones) == 0
    new_invoice(scene, "afterwards")
    assert dispatch(scene) == 0


def test_the_notice_goes_to_the_merchants_other_endpoints(scene: BillingScene) -> None:
    dead = listen(scene, 1, "invoice.created")
    listen(scene, 2, "webhook_endpoint.disabled")
    fail_for_days(scene)
    [notice] = [task for task in tasks(scene) if task["endpoint_id"] != dead.hex()]
    assert notice["endpoint_id"] == (bytes([2]) * 16).hex()
    assert '"disabled_reason":"failing"' in notice["body"]


def test_410_gone_disables_at_once(scene: BillingScene) -> None:
    endpoint_id = listen(scene)
    new_invoice(scene)
    dispatch(scene)
    answer(scene, tasks(scene)[0], Outcome.FAILED, status=410, error="status")
    assert scene.endpoints().get(MERCHANT, endpoint_id)["disabled_reason"] == "gone"


def test_our_own_silence_disables_nobody(scene: BillingScene) -> None:
    endpoint_id = listen(scene)
    new_invoice(scene)
    dispatch(scene)
    for _ in range(9):
        pass_(scene, ANSWER_WITHIN)
        pass_(scene, timedelta(days=1))
    found = scene.endpoints().get(MERCHANT, endpoint_id)
    assert (found["enabled"], found["failing_since"]) == (True, None)


def test_a_dead_merchant_never_keeps_the_schedule_from_another(scene: BillingScene) -> None:
    listen(scene, 1)
    other = listen(scene, 2, merchant=b"o" * 16)
    for number in range(5):
        new_invoice(scene, f"k{number}")
    scene.rows(
        "UPDATE orion_billing.webhook_delivery SET endpoint_id = %s ORDER BY delivery_id LIMIT 1",
        other,
    )
    assert pass_(scene) == 2, "one place each"
    assert {task["endpoint_id"] for task in tasks(scene)} == {other.hex(), (b"\1" * 16).hex()}
