"""Statements beside the transfers that they were made from, range by range, and where they end.

Rows are read along their clustered key by constants, account by account: joined to the transfers of
a range, the server would read every row of an account to find the few of the range.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

from orion.adapters.mysql.session import Cursor, Database
from orion.log.reconciliation.model import AccountName, Difference
from orion.log.reconciliation.planning import BLOCK_RECORDS, Span
from orion.log.reconciliation.statement_rows import (
    Ending,
    Movement,
    RowPlace,
    StatementRow,
    Statements,
    Told,
    untrue,
)
from orion.log.reconciliation.sums import MAX_NAMED, NONE, Sums

T = TypeVar("T")

AT_ONCE = 200  # Accounts or places of one statement.
# So many rows of one account and piece are read beyond those that must be there.
MAX_ADDED = 1_000
_MAX_CLEARING = 1_000  # Clearing accounts of a shard: one an asset.
# Times as text: a row may hold one that no calendar has.
_ROW = (
    "account, CAST(posted_at AS CHAR), shard_no, number, position, side, kind, code, units, other,"
    " debits_posted, debits_pending, credits_posted, credits_pending"
)
_KEY = ("account", "posted_at", "shard_no", "number", "position")
_RISING = ", ".join(_KEY)
_FALLING = ", ".join(f"{name} DESC" for name in _KEY)


@dataclass(slots=True)
class _Wanted:
    """The movements of one account in a piece: how many, and between which moments."""

    first: str
    last: str
    rows: int


_PAGE_ACCOUNTS = 1_000
# The accounts that have rows, by rising id: the server skips from one to the next.
_LATEST = (
    "SELECT account, CAST(MAX(posted_at) AS CHAR) FROM orion_ledger.entry WHERE account > %s"
    " GROUP BY account ORDER BY account LIMIT %s"
)
_REACHED = (
    "s.account, a.owner, a.purpose, a.asset,"
    " s.debits_posted, s.debits_pending, s.credits_posted, s.credits_pending"
    " FROM orion_ledger.statement_account s LEFT JOIN orion_ledger.account a ON a.id = s.account"
    " WHERE TRUE"
)


class MySqlStatementRows:
    """The port StatementRows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def untrue(self, shard: int, span: Span) -> Sequence[Difference]:
        through = min(span.last, self._database.run(lambda cursor: _followed(cursor, shard)))
        found: list[Difference] = []
        for first in range(span.first, through + 1, BLOCK_RECORDS):
            piece = Span(first, min(first + BLOCK_RECORDS - 1, through))
            found += self._piece(shard, piece, MAX_NAMED - len(found))
            if len(found) >= MAX_NAMED:
                break
        return found

    def _piece(self, shard: int, piece: Span, room: int) -> list[Difference]:
        def read(cursor: Cursor) -> list[Difference]:
            movements = list(_movements(cursor, shard, piece))
            statements = _statements(cursor, shard, piece, movements)
            found = list(islice(untrue(movements, statements), room))
            return _named(cursor, found) if found else []

        return self._database.run(read)


def _followed(cursor: Cursor, shard: int) -> int:
    cursor.execute(
        "SELECT next_number FROM orion_ledger.statement_cursor WHERE shard_no = %s", (shard,)
    )
    row = cursor.fetchone()
    return 0 if row is None else int(row[0]) - 1


