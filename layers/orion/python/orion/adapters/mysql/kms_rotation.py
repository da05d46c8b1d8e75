"""Which set holds a group's wallet, in the schema `orion_kms`, and how that changes."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime

from orion.adapters.mysql import outbox
from orion.adapters.mysql.kms_accounts import ACCOUNT, account_row
from orion.adapters.mysql.kms_signing import MySqlSetStore
from orion.adapters.mysql.session import Cursor, Database
from orion.chains.spend import WalletKind
from orion.kms.groups import CustodySet
from orion.kms.model import Message
from orion.kms.signing.errors import RotationRefused
from orion.kms.signing.model import SET_NO_MAX, AccountRow, Rotation


class MySqlRotationStore:
    """`RotationStore`; `networks` by chain as the stage has them."""

    def __init__(self, database: Database, networks: Mapping[str, str]) -> None:
        self._database = database
        self._networks = networks
        self._sets = MySqlSetStore(database, networks)

    def holding(self, group_no: int, kind: WalletKind) -> Sequence[AccountRow]:
        """As the port says."""

        def work(cursor: Cursor) -> Sequence[AccountRow]:
            cursor.execute(
                f"{ACCOUNT} WHERE a.group_no = %s AND a.kind = %s AND a.set_no = g.set_no"
                " ORDER BY a.chain",
                (group_no, kind.value),
            )
            return [account_row(row, self._networks) for row in cursor.fetchall()]

        return self._database.run(work)

    def known_set(self, set_no: int) -> CustodySet | None:
        """As the port says."""
        return self._sets.known_set(set_no)

    def sets_of(self, group_no: int, kind: WalletKind) -> AbstractSet[int]:
        """As the port says."""

        def work(cursor: Cursor) -> AbstractSet[int]:
            cursor.execute(
                "SELECT DISTINCT set_no FROM custody_account WHERE group_no = %s AND kind = %s"
                " LIMIT %s",
                (group_no, kind.value, SET_NO_MAX),
            )
            return frozenset(int(set_no) for (set_no,) in cursor.fetchall())

        return self._database.run(work)

    def rotate(self, rotation: Rotation, told: Message, now: datetime) -> bool:
        """As the port says: of two at once the second waits for the first one's row."""

        def work(cursor: Cursor) -> bool:
            cursor.execute(
                "SELECT set_no FROM group_custody WHERE group_no = %s AND kind = %s FOR UPDATE",
                (rotation.group_no, rotation.kind.value),
            )
            row = cursor.fetchone()
            present = int(row[0]) if row is not None else None
            if present == rotation.target_set:
                return False
            if present != rotation.from_set:
                raise RotationRefused(
                    "another rotation of this wallet came in between",
                    reason="moved",
                    group=rotation.group_no,
                    wallet=rotation.kind.value,
                    set=rotation.target_set,
                )
            _insert_accounts(cursor, rotation, now)
            cursor.execute(
                "UPDATE group_custody SET set_no = %s WHERE group_no = %s AND kind = %s",
                (rotation.target_set, rotation.group_no, rotation.kind.value),
            )
            row_of = outbox.kafka_row(told.topic, told.key, told.body, told.event_id)
            outbox.append(cursor, [row_of], now)
            return True

        return self._database.run(work)


def _insert_accounts(cursor: Cursor, rotation: Rotation, now: datetime) -> None:
    at = now.replace(tzinfo=None)
    cursor.executemany(
        "INSERT INTO custody_account"
        " (group_no, kind, chain, set_no, anchor, address, created_at, on_chain_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        [
            (
                rotation.group_no,
                rotation.kind.value,
                account.place.chain,
                rotation.target_set,
                account.anchor,
                account.address,
                at,
                at if account.place.chain in rotation.final_at else None,
            )
            for account in rotation.accounts
        ],
    )
