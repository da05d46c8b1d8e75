"""Buckets on their way between shards: what is held, forwarded, handed over and taken over.

Each function works inside the transaction of the shard's writer, which holds the lock of its row in
`shard`. That lock is the guard: only the shard where a bucket lives hands it over, and only the
next one takes it, so what `load_view` says about this shard's own buckets stays true to the commit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from orion.adapters.mysql import ledger_moves, outbox
from orion.adapters.mysql.ledger_map import BrokenShardMap, newest_map
from orion.adapters.mysql.session import Cursor
from orion.errors import OrionError, Retry
from orion.ids import fact_id
from orion.ledger.buckets import BUCKETS
from orion.ledger.model import Handover, Takeover, Transfer
from orion.ledger.sharding import (
    Home,
    MisplacedControl,
    Piece,
    ShardView,
    chains,
    lets_go,
    takes,
)
from orion.ledger.transfer_record import read_transfers, takeover_body, transfers_body
from orion.records import canonical_json

TRANSFERS_TOPIC = "ledger.transfers"
MAX_HELD = 100_000
_HELD_ROWS = 1_000  # Rows of one statement, and of one transaction that empties them.


class TooManyHeld(OrionError):
    """More waits for a takeover than may be stored aside: the partition waits itself."""

    code: ClassVar[str] = "too_many_held"
    retry: ClassVar[Retry] = Retry.LATER


@dataclass(frozen=True, slots=True)
class HeldRecords:
    """The oldest records held for a bucket, how many transfers they have, and the last one's
    place.
    """

    records: tuple[tuple[Transfer, ...], ...]
    transfers: int
    upto: int


def load_view(cursor: Cursor, shard: int) -> ShardView:
    """Where buckets live and shall live, read without locks. Raises BrokenShardMap."""
    cursor.execute("SELECT shard_no, taken FROM bucket ORDER BY bucket")
    rows = cursor.fetchall()
    if len(rows) != BUCKETS:
        raise BrokenShardMap("a bucket has no row", buckets=len(rows))
    return ShardView(
        shard,
        lives=tuple(int(row[0]) for row in rows),
        taken=tuple(row[1] == 1 for row in rows),
        newest=newest_map(cursor),
    )


def hold(cursor: Cursor, shard: int, pieces: Sequence[Piece], now: datetime) -> None:
    """Store what came before its takeover, in order. Raises TooManyHeld.

    The limit is for buckets that their shard has not let go yet. Once it has, the takeover stands
    in this partition, behind what is held: to stop in front of it would be to stop for ever.
    """
    if not pieces:
        return
    cursor.execute("SELECT COUNT(*) FROM held WHERE shard_no = %s", (shard,))
    row = cursor.fetchone()
    if (row is None or row[0] + len(pieces) > MAX_HELD) and _awaited(cursor, shard, pieces):
        raise TooManyHeld("no more can be held for buckets on their way", shard=shard)
    rows = [(shard, number, _body(transfers), _stored(now)) for number, transfers in pieces]
    for start in range(0, len(rows), _HELD_ROWS):
        cursor.executemany(
            "INSERT INTO held (shard_no, bucket, body, held_at) VALUES (%s, %s, %s, %s)",
            rows[start : start + _HELD_ROWS],
        )


def _awaited(cursor: Cursor, shard: int, pieces: Sequence[Piece]) -> bool:
    """Whether any of these buckets still lives elsewhere, as others have committed it by now."""
    marks = ",".join(["%s"] * len(pieces))
    cursor.execute(
        f"SELECT COUNT(*) FROM bucket WHERE bucket IN ({marks}) AND shard_no <> %s",  # noqa: S608
        (*(number for number, _ in pieces), shard),
    )
    row = cursor.fetchone()
    return row is None or row[0] > 0


def forward(
    cursor: Cursor, shard: int, place: tuple[int, int], pieces: Sequence[Piece], now: datetime
) -> int:
    """Owe what came late to the shard where its bucket lives by now; in how many records.

    `place` is the number of this commit of the shard and how many records it has forwarded before.
    It makes the identity: content alone would not do, because a leg may be forwarded again by the
    shard that it was forwarded to.
    """
    commit, first = place
    bodies = [(number, body) for number, transfers in pieces for body in _bodies(transfers)]
    outbox.append_new(
        cursor,
        [
            outbox.OutboxRow(
                fact_id("ledger_forwarded", shard, commit, index),
                f"kafka:{TRANSFERS_TOPIC}",
                f"bucket:{number}".encode(),
                body,
            )
            for index, (number, body) in enumerate(bodies, first)
        ],
        now,
    )
    return len(bodies)


def _bodies(transfers: Sequence[Transfer]) -> Iterator[bytes]:
    """`transfers` as records that the outbox can carry, in order, each chain in one of them.

    A record of strangers may be larger than that, or become so in the form in which it is sent. A
    chain of the largest transfers is not.
    """
    body = _body(transfers)
    whole = tuple(chains(transfers)) if len(body) > outbox.MAX_PAYLOAD_BYTES else ()
    if len(whole) < 2:
        yield body
        return
    half = len(whole) // 2
    for some in (whole[:half], whole[half:]):
        yield from _bodies([transfer for chain in some for transfer in chain])


def hand_over(
    cursor: Cursor, shard: int, order: Handover, posted_at: datetime, now: datetime
) -> bool:
    """Let a bucket go to the shard to which it was ordered to move, and owe that one the takeover;
    False where that was done before. `posted_at` is the latest that this shard ever posted.

    Raises MisplacedControl, before anything moved.
    """
    shall = _ordered(cursor, shard, order).to_shard
    if not lets_go(_home(cursor, order.bucket), order, shard, shall):
        return False
    cursor.execute(
        "UPDATE bucket SET shard_no = %s, map_version = %s, taken = 0 WHERE bucket = %s",
        (shall, order.map_version, order.bucket),
    )
    ledger_moves.handed_over(cursor, order.bucket, order.map_version, posted_at)
    takeover = Takeover(order.bucket, order.map_version, posted_at, order.trace_id)
    owed = outbox.kafka_row(
        TRANSFERS_TOPIC,
        f"shard:{shall}",
        takeover_body(takeover),
        fact_id("ledger_takeover", order.bucket, order.map_version),
    )
    outbox.append(cursor, [owed], now)
    return True


def begin_takeover(cursor: Cursor, shard: int, order: Takeover) -> datetime | None:
    """Until which moment the earlier shard posted what this takeover hands on; None where it was
    carried out before. What the control record itself says of that is not believed.

    Raises MisplacedControl, before anything moved.
    """
    move = _ordered(cursor, shard, order)
    if not takes(_home(cursor, order.bucket), order, shard):
        return None
    if move.posted_at is None:
        raise RuntimeError("a bucket was handed over at no moment")
    ledger_moves.taken_over(cursor, order.bucket, order.map_version)
    return move.posted_at


def _ordered(cursor: Cursor, shard: int, order: Handover | Takeover) -> ledger_moves.Move:
    """The stored order that says `shard` lets the bucket go, or takes it over."""
    move = ledger_moves.ordered(cursor, order.bucket, order.map_version)
    if move is None or shard != (move.from_shard if isinstance(order, Handover) else move.to_shard):
        raise MisplacedControl(
            "nobody ordered this of this shard",
            bucket=order.bucket,
            map_version=order.map_version,
            shard=shard,
        )
    return move


def held_records(cursor: Cursor, shard: int, number: int, limit: int) -> HeldRecords | None:
    """The oldest records held for a bucket, with at most `limit` transfers but for the first; None
    where nothing is held.
    """
    cursor.execute(
        "SELECT seq, body FROM held WHERE shard_no = %s AND bucket = %s ORDER BY seq LIMIT %s",
        (shard, number, _HELD_ROWS),
    )
    records: list[tuple[Transfer, ...]] = []
    upto = 0
    for seq, body in cursor.fetchall():
        transfers = read_transfers(body)
        limit -= len(transfers)
        if records and limit < 0:
            break
        records.append(transfers)
        upto = seq
    if not records:
        return None
    return HeldRecords(tuple(records), sum(len(record) for record in records), upto)


def drop_held(cursor: Cursor, shard: int, number: int, upto: int) -> None:
    """Forget what was decided."""
    cursor.execute(
        "DELETE FROM held WHERE shard_no = %s AND bucket = %s AND seq <= %s", (shard, number, upto)
    )


def take_over(cursor: Cursor, number: int) -> None:
    """The bucket is decided here from now on: all that was held for it is."""
    cursor.execute("UPDATE bucket SET taken = 1 WHERE bucket = %s", (number,))


def _home(cursor: Cursor, number: int) -> Home:
    cursor.execute(
        "SELECT shard_no, map_version, taken FROM bucket WHERE bucket = %s FOR UPDATE", (number,)
    )
    row = cursor.fetchone()
    if row is None:
        raise BrokenShardMap("a bucket has no row", bucket=number)
    return Home(int(row[0]), int(row[1]), row[2] == 1)


def _body(transfers: Sequence[Transfer]) -> bytes:
    return canonical_json(transfers_body(transfers, transfers[0].trace_id))


def _stored(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
