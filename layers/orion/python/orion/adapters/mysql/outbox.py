"""The outbox: what a module tells others, stored in the transaction that makes it true."""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from orion.adapters.mysql.session import Cursor
from orion.errors import OrionError, Retry
from orion.records import canonical_json, parse_json

MAX_PAYLOAD_BYTES = 900_000  # Below Kafka's default limit of 1 MB for a record with its headers.
_INSERT_ROWS = 500
_COMPARED_ROWS = 50
# Reading past rows that are left alone reads them: a bound for those who are left alone for long.
LOOK_AHEAD_ROWS = 20_000
# Of a destination with more keys that are left alone we read the places of all its rows and choose
# among them ourselves: a statement names a bounded number of keys.
NAMED_KEYS = 200
# When and for which request an event was told again is not what it says.
_CIRCUMSTANCES = ("trace_id", "at")


class EventDiffers(OrionError):
    """An event id stands for one content: two facts were given one identity, or one fact was told
    in two ways.
    """

    code: ClassVar[str] = "event_differs"
    retry: ClassVar[Retry] = Retry.NEVER


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """`destination` is `kafka:<topic>` or `sqs:<purpose>`; order is kept per (destination, key)."""

    event_id: bytes
    destination: str
    key: bytes
    payload: bytes

    def __post_init__(self) -> None:
        if len(self.payload) > MAX_PAYLOAD_BYTES:
            raise ValueError(f"a message of {len(self.payload)} bytes is too large to send")


@dataclass(frozen=True, slots=True)
class Unsent:
    """A stored row that waits for its relay."""

    seq: int
    row: OutboxRow


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """What is not to be sent now: whole destinations, and single keys of others."""

    destinations: AbstractSet[str] = frozenset()
    keys: AbstractSet[tuple[str, bytes]] = frozenset()


NOTHING_LEFT_ALONE = LeftAlone()


def kafka_row(topic: str, key: str, body: Mapping[str, object], event_id: bytes) -> OutboxRow:
    """A record for a topic; `key` chooses its partition."""
    return OutboxRow(event_id, f"kafka:{topic}", key.encode(), canonical_json(body))


def sqs_row(purpose: str, key: str, body: Mapping[str, object], event_id: bytes) -> OutboxRow:
    """A message for the queue `orion-<stage>-<purpose>`."""
    return OutboxRow(event_id, f"sqs:{purpose}", key.encode(), canonical_json(body))


def append_new(cursor: Cursor, rows: Sequence[OutboxRow], now: datetime) -> None:
    """Store `rows`, whose events are made once: one that is stored already, whatever it says, is a
    fault (IntegrityError) and never swallowed.
    """
    created_at = now.replace(tzinfo=None)
    for start in range(0, len(rows), _INSERT_ROWS):
        cursor.executemany(
            "INSERT INTO outbox (event_id, destination, partition_key, payload, created_at)"
            " VALUES (%s, %s, %s, %s, %s)",
            [
                (row.event_id, row.destination, row.key, row.payload, created_at)
                for row in rows[start : start + _INSERT_ROWS]
            ],
        )


def append(cursor: Cursor, rows: Sequence[OutboxRow], now: datetime) -> None:
    """Store `rows` inside the caller's transaction. A row whose event is stored already is one
    event still, whenever and for whichever request it is told again (`at`, `trace_id`).

    Raises EventDiffers where its destination, key or content is another one.
    """
    created_at = now.replace(tzinfo=None)
    for start in range(0, len(rows), _INSERT_ROWS):
        some = rows[start : start + _INSERT_ROWS]
        inserted = cursor.executemany(
            "INSERT INTO outbox (event_id, destination, partition_key, payload, created_at)"
            " VALUES (%s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE seq = seq",
            [(row.event_id, row.destination, row.key, row.payload, created_at) for row in some],
        )
        # A row that is left as it was counts nothing (MySQL 8.0 Reference Manual, 15.2.7.2).
        if inserted != len(some):
            _compare(cursor, some)


def _compare(cursor: Cursor, rows: Sequence[OutboxRow]) -> None:
    for start in range(0, len(rows), _COMPARED_ROWS):
        some = rows[start : start + _COMPARED_ROWS]
        marks = ",".join(["%s"] * len(some))
        cursor.execute(
            "SELECT event_id, destination, partition_key, payload FROM outbox"  # noqa: S608
            f" WHERE event_id IN ({marks})",
            [row.event_id for row in some],
        )
        stored = {row[0]: OutboxRow(*row) for row in cursor.fetchall()}
        for row in some:
            if not same_event(stored[row.event_id], row):
                raise EventDiffers(
                    "an event id is taken by other content",
                    event=row.event_id.hex(),
                    destination=row.destination,
                )


def same_event(one: OutboxRow, other: OutboxRow) -> bool:
    """Whether both say the same to the same reader; they may differ in circumstances only."""
    if one == other:
        return True
    places = [(row.event_id, row.destination, row.key) for row in (one, other)]
    return places[0] == places[1] and _said(one.payload) == _said(other.payload)


def _said(payload: bytes) -> dict[str, object]:
    body = parse_json(payload)
    return {name: value for name, value in body.items() if name not in _CIRCUMSTANCES}


