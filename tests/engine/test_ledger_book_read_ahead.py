"""Segments are fetched some at a time, and looked at in their order."""

import threading
from typing import Any

import pytest

from orion.adapters.aws.ledger_book import READ_AHEAD
from tests.engine.ledger_book_scene import Scene, scene
from tests.unit.ledger_book_records import posted

pytestmark = pytest.mark.engine
SEGMENTS = 12


class Gets:
    """Counts the GETs of a client that are under way; each waits until it is not alone, or, where
    nobody comes, 10 s.
    """

    def __init__(self, client: Any) -> None:
        self.lock = threading.Condition()
        self.sent = self.under_way = self.most = 0
        self.met = False
        client.meta.events.register("before-call.s3.GetObject", self.begin)
        client.meta.events.register("after-call.s3.GetObject", self.end)

    def begin(self, **_: object) -> None:
        with self.lock:
            self.sent += 1
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.met = self.met or self.under_way == READ_AHEAD
            self.lock.notify_all()
            self.lock.wait_for(lambda: self.met, timeout=10)

    def end(self, **_: object) -> None:
        with self.lock:
            self.under_way -= 1


@pytest.fixture
def book(aws_engine: Any) -> Scene:
    made = scene(aws_engine)
    writer = made.book()
    for number in range(1, SEGMENTS + 1):
        writer.write(0, [posted(number)])
    return made


def test_segments_are_fetched_eight_at_a_time_and_read_in_order(book: Scene) -> None:
    gets = Gets(book.s3)
    assert [row.first_number for row in book.read(3)] == list(range(3, SEGMENTS + 1))
    assert book.faults(3) == []
    assert gets.most == READ_AHEAD == 8


def test_a_reading_that_is_broken_off_fetches_no_more(book: Scene) -> None:
    gets = Gets(book.s3)
    reading = book.reader().read(0, 1, SEGMENTS)
    assert next(reading).first_number == 1
    del reading
    assert gets.under_way == 0
    assert gets.sent <= READ_AHEAD + 1
