"""Endpoints that are disabled, enabled again and deleted while deliveries wait or are out
(docs/webhooks.md, "Closing").
"""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from orion.billing import webhook_dispatch
from orion.billing.delivery import ANSWER_WITHIN, RETRY_AFTER_S, Outcome
from orion.billing.errors import DeliveryUnderWay, EndpointClosing
from orion.billing.webhook_pace import PLACES, Lane
from tests.engine.billing_scene import MERCHANT, BillingScene, keyed, scene_of
from tests.engine.webhook_scene import (
    SLOW,
    answer,
    delete,
    dispatch,
    happens,
    listen,
    pass_,
    state_of,
    states,
    store,
    switch,
    tasks,
)

pytestmark = pytest.mark.engine
DISABLED, DELETED = "endpoint_disabled", "endpoint_deleted"
Close = Callable[[BillingScene, bytes], None]


@pytest.fixture
def scene(mysql_admin: Any) -> Iterator[BillingScene]:
    found = scene_of(mysql_admin)
    found.prepare(wallets=0)
    yield found
    found.close()


def off(scene: BillingScene, endpoint_id: bytes) -> None:
    switch(scene, endpoint_id, on=False)


def off_and_on(scene: BillingScene, endpoint_id: bytes) -> None:
    switch(scene, endpoint_id, on=False)
    switch(scene, endpoint_id, on=True)


def try_out(scene: BillingScene, endpoint_id: bytes, key: str) -> None:
    scene.endpoints().test(keyed(key), endpoint_id, trace_id="ab" * 16)


@pytest.mark.parametrize("close,reason", [(off, DISABLED), (delete, DELETED)])
def test_closing_gives_up_what_waits_and_leaves_what_is_out(
    scene: BillingScene, close: Close, reason: str
) -> None:
    endpoint_id = listen(scene)
    happens(scene, 1)
    dispatch(scene)
    happens(scene, 1, 2)
    happens(scene, 2)
    close(scene, endpoint_id)
    ended = ("given_up", reason)
    assert states(scene) == [(1, 1, "queued", None), (1, 2, *ended), (2, 1, *ended)]
    assert pass_(scene) == 0
    assert len(tasks(scene)) == 1


@pytest.mark.parametrize(
    "close,reason", [(off, DISABLED), (off_and_on, DISABLED), (delete, DELETED)]
)
def test_what_is_out_when_its_endpoint_closes_is_not_tried_again(
    scene: BillingScene, close: Close, reason: str
) -> None:
    endpoint_id = listen(scene)
    happens(scene, 1)
    dispatch(scene)
    close(scene, endpoint_id)
    assert answer(scene, tasks(scene)[0], Outcome.FAILED, status=500, error="status")
    assert states(scene) == [(1, 1, "given_up", reason)]
    assert scene.one("SELECT last_status FROM orion_billing.webhook_delivery") == 500
    assert pass_(scene, timedelta(days=1)) == 0
    assert len(tasks(scene)) == 1


@pytest.mark.parametrize("close", [off, off_and_on, delete])
def test_a_success_is_believed_after_the_endpoint_was_closed(
    scene: BillingScene, close: Close
) -> None:
    endpoint_id = listen(scene)
    happens(scene, 1)
    dispatch(scene)
    close(scene, endpoint_id)
    assert answer(scene, tasks(scene)[0], Outcome.DELIVERED, status=204)
    assert states(scene) == [(1, 1, "delivered", None)]


@pytest.mark.parametrize(
    "close,reason", [(off, DISABLED), (off_and_on, DISABLED), (delete, DELETED)]
)
def test_what_is_out_and_silent_when_its_endpoint_closes_ends_in_time(
    scene: BillingScene, close: Close, reason: str
) -> None:
    endpoint_id = listen(scene)
    happens(scene, 1)
    dispatch(scene)
    [task] = tasks(scene)
    close(scene, endpoint_id)
    pass_(scene, ANSWER_WITHIN - timedelta(seconds=1))
    assert state_of(scene, task) == "queued"
    pass_(scene, timedelta(seconds=1))
    assert states(scene) == [(1, 1, "given_up", reason)]
    logged = scene.rows("SELECT attempt, error FROM orion_billing.webhook_attempt")
    assert logged == [(1, "no_answer")]
    assert answer(scene, task, Outcome.DELIVERED), "late, and believed all the same"
    assert state_of(scene, task) == "delivered"


