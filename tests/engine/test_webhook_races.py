"""Those who move the same deliveries at once, and those who die while they do."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Event
from time import sleep
from typing import Any

import pytest

from orion.billing import webhook_dispatch
from orion.billing.delivery import ANSWER_WITHIN, Outcome
from orion.billing.errors import EndpointClosing, UnknownDelivery
from orion.billing.ports import Transaction
from orion.billing.webhook_endpoints import Changed
from orion.billing.webhook_pace import PLACES, Lane
from tests.engine.billing_scene import MERCHANT, BillingScene, scene_of
from tests.engine.webhook_scene import (
    answer,
    delete,
    dispatch,
    happens,
    listen,
    pass_,
    result_of,
    states,
    store,
    switch,
    tasks,
    tell,
)

pytestmark = pytest.mark.engine
OTHER = b"o" * 16


@pytest.fixture
def scene(mysql_admin: Any) -> Iterator[BillingScene]:
    found = scene_of(mysql_admin)
    found.prepare(wallets=0)
    yield found
    found.close()


class Storing:
    """A transaction that has seen the merchant's endpoints, and stores a delivery to each of them
    when it is told to, and commits when it is told to.
    """

    def __init__(self, scene: BillingScene, thing: int, number: int = 1) -> None:
        self.seen, self.go = Event(), Event()
        self.stored, self.commit = Event(), Event()
        self._store = store(scene)
        self._pool = ThreadPoolExecutor(1)

        def work(tx: Transaction) -> None:
            open_ones = [one for one in tx.endpoints(MERCHANT) if one.open]
            self.seen.set()
            assert self.go.wait(30)
            tell(tx, scene, thing, number, open_ones)
            self.stored.set()
            assert self.commit.wait(30)

        self._done = self._pool.submit(lambda: self._store.transact(work))
        assert self.seen.wait(30)

    def store(self) -> None:
        self.go.set()
        assert self.stored.wait(30)

    def end(self) -> None:
        self.go.set()
        self.commit.set()
        self._done.result(30)
        self._pool.shutdown()


def blocked_or_done(scene: BillingScene, work: Future[None]) -> None:
    """Until `work` waits for a lock, or has not waited for any."""
    waiting = "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'"
    for _ in range(600):
        if work.done() or scene.one(waiting):
            return
        sleep(0.15)  # Read more often, the view shows what it showed before.
    raise AssertionError("neither waits nor ends")


def test_enabling_sees_what_is_being_stored_for_the_closed_endpoint(scene: BillingScene) -> None:
    endpoint_id = listen(scene)
    storing = Storing(scene, 1)
    switch(scene, endpoint_id, on=False)
    storing.store()
    with ThreadPoolExecutor(1) as pool:
        enabling = pool.submit(lambda: switch(scene, endpoint_id, on=True))
        blocked_or_done(scene, enabling)
        storing.end()
        with pytest.raises(EndpointClosing):
            enabling.result(30)
    pass_(scene)
    assert states(scene) == [(1, 1, "given_up", "endpoint_disabled")]
    switch(scene, endpoint_id, on=True)


def test_what_is_held_behind_a_delivery_is_not_left_when_closing_gives_that_one_up(
    scene: BillingScene,
) -> None:
    endpoint_id = listen(scene)
    happens(scene, 1)
    storing = Storing(scene, 1, 2)
    storing.store()
    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(lambda: switch(scene, endpoint_id, on=False))
        blocked_or_done(scene, closing)
        storing.end()
        closing.result(30)
    pass_(scene)
    assert {state for *_, state, _ in states(scene)} == {"given_up"}


def test_what_is_stored_beside_the_deletion_of_its_endpoint_is_given_up(
    scene: BillingScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_dispatch, "ORPHAN_PAGE", 2)
    gone = [listen(scene, number) for number in (1, 3, 5, 7)]
    listen(scene, 4)
    storing = Storing(scene, 1)
    for endpoint_id in gone:
        delete(scene, endpoint_id)
    storing.end()
    pass_(scene)
    happens(scene, 2)
    assert scene.one("SELECT COUNT(*) FROM orion_billing.webhook_endpoint") == 1
    assert scene.deliveries().give_up_orphans(bytes([4]) * 16) == len(gone)
    left = sorted(state for *_, state, _ in states(scene))
    assert left == ["given_up"] * 4 + ["queued", "waiting"]
    assert {error for *_, error in states(scene)} == {"endpoint_deleted", None}
    assert scene.deliveries().give_up_orphans(b"") == 0


def test_what_is_out_for_an_endpoint_that_is_gone_ends_with_its_answer_or_its_time(
    scene: BillingScene,
) -> None:
    listen(scene)
    scene.rows("UPDATE orion_billing.webhook_endpoint SET share = 20")
    happens(scene, 1)
    happens(scene, 2)
    dispatch(scene)
    scene.rows("DELETE FROM orion_billing.webhook_endpoint")
    answer(scene, tasks(scene)[0], Outcome.FAILED, error="status")
    assert scene.deliveries().give_up_orphans(b"") == 0
    scene.now += ANSWER_WITHIN
    assert scene.deliveries().give_up_orphans(b"") == 1
    assert {one[2:] for one in states(scene)} == {("given_up", "endpoint_deleted")}


def test_two_answers_at_once_for_one_attempt_count_once(scene: BillingScene) -> None:
    listen(scene)
    for thing in range(12):
        happens(scene, thing)
    dispatch(scene)
    result = result_of(tasks(scene)[0], Outcome.DELIVERED, status=204)
    workers = [scene.deliveries() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        changed = list(pool.map(lambda one: one.apply(result), workers))
    assert sorted(changed) == [False] * 5 + [True]
    assert scene.one("SELECT share FROM orion_billing.webhook_endpoint") == 2
    assert len(tasks(scene)) == 1 + 2


def test_a_success_after_a_failure_of_the_same_attempt_is_believed_and_logged(
    scene: BillingScene,
) -> None:
    listen(scene)
    happens(scene, 1)
    dispatch(scene)
    [task] = tasks(scene)
    attempts = "SELECT outcome, status FROM orion_billing.webhook_attempt"
    assert answer(scene, task, Outcome.FAILED, error="timed_out")
    assert answer(scene, task, Outcome.DELIVERED, status=204)
    assert not answer(scene, task, Outcome.FAILED, error="timed_out")
    assert states(scene) == [(1, 1, "delivered", None)]
    assert scene.rows(attempts) == [("delivered", 204)]


def test_closing_opening_dispatching_and_answering_at_once_never_exceeds_the_places(
    scene: BillingScene,
) -> None:
    ids = [listen(scene, number) for number in (1, 2)]
    scene.rows("UPDATE orion_billing.webhook_endpoint SET share = 20")
    switching = [scene.endpoints() for _ in ids]
    writer, answerer, dispatcher = store(scene), scene.deliveries(), scene.deliveries()

    def write(things: range) -> None:
        def work(tx: Transaction, thing: int) -> None:
            tell(tx, scene, thing, 1, [one for one in tx.endpoints(MERCHANT) if one.open])

        for thing in things:
            writer.transact(partial(work, thing=thing))
            dispatcher.dispatch(MERCHANT)

    def flip(number: int) -> None:
        for turn in range(8):
            changed = Changed(enabled=bool(turn % 2))
            try:
                switching[number].change(MERCHANT, ids[number], changed, trace_id="ab" * 16)
            except EndpointClosing:
                continue

    def reply(outcome: Outcome, sent: Sequence[Mapping[str, Any]]) -> None:
        for task in sent:
            answerer.apply(result_of(task, outcome, error="status"))

    write(range(30))
    first = tasks(scene)[:10]
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(flip, 0), pool.submit(flip, 1)]
        jobs += [pool.submit(reply, Outcome.FAILED, first), pool.submit(write, range(100, 120))]
        for job in jobs:
            job.result(60)
    out = len(tasks(scene)) - len(first)
    queued = "SELECT COUNT(*) FROM orion_billing.webhook_delivery WHERE state = 'queued'"
    assert scene.one(queued) == out <= PLACES[Lane.FAST]
    for _ in range(4):
        reply(Outcome.DELIVERED, tasks(scene))
        scene.now += timedelta(days=1)
        dispatcher.dispatch_due(b"")
    left = "SELECT COUNT(*) FROM orion_billing.webhook_delivery WHERE finished_at IS NULL"
    assert scene.one(left) == 0


def test_a_dispatcher_that_dies_before_its_commit_has_sent_nothing(scene: BillingScene) -> None:
    listen(scene)
    happens(scene, 1)

    def die(tx: Transaction) -> None:
        assert webhook_dispatch.hand_over(tx, tx.lock_endpoints(MERCHANT), scene.now) == 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store(scene).transact(die)
    assert (tasks(scene), states(scene)) == ([], [(1, 1, "waiting", None)])
    assert dispatch(scene) == 1
    assert [task["attempt"] for task in tasks(scene)] == [1]


def test_one_merchant_whose_turn_fails_keeps_the_schedule_from_nobody(scene: BillingScene) -> None:
    for number, merchant in ((1, MERCHANT), (2, OTHER)):
        listen(scene, number, merchant=merchant)
        happens(scene, number, merchant=merchant)
    scene.rows("DELETE FROM orion_billing.webhook_event WHERE merchant_id = %s", MERCHANT)
    with pytest.raises(UnknownDelivery):
        pass_(scene)
    assert [task["merchant_id"] for task in tasks(scene)] == [OTHER.hex()]


@pytest.mark.parametrize("start", [0, 2, 3, 5, 9])
def test_a_pass_turns_to_every_merchant_from_wherever_it_begins(
    scene: BillingScene, monkeypatch: pytest.MonkeyPatch, start: int
) -> None:
    monkeypatch.setattr(webhook_dispatch, "DUE_PAGE", 2)
    for number in range(1, 6):
        merchant = bytes([number]) * 16
        listen(scene, number, merchant=merchant)
        happens(scene, number, merchant=merchant)
    assert scene.deliveries().dispatch_due(bytes([start]) * 16) == 5
