"""How the ledger gets more shards: what an operator's call does, one idempotent step after another.

docs/ledger.md, "Moving a bucket". Every step may be the last of a call that was killed: the same
call again goes through all of them, and each does only what is not done. Once the map is drawn the
watch, every minute, does so too.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import pymysql

from orion.adapters.mysql import ledger_moves, outbox
from orion.adapters.mysql.ledger_map import newest_version
from orion.adapters.mysql.ledger_shards import TRANSFERS_TOPIC
from orion.adapters.mysql.session import Cursor, Database, DatabaseUnavailable
from orion.errors import OrionError, Retry, Unavailable
from orion.ids import fact_id
from orion.ledger.buckets import ranges, spread
from orion.ledger.model import Handover
from orion.ledger.transfer_record import handover_body

# For each sender's lock. A relay keeps it for its invocation's 60 s at most, and one that vanishes
# until the server ends its session, 30 s after its last statement.
BARRIER_WAIT_S = 100
# Below what a connection waits for an answer, so that the server answers first.
ASK_S = 20
# One caller at a time passes the barrier: two would only stand in each other's way.
GROWTH_LOCK = "orion-ledger-growth"


class BucketsMoving(OrionError):
    """An earlier version of the map is still being carried out: one move of a bucket at a time."""

    code: ClassVar[str] = "buckets_moving"
    retry: ClassVar[Retry] = Retry.LATER


class SenderBusy(Unavailable):
    """A relay kept its lock for the whole time: the watch tries again, or call again."""

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
    """What the newest map says and what is true.

    The buckets are read first: what moved since only seems to be on its way still. The other way
    round a bucket that a newer map has moved would seem to leave by the older one.
    """
    cursor.execute("SELECT shard_no, taken FROM bucket ORDER BY bucket")
    rows = [(int(shard), taken == 1) for shard, taken in cursor.fetchall()]
    version, newest = newest_version(cursor)
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


def carry_on(
    database: Database,
    locks: Sequence[str],
    trace_id: bytes,
    now: datetime,
    *,
    wait_s: int = BARRIER_WAIT_S,
) -> int:
    """Finish what the newest map began: the barrier, and the handovers that are not owed yet; how
    many those were. 0 also while another caller is at it. Raises SenderBusy.
    """
    state, missing = database.run(_unowed)
    if not missing:
        return 0
    with _alone(database) as alone:
        if not alone:
            return 0
        pass_barrier(database, locks, wait_s=wait_s)
        return database.run(lambda cursor: owe_handovers(cursor, state.version, trace_id, now))


@contextmanager
def _alone(database: Database) -> Iterator[bool]:
    """Whether this session has the growth to itself until the end.

    Should the session end before, two callers may be at it: each passes the barrier by itself, and
    a handover is one event.
    """
    with database.transaction() as cursor:
        taken = _get_lock(cursor, GROWTH_LOCK, 0)
    try:
        yield taken
    finally:
        try:
            with database.transaction() as cursor:
                cursor.execute("SELECT RELEASE_LOCK(%s)", (GROWTH_LOCK,))
        except DatabaseUnavailable:
            database.close()


def pass_barrier(database: Database, locks: Sequence[str], *, wait_s: int = BARRIER_WAIT_S) -> None:
    """Take each sender's lock and give it back, waiting at most `wait_s` for each.

    Whoever sends afterwards has taken its lock after the map was stored, and reads it. Whoever lost
    the lock while sending cannot mark what it sends: it is sent again, by the newest map. Raises
    SenderBusy.
    """
    for lock in locks:
        with database.transaction() as cursor:
            if not any(_get_lock(cursor, lock, ask_s) for ask_s in asks(wait_s)):
                raise SenderBusy("a relay did not let go of its lock in time", lock=lock)
            cursor.execute("SELECT RELEASE_LOCK(%s)", (lock,))


def asks(wait_s: int) -> Sequence[int]:
    """How long each question of a wait for `wait_s` lasts; one question at least."""
    whole, rest = divmod(wait_s, ASK_S)
    return [ASK_S] * whole + ([rest] if rest or not whole else [])


def owe_handovers(cursor: Cursor, version: int, trace_id: bytes, now: datetime) -> int:
    """Order each shard to let the buckets go that shall live elsewhere, where that is not owed; how
    many those are.

    `version` is the map that the barrier was passed for: for a newer one nothing is owed here.
    """
    state, missing = _unowed(cursor)
    if state.version != version:
        return 0
    ledger_moves.order(
        cursor,
        version,
        [(number, state.lives[number], state.newest[number]) for number in missing.values()],
        now,
    )
    outbox.append(
        cursor,
        [
            outbox.kafka_row(
                TRANSFERS_TOPIC,
                f"shard:{state.lives[number]}",
                handover_body(Handover(number, version, trace_id)),
                event,
            )
            for event, number in missing.items()
        ],
        now,
    )
    return len(missing)


def _unowed(cursor: Cursor) -> tuple[MapState, dict[bytes, int]]:
    """The newest map, and the buckets that shall leave and were not told so, by their event.

    A handover that was sent long ago and forgotten is owed again, which changes nothing where it
    was carried out.
    """
    state = map_state(cursor)
    leaving = {
        fact_id("ledger_handover", number, state.version): number
        for number, (lives, shall) in enumerate(zip(state.lives, state.newest, strict=True))
        if lives != shall
    }
    if leaving:
        marks = ",".join(["%s"] * len(leaving))
        cursor.execute(
            f"SELECT event_id FROM outbox WHERE event_id IN ({marks})",  # noqa: S608
            list(leaving),
        )
        for (event,) in cursor.fetchall():
            del leaving[event]
    return state, leaving


def _get_lock(cursor: Cursor, lock: str, wait_s: int) -> bool:
    cursor.execute("SELECT GET_LOCK(%s, %s)", (lock, wait_s))
    row = cursor.fetchone()
    return row is not None and row[0] == 1


def _counted(cursor: Cursor, statement: str) -> dict[int, int]:
    cursor.execute(statement)
    return {int(shard): int(rows) for shard, rows in cursor.fetchall()}
