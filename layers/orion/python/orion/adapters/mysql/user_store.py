"""The user module's tables."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

from orion.adapters.mysql import outbox
from orion.adapters.mysql.session import Cursor, Database
from orion.scopes import Scope
from orion.user.model import ApiKey, Merchant

_KEY_COLUMNS = (
    "k.key_id, k.merchant_id, k.name, k.scopes, k.secret_hash, k.created_at, k.revoked_at"
)


def _utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.replace(tzinfo=UTC)


def _key(row: Sequence[object]) -> ApiKey:
    created_at = cast(datetime, row[5]).replace(tzinfo=UTC)
    return ApiKey(
        id=cast(bytes, row[0]),
        merchant_id=cast(bytes, row[1]),
        name=str(row[2]),
        scopes=frozenset(Scope(name) for name in str(row[3]).split()),
        secret_hash=cast(bytes, row[4]),
        created_at=created_at,
        revoked_at=_utc(cast("datetime | None", row[6])),
    )


class MySqlUserTransaction:
    """`UserTransaction` over a cursor whose transaction the caller ends."""

    def __init__(self, cursor: Cursor, now: datetime) -> None:
        self._cursor = cursor
        self._now = now

    def add_merchant(self, merchant: Merchant) -> None:
        """See the port."""
        self._cursor.execute(
            "INSERT INTO merchant (merchant_id, name, lane, created_at) VALUES (%s, %s, %s, %s)",
            (merchant.id, merchant.name, merchant.lane, merchant.created_at.replace(tzinfo=None)),
        )

    def add_key(self, key: ApiKey) -> None:
        """See the port."""
        self._cursor.execute(
            "INSERT INTO api_key (key_id, merchant_id, name, scopes, secret_hash, created_at)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            (
                key.id,
                key.merchant_id,
                key.name,
                " ".join(sorted(key.scopes)),
                key.secret_hash,
                key.created_at.replace(tzinfo=None),
            ),
        )

    def count_keys(self, merchant_id: bytes) -> int:
        """See the port."""
        self._cursor.execute(
            "SELECT lane FROM merchant WHERE merchant_id = %s FOR UPDATE", (merchant_id,)
        )
        self._cursor.execute(
            "SELECT COUNT(*) FROM api_key WHERE merchant_id = %s AND revoked_at IS NULL",
            (merchant_id,),
        )
        return int(cast(Sequence[int], self._cursor.fetchone())[0])

    def keys(self, merchant_id: bytes, limit: int) -> Sequence[ApiKey]:
        """See the port."""
        self._cursor.execute(
            f"SELECT {_KEY_COLUMNS} FROM api_key k"  # noqa: S608 - a constant
            " WHERE k.merchant_id = %s AND k.revoked_at IS NULL ORDER BY k.key_id LIMIT %s",
            (merchant_id, limit),
        )
        return [_key(row) for row in self._cursor.fetchall()]

    def revoke(self, merchant_id: bytes, key_id: bytes, at: datetime) -> bool:
        """See the port."""
        changed = self._cursor.execute(
            "UPDATE api_key SET revoked_at = %s"
            " WHERE key_id = %s AND merchant_id = %s AND revoked_at IS NULL",
            (at.replace(tzinfo=None), key_id, merchant_id),
        )
        return changed == 1

    def audit(self, event_id: bytes, body: Mapping[str, object]) -> None:
        """See the port."""
        row = outbox.kafka_row("audit.events", "user", body, event_id)
        outbox.append(self._cursor, [row], self._now)


class MySqlUserStore:
    """Reads outside a service transaction: the authorizer's one question."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_key(self, key_id: bytes) -> tuple[ApiKey, str] | None:
        """A key, revoked ones included, and its merchant's lane. One read by primary keys."""

        def read(cursor: Cursor) -> tuple[ApiKey, str] | None:
            cursor.execute(
                f"SELECT {_KEY_COLUMNS}, m.lane FROM api_key k"  # noqa: S608 - a constant
                " JOIN merchant m ON m.merchant_id = k.merchant_id WHERE k.key_id = %s",
                (key_id,),
            )
            row = cursor.fetchone()
            return None if row is None else (_key(row), str(row[7]))

        return self._database.run(read)
