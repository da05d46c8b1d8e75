"""The rows of `wallet`, `address` and `pool_request`.

A range of wallets is thousands of rows. They are written as literals instead of parameters,
because quoting by the client costs more than the rest of the way: only numbers and addresses of the
form that `orion.moneyin.events` accepts (letters, digits, hyphen and underscore) are written so.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeVar, cast

import pymysql

from orion.adapters.mysql.session import Cursor
from orion.moneyin.events import PoolExtension
from orion.moneyin.pool import GROUP_WALLETS, AddressRow, PoolRequest, wanted_places

T = TypeVar("T")

MAX_IN = 1_000
MAX_GROUPS = 1_000
_DUPLICATE = 1062


class WalletRows:
    """The part of the port Unit that is about wallets."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def add_new(self, extension: PoolExtension) -> bool:
        """As the port says: the keys of both tables tell whether anything stands there already."""
        self._cursor.execute("SAVEPOINT before_wallets")
        try:
            self._insert_addresses(
                AddressRow(chain, address, extension.group, wallet.index)
                for wallet in extension.wallets
                for chain, address in wallet.addresses.items()
            )
            self._insert_wallets(extension)
        except pymysql.err.IntegrityError as exc:
            if exc.args[0] != _DUPLICATE:
                raise
            self._cursor.execute("ROLLBACK TO SAVEPOINT before_wallets")
            return False
        return True

    def known_addresses(self, extension: PoolExtension) -> Sequence[AddressRow]:
        indexes = [wallet.index for wallet in extension.wallets]
        rows: set[AddressRow] = set()
        for chunk in _chunks(indexes):
            self._cursor.execute(
                "SELECT chain, address, group_no, wallet_index FROM address"  # noqa: S608
                f" WHERE group_no = %s AND wallet_index IN ({_marks(chunk)})",
                (extension.group, *chunk),
            )
            rows |= {AddressRow(*row) for row in self._cursor.fetchall()}
        for chain, addresses in wanted_places(extension).items():
            for part in _chunks(addresses):
                self._cursor.execute(
                    "SELECT chain, address, group_no, wallet_index FROM address"  # noqa: S608
                    f" WHERE chain = %s AND address IN ({_marks(part)})",
                    (chain, *part),
                )
                rows |= {AddressRow(*row) for row in self._cursor.fetchall()}
        return list(rows)

    def add_wallets(self, extension: PoolExtension, addresses: Sequence[AddressRow]) -> None:
        """As the port says."""
        self._insert_addresses(addresses)
        self._insert_wallets(extension, " ON DUPLICATE KEY UPDATE group_no = wallet.group_no")

    def free_wallets(self, limit: int) -> int:
        self._cursor.execute(
            "SELECT COUNT(*) FROM (SELECT 1 FROM wallet WHERE state = 'free' LIMIT %s) AS counted",
            (limit,),
        )
        return self._count()

    def newest_request(self) -> PoolRequest | None:
        self._cursor.execute("SELECT id FROM pool_lock WHERE id = 1 FOR UPDATE")
        self._row()
        self._cursor.execute(
            "SELECT group_no, first_index, wallet_count, attempt, requested_at FROM pool_request"
            " ORDER BY group_no DESC, first_index DESC LIMIT 1"
        )
        row = self._cursor.fetchone()
        if row is None:
            return None
        group, first, count, attempt, requested_at = row
        self._cursor.execute(
            "SELECT COUNT(*) FROM wallet"
            " WHERE group_no = %s AND wallet_index >= %s AND wallet_index < %s",
            (group, first, first + count),
        )
        at = cast(datetime, requested_at).replace(tzinfo=UTC)
        return PoolRequest(group, first, count, attempt, at, self._count())

    def first_missing(self, group: int, first_index: int) -> tuple[int, int]:
        """As the port says."""
        for group_no in range(group, group + MAX_GROUPS):
            start = first_index if group_no == group else 0
            self._cursor.execute(
                "SELECT COUNT(*) FROM wallet WHERE group_no = %s AND wallet_index >= %s",
                (group_no, start),
            )
            if self._count() < GROUP_WALLETS - start:
                return group_no, self._missing_index(group_no, start)
        return group + MAX_GROUPS, 0

    def _missing_index(self, group: int, first_index: int) -> int:
        self._cursor.execute(
            "SELECT wallet_index FROM wallet WHERE group_no = %s AND wallet_index = %s",
            (group, first_index),
        )
        if self._cursor.fetchone() is None:
            return first_index
        self._cursor.execute(
            "SELECT MIN(w.wallet_index) + 1 FROM wallet w LEFT JOIN wallet n"
            " ON n.group_no = w.group_no AND n.wallet_index = w.wallet_index + 1"
            " WHERE w.group_no = %s AND w.wallet_index >= %s AND n.wallet_index IS NULL",
            (group, first_index),
        )
        return self._count()

    def save_request(self, request: PoolRequest) -> None:
        self._cursor.execute(
            "INSERT INTO pool_request (group_no, first_index, wallet_count, attempt, requested_at)"
            " VALUES (%s, %s, %s, %s, %s) ON DUPLICATE KEY UPDATE"
            " attempt = VALUES(attempt), requested_at = VALUES(requested_at)",
            (
                request.group,
                request.first_index,
                request.count,
                request.attempt,
                request.requested_at.replace(tzinfo=None),
            ),
        )

    def _insert_addresses(self, rows: Iterable[AddressRow]) -> None:
        # Before the wallets: a free wallet without its addresses must never be seen.
        values = ",".join(
            [f"('{row.chain}','{row.address}',{row.group},{row.index})" for row in rows]
        )
        if values:
            self._cursor.execute(
                f"INSERT INTO address (chain, address, group_no, wallet_index) VALUES {values}"  # noqa: S608
            )

    def _insert_wallets(self, extension: PoolExtension, repeated: str = "") -> None:
        group = extension.group
        values = ",".join([f"({group},{wallet.index})" for wallet in extension.wallets])
        if values:
            self._cursor.execute(
                f"INSERT INTO wallet (group_no, wallet_index) VALUES {values}{repeated}"  # noqa: S608
            )

    def _count(self) -> int:
        (count,) = self._row()
        if not isinstance(count, int):
            raise TypeError("a count came back as something else")
        return count

    def _row(self) -> tuple[object, ...]:
        row = self._cursor.fetchone()
        if row is None:
            raise LookupError("a row that a migration or this transaction wrote is missing")
        return row


def _chunks(values: Collection[T]) -> Iterator[Sequence[T]]:
    listed = list(values)
    for start in range(0, len(listed), MAX_IN):
        yield listed[start : start + MAX_IN]


def _marks(values: Sequence[object]) -> str:
    return ",".join(["%s"] * len(values))
