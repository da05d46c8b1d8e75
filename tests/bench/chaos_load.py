"""A module that goes on telling the ledger what happened, whatever dies meanwhile."""

import contextlib
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.local import Stack
from infra.local.failure import StackFailure
from orion.adapters.mysql.outbox import OutboxRow, append
from orion.adapters.mysql.session import Database, DatabaseUnavailable, MySqlConfig
from orion.runtime import clock
from tests.bench.chaos_traffic import Sent, Traffic

MODULE = "moneyin"
# More unsent rows than this and it waits: a broker that is away must not pile up work for minutes.
UNSENT_MAX = 400
_LOOK_EVERY = 20
_PAUSE_S = 0.05
_STORED_WITHIN_S = 60.0


class Wakes:
    """The empty message that a committing function sends to its relay."""

    def __init__(self, stack: Stack) -> None:
        session = boto3.Session("test", "test", region_name=stack.ministack.region)
        config = Config(connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1})
        self._sqs = session.client("sqs", endpoint_url=stack.ministack.url, config=config)

    def wake(self, module: str) -> None:
        """A lost one costs only delay."""
        with contextlib.suppress(BotoCoreError, ClientError):
            url = self._sqs.get_queue_url(QueueName=f"orion-local-outbox-{module}")["QueueUrl"]
            self._sqs.send_message(QueueUrl=url, MessageBody="{}")


class Load:
    """Appends records to moneyin's outbox, `records_per_s` at most, each in a transaction of its
    own, until it is stopped or has sent `limit`.
    """

    def __init__(
        self, stack: Stack, traffic: Traffic, records_per_s: float, limit: int | None = None
    ) -> None:
        self._traffic = traffic
        self._every_s = 1 / records_per_s
        self._limit = limit
        self._wakes = Wakes(stack)
        self._halt = threading.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._running: Future[None] | None = None
        login = stack.mariadb.credentials(MODULE)
        self._database = Database(
            MySqlConfig(
                host=stack.mariadb.host,
                port=stack.mariadb.port,
                user=login.username,
                password=login.password,
                schema=f"orion_{MODULE}",
                ca_pem=stack.mariadb.ca_pem,
            )
        )

    def __enter__(self) -> Self:
        self._running = self._thread.submit(self._run)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._halt.set()
        self._thread.shutdown()
        self._database.close()

    def finish(self) -> None:
        """Wait until all of `limit` is sent, or stop where there is none. Raises what stopped it
        before.
        """
        if self._limit is None:
            self._halt.set()
        if self._running is not None:
            self._running.result()

    def check(self) -> None:
        """Raises what has stopped it."""
        if self._running is not None and self._running.done():
            self._running.result()

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._halt.is_set() and len(self._traffic.sent) != self._limit:
            if len(self._traffic.sent) % _LOOK_EVERY == 0:
                self._wait_for_room()
            self._store(self._traffic.next())
            self._wakes.wake(MODULE)
            due_s = max(due_s + self._every_s, time.monotonic() - 1)
            self._halt.wait(max(0.0, due_s - time.monotonic()))

    def _wait_for_room(self) -> None:
        while not self._halt.is_set() and self._unsent() > UNSENT_MAX:
            self._wakes.wake(MODULE)
            self._halt.wait(_PAUSE_S)

    def _unsent(self) -> int:
        try:
            with self._database.transaction() as cursor:
                cursor.execute("SELECT COUNT(*) FROM outbox WHERE sent_at IS NULL")
                row = cursor.fetchone()
                return int(row[0]) if row else 0
        except DatabaseUnavailable:
            return 0

    def _store(self, sent: Sent) -> None:
        """Again until it is certain: an event that is stored already is one event still."""
        row = OutboxRow(sent.event_id, "kafka:ledger.transfers", sent.key.encode(), sent.body)
        deadline_s = time.monotonic() + _STORED_WITHIN_S
        while True:
            try:
                self._database.run(lambda cursor: append(cursor, [row], clock.now()))
            except DatabaseUnavailable as exc:
                if time.monotonic() > deadline_s:
                    raise StackFailure("the outbox took no record for a minute") from exc
                time.sleep(_PAUSE_S)
            else:
                return
