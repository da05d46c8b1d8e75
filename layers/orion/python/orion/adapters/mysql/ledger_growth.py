"""How the ledger gets more shards: what an operator's call does, one idempotent step after another.

docs/ledger.md, "Moving a bucket". Every step may be the last of a call that was killed: the same
call again goes through all of them, and each does only what is not done.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import pymysql

from orion.adapters.mysql import outbox
from orion.adapters.mysql.ledger_map import newest_version
from orion.adapters.mysql.ledger_shards import TRANSFERS_TOPIC
from orion.adapters.mysql.session import Cursor, Database
from orion.errors import OrionError, Retry, Unavailable
from orion.ids import fact_id
from orion.ledger.buckets import ranges, spread
from orion.ledger.model import Handover
from orion.ledger.transfer_record import handover_body

# Below what a connection waits for an answer, so that the server answers first.
BARRIER_WAIT_S = 20
_SESSION_IDLE_S = 30


class BucketsMoving(OrionError):
    """An earlier version of the map is still being carried out: one move of a bucket at a time."""

    code: ClassVar[str] = "buckets_moving"
    retry: ClassVar[Retry] = Retry.LATER


class SenderBusy(Unavailable):
    """A relay kept its lock for the whole time: call again."""

    code: ClassVar[str] = "sender_busy"


@dataclass(frozen=True, slots=True)
class ShardState:
    """One shard as it is now. `arriving` buckets shall live here and do not yet, or are not taken
    over yet; `leaving` ones still live here and shall not.
    """

    shard: int
    buckets: int
    arriving: int
    leaving: int
    held: int
    in_flight: int
    next_posted: int


@dataclass(frozen=True, slots=True)
class MapState:
    """The newest map and what is still to be done for it. `moving`: buckets not yet taken over."""

    version: int
    newest: Sequence[int]
    lives: Sequence[int]
    moving: int


def map_state(cursor: Cursor) -> MapState:
    """What the newest map says and what is true."""
    version, newest = newest_version(cursor)
    cursor.execute("SELECT shard_no, taken FROM bucket ORDER BY bucket")
    rows = [(int(shard), taken == 1) for shard, taken in cursor.fetchall()]
    moving = sum(row != (shall, True) for row, shall in zip(rows, newest, strict=True))
    return MapState(version, newest, tuple(shard for shard, _ in rows), moving)


def shard_states(cursor: Cursor) -> Sequence[ShardState]:
    """Every shard, by number."""
    state = map_state(cursor)
    pairs = list(zip(state.lives, state.newest, strict=True))
    held = _counted(cursor, "SELECT shard_no, COUNT(*) FROM held GROUP BY shard_no")
    in_flight = _counted(
        cursor,
        "SELECT from_shard, COUNT(*) FROM leg WHERE applied_at IS NULL GROUP BY from_shard",
    )
    cursor.execute("SELECT shard_no, next_posted FROM shard ORDER BY shard_no")
    return [
        ShardState(
            shard=int(shard),
            buckets=sum(lives == shard for lives, _ in pairs),
            arriving=sum(lives != shard == shall for lives, shall in pairs),
            leaving=sum(lives == shard != shall for lives, shall in pairs),
            held=held.get(int(shard), 0),
            in_flight=in_flight.get(int(shard), 0),
            next_posted=int(next_posted),
        )
        for shard, next_posted in cursor.fetchall()
    ]


def ensure_map(cursor: Cursor, shards: int) -> MapState:
    """The map over `shards` shards: the newest one, or a new version where that has fewer.

    Raises ShardsOutOfRange, or BucketsMoving while an earlier version is not carried out. A bucket
    moves once at a time, so that a late record is never behind by two moves.
    """
    state = map_state(cursor)
    if max(state.newest) + 1 == shards:
        return state
    wanted = spread(state.newest, shards)
    if state.moving:
        raise BucketsMoving(
            "finish the newest version of the map first: grow to its number of shards",
            map_version=state.version,
            moving=state.moving,
        )
    version = state.version + 1
    cursor.executemany(
        "INSERT INTO shard (shard_no, next_posted, next_refused) VALUES (%s, 1, 1)"
        " ON DUPLICATE KEY UPDATE shard_no = shard_no",
        [(shard,) for shard in range(shards)],
    )
    try:
        cursor.executemany(
            "INSERT INTO shard_map (map_version, bucket_from, bucket_to, shard_no)"
            " VALUES (%s, %s, %s, %s)",
            [(version, *row) for row in ranges(wanted)],
        )
    except pymysql.err.IntegrityError as exc:
        raise BucketsMoving("another call has just made this version", map_version=version) from exc
    return map_state(cursor)


def pass_barrier(database: Database, locks: Sequence[str], *, wait_s: int = BARRIER_WAIT_S) -> None:
    """Take each sender's lock and give it back, waiting at most `wait_s` for each.

    Whoever sends afterwards has taken its lock after the map was stored, and reads it. Whoever lost
    the lock while sending cannot mark what it sends: it is sent again, by the newest map. Raises
    SenderBusy.
    """
    for lock in locks:
        with database.transaction() as cursor:
            cursor.execute("SET SESSION wait_timeout = %s", (_SESSION_IDLE_S,))
            cursor.execute("SELECT GET_LOCK(%s, %s)", (lock, wait_s))
            row = cursor.fetchone()
            if row is None or row[0] != 1:
                raise SenderBusy("a relay did not let go of its lock in time", lock=lock)
            cursor.execute("SELECT RELEASE_LOCK(%s)", (lock,))


def owe_handovers(cursor: Cursor, trace_id: bytes, now: datetime) -> int:
    """Tell each shard which buckets it shall let go; how many those are."""
    state = map_state(cursor)
    leaving = [
        (number, lives)
        for number, (lives, shall) in enumerate(zip(state.lives, state.newest, strict=True))
        if lives != shall
    ]
    outbox.append(
        cursor,
        [
            outbox.kafka_row(
                TRANSFERS_TOPIC,
                f"shard:{lives}",
                handover_body(Handover(number, state.version, trace_id)),
                fact_id("ledger_handover", number, state.version),
            )
            for number, lives in leaving
        ],
        now,
    )
    return len(leaving)


def _counted(cursor: Cursor, statement: str) -> dict[int, int]:
    cursor.execute(statement)
    return {int(shard): int(rows) for shard, rows in cursor.fetchall()}
