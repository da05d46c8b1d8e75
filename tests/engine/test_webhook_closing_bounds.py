"""What closing endpoints with much behind them costs: the merchant who does it, and everybody else
(docs/webhooks.md, "Closing").
"""

from collections.abc import Iterator
from typing import Any

import pytest

from orion.adapters.mysql.billing import MySqlBillingStore
from orion.billing import webhook_dispatch
from orion.billing.delivery import ENDPOINT_DISABLED, OPEN, UNSENT, Outcome
from orion.billing.errors import EndpointClosing
from orion.ids import random_id
from tests.engine.billing_scene import TRACE, BillingScene, keyed, scene_of
from tests.engine.test_billing_dust import Spent
from tests.engine.webhook_scene import (
    answer,
    delete,
    dispatch,
    happens,
    listen,
    pass_,
    switch,
    tasks,
)

pytestmark = pytest.mark.engine


@pytest.fixture
def scene(mysql_admin: Any) -> Iterator[BillingScene]:
    found = scene_of(mysql_admin)
    found.prepare(wallets=0)
    yield found
    found.close()


def backlog(scene: BillingScene, endpoint_id: bytes, state: str, count: int) -> None:
    """So many deliveries of things of their own, as they are after one attempt."""
    row = (endpoint_id, state, scene.now, TRACE, scene.now)
    values = [part for _ in range(count) for part in (random_id(), random_id(), random_id(), *row)]
    scene.rows(
        "INSERT INTO orion_billing.webhook_delivery (delivery_id, event_id, object_id, endpoint_id,"
        " state, due_at, trace_id, created_at, number, attempt) VALUES "
        + ", ".join(["(%s, %s, %s, %s, %s, %s, %s, %s, 1, 1)"] * count),
        *values,
    )


def waiting(scene: BillingScene, endpoint_id: bytes) -> int:
    found = scene.one(
        "SELECT COUNT(*) FROM orion_billing.webhook_delivery"
        " WHERE endpoint_id = %s AND state IN ('held', 'waiting')",
        endpoint_id,
    )
    return int(found)


def deleted(scene: BillingScene, endpoint_id: bytes, count: int) -> None:
    """One that was deleted long ago, of which so many deliveries are left to give up."""
    backlog(scene, endpoint_id, "waiting", count)
    scene.rows(
        "UPDATE orion_billing.webhook_endpoint SET slot = NULL WHERE endpoint_id = %s", endpoint_id
    )


def test_all_closed_endpoints_of_a_merchant_share_what_one_transaction_gives_up(
    scene: BillingScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_dispatch, "CLOSED_AT_ONCE", 5)
    monkeypatch.setattr(webhook_dispatch, "CLOSING_ROUNDS", 1)
    several = [listen(scene, number) for number in (1, 2, 3)]

    def left() -> list[int]:
        return [waiting(scene, one) for one in several]

    deleted(scene, several[0], 4)
    deleted(scene, several[1], 4)
    backlog(scene, several[2], "held", 4)
    delete(scene, several[2])
    assert left() == [0, 3, 4]
    assert pass_(scene) == 5
    assert left() == [0, 0, 2]
    assert pass_(scene) == 2
    assert scene.one("SELECT COUNT(*) FROM orion_billing.webhook_endpoint") == 0


def test_what_other_merchants_wait_for_gives_up_nothing_of_closed_endpoints(
    scene: BillingScene,
) -> None:
    closed, well = listen(scene, 1), listen(scene, 2)
    deleted(scene, closed, 30)
    happens(scene, 1)
    assert dispatch(scene) == 1
    [task] = tasks(scene)
    assert answer(scene, task, Outcome.DELIVERED)
    scene.delivery_log().redeliver(keyed("r1"), bytes.fromhex(task["delivery_id"]))
    happens(scene, 2)
    dispatch(scene)
    assert waiting(scene, closed) == 30
    assert {one["endpoint_id"] for one in tasks(scene)} == {well.hex()}
    pass_(scene)
    assert waiting(scene, closed) == 0


def test_an_answer_that_disables_ends_itself_marks_what_is_out_and_leaves_the_rest_to_a_pass(
    scene: BillingScene,
) -> None:
    endpoint_id = listen(scene)
    scene.rows("UPDATE orion_billing.webhook_endpoint SET share = 2")
    happens(scene, 1)
    happens(scene, 2)
    dispatch(scene)
    backlog(scene, endpoint_id, "waiting", 30)
    first, second = tasks(scene)
    answer(scene, first, Outcome.FAILED, status=410, error="status")
    of_one = (
        "SELECT state, closing, last_error FROM orion_billing.webhook_delivery"
        " WHERE delivery_id = %s"
    )
    ended = ("given_up", None, ENDPOINT_DISABLED)
    assert scene.rows(of_one, bytes.fromhex(first["delivery_id"])) == [ended]
    assert scene.rows(of_one, bytes.fromhex(second["delivery_id"])) == [
        ("queued", ENDPOINT_DISABLED, None)
    ]
    assert waiting(scene, endpoint_id) == 30
    with pytest.raises(EndpointClosing):
        switch(scene, endpoint_id, on=True)
    assert pass_(scene) == 30
    switch(scene, endpoint_id, on=True)
    assert len(tasks(scene)) == 2


def test_giving_up_reads_no_more_than_it_gives_up_however_much_an_endpoint_ever_got(
    scene: BillingScene,
) -> None:
    endpoint_id, database = listen(scene), scene.database()
    listen(scene, 2)
    # What the server knows of the table is from before most of it was finished.
    backlog(scene, endpoint_id, "waiting", 4_000)
    scene.rows("ANALYZE TABLE orion_billing.webhook_delivery")
    scene.rows("UPDATE orion_billing.webhook_delivery SET state = 'delivered'")
    backlog(scene, endpoint_id, "held", 6)
    backlog(scene, endpoint_id, "waiting", 6)
    spent, one = Spent(database), MySqlBillingStore(database)

    def rows_of(work: Any) -> tuple[Any, int]:
        spent.since()
        return one.transact(work), spent.since()[0]

    def give_up(limit: int) -> tuple[int, int]:
        return rows_of(
            lambda tx: tx.give_up_unsent(endpoint_id, ENDPOINT_DISABLED, scene.now, limit)
        )

    for states in (OPEN, UNSENT):
        found, rows = rows_of(lambda tx, some=states: tx.any_left(endpoint_id, some))
        assert (found, rows < 10) == (True, True), rows
    # Each row is found in the index, and read once more to be changed.
    for limit, ended in ((8, 8), (8, 4), (8, 0)):
        count, rows = give_up(limit)
        assert (count, rows < 30) == (ended, True), rows
    for states in (OPEN, UNSENT):
        found, rows = rows_of(lambda tx, some=states: tx.any_left(endpoint_id, some))
        assert (found, rows < 30) == (False, True), rows
