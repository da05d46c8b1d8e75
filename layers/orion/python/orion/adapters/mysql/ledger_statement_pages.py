"""Statements read from MySQL: keyset pages along the clustered key, in either direction."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from orion.adapters.mysql.session import Cursor, Database
from orion.ledger.following import GapInLog
from orion.ledger.model import AccountKey, Counters, Purpose, Side, bucket
from orion.ledger.statement import (
    Followed,
    Line,
    Order,
    Page,
    Place,
    Question,
    UnknownAccount,
    complete_through,
)

_COUNTERS = "e.debits_posted, e.debits_pending, e.credits_posted, e.credits_pending"
_KEY = ("posted_at", "shard_no", "number", "position")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MySqlStatements:
    """The port Statements."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, question: Question) -> Page:
        return self._database.run(lambda cursor: _page(cursor, question))


def _page(cursor: Cursor, question: Question) -> Page:
    account = _account(cursor, question.account_id)
    # First how far it is complete, then the lines up to there: what is entered meanwhile is later.
    complete = _complete(cursor, account)
    if complete is None:
        return Page(account, None, None, (), None)
    at = complete if question.at is None else min(question.at, complete)
    return Page(account, complete, at, _lines(cursor, question, at), _reached(cursor, account, at))


def _account(cursor: Cursor, identity: bytes) -> AccountKey:
    cursor.execute("SELECT owner, purpose, asset FROM account WHERE id = %s", (identity,))
    row = cursor.fetchone()
    if row is None:
        raise UnknownAccount("no transfer ever named this account", account=identity.hex())
    return AccountKey(row[0], Purpose(row[1]), row[2])


def _complete(cursor: Cursor, account: AccountKey) -> datetime | None:
    if account.purpose is Purpose.CLEARING:
        return complete_through(_followed(cursor, int(account.owner.removeprefix("shard:"))), ())
    number = bucket(account.owner)
    cursor.execute("SELECT shard_no FROM bucket WHERE bucket = %s", (number,))
    row = cursor.fetchone()
    if row is None:
        raise RuntimeError("a bucket has no row")
    followed = _followed(cursor, int(row[0]))
    return complete_through(followed, [_followed(cursor, s) for s in _earlier(cursor, number)])


def _earlier(cursor: Cursor, number: int) -> Sequence[int]:
    """The shards where this bucket was and whose logs have not been followed to its handover."""
    cursor.execute(
        "SELECT DISTINCT m.from_shard FROM bucket_move m"
        " LEFT JOIN statement_cursor c ON c.shard_no = m.from_shard WHERE m.bucket = %s"
        " AND (m.from_number IS NULL OR m.from_number > COALESCE(c.next_number, 1))",
        (number,),
    )
    return sorted(int(row[0]) for row in cursor.fetchall())


def _followed(cursor: Cursor, shard: int) -> Followed:
    # The follower's place first: it never passes what the shard's row says afterwards.
    cursor.execute("SELECT next_number FROM statement_cursor WHERE shard_no = %s", (shard,))
    row = cursor.fetchone()
    number = 1 if row is None else int(row[0])
    cursor.execute("SELECT next_posted, last_posted_at FROM shard WHERE shard_no = %s", (shard,))
    row = cursor.fetchone()
    if row is None:
        return Followed(None, None)
    last_posted = _utc(row[1])
    if number >= int(row[0]):
        return Followed(None, last_posted if last_posted > _EPOCH else None)
    cursor.execute(
        "SELECT posted_at FROM transfer WHERE shard_no = %s AND number >= %s"
        " ORDER BY shard_no, number, position LIMIT 1",
        (shard, number),
    )
    row = cursor.fetchone()
    # A log that lacks its records is known through nothing.
    return Followed(_EPOCH if row is None else _utc(row[0]), last_posted)


def _lines(cursor: Cursor, question: Question, at: datetime) -> Sequence[Line]:
    newest_first = question.order is Order.NEWEST_FIRST
    bounds: list[object] = [question.account_id, _stored(at)]
    where = "e.account = %s AND e.posted_at <= %s"
    if question.after is not None:
        place = question.after
        clause, values = _beyond(
            "<" if newest_first else ">",
            (_stored(place.posted_at), place.shard, place.number, place.position),
        )
        where += f" AND ({clause})"
        bounds += values
    way = "DESC" if newest_first else "ASC"
    order = ", ".join(f"{name} {way}" for name in ("account", *_KEY))
    outer = ", ".join(f"e.{name} {way}" for name in _KEY)
    cursor.execute(
        "SELECT e.posted_at, e.shard_no, e.number, e.position, e.side, e.kind, e.code,"  # noqa: S608
        f" e.units, e.other, o.owner, o.purpose, o.asset, {_COUNTERS}, t.id, t.cause, t.trace_id"
        f" FROM (SELECT * FROM entry e WHERE {where} ORDER BY {order} LIMIT %s) AS e"
        " LEFT JOIN transfer t ON t.shard_no = e.shard_no AND t.number = e.number"
        " AND t.position = e.position"
        f" LEFT JOIN account o ON o.id = e.other ORDER BY {outer}",
        (*bounds, question.limit + 1),
    )
    return [_line(row) for row in cursor.fetchall()]


def _beyond(sign: str, place: Sequence[object]) -> tuple[str, list[object]]:
    """A row comparison as ranges of the key, which is how servers read them along it."""
    clauses: list[str] = []
    values: list[object] = []
    for depth in range(len(_KEY)):
        equal = [f"e.{name} = %s" for name in _KEY[:depth]]
        clauses.append(" AND ".join([*equal, f"e.{_KEY[depth]} {sign} %s"]))
        values += place[: depth + 1]
    return " OR ".join(f"({clause})" for clause in clauses), values


def _reached(cursor: Cursor, account: AccountKey, at: datetime) -> Counters:
    """The counters after the last line at or before `at`; all zero before the first one."""
    order = ", ".join(f"e.{name} DESC" for name in ("account", *_KEY))
    cursor.execute(
        f"SELECT {_COUNTERS} FROM entry e WHERE e.account = %s AND e.posted_at <= %s"  # noqa: S608
        f" ORDER BY {order} LIMIT 1",
        (account.id, _stored(at)),
    )
    row = cursor.fetchone()
    return Counters() if row is None else _sums(row)


def _line(row: tuple[Any, ...]) -> Line:
    (posted_at, shard, number, position, side, kind, code, units, other,
     owner, purpose, asset, *rest) = row  # fmt: skip
    *counters, transfer_id, cause, trace_id = rest
    if transfer_id is None:
        raise GapInLog(
            "the log lacks a transfer that was followed", shard=shard, number=number, place=position
        )
    return Line(
        place=Place(_utc(posted_at), shard, number, position),
        side=Side(side),
        kind=kind,
        code=code,
        units=int(units),
        other=other,
        other_key=None if owner is None else AccountKey(owner, Purpose(purpose), asset),
        counters=_sums(counters),
        transfer_id=transfer_id,
        cause=cause,
        trace_id=trace_id,
    )


def _sums(values: Sequence[Any]) -> Counters:
    return Counters(*(int(value) for value in values))


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _stored(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
