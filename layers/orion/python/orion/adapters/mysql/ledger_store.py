"""The ledger's books in MySQL: one transaction a batch, a few statements of many rows each.

Records are read, decided and written a thousand transfers at a time, all in one transaction: while
the server stores one part, the next one is read and decided (docs/ledger.md, "Physical design").
"""

import gc
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import pymysql

from orion.adapters.mysql import fence
from orion.adapters.mysql.ledger_store_faults import post_up_to_fault
from orion.adapters.mysql.ledger_store_lane import Lane
from orion.adapters.mysql.ledger_store_memory import Memory
from orion.adapters.mysql.ledger_store_posting import Posting
from orion.adapters.mysql.ledger_store_reading import UnknownShard, lock_shard
from orion.adapters.mysql.ledger_store_refusals import KnownIdentity, Refusals
from orion.adapters.mysql.ledger_store_rows import Names
from orion.adapters.mysql.session import Cursor, Database
from orion.errors import OrionError
from orion.ledger.model import Counters, Handover, Takeover, Transfer
from orion.ledger.ports import PostResult
from orion.ledger.posting import LegNotApplied
from orion.ledger.sharding import MisplacedControl, ShardView
from orion.ledger.transfer_record import read_record
from orion.records import Record

__all__ = ["MAX_BATCH", "MySqlLedgerStore", "UnknownShard"]

MAX_BATCH = 10_000
# Transfers that are decided together, and bytes of records from which a thread is worth its cost.
_PART = 1_000
_BESIDE_BYTES = 200_000
_DUPLICATE = 1062

_log = logging.getLogger(__name__)

Content = tuple[Transfer, ...] | Handover | Takeover


@dataclass(frozen=True, slots=True)
class _Done:
    """What a transaction did. `memory` is what was good for it, `version` the shard's after it, or
    None where it left the shard as it was. `seen` is where buckets live, under which map.
    """

    result: PostResult
    memory: Memory | None
    version: int | None
    moved: Mapping[bytes, Counters]
    absent: Collection[bytes]
    seen: tuple[int, ShardView | None]
    fault: OrionError | None


class MySqlLedgerStore:
    """The port LedgerStore."""

    def __init__(
        self, database: Database, skipped: Callable[[OrionError], object] | None = None
    ) -> None:
        """`skipped` is told of each control record that nobody ordered, after the commit that
        passed it by; without it that is only logged.
        """
        self._database = database
        self._skipped = skipped
        self._misplaced: Sequence[MisplacedControl] = ()
        self._names = Names()
        self._refusals = Refusals()
        self._memories: dict[int, Memory] = {}
        self._connection = database.opened

    def post(self, records: Sequence[Record], now: datetime) -> PostResult:
        if not records:
            return PostResult(0, 0, 0, 0)
        return post_up_to_fault(records, lambda some: self._commit(some, now))

    def _commit(self, records: Sequence[Record], now: datetime) -> PostResult:
        """Post `records` in one transaction."""
        shard = records[0].partition
        memory = self._memories.pop(shard, None)
        with _uncollected():
            try:
                done = self._run(records, now, memory, careful=False)
            except (KnownIdentity, LegNotApplied):
                # A leg that was applied before would not have to fit again.
                done = self._run(records, now, memory, careful=True)
        memory = done.memory
        if done.version is not None:
            memory = memory or Memory(done.version)
            memory.learn(done.version, done.moved, done.absent)
            memory.map_version, memory.view = done.seen
            memory.connection = self._connection
        if memory is not None:
            self._memories[shard] = memory
        self._tell(shard)
        if done.fault is not None:
            raise done.fault
        return done.result

    def _tell(self, shard: int) -> None:
        for fault in self._misplaced:
            _log.error(
                "control record skipped",
                extra={"code": fault.code, "detail": str(fault), "partition": shard},
            )
            if self._skipped is not None:
                self._skipped(fault)

    def _run(
        self, records: Sequence[Record], now: datetime, memory: Memory | None, *, careful: bool
    ) -> _Done:
        def attempt(cursor: Cursor) -> _Done:
            connection = self._connected()
            same = memory is not None and memory.connection == connection
            known = memory if same else None
            return self._post(cursor, records, now, known, careful=careful)

        try:
            return self._database.run(attempt)
        except pymysql.err.IntegrityError as exc:
            if careful or exc.args[0] != _DUPLICATE:
                raise
            raise KnownIdentity from exc

    def _connected(self) -> int:
        """The number of the connection: what an earlier one told is forgotten. Behind another one
        may be a server that was restored to an earlier state, which its numbers do not always tell.
        """
        if self._connection != self._database.opened:
            self._connection = self._database.opened
            self._refusals = Refusals()
        return self._connection

    def _post(
        self,
        cursor: Cursor,
        records: Sequence[Record],
        now: datetime,
        memory: Memory | None,
        *,
        careful: bool,
    ) -> _Done:
        self._misplaced = ()
        unapplied = fence.unapplied(cursor, records)
        behind = len(records) - len(unapplied)
        if not unapplied:
            return _Done(PostResult(0, 0, 0, behind), memory, None, {}, (), (0, None), None)
        shard = records[0].partition
        beside = sum(len(record.value) for record in unapplied) >= _BESIDE_BYTES
        with Lane(cursor, beside=beside) as lane:
            row = lock_shard(lane, shard)
            if memory is not None and memory.version != row.version:
                memory = None
            posting = Posting(
                lane,
                shard,
                row,
                now,
                memory=memory,
                refusals=self._refusals,
                names=self._names,
                careful=careful,
            )
            fed = _feed(posting, unapplied)
            if fed.fault is not None and not fed.records:
                raise fed.fault
            posting.finish()
            self._misplaced = posting.misplaced
        if fed.records:
            fence.advance(cursor, unapplied[: fed.records])
        result = PostResult(
            posted=posting.posted,
            refused=posting.refused,
            unchanged=fed.transfers + posting.taken - posting.aside - posting.decided,
            records=behind + fed.records,
        )
        version = row.version + 1 if posting.changed else None
        if posting.forgets:
            return _Done(result, None, version, {}, (), (0, None), fed.fault)
        return _Done(
            result, memory, version, posting.moved, posting.absent, posting.seen, fed.fault
        )


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for cyclic garbage: a batch makes a hundred thousand objects that live as
    long as it and no cycles, and each search would go through all of them, for a third of the time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@dataclass(slots=True)
class _Fed:
    """How far a batch came, and the malformed record at which it ended, if one did."""

    records: int = 0
    transfers: int = 0
    fault: OrionError | None = None


def _feed(posting: Posting, records: Sequence[Record]) -> _Fed:
    """Read `records` and post them part by part, at most MAX_BATCH transfers."""
    fed = _Fed()
    part: list[tuple[Transfer, ...]] = []
    waiting = 0
    for record in records:
        try:
            content: Content = read_record(record.value)
        except OrionError as exc:
            exc.fields["topic"] = record.topic
            exc.fields["partition"] = record.partition
            exc.fields["offset"] = record.offset
            fed.fault = exc
            break
        if isinstance(content, Handover | Takeover):
            posting.post(part)
            part, waiting = [], 0
            if not posting.control(content, MAX_BATCH - fed.transfers - posting.taken):
                break
        elif fed.transfers + posting.taken + len(content) > MAX_BATCH:
            break
        else:
            part.append(content)
            waiting += len(content)
            fed.transfers += len(content)
        fed.records += 1
        if waiting >= _PART:
            posting.post(part)
            part, waiting = [], 0
    posting.post(part)
    return fed
