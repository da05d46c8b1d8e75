"""A ledger of several shards on a real MariaDB: moneyin's and the ledger's outboxes, their relays,
the partitions as ordered lists, and one writer a shard.

A relay reads the outbox and the newest map as the product's does, and appends to a partition's list
where that one would produce.
"""

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from infra.local.mariadb import MariaDb
from orion.adapters.mysql import ledger_growth, outbox
from orion.adapters.mysql.ledger_store import MySqlLedgerStore
from orion.adapters.mysql.session import Cursor, Database, MySqlConfig
from orion.ids import random_id
from orion.ledger.model import Transfer, bucket
from orion.ledger.ports import PostResult
from orion.ledger.posting import decider
from orion.ledger.service import post_partition
from orion.ledger.transfer_record import transfers_body
from orion.records import Record
from orion.runtime.relay_routes import SENDERS, partition_of, shards_by_bucket
from tests.unit.ledger_shards_world import TRACE

Outcome = tuple[list[bytes], dict[bytes, str], dict[tuple[str, str], tuple[int, ...]]]
ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TOPIC = "ledger.transfers"
TABLES = (
    "transfer",
    "refusal",
    "account",
    "pending",
    "leg",
    "held",
    "outbox",
    "consumer_offset",
    "statement_cursor",
    "bucket_move",
    "asset_freeze",
)
RUN_WRITER = """
import json, sys
from datetime import datetime
from orion.adapters.mysql.ledger_store import MySqlLedgerStore
from orion.adapters.mysql.session import Database, MySqlConfig
from orion.ledger.service import post_partition
from orion.records import Record
work = json.loads(sys.stdin.read())
records = [Record(t, p, o, b"k", v.encode()) for t, p, o, v in work["records"]]
store = MySqlLedgerStore(Database(MySqlConfig(*work["config"])))
post_partition(store, records, datetime.fromisoformat(work["now"]))
"""


def reset(cursor: Cursor) -> None:
    """An empty ledger of one shard, as the migrations leave it."""
    for table in TABLES:
        cursor.execute(f"DELETE FROM orion_ledger.{table}")
    cursor.execute("DELETE FROM orion_moneyin.outbox")
    cursor.execute("DELETE FROM orion_ledger.shard WHERE shard_no > 0")
    cursor.execute(
        "UPDATE orion_ledger.shard SET next_posted = 1, next_refused = 1, next_leg = 1,"
        " version = 0, last_posted_at = '1970-01-01'"
    )
    cursor.execute("DELETE FROM orion_ledger.shard_map WHERE map_version > 1")
    cursor.execute("UPDATE orion_ledger.bucket SET shard_no = 0, map_version = 1, taken = 1")


@contextmanager
def emptied(server: MariaDb) -> Iterator[Cursor]:
    """An administrator's cursor on an empty ledger, which is left as empty."""
    connection = server.connect()
    connection.autocommit(True)
    try:
        with connection.cursor() as cursor:
            cursor.execute("USE orion_ledger")
            reset(cursor)
            try:
                yield cursor
            finally:
                reset(cursor)
    finally:
        connection.close()


def config(server: MariaDb, principal: str) -> MySqlConfig:
    login = server.credentials(principal)
    return MySqlConfig(
        server.host,
        server.port,
        login.username,
        login.password,
        f"orion_{principal}",
        server.ca_pem,
    )


@dataclass(frozen=True, slots=True)
class Sending:
    """What a relay read under its lock."""

    seqs: list[int]
    records: list[tuple[int, bytes]]


