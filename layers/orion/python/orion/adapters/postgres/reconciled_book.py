"""The external book as one of three, read as `book-auditor`; its sums, made by the server."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from psycopg import errors

from orion.adapters.postgres.book_lines import ENTRY_LINE_SQL, LEAF_SQL, MOMENT_SQL
from orion.adapters.postgres.session import Cursor, Database
from orion.log.reconciliation.errors import BookUnavailable, BookUnreadable
from orion.log.reconciliation.lines import moment_of
from orion.log.reconciliation.model import AccountName, PlacedLine, RecordLeaves
from orion.log.reconciliation.planning import MAX_RANGE_RECORDS, Head, Span, first_where
from orion.log.reconciliation.sums import AccountSums, Sums

T = TypeVar("T")

MAX_NUMBERS = 1_000
TOPIC = "ledger.posted"  # Its partitions are the shards.
# Sums read the whole book; below the function's own time.
SUMS_TIMEOUT_MS = 280_000
_UNIT_SUMS = "sum(dp) AS dp, sum(dn) AS dn, sum(cp) AS cp, sum(cn) AS cn, sum(d) AS d, sum(c) AS c"
# `d` and `c` are the units of every entry on either side, whatever its kind did to counters.
_MOVED = """
SELECT e.shard_no, e.debit_account AS account,
  CASE WHEN e.kind IN ('direct', 'post') THEN e.units ELSE 0 END AS dp,
  CASE WHEN e.kind = 'pending' THEN e.units ELSE 0 END AS dn, 0 AS cp, 0 AS cn,
  e.units AS d, 0 AS c
FROM external_book.entry e WHERE {condition}
UNION ALL
SELECT e.shard_no, e.credit_account, 0, 0,
  CASE WHEN e.kind IN ('direct', 'post') THEN e.units ELSE 0 END,
  CASE WHEN e.kind = 'pending' THEN e.units ELSE 0 END, 0, e.units
FROM external_book.entry e WHERE {condition}
UNION ALL
SELECT e.shard_no, side.account, 0, side.dn * p.units, 0, side.cn * p.units, 0, 0
FROM external_book.entry e JOIN external_book.entry p ON p.id = e.pending_id
CROSS JOIN LATERAL (VALUES (e.debit_account, -1, 0), (e.credit_account, 0, -1))
  AS side (account, dn, cn)