def _movements(cursor: Cursor, shard: int, piece: Span) -> Iterator[Movement]:
    """`signed` moves nothing; what ends a pending transfer takes back all of that one's units; the
    other account is the one meant where a clearing account stands for it (docs/ledger.md,
    "Statements").
    """
    cursor.execute(
        "SELECT id FROM orion_ledger.account WHERE owner = %s LIMIT %s",
        (f"shard:{shard}", _MAX_CLEARING),
    )
    clearing = {bytes(identity) for (identity,) in cursor.fetchall()}
    cursor.execute(
        "SELECT CAST(t.posted_at AS CHAR), t.number, t.position, t.id, t.kind, t.code, t.units,"
        " t.debit_account, t.credit_account, t.counterpart, COALESCE(p.units, 0)"
        " FROM orion_ledger.transfer t LEFT JOIN orion_ledger.transfer p"
        " ON p.id = t.pending_id AND p.kind = 'pending'"
        " WHERE t.shard_no = %s AND t.number BETWEEN %s AND %s AND t.kind <> 'signed'"
        " ORDER BY t.shard_no, t.number, t.position",
        (shard, piece.first, piece.last),
    )
    for at, number, position, identity, kind, code, units, *rest in cursor.fetchall():
        debit, credit, counterpart, reserved = rest
        place = RowPlace(at, shard, int(number), int(position))
        posted = int(units) if kind in ("direct", "post") else 0
        pending = 0 if kind == "direct" else int(units) if kind == "pending" else -int(reserved)
        for side, account, other, effect in (
            ("debit", debit, credit, Sums(posted, pending, 0, 0)),
            ("credit", credit, debit, Sums(0, 0, posted, pending)),
        ):
            meant = counterpart if counterpart is not None and other in clearing else other
            told = Told(side, kind, code, int(units), meant)
            yield Movement(account, place, told, effect, identity)


def _statements(
    cursor: Cursor, shard: int, piece: Span, movements: Sequence[Movement]
) -> Statements:
    wanted: dict[bytes, _Wanted] = {}
    for movement in movements:
        at = movement.place.posted_at
        known = wanted.setdefault(movement.account, _Wanted(at, at, 0))
        known.first, known.last = min(known.first, at), max(known.last, at)
        known.rows += 1
    rows: dict[bytes, list[StatementRow]] = {}
    before: dict[bytes, StatementRow] = {}
    for some in _pieces(list(wanted.items())):
        for row in _rows(cursor, [_between(shard, piece, *each) for each in some]):
            rows.setdefault(row.account, []).append(row)
        for row in _rows(cursor, [_newest_before(shard, piece, *each) for each in some]):
            before[row.account] = row
    for held in rows.values():
        held.sort(key=lambda row: row.place)
    borne = {(movement.account, movement.place) for movement in movements}
    asked = [
        (row.account, row.place)
        for row in [*before.values(), *(row for held in rows.values() for row in held)]
        if (row.account, row.place) not in borne
    ]
    return Statements(rows, before, borne_by_transfers(cursor, asked))


def _between(shard: int, piece: Span, account: bytes, wanted: _Wanted) -> str:
    """The rows of a piece; a record before or after it may share its first or last moment."""
    return (
        f"(SELECT {_ROW} FROM orion_ledger.entry WHERE account = x'{account.hex()}'"  # noqa: S608
        f" AND posted_at BETWEEN '{wanted.first}' AND '{wanted.last}'"
        f" AND NOT (posted_at = '{wanted.first}' AND shard_no = {shard:d}"
        f" AND number < {piece.first:d})"
        f" AND NOT (posted_at = '{wanted.last}' AND shard_no = {shard:d}"
        f" AND number > {piece.last:d}) ORDER BY {_RISING} LIMIT {wanted.rows + MAX_ADDED:d})"
    )


def _newest_before(shard: int, piece: Span, account: bytes, wanted: _Wanted) -> str:
    return (
        f"(SELECT {_ROW} FROM orion_ledger.entry WHERE account = x'{account.hex()}'"  # noqa: S608
        f" AND posted_at <= '{wanted.first}' AND NOT (posted_at = '{wanted.first}'"
        f" AND (shard_no <> {shard:d} OR number >= {piece.first:d}))"
        f" ORDER BY {_FALLING} LIMIT 1)"
    )


def _rows(cursor: Cursor, selects: Sequence[str]) -> Iterator[StatementRow]:
    cursor.execute(" UNION ALL ".join(selects))
    for account, at, shard, number, position, *rest in cursor.fetchall():
        side, kind, code, units, other, *sums = rest
        place = RowPlace(at, int(shard), int(number), int(position))
        told = Told(side, kind, code, int(units), other)
        yield StatementRow(account, place, told, Sums(*(int(each) for each in sums)))


