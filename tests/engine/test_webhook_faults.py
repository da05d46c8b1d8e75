"""Receivers and senders that fail in every way: each event arrives, with one id, in order."""

import ipaddress
import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from orion.adapters.webhook import sender as sender_module
from orion.adapters.webhook.sender import WebhookSender
from orion.billing.delivery import Result
from orion.ids import public_id
from tests.engine.billing_scene import BillingScene, scene_of
from tests.engine.webhook_scene import FAST, SLOW, dispatch, listen, new_invoice, tasks

pytestmark = pytest.mark.engine
SECRET = bytes(range(32))
LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
# In the order in which the receiver does them; afterwards it is well.
FAULTS = ("500", "timeout", "slow body", "redirect", "reset", "garbage", "taken, then reset", "503")


class Receiver:
    """A shop's server that fails as it was told, and remembers what it has really taken."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        self.faults = deque(faults)
        self.taken: list[tuple[str, str]] = []
        self.on_request = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/h"

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self._answer(connection)
                except OSError:
                    continue  # The sender went away, as it should.

    def _answer(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        head: dict[str, str] = {}
        while line := stream.readline().strip():
            name, _, value = line.decode().partition(":")
            head[name.lower()] = value.strip()
        body = json.loads(stream.read(int(head["content-length"])))
        self.on_request.set()
        fault = self.faults.popleft() if self.faults else ""
        if fault in ("", "taken, then reset", "taken, then silent"):
            self.taken.append((head["webhook-id"], body["type"]))
        match fault:
            case "500" | "503":
                connection.sendall(f"HTTP/1.1 {fault} No\r\nContent-Length: 2\r\n\r\nno".encode())
            case "timeout" | "taken, then silent":
                connection.recv(1)
            case "slow body":
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n")
                connection.recv(1)
            case "redirect":
                connection.sendall(b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\n\r\n")
            case "reset" | "taken, then reset":
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            case "garbage":
                connection.sendall(b"220 mail.example.com ready\r\n")
            case _:
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")


@pytest.fixture
def scene(mysql_admin: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[BillingScene]:
    # Shorter than in the product: the rules are about what ends, not when.
    monkeypatch.setattr(sender_module, "TOTAL_TIMEOUT_S", 0.4)
    found = scene_of(mysql_admin)
    found.prepare(wallets=3)
    yield found
    found.close()


@pytest.fixture
def shop() -> Iterator[Receiver]:
    found = Receiver(FAULTS)
    yield found
    found.close()


def story(scene: BillingScene) -> list[str]:
    """Three events of one invoice and one of another."""
    invoice_id, progress = new_invoice(scene), scene.progress()
    progress.apply_deposits([scene.deposit(invoice_id)])
    progress.apply_posted([scene.posted()])
    progress.apply_deposits([scene.deposit(invoice_id, 2, state="confirmed")])
    new_invoice(scene, "k2")
    return ["invoice.created", "invoice.confirming", "invoice.settled"]


def attempt(scene: BillingScene, task: dict[str, Any]) -> None:
    """What a sender does with one message, and its answer."""
    sender = WebhookSender(LOOPBACK, ssl.create_default_context())
    event = public_id("evt", bytes.fromhex(task["event_id"]))
    done = sender.send(task["url"], event, task["body"].encode(), [SECRET], 1_700_000_000)
    result = Result(
        bytes.fromhex(task["delivery_id"]),
        task["attempt"],
        done.outcome,
        done.status,
        done.error,
        scene.now,
        done.duration_ms,
        done.answer,
    )
    scene.deliveries().apply(result)


def carry(scene: BillingScene) -> None:
    """All that leaves, until everything has arrived; time passes as the schedule asks."""
    seen = {FAST: 0, SLOW: 0}
    for _ in range(40):
        dispatch(scene)
        waiting = [(q, task) for q in seen for task in tasks(scene, q)[seen[q] :]]
        for queue, task in waiting:
            seen[queue] += 1
            attempt(scene, task)
        left = scene.one(
            "SELECT COUNT(*) FROM orion_billing.webhook_delivery WHERE state <> 'delivered'"
        )
        if left == 0:
            return
        if not waiting:
            scene.now += timedelta(days=1)
    raise AssertionError("something never arrived")


def first_arrivals(shop: Receiver) -> list[tuple[str, str]]:
    """What a receiver that deduplicates by id has seen, in its order."""
    return list(dict.fromkeys(shop.taken))


def test_every_event_arrives_with_its_id_and_in_order_through_all_faults(
    scene: BillingScene, shop: Receiver
) -> None:
    listen(scene, url=shop.url)
    types = story(scene)
    carry(scene)
    assert not shop.faults, "every fault was met"
    ids = scene.rows(
        "SELECT event_id FROM orion_billing.webhook_event WHERE object_id ="
        " (SELECT object_id FROM orion_billing.webhook_event WHERE type = 'invoice.settled')"
        " ORDER BY number"
    )
    expected = [(public_id("evt", row[0]), kind) for row, kind in zip(ids, types, strict=True)]
    seen = first_arrivals(shop)
    assert [one for one in seen if one in expected] == expected
    assert len(seen) == 4
    assert len(shop.taken) == 5, "the one whose answer was lost came twice, with the same id"
    errors = scene.rows("SELECT error, answer FROM orion_billing.webhook_attempt ORDER BY error")
    met = {row[0] for row in errors}
    wanted = {"status", "timed_out", "redirect_refused", "connection_lost", "not_http", None}
    assert wanted <= met
    assert ("status", "no") in errors


SENDER = """
import ipaddress, json, ssl, sys
from orion.adapters.webhook.sender import WebhookSender
task = json.loads(sys.stdin.readline())
sender = WebhookSender([ipaddress.ip_network("127.0.0.0/8")], ssl.create_default_context())
sender.send(task["url"], task["id"], task["body"].encode(), [b"s" * 32], 1_700_000_000)
"""


def test_a_sender_killed_after_the_receiver_took_the_event_loses_nothing(
    scene: BillingScene,
) -> None:
    shop = Receiver(("taken, then silent",))
    try:
        listen(scene, url=shop.url)
        new_invoice(scene)
        dispatch(scene)
        [task] = tasks(scene)
        event = public_id("evt", bytes.fromhex(task["event_id"]))
        said = {"url": task["url"], "id": event, "body": task["body"]}
        process = subprocess.Popen(
            [sys.executable, "-c", SENDER],
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": "layers/orion/python"},
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(said).encode() + b"\n")
        process.stdin.flush()
        assert shop.on_request.wait(60)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdin.close()
        # The queue gives the message to another sender: nobody answered for it.
        attempt(scene, task)
    finally:
        shop.close()
    assert [one for one, _ in shop.taken] == [event, event]
    states = scene.rows("SELECT state, attempt FROM orion_billing.webhook_delivery")
    assert states == [("delivered", 1)]
