"""Groups and their messages in the schema `orion_kms`."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from orion.adapters.mysql import outbox
from orion.adapters.mysql.fence import fresh
from orion.adapters.mysql.session import Cursor, Database
from orion.kms.model import Message, SealedSeed, WalletGroup
from orion.records import Record


class MySqlGroupStore:
    """`GroupStore` over one connection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, group_no: int) -> WalletGroup | None:
        """As the port says."""
        return self._database.run(lambda cursor: _select(cursor, group_no))

    def add(self, group: WalletGroup, created: Message) -> WalletGroup:
        """As the port says: the insert waits for a concurrent one's row lock, then finds its row
        committed.
        """

        def work(cursor: Cursor) -> WalletGroup:
            inserted = cursor.execute(
                "INSERT IGNORE INTO wallet_group (group_no, seed_ciphertext, key_arn, created_at)"
                " VALUES (%s, %s, %s, %s)",
                (
                    group.group_no,
                    group.seed.ciphertext,
                    group.seed.key_arn,
                    group.created_at.replace(tzinfo=None),
                ),
            )
            if inserted:
                outbox.append(cursor, [_row(created)], group.created_at)
            stored = _select(cursor, group.group_no)
            if stored is None:
                raise RuntimeError("a group vanished inside the transaction that stored it")
            return stored

        return self._database.run(work)

    def publish(self, messages: Sequence[Message], now: datetime) -> None:
        """As the port says."""
        rows = [_row(message) for message in messages]
        self._database.run(lambda cursor: outbox.append(cursor, rows, now))

    def publish_once(
        self,
        records: Sequence[Record],
        messages: Callable[[Record], Sequence[Message]],
        now: datetime,
    ) -> int:
        """As the port says."""

        def work(cursor: Cursor) -> int:
            remaining = fresh(cursor, records)
            rows = [_row(message) for record in remaining for message in messages(record)]
            outbox.append(cursor, rows, now)
            return len(remaining)

        return self._database.run(work)


def _select(cursor: Cursor, group_no: int) -> WalletGroup | None:
    cursor.execute(
        "SELECT seed_ciphertext, key_arn, created_at FROM wallet_group WHERE group_no = %s",
        (group_no,),
    )
    row = cursor.fetchone()
    if row is None:
        return None
    ciphertext, key_arn, created_at = row
    return WalletGroup(group_no, SealedSeed(ciphertext, key_arn), created_at.replace(tzinfo=UTC))


def _row(message: Message) -> outbox.OutboxRow:
    return outbox.kafka_row(message.topic, message.key, message.body, message.event_id)