def borne_by_transfers(
    cursor: Cursor, asked: Iterable[tuple[bytes, RowPlace]]
) -> set[tuple[bytes, RowPlace]]:
    """Those (account, place) of `asked` where a transfer moved the account."""
    wanted = set(asked)
    real = set()
    for some in _pieces(sorted({place for _, place in wanted})):
        places = " OR ".join(
            f"(shard_no = {place.shard:d} AND number = {place.number:d}"
            f" AND position = {place.position:d})"
            for place in some
        )
        cursor.execute(
            "SELECT CAST(posted_at AS CHAR), shard_no, number, position, debit_account,"  # noqa: S608
            f" credit_account FROM orion_ledger.transfer WHERE kind <> 'signed' AND ({places})"
        )
        for at, shard, number, position, *accounts in cursor.fetchall():
            place = RowPlace(at, int(shard), int(number), int(position))
            real |= {(account, place) for account in accounts}
    return real & wanted


def _named(cursor: Cursor, found: Sequence[Difference]) -> list[Difference]:
    """With the names of accounts in the place of their ids, where they are known and fit."""
    names: Mapping[str, AccountName] = {}
    ids = sorted({each.account for each in found if each.account})
    for some in _pieces(ids):
        listed = ",".join(f"x'{identity}'" for identity in some)
        cursor.execute(
            f"SELECT owner, purpose, asset FROM orion_ledger.account WHERE id IN ({listed})"  # noqa: S608
        )
        told = [AccountName(*map(str, row)) for row in cursor.fetchall()]
        names = {**names, **{name.id.hex(): name for name in told}}
    named = []
    for each in found:
        name = names.get(each.account or "")
        named.append(replace(each, account=name.text, asset=name.asset) if name else each)
    return named


def endings(cursor: Cursor) -> Iterator[Ending]:
    """Of every account that has rows, by rising id; then of those that the follower knows and that
    have none, MAX_NAMED of them.
    """
    after = b""
    while True:
        cursor.execute(_LATEST, (after, _PAGE_ACCOUNTS))
        latest = {bytes(account): str(at) for account, at in cursor.fetchall()}
        yield from _ended(cursor, latest)
        if len(latest) < _PAGE_ACCOUNTS:
            break
        after = max(latest)
    cursor.execute(
        f"SELECT {_REACHED} AND NOT EXISTS"  # noqa: S608 - constants
        " (SELECT 1 FROM orion_ledger.entry e WHERE e.account = s.account) LIMIT %s",
        (MAX_NAMED,),
    )
    for account, name, reached in _reached(cursor):
        yield Ending(account, name, None, borne=False, moment_shared=False, reached=reached)


def _ended(cursor: Cursor, latest: Mapping[bytes, str]) -> Iterator[Ending]:
    lasts: list[StatementRow] = []
    told: dict[bytes, tuple[AccountName | None, Sums]] = {}
    for some in _pieces(sorted(latest.items())):
        lasts += _rows(cursor, [_newest(*each) for each in some])
        listed = ",".join(f"x'{account.hex()}'" for account, _ in some)
        cursor.execute(f"SELECT {_REACHED} AND s.account IN ({listed})")
        told |= {account: (name, sums) for account, name, sums in _reached(cursor)}
    borne = borne_by_transfers(cursor, [(row.account, row.place) for row in lasts])
    for row in lasts:
        name, reached = told.get(row.account, (None, NONE))
        yield Ending(
            row.account,
            name,
            row,
            borne=(row.account, row.place) in borne,
            moment_shared=row.counters != reached and _moment_shared(cursor, row),
            reached=reached,
        )


def _newest(account: bytes, at: str) -> str:
    return (
        f"(SELECT {_ROW} FROM orion_ledger.entry WHERE account = x'{account.hex()}'"  # noqa: S608
        f" AND posted_at = '{at}' ORDER BY {_FALLING} LIMIT 1)"
    )


def _reached(cursor: Cursor) -> Iterator[tuple[bytes, AccountName | None, Sums]]:
    for account, owner, purpose, asset, *sums in cursor.fetchall():
        name = None if owner is None else AccountName(str(owner), str(purpose), str(asset))
        yield bytes(account), name, Sums(*(int(each) for each in sums))


def _moment_shared(cursor: Cursor, row: StatementRow) -> bool:
    cursor.execute(
        "SELECT COUNT(DISTINCT shard_no) FROM orion_ledger.entry"
        " WHERE account = %s AND posted_at = %s",
        (row.account, row.place.posted_at),
    )
    counted = cursor.fetchone()
    return counted is not None and int(counted[0]) > 1


def _pieces(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]
