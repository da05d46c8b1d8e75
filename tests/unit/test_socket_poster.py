"""A batch of messages to open pages ends before its function does, whatever the gateway does."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from infra.cloud.function_table import function_row
from orion.billing.sockets import MAX_OF_INVOICE
from orion.runtime import socket_poster
from orion.runtime.settings import Settings

ROW = function_row("billing/socket_poster")


class Gateway(ThreadingHTTPServer):
    """The management API of a gateway where nobody answers before `wanted` posts wait together."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, wanted: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.together = threading.Barrier(wanted)
        self.posts: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        self.server.posts.append(self.path)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            self.server.together.wait(timeout=2)
            status = 200
        except threading.BrokenBarrierError:
            status = 400
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing is written."""


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    server = Gateway(socket_poster.POSTS_AT_ONCE)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def stage(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {
        "ORION_STAGE": "unit",
        "AWS_ACCESS_KEY_ID": "unit",
        "AWS_SECRET_ACCESS_KEY": "unit",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    url = f"http://127.0.0.1:{gateway.server_port}/live"
    known = Settings("unit", {socket_poster.MANAGEMENT_URL: url})
    monkeypatch.setattr(socket_poster, "settings", lambda: known)
    socket_poster._management.cache_clear()
    yield
    socket_poster._management.cache_clear()


def batch(messages: int, pages: int) -> dict[str, object]:
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "body": json.dumps(
                    {
                        "v": 1,
                        "trace_id": "ab" * 16,
                        "connections": [f"c{number}-{page}=" for page in range(pages)],
                    }
                ),
            }
            for number in range(messages)
        ]
    }


def test_the_messages_of_a_batch_are_posted_side_by_side(stage: None) -> None:
    messages = socket_poster.POSTS_AT_ONCE // MAX_OF_INVOICE
    answer = socket_poster.post_batch(batch(messages, MAX_OF_INVOICE))
    assert answer == {"batchItemFailures": []}


def test_a_post_that_would_begin_too_late_is_left_to_the_next_receive(
    stage: None, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_poster, "BEGIN_WITHIN_S", 0.0)
    answer = socket_poster.post_batch(batch(2, 1))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m1"}]}
    assert gateway.posts == []


def test_the_worst_batch_ends_before_its_function() -> None:
    assert ROW.queue is not None
    last = socket_poster.BEGIN_WITHIN_S + socket_poster.POST_MAX_S + socket_poster.TELL_MAX_S
    assert last < ROW.timeout_s
    # All of a full batch begins within that time even when every post takes its longest.
    rounds = -(-ROW.queue.batch_size * MAX_OF_INVOICE // socket_poster.POSTS_AT_ONCE)
    assert (rounds - 1) * socket_poster.POST_MAX_S < socket_poster.BEGIN_WITHIN_S


def test_the_clients_try_as_often_as_the_reckoning_says(stage: None) -> None:
    config = socket_poster._management().meta.config
    tries = config.retries["total_max_attempts"]
    longest = tries * (config.connect_timeout + config.read_timeout) + (tries - 1)
    assert longest == socket_poster.POST_MAX_S
