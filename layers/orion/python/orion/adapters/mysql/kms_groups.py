"""Groups and their messages in the schema `orion_kms`."""

from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime

from orion.adapters.mysql import outbox
from orion.adapters.mysql.fence import fresh
from orion.adapters.mysql.session import Cursor, Database
from orion.chains.spend import CustodyKeys, WalletKind
from orion.kms.batch import ToldRange
from orion.kms.groups import CustodySet, GroupContents, Holdings
from orion.kms.model import Message, SealedSeed, WalletGroup
from orion.records import Record


class MySqlGroupStore:
    """`GroupStore` over one connection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, group_no: int) -> WalletGroup | None:
        """As the port says."""
        return self._database.run(lambda cursor: _select(cursor, group_no))

    def made_at(self, groups: range) -> Mapping[int, datetime]:
        """As the port says."""

        def work(cursor: Cursor) -> Mapping[int, datetime]:
            cursor.execute(
                "SELECT group_no, created_at FROM wallet_group"
                " WHERE group_no >= %s AND group_no < %s",
                (groups.start, groups.stop),
            )
            return {int(group_no): at.replace(tzinfo=UTC) for group_no, at in cursor.fetchall()}

        return self._database.run(work)

    def holdings(self, group_no: int) -> Holdings:
        """As the port says."""

        def work(cursor: Cursor) -> Holdings:
            cursor.execute("SELECT chain FROM group_chain_key WHERE group_no = %s", (group_no,))
            names = frozenset(str(name) for (name,) in cursor.fetchall())
            cursor.execute(
                "SELECT kind, set_no FROM group_custody WHERE group_no = %s", (group_no,)
            )
            sets = {WalletKind(kind): int(set_no) for kind, set_no in cursor.fetchall()}
            cursor.execute(
                "SELECT kind, chain FROM custody_account WHERE group_no = %s", (group_no,)
            )
            accounts = frozenset((WalletKind(kind), str(name)) for kind, name in cursor.fetchall())
            return Holdings(names, accounts, sets)

        return self._database.run(work)

    def custody_sets(self, numbers: Collection[int]) -> Mapping[int, CustodySet]:
        """As the port says."""
        if not numbers:
            return {}

        def work(cursor: Cursor) -> Mapping[int, CustodySet]:
            marks = ",".join(["%s"] * len(numbers))
            cursor.execute(
                "SELECT set_no, purpose, secp256k1, ed25519 FROM custody_set"  # noqa: S608
                f" WHERE set_no IN ({marks})",
                tuple(numbers),
            )
            return {int(row[0]): _custody_set(*row) for row in cursor.fetchall()}

        return self._database.run(work)

    def add(self, contents: GroupContents, created: Message) -> WalletGroup:
        """As the port says: the insert waits for a concurrent one's row lock, then finds its row
        committed.
        """
        group = contents.group

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
            if stored.seed == group.seed:
                _insert_contents(cursor, contents)
            return stored

        return self._database.run(work)

    def publish(self, messages: Sequence[Message], now: datetime) -> None:
        """As the port says."""
        rows = [_row(message) for message in messages]
        self._database.run(lambda cursor: outbox.append(cursor, rows, now))

    def told_ranges(self, groups: range, networks_id: bytes) -> AbstractSet[tuple[int, int]]:
        """As the port says."""

        def work(cursor: Cursor) -> AbstractSet[tuple[int, int]]:
            cursor.execute(
                "SELECT group_no, first_index FROM wallet_range"
                " WHERE group_no >= %s AND group_no < %s AND networks_id = %s",
                (groups.start, groups.stop, networks_id),
            )
            return {(int(group_no), int(first)) for group_no, first in cursor.fetchall()}

        return self._database.run(work)

    def was_told(self, told: ToldRange) -> bool:
        """As the port says."""

        def work(cursor: Cursor) -> bool:
            cursor.execute(
                "SELECT wallet_count FROM wallet_range"
                " WHERE group_no = %s AND first_index = %s AND networks_id = %s",
                (told.group_no, told.wallets.first_index, told.networks_id),
            )
            row = cursor.fetchone()
            return row is not None and row[0] >= told.wallets.count

        return self._database.run(work)

    def tell_range(self, told: ToldRange, messages: Sequence[Message], now: datetime) -> bool:
        """As the port says: of two concurrent calls the second waits for the first one's row."""
        rows = [_row(message) for message in messages]

        def work(cursor: Cursor) -> bool:
            changed = cursor.execute(
                "INSERT INTO wallet_range"
                " (group_no, first_index, networks_id, wallet_count, trace_id, told_at)"
                " VALUES (%s, %s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE"
                " wallet_count = GREATEST(wallet_count, VALUES(wallet_count))",
                (
                    told.group_no,
                    told.wallets.first_index,
                    told.networks_id,
                    told.wallets.count,
                    bytes.fromhex(told.trace_id),
                    now.replace(tzinfo=None),
                ),
            )
            # One row inserted, two for one that grew, none for one that was told before.
            if changed:
                outbox.append(cursor, rows, now)
            return bool(changed)

        return self._database.run(work)

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


def _insert_contents(cursor: Cursor, contents: GroupContents) -> None:
    """Never INSERT IGNORE: it would also ignore a custody set that is not of the purpose."""
    group_no, at = contents.group.group_no, contents.created_at.replace(tzinfo=None)
    cursor.executemany(
        "INSERT INTO group_chain_key (group_no, chain, ciphertext, key_arn, created_at)"
        " VALUES (%s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE group_no = VALUES(group_no)",
        [
            (group_no, key.name, key.sealed.ciphertext, key.sealed.key_arn, at)
            for key in contents.chain_keys
        ],
    )
    cursor.executemany(
        "INSERT INTO group_custody (group_no, kind, set_no) VALUES (%s, %s, %s)"
        " ON DUPLICATE KEY UPDATE group_no = VALUES(group_no)",
        [(group_no, kind.value, set_no) for kind, set_no in contents.sets.items()],
    )
    cursor.executemany(
        "INSERT INTO custody_account"
        " (group_no, kind, chain, set_no, anchor, address, created_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE group_no = VALUES(group_no)",
        [
            (
                group_no,
                account.place.kind.value,
                account.place.chain,
                account.place.set_no,
                account.anchor,
                account.address,
                at,
            )
            for account in contents.accounts
        ],
    )


def _custody_set(set_no: int, purpose: str, secp256k1: bytes, ed25519: bytes) -> CustodySet:
    keys = CustodyKeys(
        tuple(secp256k1[start : start + 33] for start in range(0, len(secp256k1), 33)),
        tuple(ed25519[start : start + 32] for start in range(0, len(ed25519), 32)),
    )
    return CustodySet(set_no, WalletKind(purpose), keys)


def _row(message: Message) -> outbox.OutboxRow:
    return outbox.kafka_row(message.topic, message.key, message.body, message.event_id)