class Relay:
    """The relay of one module, one step at a time, in a session of its own."""

    def __init__(self, server: MariaDb, module: str, partitions: dict[int, list[Record]]) -> None:
        self.module = module
        self.database = Database(config(server, module))
        self._partitions = partitions

    def lock(self) -> bool:
        with self.database.transaction() as cursor:
            cursor.execute("SELECT GET_LOCK(%s, 0)", (outbox.relay_lock(self.module),))
            row = cursor.fetchone()
            return row is not None and row[0] == 1

    def unlock(self) -> None:
        with self.database.transaction() as cursor:
            cursor.execute("SELECT RELEASE_LOCK(%s)", (outbox.relay_lock(self.module),))

    def read(self, limit: int = 500) -> Sending:
        with self.database.transaction() as cursor:
            rows = outbox.unsent(cursor, limit, 8_000_000)
            shards = shards_by_bucket(cursor, [TOPIC])
        records = [
            (partition, unsent.row.payload)
            for unsent in rows
            if unsent.row.destination == f"kafka:{TOPIC}"
            for partition in [partition_of(TOPIC, unsent.row.key, shards)]
            if partition is not None
        ]
        return Sending([unsent.seq for unsent in rows], records)

    def send(self, sending: Sending) -> None:
        for partition, payload in sending.records:
            records = self._partitions[partition]
            records.append(Record(TOPIC, partition, len(records), b"k", payload))

    def mark(self, sending: Sending, *, guarded: bool = True) -> bool:
        """Whether it could: only under the lock. `guarded` False is the hazard."""
        with self.database.transaction() as cursor:
            if guarded and not outbox.holds_relay_lock(cursor, self.module):
                return False
            outbox.mark_sent(cursor, sending.seqs, NOW)
            return True

    def run(self, limit: int = 500) -> int:
        """Lock, send, mark and unlock; how many rows went."""
        if not self.lock():
            return 0
        sending = self.read(limit)
        self.send(sending)
        self.mark(sending)
        self.unlock()
        return len(sending.seqs)


