"""How many webhooks a second go from event to receiver and back, and what a healthy endpoint waits
while another one hangs.

MariaDB, the dispatcher, the sender and the receiver's HTTP are real; the queues are the process's
own, with as many senders a lane as the template gives, so a figure is that of one Python process
beside its receiver, and not of Lambda. Fairness does not depend on that: shares and lanes are those
of the product.

Run: `make bench BENCH=webhooks`.
"""

import ipaddress
import shutil
import ssl
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Queue
from threading import Event, Thread
from typing import Any, Self, TypeVar

from infra.cloud.function_table_billing import BILLING
from infra.local.failure import StackFailure
from infra.local.migrations import migrate
from infra.local.stack import Stack
from orion.adapters.mysql import outbox
from orion.adapters.mysql.billing import MySqlBillingStore
from orion.adapters.mysql.session import Database, MySqlConfig
from orion.adapters.webhook.sender import WebhookSender
from orion.billing.delivery import Endpoint, Result
from orion.billing.webhook_dispatch import WebhookDeliveries
from orion.billing.webhooks import new_event, publish
from orion.ids import public_id, random_id
from orion.records import parse_json
from tests.bench.figures import Figure, progress, quantile

T = TypeVar("T")
NAME = "webhooks"
SECRET = bytes(32)
LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
EVENTS_PER_S = 20
SPAN_S = 20.0
MERCHANTS, EVENTS_EACH = 8, 150
BARE = 1_000
WARM_UP = 40
RESULT_WORKERS = 4
SETTLES_WITHIN_S = 120.0
SENDERS = {
    f"sqs:{row.queue.queue}": row.queue.concurrency_max
    for row in BILLING
    if row.queue is not None and row.file.startswith("webhook_sender")
}


class _Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/hang":
            self.connection.recv(1)  # Until the sender goes.
            self.close_connection = True
            return
        self.server.arrived.setdefault(self.headers["webhook-id"], time.time())  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def receive(pipe: Connection) -> None:
    """A process of its own: tells its port, and at the end when each event first came."""
    server = _Server(("127.0.0.1", 0), _Receiver)
    server.arrived = {}  # type: ignore[attr-defined]
    Thread(target=server.serve_forever, daemon=True).start()
    pipe.send(server.server_address[1])
    while pipe.recv() is not None:
        pipe.send(dict(server.arrived))  # type: ignore[attr-defined]