WHERE e.pending_id IS NOT NULL AND e.kind IN ('post', 'void', 'timeout') AND {condition}
"""


class PostgresBookReader:
    """The ports BookReader and EntrySums."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def _read(self, ask: Callable[[Cursor], T]) -> T:
        try:
            return self._database.run(ask)
        except (errors.DataError, ValueError, TypeError) as exc:
            raise BookUnreadable("rows that cannot be read") from exc

    def heads(self) -> Mapping[int, Head]:
        # From shard to shard along the key: a plain GROUP BY would read the whole book.
        def ask(cursor: Cursor) -> Mapping[int, Head]:
            found: dict[int, Head] = {}
            after = -1
            while True:
                cursor.execute(
                    "SELECT shard_no, number FROM external_book.entry WHERE shard_no > %s"
                    " ORDER BY shard_no, number, position LIMIT 1",
                    (after,),
                )
                row = cursor.fetchone()
                if row is None:
                    return found
                after, lowest = row
                cursor.execute(
                    "SELECT number FROM external_book.entry WHERE shard_no = %s"
                    " ORDER BY shard_no DESC, number DESC, position DESC LIMIT 1",
                    (after,),
                )
                [highest] = cursor.fetchone() or (lowest,)
                found[after] = Head(lowest, highest)

        return self._read(ask)

    def followed(self) -> Mapping[int, int]:
        def ask(cursor: Cursor) -> Mapping[int, int]:
            cursor.execute(
                "SELECT partition_no, next_number - 1 FROM external_book.cursor WHERE topic = %s",
                (TOPIC,),
            )
            return {int(shard): int(number) for shard, number in cursor}

        return self._read(ask)

    def records(self, shard: int, span: Span) -> Iterator[RecordLeaves]:
        def ask(cursor: Cursor) -> list[RecordLeaves]:
            cursor.execute(
                f"SELECT number, min({MOMENT_SQL}), count(*), max(position),"  # noqa: S608
                f" string_agg({LEAF_SQL}, ''::bytea ORDER BY position)"
                " FROM external_book.entry WHERE shard_no = %s AND number BETWEEN %s AND %s"
                " GROUP BY number ORDER BY number LIMIT %s",
                (shard, span.first, span.last, MAX_RANGE_RECORDS + 1),
                binary=True,
            )
            return [
                RecordLeaves(number, moment_of(posted_at), leaves, last + 1 == entries)
                for number, posted_at, entries, last, leaves in cursor
            ]

        yield from self._read(ask)

    def recent_from(self, shard: int, through: int, since: datetime) -> int:
        def is_recent(number: int) -> bool:
            def ask(cursor: Cursor) -> bool:
                cursor.execute(
                    "SELECT posted_at >= %s FROM external_book.entry WHERE shard_no = %s"
                    " AND number >= %s ORDER BY number, position LIMIT 1",
                    (since, shard, number),
                )
                return bool((cursor.fetchone() or (True,))[0])

            return self._read(ask)

        return first_where(through, is_recent)

    def lines(self, shard: int, numbers: Sequence[int]) -> Sequence[PlacedLine]:
        if len(numbers) > MAX_NUMBERS:
            raise ValueError(f"at most {MAX_NUMBERS} records are read at once")

        def ask(cursor: Cursor) -> list[PlacedLine]:
            cursor.execute(
                f"SELECT number, position, {ENTRY_LINE_SQL} FROM external_book.entry"  # noqa: S608
                " WHERE shard_no = %s AND number = ANY(%s) ORDER BY number, position",
                (shard, list(numbers)),
            )
            return [PlacedLine(number, position, line) for number, position, line in cursor]

        return self._read(ask)

    def names(self, accounts: Sequence[bytes]) -> Mapping[bytes, AccountName]:
        def ask(cursor: Cursor) -> dict[bytes, AccountName]:
            cursor.execute(
                "SELECT id, owner, purpose, asset FROM external_book.account WHERE id = ANY(%s)",
                (list(accounts),),
            )
            named = {identity: AccountName(*name) for identity, *name in cursor}
            return {identity: name for identity, name in named.items() if name.id == identity}

        return self._read(ask)

    def sums(
        self, through: Mapping[int, int], moved: dict[tuple[int, str], tuple[int, int]]
    ) -> Iterator[AccountSums]:
        statement = (
            "SELECT coalesce(a.id, m.account), a.owner, a.purpose, a.asset, m.shard_no,"  # noqa: S608
            " m.dp, m.dn, m.cp, m.cn, m.d, m.c"
            " FROM external_book.account a FULL JOIN"
            f" (SELECT shard_no, account, {_UNIT_SUMS}"
            f" FROM ({_MOVED.format(condition=_up_to(through))}) AS entries"
            " GROUP BY shard_no, account) AS m ON m.account = a.id ORDER BY 1"
        )
        try:
            with self._database.transaction() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {SUMS_TIMEOUT_MS}")
                yield from _merged(cursor, statement, moved)
        except errors.QueryCanceled as exc:
            raise BookUnavailable("the sums of the external book take too long") from exc


def _merged(
    cursor: Cursor, statement: str, moved: dict[tuple[int, str], tuple[int, int]]
) -> Iterator[AccountSums]:
    """One account after the other; a row for each shard that has moved it."""
    current: AccountSums | None = None
    for identity, owner, purpose, asset, shard, *sums in cursor.stream(statement):
        name = None if owner is None else AccountName(owner, purpose, asset)
        dp, dn, cp, cn, debits, credited = (int(value or 0) for value in sums)
        if shard is not None:
            key = (shard, asset or "")
            before = moved.get(key, (0, 0))
            moved[key] = (before[0] + debits, before[1] + credited)
        held = Sums(dp, dn, cp, cn)
        if current is not None and current.id == identity:
            current = AccountSums(identity, name, current.sums + held)
            continue
        if current is not None:
            yield current
        current = AccountSums(identity, name, held)
    if current is not None:
        yield current


def _up_to(through: Mapping[int, int]) -> str:
    """A condition on entries up to each shard's number; of whole numbers only."""
    if not through:
        return "FALSE"
    named = " OR ".join(
        f"(e.shard_no = {int(shard)} AND e.number <= {int(number)})"
        for shard, number in through.items()
    )
    return f"({named})"
