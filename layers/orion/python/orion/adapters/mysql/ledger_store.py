"""The ledger's books in MySQL: one transaction a batch, a few statements of many rows each.

Statements with thousands of rows are written as literals instead of parameters, because quoting by
the driver costs more than the server's own work (docs/ledger.md, "Physical design"). Only whole
numbers, hexadecimal digits, words of closed sets and checked owners are ever written so.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar, TypeVar

from orion.adapters.mysql import fence, outbox
from orion.adapters.mysql.session import Cursor, Database
from orion.errors import OrionError, Retry
from orion.ids import fact_id
from orion.ledger.model import AccountKey, Code, Counters, Entry, Refusal, bucket
from orion.ledger.ports import Delivery, PostResult
from orion.ledger.posting import Outcome, ids, post_batch, touched
from orion.ledger.service import MAX_BATCH
from orion.ledger.transfer_record import VERSION, entry_body, packed, refusal_body
from orion.records import canonical_json

T = TypeVar("T")

POSTED_TOPIC = "ledger.posted"
REFUSED_TOPIC = "ledger.refused"
# Below MariaDB's threshold (1,000) for turning a list into a temporary table.
_LIST_SIZE = 900
# About 1 MB a statement, well under every server's max_allowed_packet.
_INSERT_ROWS = 2_000


class UnknownShard(OrionError):
    """Transfers came on a partition that is no shard of this ledger."""

    code: ClassVar[str] = "unknown_shard"
    retry: ClassVar[Retry] = Retry.NEVER


class MySqlLedgerStore:
    """The port LedgerStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def post(self, batch: Sequence[Delivery], now: datetime) -> PostResult:
        if sum(len(delivery.transfers) for delivery in batch) > MAX_BATCH:
            raise ValueError(f"a batch has at most {MAX_BATCH} transfers")
        if not batch:
            return PostResult(0, 0, 0)
        return self._database.run(lambda cursor: _post(cursor, batch, now))


def _post(cursor: Cursor, batch: Sequence[Delivery], now: datetime) -> PostResult:
    fresh = {record.offset for record in fence.fresh(cursor, [d.record for d in batch])}
    offered = sum(len(delivery.transfers) for delivery in batch)
    transfers = [
        transfer
        for delivery in batch
        if delivery.record.offset in fresh
        for transfer in delivery.transfers
    ]
    if not transfers:
        return PostResult(0, 0, offered)
    shard = batch[0].record.partition
    next_posted, next_refused = _lock_numbers(cursor, shard)
    known = _known_digests(cursor, ids(transfers))
    account_ids = {key: key.id for key in touched(transfers)}
    outcome = post_batch(transfers, _lock_accounts(cursor, account_ids), known)
    books = _Books(cursor, shard, now, account_ids)
    next_posted = books.post(outcome.accepted, next_posted)
    next_refused = books.refuse(outcome.refused, next_refused)
    books.store_counters(outcome)
    cursor.execute(
        "UPDATE shard SET next_posted = %s, next_refused = %s WHERE shard_no = %s",
        (next_posted, next_refused, shard),
    )
    shortfalls = sum(e.transfer.code is Code.REVERSAL_SHORTFALL for e in outcome.accepted)
    decided = len(outcome.accepted) - shortfalls + len(outcome.refused)
    return PostResult(len(outcome.accepted), len(outcome.refused), offered - decided)


def _lock_numbers(cursor: Cursor, shard: int) -> tuple[int, int]:
    cursor.execute(
        "SELECT next_posted, next_refused FROM shard WHERE shard_no = %s FOR UPDATE", (shard,)
    )
    row = cursor.fetchone()
    if row is None:
        raise UnknownShard("this partition is no shard of the ledger", shard=shard)
    return int(row[0]), int(row[1])


def _known_digests(cursor: Cursor, identities: Iterable[bytes]) -> Mapping[bytes, frozenset[bytes]]:
    found: dict[bytes, frozenset[bytes]] = {}
    for chunk in _chunks(sorted(identities), _LIST_SIZE):
        listed = ",".join(f"x'{identity.hex()}'" for identity in chunk)
        for table in ("transfer", "refusal"):
            cursor.execute(f"SELECT id, digest FROM {table} WHERE id IN ({listed})")  # noqa: S608
            for identity, digest in cursor.fetchall():
                found[identity] = found.get(identity, frozenset()) | {digest}
    return found