class Ledger:
    """Every shard, its partition and its writer."""

    def __init__(self, server: MariaDb, admin: Cursor) -> None:
        self.server = server
        self.admin = admin
        self.partitions: defaultdict[int, list[Record]] = defaultdict(list)
        self.relays = {name: Relay(server, name, self.partitions) for name in SENDERS}
        self.done: defaultdict[int, int] = defaultdict(int)
        self.operator = Database(config(server, "ledger"))
        self._stores: dict[int, MySqlLedgerStore] = {}
        self.now = NOW

    def close(self) -> None:
        for relay in self.relays.values():
            relay.database.close()
        self.operator.close()

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        self.admin.execute(statement, values)
        return list(self.admin.fetchall())

    def one(self, statement: str, *values: object) -> Any:
        ((found,),) = self.rows(statement, *values)
        return found

    def ask(self, *transfers: Transfer) -> None:
        """What moneyin stores: one record, under its bucket."""
        row = outbox.kafka_row(
            TOPIC,
            f"bucket:{bucket(decider(transfers[0]))}",
            transfers_body(transfers, TRACE),
            random_id(),
        )
        self.relays["moneyin"].database.run(lambda cursor: outbox.append(cursor, [row], NOW))

    def restart(self, shard: int) -> None:
        """Another process: it remembers nothing."""
        self._stores.pop(shard, None)

    def work(self, shard: int, limit: int = 1_000, back: int = 0) -> PostResult:
        """The shard's writer gets the next `limit` records, and `back` of the earlier ones."""
        store = self._stores.get(shard)
        if store is None:
            store = MySqlLedgerStore(Database(config(self.server, "ledger")))
            self._stores[shard] = store
        begin, end = max(0, self.done[shard] - back), self.done[shard] + limit
        records = self.partitions[shard][begin:end]
        self.now += timedelta(milliseconds=1)
        # Clocks differ: those of the first shards are seconds ahead.
        result = post_partition(store, records, self.now - timedelta(seconds=shard))
        self.done[shard] = min(end, len(self.partitions[shard]))
        return result

    def start_writer(self, shard: int) -> "subprocess.Popen[str]":
        """A writer in a process of its own, with what its partition holds for it."""
        records = self.partitions[shard][self.done[shard] :]
        place = config(self.server, "ledger")
        work = {
            "config": [getattr(place, name) for name in MySqlConfig.__slots__],
            "records": [[r.topic, r.partition, r.offset, r.value.decode()] for r in records],
            "now": self.now.isoformat(),
        }
        process = subprocess.Popen(
            [sys.executable, "-c", RUN_WRITER],
            env={"PYTHONPATH": str(ROOT / "layers/orion/python"), "PATH": os.environ["PATH"]},
            text=True,
            stdin=subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(work))
        process.stdin.close()
        return process

    def draw_map(self, shards: int) -> ledger_growth.MapState:
        return self.operator.run(lambda cursor: ledger_growth.ensure_map(cursor, shards))

    def pass_barrier(self, wait_s: int = 0) -> None:
        locks = [outbox.relay_lock(module) for module in SENDERS]
        ledger_growth.pass_barrier(self.operator, locks, wait_s=wait_s)

    def owe_handovers(self) -> int:
        def owe(cursor: Cursor) -> int:
            version = ledger_growth.map_state(cursor).version
            return ledger_growth.owe_handovers(cursor, version, TRACE, NOW)

        return self.operator.run(owe)

    def carry_on(self, wait_s: int = 0) -> int:
        """What the watch does every minute."""
        locks = [outbox.relay_lock(module) for module in SENDERS]
        return ledger_growth.carry_on(self.operator, locks, TRACE, NOW, wait_s=wait_s)

    def grow(self, shards: int) -> None:
        """All that an operator's call does."""
        if self.draw_map(shards).moving:
            self.carry_on()

    def moving(self) -> int:
        return self.operator.run(lambda cursor: ledger_growth.map_state(cursor).moving)

    def drain(self) -> None:
        """Until nothing is on its way."""
        for _ in range(50):
            sent = sum(relay.run() for relay in self.relays.values())
            waiting = [s for s, p in self.partitions.items() if len(p) > self.done[s]]
            for shard in waiting:
                self.work(shard)
            if not sent and not waiting:
                return
        raise AssertionError("the shards never came to rest")

    def out_of_balance(self) -> int:
        """Clearing less what is in flight: zero at every commit."""
        return int(
            self.one(
                "SELECT (SELECT COALESCE(SUM(debits_posted - credits_posted), 0) FROM account"
                " WHERE purpose = 'clearing') - (SELECT COALESCE(SUM(IF(side = 'debit', units,"
                " -units)), 0) FROM leg WHERE applied_at IS NULL)"
            )
        )

    def outcome(
        self,
    ) -> tuple[list[bytes], dict[bytes, str], dict[tuple[str, str], tuple[int, ...]]]:
        """As `World.outcome`: what merchants and chains can see, however many shards there are."""
        posted = self.rows("SELECT id FROM transfer WHERE code <> 'leg' ORDER BY id")
        refused = self.rows("SELECT id, reason FROM refusal")
        accounts = self.rows(
            "SELECT owner, purpose, debits_posted, IF(owner LIKE 'm%%', debits_pending, 0),"
            " credits_posted, IF(owner LIKE 'm%%', credits_pending, 0) FROM account"
            " WHERE purpose <> 'clearing'"
        )
        return (
            [row[0] for row in posted],
            dict(refused),
            {(owner, purpose): tuple(map(int, held)) for owner, purpose, *held in accounts},
        )

    def log_of(self, owner: str) -> list[tuple[bytes, int, datetime]]:
        """Ids, shards and times of what moved the owner's accounts, by time as a reader has it."""
        found = self.rows(
            "SELECT DISTINCT t.id, t.shard_no, t.posted_at, t.number, t.position FROM transfer t"
            " JOIN account a ON a.id IN (t.debit_account, t.credit_account) WHERE a.owner = %s"
            " ORDER BY t.posted_at, t.shard_no, t.number, t.position",
            owner,
        )
        return [row[:3] for row in found]


def told(records: Sequence[Record], word: str) -> list[Record]:
    """The control records of a partition that have this name."""
    return [record for record in records if f'"{word}":{{'.encode() in record.value]