def test_a_deleted_endpoint_is_forgotten_after_its_last_answer_and_keeps_no_secret(
    scene: BillingScene,
) -> None:
    endpoint_id = listen(scene)
    happens(scene, 1)
    dispatch(scene)
    delete(scene, endpoint_id)
    rows = "SELECT slot, secret_ciphertext FROM orion_billing.webhook_endpoint"
    assert scene.rows(rows) == [(None, b"")]
    assert pass_(scene) == 0
    assert scene.rows(rows) == [(None, b"")]
    answer(scene, tasks(scene)[0], Outcome.FAILED)
    pass_(scene)
    assert scene.rows(rows) == []


def test_disabling_and_enabling_in_a_loop_gains_no_place(scene: BillingScene) -> None:
    endpoint_id = listen(scene)
    for turn in range(6):
        try_out(scene, endpoint_id, f"t{turn}")
        dispatch(scene)
        off_and_on(scene, endpoint_id)
        dispatch(scene)
    assert len(tasks(scene)) == 1
    try_out(scene, endpoint_id, "last")
    answer(scene, tasks(scene)[0], Outcome.FAILED)
    assert [one["attempt"] for one in tasks(scene)] == [1, 1], "the last of the tests, now"


@pytest.mark.parametrize("close", [off_and_on, off, delete])
def test_what_a_closed_endpoint_has_out_takes_places_of_its_merchant(
    scene: BillingScene, close: Close
) -> None:
    closing, other = listen(scene, 1), listen(scene, 2, "invoice.created")
    scene.rows("UPDATE orion_billing.webhook_endpoint SET share = 20")
    for thing in range(PLACES[Lane.FAST]):
        happens(scene, thing)
    dispatch(scene)
    own = [one for one in tasks(scene) if one["endpoint_id"] == closing.hex()]
    assert (len(own), len(tasks(scene))) == (10, PLACES[Lane.FAST])
    close(scene, closing)
    for turn in range(3):
        happens(scene, 100 + turn)
        dispatch(scene)
    assert len(tasks(scene)) == PLACES[Lane.FAST]
    answer(scene, own[0], Outcome.FAILED, error="status")
    assert tasks(scene)[-1]["endpoint_id"] == other.hex()
    assert len(tasks(scene)) == PLACES[Lane.FAST] + 1


def test_a_later_event_never_overtakes_the_one_that_was_out_when_its_endpoint_closed(
    scene: BillingScene,
) -> None:
    endpoint_id = listen(scene)
    scene.rows("UPDATE orion_billing.webhook_endpoint SET share = 20")
    happens(scene, 1)
    dispatch(scene)
    off_and_on(scene, endpoint_id)
    scene.rows("UPDATE orion_billing.webhook_endpoint SET share = 20")
    happens(scene, 1, 2)
    assert dispatch(scene) == 0
    assert states(scene) == [(1, 1, "queued", None), (1, 2, "held", None)]
    answer(scene, tasks(scene)[0], Outcome.FAILED)
    assert states(scene) == [(1, 1, "given_up", DISABLED), (1, 2, "queued", None)]


def test_an_endpoint_that_is_enabled_again_keeps_its_lane_and_begins_with_one_place(
    scene: BillingScene,
) -> None:
    endpoint_id = listen(scene)
    scene.rows(
        "UPDATE orion_billing.webhook_endpoint SET lane = 'slow', share = 4, failures = 9,"
        " failing_since = %s",
        scene.now,
    )
    off_and_on(scene, endpoint_id)
    row = "SELECT lane, share, failures, failing_since FROM orion_billing.webhook_endpoint"
    assert scene.rows(row) == [("slow", 1, 0, None)]
    happens(scene, 1)
    dispatch(scene)
    assert (len(tasks(scene)), len(tasks(scene, SLOW))) == (0, 1)