def _lock_accounts(
    cursor: Cursor, account_ids: Mapping[AccountKey, bytes]
) -> dict[AccountKey, Counters]:
    # One order of locking for every writer, so that two of them wait for each other and never
    # deadlock.
    keys = {identity: key for key, identity in account_ids.items()}
    found: dict[AccountKey, Counters] = {}
    for chunk in _chunks(sorted(keys), _LIST_SIZE):
        listed = ",".join(f"x'{identity.hex()}'" for identity in chunk)
        cursor.execute(
            "SELECT id, debits_posted, debits_pending, credits_posted, credits_pending"  # noqa: S608
            f" FROM account WHERE id IN ({listed}) ORDER BY id FOR UPDATE"
        )
        for identity, *counters in cursor.fetchall():
            found[keys[identity]] = Counters(*(int(counter) for counter in counters))
    return found


class _Books:
    """What one batch writes, under the numbers of its shard."""

    def __init__(
        self, cursor: Cursor, shard: int, now: datetime, account_ids: Mapping[AccountKey, bytes]
    ) -> None:
        self._cursor = cursor
        self._shard = shard
        self._now = now
        self._at = now.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        self._account_ids = account_ids

    def post(self, entries: Sequence[Entry], number: int) -> int:
        """Log the entries and owe their records to `ledger.posted`; the next number."""
        places: list[tuple[int, int]] = []
        bodies = [entry_body(entry, self._now) for entry in entries]
        number = self._owe(POSTED_TOPIC, "transfers", bodies, number, places)
        self._insert(
            "transfer (shard_no, number, position, id, digest, kind, code, linked, pending_id,"
            " debit_account, credit_account, units, cause, trace_id, posted_at)",
            [
                f"({self._shard},{place[0]},{place[1]},x'{entry.transfer.id.hex()}',"
                f"x'{entry.digest.hex()}','{entry.transfer.kind}','{entry.transfer.code}',"
                f"{int(entry.transfer.linked)},NULL,"
                f"x'{self._account_ids[entry.transfer.debit].hex()}',"
                f"x'{self._account_ids[entry.transfer.credit].hex()}',{entry.transfer.units},"
                f"x'{entry.transfer.cause.hex()}',x'{entry.transfer.trace_id.hex()}','{self._at}')"
                for place, entry in zip(places, entries, strict=True)
            ],
        )
        return number

    def refuse(self, refusals: Sequence[Refusal], number: int) -> int:
        """Record the refusals and owe their records to `ledger.refused`; the next number."""
        places: list[tuple[int, int]] = []
        bodies = [refusal_body(refusal) for refusal in refusals]
        number = self._owe(REFUSED_TOPIC, "refused", bodies, number, places)
        self._insert(
            "refusal (shard_no, number, position, id, digest, reason, content, trace_id,"
            " refused_at)",
            [
                f"({self._shard},{place[0]},{place[1]},x'{refusal.transfer.id.hex()}',"
                f"x'{refusal.digest.hex()}','{refusal.reason}',"
                f"x'{canonical_json(refusal.transfer.content()).hex()}',"
                f"x'{refusal.transfer.trace_id.hex()}','{self._at}')"
                for place, refusal in zip(places, refusals, strict=True)
            ],
        )
        return number

    def store_counters(self, outcome: Outcome) -> None:
        """Create or move every account that the batch moved."""
        rows = sorted((self._account_ids[key], key) for key in outcome.counters)
        self._insert(
            "account (id, owner, purpose, asset, bucket, debits_posted, debits_pending,"
            " credits_posted, credits_pending, created_at, updated_at)",
            [
                f"(x'{identity.hex()}','{key.owner}','{key.purpose}','{key.asset}',"
                f"{bucket(key.owner)},{held.debits_posted},{held.debits_pending},"
                f"{held.credits_posted},{held.credits_pending},'{self._at}','{self._at}')"
                for identity, key in rows
                for held in (outcome.counters[key],)
            ],
            " ON DUPLICATE KEY UPDATE debits_posted = VALUES(debits_posted),"
            " debits_pending = VALUES(debits_pending), credits_posted = VALUES(credits_posted),"
            " credits_pending = VALUES(credits_pending), updated_at = VALUES(updated_at)",
        )

    def _owe(
        self,
        topic: str,
        name: str,
        bodies: Sequence[Mapping[str, object]],
        number: int,
        places: list[tuple[int, int]],
    ) -> int:
        rows = []
        for record in packed(bodies):
            places += [(number, position) for position in range(len(record))]
            body = {
                "v": VERSION,
                "trace_id": record[0]["trace_id"],
                "shard": self._shard,
                "number": number,
                name: record,
            }
            event_id = fact_id(topic, self._shard, number)
            rows.append(outbox.kafka_row(topic, str(self._shard), body, event_id))
            number += 1
        outbox.append(self._cursor, rows, self._now)
        return number

    def _insert(self, target: str, rows: Sequence[str], ending: str = "") -> None:
        for chunk in _chunks(rows, _INSERT_ROWS):
            self._cursor.execute(f"INSERT INTO {target} VALUES {','.join(chunk)}{ending}")  # noqa: S608


def _chunks(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
