"""The ledger's own tables as the first of three books, read with the principal `log`.

Leaves are hashed by the server and come back concatenated, one row a record: a driver in Python
needs longer for a million rows than the server for their hashes.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pymysql

from orion.adapters.mysql.ledger_lines import ENTRY_LINE_SQL, GROUP_BYTES, LEAF_SQL
from orion.adapters.mysql.one_moment import see_one_moment
from orion.adapters.mysql.session import Cursor, Database
from orion.log.reconciliation.errors import BookUnreadable
from orion.log.reconciliation.lines import moment_of
from orion.log.reconciliation.model import AccountName, PlacedLine, RecordLeaves
from orion.log.reconciliation.planning import (
    BLOCK_RECORDS,
    MAX_RANGE_RECORDS,
    Head,
    MySqlHead,
    Span,
    first_where,
)

MAX_NUMBERS = 1_000  # Records whose lines are asked for at once.
MAX_SHARDS = 1_024
# Numbers whose entries are counted by one statement.
_COUNTED_AT_ONCE = 20_000
_LIST_SIZE = 900


class MySqlLedgerReader:
    """The port LedgerReader."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def heads(self) -> Mapping[int, Head]:
        return self._database.run(_heads)

    def shard_heads(self) -> Mapping[int, MySqlHead]:
        """As the port says: the row and the newest entry move in one commit."""

        def work(cursor: Cursor) -> Mapping[int, MySqlHead]:
            see_one_moment(cursor)
            cursor.execute(
                "SELECT shard_no, next_posted FROM orion_ledger.shard LIMIT %s", (MAX_SHARDS,)
            )
            rows = {int(shard): int(following) for shard, following in cursor.fetchall()}
            heads = _heads(cursor)
            return {
                shard: MySqlHead(heads.get(shard), rows.get(shard))
                for shard in rows.keys() | heads.keys()
            }

        return self._database.run(work)

    def recent_from(self, shard: int, through: int, since: datetime) -> int:
        moment = since.astimezone(UTC).replace(tzinfo=None)

        def is_recent(number: int) -> bool:
            [(found,)] = self._rows(
                "SELECT COALESCE((SELECT posted_at >= %s FROM orion_ledger.transfer"
                " WHERE shard_no = %s AND number >= %s ORDER BY number LIMIT 1), 1)",
                (moment, shard, number),
            )
            return bool(found)

        return first_where(through, is_recent)

    def blocks(self, shard: int, span: Span) -> Mapping[int, int]:
        found: dict[int, int] = {}
        for first in range(span.first, span.last + 1, _COUNTED_AT_ONCE):
            last = min(first + _COUNTED_AT_ONCE - 1, span.last)
            rows = self._rows(
                "SELECT (number - %s) DIV %s AS block, COUNT(*) FROM orion_ledger.transfer"
                " WHERE shard_no = %s AND number BETWEEN %s AND %s GROUP BY block",
                (span.first, BLOCK_RECORDS, shard, first, last),
            )
            found |= {int(block): int(entries) for block, entries in rows}
        return found

    def records(self, shard: int, span: Span) -> Iterator[RecordLeaves]:
        rows = self._rows(
            "SELECT t.number, CAST(MIN(t.posted_at) AS CHAR), COUNT(*), MAX(t.position),"  # noqa: S608 - constants
            f" GROUP_CONCAT({LEAF_SQL} ORDER BY t.position SEPARATOR '')"
            " FROM orion_ledger.transfer t WHERE t.shard_no = %s AND t.number BETWEEN %s AND %s"
            " GROUP BY t.number ORDER BY t.number LIMIT %s",
            (shard, span.first, span.last, MAX_RANGE_RECORDS + 1),
        )
        for number, posted_at, entries, last, leaves in rows:
            yield RecordLeaves(
                int(number), moment_of(f"{posted_at}Z"), bytes(leaves), last + 1 == entries
            )

    def lines(self, shard: int, numbers: Sequence[int]) -> Sequence[PlacedLine]:
        if len(numbers) > MAX_NUMBERS:
            raise ValueError(f"at most {MAX_NUMBERS} records are read at once")
        if not numbers:
            return []
        listed = ",".join(str(int(number)) for number in numbers)
        rows = self._rows(
            f"SELECT t.number, t.position, {ENTRY_LINE_SQL}"  # noqa: S608 - whole numbers
            f" FROM orion_ledger.transfer t WHERE t.shard_no = %s AND t.number IN ({listed})"
            " ORDER BY t.number, t.position",
            (shard,),
        )
        return [PlacedLine(int(number), int(position), line) for number, position, line in rows]

    def names(self, accounts: Sequence[bytes]) -> Mapping[bytes, AccountName]:
        return self._database.run(lambda cursor: account_names(cursor, accounts))

    def _rows(self, statement: str, values: tuple[object, ...]) -> Sequence[tuple[Any, ...]]:
        try:
            return self._database.run(lambda cursor: grouped(cursor, statement, values))
        except (pymysql.err.DataError, ValueError, TypeError) as exc:
            raise BookUnreadable("rows that cannot be read") from exc


def _heads(cursor: Cursor) -> Mapping[int, Head]:
    cursor.execute(
        "SELECT shard_no, MIN(number), MAX(number) FROM orion_ledger.transfer"
        " GROUP BY shard_no LIMIT %s",
        (MAX_SHARDS,),
    )
    return {int(shard): Head(int(first), int(last)) for shard, first, last in cursor.fetchall()}


def grouped(
    cursor: Cursor, statement: str, values: tuple[object, ...]
) -> Sequence[tuple[Any, ...]]:
    """All rows of a statement whose GROUP_CONCAT may be long: the server's own limit of 1,024
    bytes would cut it off with no more than a warning.
    """
    cursor.execute("SET SESSION group_concat_max_len = %s", (GROUP_BYTES,))
    cursor.execute(statement, values)
    return cursor.fetchall()


def account_names(cursor: Cursor, accounts: Sequence[bytes]) -> dict[bytes, AccountName]:
    """The accounts of these ids, as far as id and name fit."""
    found: dict[bytes, AccountName] = {}
    for start in range(0, len(accounts), _LIST_SIZE):
        chunk = accounts[start : start + _LIST_SIZE]
        marks = ",".join(["%s"] * len(chunk))
        cursor.execute(
            "SELECT id, owner, purpose, asset FROM orion_ledger.account"  # noqa: S608 - marks
            f" WHERE id IN ({marks})",
            tuple(chunk),
        )
        for identity, owner, purpose, asset in cursor.fetchall():
            name = AccountName(owner, purpose, asset)
            if name.id == identity:
                found[identity] = name
    return found