def test_what_was_out_before_an_endpoint_was_enabled_again_does_not_disable_it(
    scene: BillingScene,
) -> None:
    endpoint_id = listen(scene)
    scene.rows("UPDATE orion_billing.webhook_endpoint SET share = 2")
    happens(scene, 1)
    happens(scene, 2)
    dispatch(scene)
    first, second = tasks(scene)
    answer(scene, first, Outcome.FAILED, status=410, error="status")
    assert scene.endpoints().get(MERCHANT, endpoint_id)["disabled_reason"] == "gone"
    switch(scene, endpoint_id, on=True)
    answer(scene, second, Outcome.FAILED, status=410, error="status")
    found = scene.endpoints().get(MERCHANT, endpoint_id)
    assert (found["enabled"], found["failing_since"] is None) == (True, False)
    happens(scene, 3)
    dispatch(scene)
    answer(scene, tasks(scene)[-1], Outcome.FAILED, status=410, error="status")
    assert not scene.endpoints().get(MERCHANT, endpoint_id)["enabled"]


def test_an_endpoint_is_enabled_again_only_when_all_that_waited_is_given_up(
    scene: BillingScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_dispatch, "CLOSED_AT_ONCE", 3)
    monkeypatch.setattr(webhook_dispatch, "CLOSING_ROUNDS", 2)
    endpoint_id = listen(scene)
    for thing in range(1, 7):
        happens(scene, thing)
        happens(scene, thing, 2)
    dispatch(scene)
    switch(scene, endpoint_id, on=False)

    def waiting() -> int:
        return len([1 for *_, state, _ in states(scene) if state in ("held", "waiting")])

    for left in (8, 2):
        assert waiting() == left
        with pytest.raises(EndpointClosing):
            switch(scene, endpoint_id, on=True)
        assert not scene.endpoints().get(MERCHANT, endpoint_id)["enabled"]
        pass_(scene)
    assert waiting() == 0
    switch(scene, endpoint_id, on=True)
    assert states(scene)[0] == (1, 1, "queued", None)
    assert {one[2:] for one in states(scene)[1:-2]} == {("given_up", DISABLED)}


def test_the_schedule_looks_at_disabled_endpoints_only_while_something_waits(
    scene: BillingScene,
) -> None:
    endpoint_id = listen(scene)
    happens(scene, 1)
    dispatch(scene)
    switch(scene, endpoint_id, on=False)

    def due() -> list[tuple[bytes, bytes]]:
        return list(store(scene).transact(lambda tx: tx.merchants_due(scene.now, b"", 10)))

    assert due() == []
    scene.rows("UPDATE orion_billing.webhook_delivery SET state = 'held', due_at = NULL")
    assert due() == [(endpoint_id, MERCHANT)]


def test_a_redelivery_of_what_closing_gave_up_has_the_whole_schedule(scene: BillingScene) -> None:
    endpoint_id = listen(scene)
    happens(scene, 1)
    dispatch(scene)
    [task] = tasks(scene)
    off_and_on(scene, endpoint_id)
    log, delivery_id = scene.delivery_log(), bytes.fromhex(task["delivery_id"])
    with pytest.raises(DeliveryUnderWay):
        log.redeliver(keyed("r1"), delivery_id)
    answer(scene, task, Outcome.FAILED, error="status")
    assert states(scene) == [(1, 1, "given_up", DISABLED)]
    assert json.loads(log.redeliver(keyed("r2"), delivery_id).body)["state"] == "queued"
    answer(scene, tasks(scene)[1], Outcome.FAILED, error="status")
    assert states(scene) == [(1, 1, "waiting", "status")]
    assert pass_(scene, timedelta(seconds=RETRY_AFTER_S[0])) == 1


def test_the_notice_names_the_host_and_never_the_url(scene: BillingScene) -> None:
    closing = listen(scene, 1, "invoice.created", url="https://hooks.example.com:8443/t0ken?k=s3")
    listen(scene, 2, "*")
    try_out(scene, closing, "t1")
    off_and_on(scene, closing)
    bodies = scene.rows("SELECT type, body FROM orion_billing.webhook_event ORDER BY written")
    assert [kind.rpartition(".")[2] for kind, _ in bodies] == ["test", "disabled", "enabled"]
    shown = {"id", "host", "enabled", "disabled_reason", "disabled_at", "failing_since"}
    for _, body in bodies:
        assert json.loads(body)["data"].keys() == shown
        assert json.loads(body)["data"]["host"] == "hooks.example.com"
        assert "t0ken" not in body
        assert "s3" not in body