class Road:
    """From the outbox to the senders and back, in threads, each with a connection of its own."""

    def __init__(self, config: MySqlConfig) -> None:
        self._config = config
        self._stop = Event()
        self._lanes: dict[str, Queue[dict[str, object] | None]] = {
            lane: Queue() for lane in SENDERS
        }
        self._merchants: Queue[bytes | None] = Queue()
        self._answers: Queue[Result | None] = Queue()
        # One a process, as the functions have it: its TLS context alone takes 20 ms to make.
        self._sender = WebhookSender(LOOPBACK, ssl.create_default_context())
        self._threads = [Thread(target=self._relay)]
        self._threads += [
            Thread(target=self._send, args=(lane,)) for lane, n in SENDERS.items() for _ in range(n)
        ]
        self._threads += [Thread(target=self._dispatch)]
        self._threads += [Thread(target=self._record) for _ in range(RESULT_WORKERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        queues: list[Queue[Any]] = [*self._lanes.values(), self._merchants, self._answers]
        for queue in queues:
            for _each in self._threads:
                queue.put(None)
        for thread in self._threads:
            thread.join()

    def _relay(self) -> None:
        database = Database(self._config)
        while not self._stop.is_set():
            rows = database.run(lambda cursor: outbox.unsent(cursor, 200, 8_000_000))
            for unsent in rows:
                body = parse_json(unsent.row.payload)
                if unsent.row.destination in self._lanes:
                    self._lanes[unsent.row.destination].put(body)
                else:
                    self._merchants.put(bytes.fromhex(str(body["merchant_id"])))
            numbers = [unsent.seq for unsent in rows]
            database.run(lambda c, sent=numbers: outbox.mark_sent(c, sent, datetime.now(UTC)))  # type: ignore[misc]
            if not rows:
                time.sleep(0.005)
        database.close()

    def _service(self) -> tuple[Database, WebhookDeliveries]:
        database = Database(self._config)
        return database, WebhookDeliveries(MySqlBillingStore(database), lambda: datetime.now(UTC))

    def _dispatch(self) -> None:
        database, deliveries = self._service()
        while (merchant := self._next(self._merchants)) is not None:
            deliveries.dispatch(merchant)
        database.close()

    def _record(self) -> None:
        database, deliveries = self._service()
        while (result := self._next(self._answers)) is not None:
            deliveries.apply(result)
        database.close()

    def _send(self, lane: str) -> None:
        while (task := self._next(self._lanes[lane])) is not None:
            event = public_id("evt", bytes.fromhex(str(task["event_id"])))
            body = str(task["body"]).encode()
            done = self._sender.send(str(task["url"]), event, body, [SECRET], int(time.time()))
            self._answers.put(
                Result(
                    bytes.fromhex(str(task["delivery_id"])),
                    int(str(task["attempt"])),
                    done.outcome,
                    done.status,
                    done.error,
                    duration_ms=done.duration_ms,
                )
            )

    def _next(self, queue: "Queue[T | None]") -> T | None:
        """The next of the queue; None when all is over. Nobody polls: two hundred threads that
        did would be what is measured.
        """
        return None if self._stop.is_set() else queue.get()


class Shop:
    """A merchant with one endpoint, and when each of its events was written."""

    def __init__(self, database: Database, url: str) -> None:
        self._store = MySqlBillingStore(database)
        self.merchant_id = random_id()
        self.written: dict[str, float] = {}
        endpoint = Endpoint(random_id(), self.merchant_id, url, frozenset({"*"}), b"c")
        self._endpoint = endpoint
        self._store.transact(lambda tx: tx.add_endpoint(endpoint, datetime.now(UTC)))

    def happens(self) -> None:
        """One event, about an object of its own."""
        whose = (self.merchant_id, random_id(), 1)
        data = {"id": "inv_", "reference": "x" * 900}  # About what an invoice takes.
        event = new_event(whose, "invoice.created", data, datetime.now(UTC), "0" * 32)
        self.written[public_id("evt", event.event_id)] = time.time()
        self._store.transact(lambda tx: publish(tx, event, [self._endpoint]))


def waits_s(shop: Shop, arrived: Mapping[str, float]) -> list[float]:
    """From each event's writing to its arrival."""
    return [arrived[event] - at for event, at in shop.written.items()]


def healthy_p99_ms(scene: "Scene", hanging: bool) -> float:
    """What a healthy endpoint waits, while another gets as many events."""
    healthy = Shop(scene.database(), scene.url("ok"))
    other = Shop(scene.database(), scene.url("hang" if hanging else "ok"))
    with Road(scene.config):
        for _ in range(WARM_UP):
            healthy.happens()
        scene.settle(healthy)
        healthy.written.clear()
        end = time.monotonic() + SPAN_S
        while time.monotonic() < end:
            for shop in (healthy, other):
                shop.happens()
            time.sleep(1 / EVENTS_PER_S)
        scene.settle(healthy)
    return quantile(waits_s(healthy, scene.arrived()), 0.99) * 1000


def per_second(scene: "Scene") -> float:
    """Events that wait for several merchants, all delivered and recorded."""
    shops = [Shop(scene.database(), scene.url("ok")) for _ in range(MERCHANTS)]
    for shop in shops:
        for _ in range(EVENTS_EACH):
            shop.happens()
    with Road(scene.config):
        begun = time.monotonic()
        for shop in shops:
            scene.settle(shop)
        took_s = time.monotonic() - begun
    return MERCHANTS * EVENTS_EACH / took_s


def bare_per_second(scene: "Scene") -> float:
    """The same requests by the same sender, without queue, database and shares."""
    sender = WebhookSender(LOOPBACK, ssl.create_default_context())
    url, body = scene.url("ok"), b"x" * 1_000

    def send(number: int) -> None:
        sender.send(url, f"bare_{number}", body, [SECRET], int(time.time()))

    begun = time.monotonic()
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(send, range(BARE)))
    return BARE / (time.monotonic() - begun)


class Scene:
    """The database and the receiver."""

    def __init__(self, config: MySqlConfig, pipe: Connection) -> None:
        self.config = config
        self._pipe = pipe
        self._port = int(pipe.recv())
        self._opened: list[Database] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}/{path}"

    def database(self) -> Database:
        self._opened.append(Database(self.config))
        return self._opened[-1]

    def arrived(self) -> Mapping[str, float]:
        self._pipe.send("")
        found: Mapping[str, float] = self._pipe.recv()
        return found

    def settle(self, shop: Shop) -> None:
        """Wait until everything of this shop has arrived. Raises StackFailure."""
        end = time.monotonic() + SETTLES_WITHIN_S
        while not shop.written.keys() <= self.arrived().keys():
            if time.monotonic() > end:
                raise StackFailure("a healthy endpoint has not got its webhooks")
            time.sleep(0.1)

    def close(self) -> None:
        self._pipe.send(None)
        for database in self._opened:
            database.close()


@contextmanager
def running() -> Iterator[Scene]:
    folder = Path(tempfile.mkdtemp(prefix="orion-bench-"))
    folder.chmod(0o711)  # The database server runs as another user.
    stack = Stack(folder / "engines")
    try:
        stack.start("mariadb")
        migrate(stack.mariadb, None)
        login = stack.mariadb.credentials("billing")
        place = (stack.mariadb.host, stack.mariadb.port, login.username, login.password)
        config = MySqlConfig(*place, "orion_billing", stack.mariadb.ca_pem)
        ours, theirs = get_context("spawn").Pipe()
        process = get_context("spawn").Process(target=receive, args=(theirs,), daemon=True)
        process.start()
        scene = Scene(config, ours)
        try:
            yield scene
        finally:
            scene.close()
            process.join(10)
    finally:
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Print the figures."""
    with running() as scene:
        bare = bare_per_second(scene)
        progress(NAME, f"bare: {bare:.0f}/s")
        rate = per_second(scene)
        case = f"{MERCHANTS} merchants with {EVENTS_EACH} events each"
        of = "the same requests by the same sender alone, same run"
        Figure(NAME, case, "deliveries_per_s", rate, "1/s", bare, of).show()
        quiet = healthy_p99_ms(scene, hanging=False)
        progress(NAME, f"none hangs: {quiet:.0f} ms")
        beside = healthy_p99_ms(scene, hanging=True)
        case = f"{EVENTS_PER_S} events/s for it, as many for one that hangs"
        of = "the same with no endpoint hanging, same run"
        Figure(NAME, case, "healthy_p99_ms", beside, "ms", quiet, of).show()
