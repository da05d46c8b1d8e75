"""The stream on a real database: a cursor that never skips, whoever commits when."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from orion.adapters.mysql.billing import MySqlBillingStore, MySqlBillingTransaction
from orion.billing.delivery import WebhookEvent
from orion.billing.errors import CursorMalformed, EventNotFound
from orion.billing.event_stream import LOOKED_AT, PLACED_AT_ONCE, EventStream
from orion.billing.webhooks import new_event, publish
from orion.ids import random_id
from tests.engine.billing_scene import MERCHANT, STRANGER, TRACE, BillingScene, scene_of

pytestmark = pytest.mark.engine
KIND = "invoice.created"


@pytest.fixture
def scene(mysql_admin: Any) -> Iterator[BillingScene]:
    found = scene_of(mysql_admin)
    found.prepare(wallets=1)
    yield found
    found.close()


def event(
    scene: BillingScene, number: int = 1, kind: str = KIND, about: bytes = b""
) -> WebhookEvent:
    whose = (MERCHANT, about or random_id(), number)
    return new_event(whose, kind, {"id": "inv"}, scene.now, TRACE)


def write(scene: BillingScene, *events: WebhookEvent) -> list[bytes]:
    store = MySqlBillingStore(scene.database())
    for one in events:
        store.transact(lambda tx, one=one: publish(tx, one, []))  # type: ignore[misc]
    return [one.event_id for one in events]


def follow(scene: BillingScene, stream: EventStream, after: str | None, **how: Any) -> Any:
    """Positions of all that comes after the cursor, and the new cursor."""
    positions = []
    while True:
        page: Any = stream.page(MERCHANT, after=after, **how)
        positions += [one["position"] for one in page["data"]]
        after = page["next_cursor"]
        if not page["has_more"]:
            return positions, after


def test_a_reader_by_numbers_given_while_writing_loses_an_event_for_ever(
    scene: BillingScene,
) -> None:
    newer = "SELECT written FROM orion_billing.webhook_event WHERE written > %s ORDER BY written"
    slow, quick = event(scene), event(scene)
    with scene.database().transaction() as cursor:
        publish(MySqlBillingTransaction(cursor), slow, [])
        write(scene, quick)
        [(cursor_of_reader,)] = scene.rows(newer, 0)
    assert scene.rows(newer, cursor_of_reader) == [], "the hazard: committed, and never seen"


def test_an_event_that_commits_late_comes_after_the_cursor(scene: BillingScene) -> None:
    stream = scene.stream()
    slow, quick = event(scene), event(scene)
    with scene.database().transaction() as cursor:
        publish(MySqlBillingTransaction(cursor), slow, [])
        write(scene, quick)
        positions, after = follow(scene, stream, None)
    assert positions == [1]
    assert follow(scene, stream, after)[0] == [2]


def test_readers_and_writers_at_once_see_every_event_once_in_one_order(
    scene: BillingScene,
) -> None:
    readers = [scene.stream() for _ in range(3)]

    def writer(_: int) -> None:
        write(scene, *[event(scene) for _ in range(40)])

    def reader(stream: EventStream) -> list[int]:
        seen: list[int] = []
        after = None
        while len(seen) < 120:
            positions, after = follow(scene, stream, after, limit=100)
            seen += positions
        return seen

    with ThreadPoolExecutor(6) as pool:
        reading = [pool.submit(reader, stream) for stream in readers]
        list(pool.map(writer, range(3)))
        found = [one.result(60) for one in reading]
    assert found == [list(range(1, 121))] * 3


def test_a_sequencer_that_dies_has_given_no_position(scene: BillingScene) -> None:
    write(scene, event(scene), event(scene))

    def dies() -> None:
        with scene.database().transaction() as cursor:
            assert MySqlBillingTransaction(cursor).place_events(MERCHANT, 10) == 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dies()
    assert scene.one("SELECT COUNT(position) FROM orion_billing.webhook_event") == 0
    assert follow(scene, scene.stream(), None)[0] == [1, 2]


def test_two_sequencers_never_number_at_the_same_time(scene: BillingScene) -> None:
    write(scene, *[event(scene) for _ in range(60)])
    streams = [scene.stream() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        placed = list(pool.map(lambda one: one.place_all(), streams))
    assert sum(placed) == 60
    rows = scene.rows("SELECT position FROM orion_billing.webhook_event ORDER BY position")
    assert [row[0] for row in rows] == list(range(1, 61))


def test_events_of_one_object_keep_their_order_across_batches(scene: BillingScene) -> None:
    about, other = random_id(), random_id()
    numbers = range(1, PLACED_AT_ONCE // 2 + 20)
    with scene.database().transaction() as cursor:
        tx = MySqlBillingTransaction(cursor)
        for number in numbers:
            for one in (about, other):
                publish(tx, event(scene, number, about=one), [])
        scene.now += timedelta(seconds=-3)  # A clock that goes back orders nothing.
    assert scene.stream().place_all() == 2 * len(numbers)
    rows = scene.rows(
        "SELECT number FROM orion_billing.webhook_event WHERE object_id = %s ORDER BY position",
        about,
    )
    assert [row[0] for row in rows] == list(numbers)


def test_a_filtered_reader_comes_forward_over_what_it_does_not_want(scene: BillingScene) -> None:
    with scene.database().transaction() as cursor:
        tx = MySqlBillingTransaction(cursor)
        for _ in range(LOOKED_AT + 5):
            publish(tx, event(scene), [])
        publish(tx, event(scene, kind="invoice.settled"), [])
    stream = scene.stream()
    first = stream.page(MERCHANT, types=["invoice.settled"])
    assert (first["data"], first["has_more"]) == ([], True)
    found = follow(scene, stream, str(first["next_cursor"]), types=["invoice.settled"])
    assert found[0] == [LOOKED_AT + 6]


def test_a_cursor_that_the_stream_has_not_reached_is_refused_not_awaited(
    scene: BillingScene,
) -> None:
    write(scene, event(scene), event(scene))
    _, after = follow(scene, scene.stream(), None)
    scene.rows("DELETE FROM orion_billing.webhook_event")
    scene.rows("DELETE FROM orion_billing.event_stream")
    for cursor in (after, "x", "AAAA", "A" * 12):
        with pytest.raises(CursorMalformed):
            scene.stream().page(MERCHANT, after=cursor)


def test_a_merchant_reads_its_own_events_only(scene: BillingScene) -> None:
    [event_id] = write(scene, event(scene))
    stream = scene.stream()
    assert stream.event(MERCHANT, event_id)["position"] == 1
    assert stream.page(STRANGER)["data"] == []
    with pytest.raises(EventNotFound):
        stream.event(STRANGER, event_id)