def unsent(
    cursor: Cursor, limit: int, limit_bytes: int, left_alone: LeftAlone = NOTHING_LEFT_ALONE
) -> Sequence[Unsent]:
    """The oldest unsent rows, at most `limit` and, but for the first, `limit_bytes` together;
    without those `left_alone`, of the oldest LOOK_AHEAD_ROWS then.

    Never by high-water mark: sequence numbers commit out of order.
    """
    if left_alone == NOTHING_LEFT_ALONE:
        cursor.execute(
            "SELECT seq, LENGTH(payload) FROM outbox WHERE sent_at IS NULL ORDER BY seq LIMIT %s",
            (limit,),
        )
        sizes: Sequence[tuple[int, int]] = cursor.fetchall()
    else:
        sizes = _unsent_but(cursor, limit, left_alone)
    chosen: list[int] = []
    for seq, size in sizes:
        limit_bytes -= size
        if chosen and limit_bytes < 0:
            break
        chosen.append(seq)
    if not chosen:
        return []
    marks = ",".join(["%s"] * len(chosen))
    cursor.execute(
        "SELECT seq, event_id, destination, partition_key, payload FROM outbox"  # noqa: S608
        f" WHERE seq IN ({marks}) ORDER BY seq",
        chosen,
    )
    return [
        Unsent(seq, OutboxRow(event_id, destination, key, payload))
        for seq, event_id, destination, key, payload in cursor.fetchall()
    ]


def _unsent_but(cursor: Cursor, limit: int, left_alone: LeftAlone) -> Sequence[tuple[int, int]]:
    """Number and size of the oldest `limit` rows that are not `left_alone`.

    All are chosen from what one statement sees. A second page, behind what the first one saw, could
    hold a row whose elder of the same key was committed in between, under a smaller number.
    """
    counts = Counter(destination for destination, _ in left_alone.keys)
    crowded = {destination for destination, count in counts.items() if count > NAMED_KEYS}
    destinations = sorted(left_alone.destinations)
    keys = sorted(
        (destination, key)
        for destination, key in left_alone.keys
        if destination not in crowded and destination not in left_alone.destinations
    )
    conditions = ["TRUE"]
    if destinations:
        conditions.append(f"head.destination NOT IN ({','.join(['%s'] * len(destinations))})")
    if keys:
        pairs = ",".join(["(%s, %s)"] * len(keys))
        conditions.append(f"(head.destination, head.partition_key) NOT IN ({pairs})")
    cursor.execute(
        "SELECT head.seq, head.destination, head.partition_key FROM"  # noqa: S608 - placeholders
        " (SELECT seq, destination, partition_key FROM outbox WHERE sent_at IS NULL"
        " ORDER BY seq LIMIT %s) AS head"
        f" WHERE {' AND '.join(conditions)} ORDER BY head.seq LIMIT %s",
        (
            LOOK_AHEAD_ROWS,
            *destinations,
            *(part for pair in keys for part in pair),
            LOOK_AHEAD_ROWS if crowded else limit,
        ),
    )
    chosen = [
        seq
        for seq, destination, key in cursor.fetchall()
        if (destination, key) not in left_alone.keys
    ][:limit]
    if not chosen:
        return []
    marks = ",".join(["%s"] * len(chosen))
    cursor.execute(
        f"SELECT seq, LENGTH(payload) FROM outbox WHERE seq IN ({marks}) ORDER BY seq",  # noqa: S608
        chosen,
    )
    return cursor.fetchall()


def rows_out_of_sight(cursor: Cursor) -> bool:
    """Whether more rows wait than those that are looked at while anything is left alone."""
    cursor.execute(
        "SELECT seq FROM outbox WHERE sent_at IS NULL ORDER BY seq LIMIT 1 OFFSET %s",
        (LOOK_AHEAD_ROWS,),
    )
    return cursor.fetchone() is not None


def mark_sent(cursor: Cursor, sequences: Sequence[int], now: datetime) -> None:
    """Record that these rows were acknowledged by their destination."""
    if not sequences:
        return
    marks = ",".join(["%s"] * len(sequences))
    cursor.execute(
        f"UPDATE outbox SET sent_at = %s WHERE seq IN ({marks})",  # noqa: S608 - only placeholders
        (now.replace(tzinfo=None), *sequences),
    )


def relay_lock(module: str) -> str:
    """The named lock of the server under which one relay of `module` sends and marks at a time."""
    return f"orion-outbox-{module}"


def holds_relay_lock(cursor: Cursor, module: str) -> bool:
    """Whether this session holds the lock. It does as long as it lives, so also at the commit."""
    cursor.execute("SELECT IS_USED_LOCK(%s) = CONNECTION_ID()", (relay_lock(module),))
    row = cursor.fetchone()
    return row is not None and row[0] == 1


def forget_sent(cursor: Cursor, now: datetime, *, older_than: timedelta, limit: int) -> int:
    """Delete sent rows older than `older_than`, at most `limit`; how many went."""
    return cursor.execute(
        "DELETE FROM outbox WHERE sent_at IS NOT NULL AND sent_at < %s ORDER BY sent_at LIMIT %s",
        ((now - older_than).replace(tzinfo=None), limit),
    )
