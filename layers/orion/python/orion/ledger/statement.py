"""Statements: an account's lines in order of time, by keyset pages, at any moment. Pure.

The lines are those that the follower has entered; every answer says through which moment the
account's log is complete, and nothing later is shown. docs/ledger.md, "Statements".
"""

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol

from orion.errors import OrionError
from orion.ledger.model import AccountKey, Counters, Purpose, Side
from orion.ledger.transfer_record import rfc3339
from orion.records import parse_object

LIMIT_DEFAULT = 100
LIMIT_MAX = 500
_NAMES = frozenset({"account", "limit", "cursor", "at", "order"})
_ACCOUNT_ID = re.compile(r"[0-9a-f]{32}")
_ACCOUNT_NAME = re.compile(
    r"((?:merchant:[0-9a-f]{32})|(?:system:[a-z][a-z0-9-]{0,31})|(?:shard:[0-9]{1,5}))"
    r"/([a-z_]{1,32})/([A-Za-z0-9.]{1,32})"
)
_AT_MAX = 40
_CURSOR = struct.Struct(">B16sqHQH")
_CURSOR_VERSION = 1
_CHECK_BYTES = 6
_CURSOR_TEXT = re.compile(r"[A-Za-z0-9_-]{58}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class MalformedStatementRequest(OrionError):
    """A question that no statement answers; `field` names the part."""

    code = "malformed_statement_request"


class StatementCursorMalformed(OrionError):
    """A cursor that no page of this account's statement ended with."""

    code = "cursor_malformed"


class UnknownAccount(OrionError):
    """No accepted transfer ever named this account."""

    code = "unknown_account"


class Order(StrEnum):
    """Which way a page reads."""

    NEWEST_FIRST = "newest_first"
    OLDEST_FIRST = "oldest_first"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a line stands in its account. Lines are ordered by this."""

    posted_at: datetime
    shard: int
    number: int
    position: int


@dataclass(frozen=True, slots=True)
class Line:
    """What one transfer did to the account, and its counters after it. `other` is the id of the
    account on the other side, `other_key` its name where it exists already.
    """

    place: Place
    side: Side
    kind: str
    code: str
    units: int
    other: bytes
    other_key: AccountKey | None
    counters: Counters
    transfer_id: bytes
    cause: bytes
    trace_id: bytes


@dataclass(frozen=True, slots=True)
class Question:
    """A page that was asked for. `at`: as it stood then; None: as far as it is complete."""

    account_id: bytes
    limit: int
    at: datetime | None
    after: Place | None
    order: Order


@dataclass(frozen=True, slots=True)
class Page:
    """`lines` has up to one more than was asked for, which says that there are more. `counters`
    are those at `at`, None where nothing of the log is known; `complete_through` None likewise.
    """

    account: AccountKey
    complete_through: datetime | None
    at: datetime | None
    lines: Sequence[Line]
    counters: Counters | None


class Statements(Protocol):
    """Reads what the follower has entered."""

    def page(self, question: Question) -> Page:
        """The lines at or before `question.at` and the moment through which the account's log is
        complete, behind `after` in the asked order, at most `limit` + 1; counters at that moment.

        Raises UnknownAccount, or Unavailable.
        """
        ...


def read_question(body: Mapping[str, object]) -> Question:
    """`{"account", "limit", "cursor", "at", "order"}`, all but the first optional.

    Raises MalformedStatementRequest or StatementCursorMalformed.
    """
    unknown = min(map(str, body.keys() - _NAMES), default=None)
    if unknown is not None:
        raise MalformedStatementRequest("a name that no statement knows", field=unknown[:40])
    account_id = account_of(body.get("account"))
    cursor = body.get("cursor")
    order = body.get("order", Order.NEWEST_FIRST)
    if not isinstance(order, str) or order not in tuple(Order):
        raise MalformedStatementRequest("an order is newest_first or oldest_first", field="order")
    return Question(
        account_id=account_id,
        limit=_limit(body.get("limit")),
        at=_moment(body.get("at")),
        after=None if cursor is None else read_cursor(cursor, account_id),
        order=Order(order),
    )


def account_of(text: object) -> bytes:
    """The id of an account written as 32 hexadecimal digits or as `owner/purpose/asset`."""
    if isinstance(text, str):
        if _ACCOUNT_ID.fullmatch(text):
            return bytes.fromhex(text)
        named = _ACCOUNT_NAME.fullmatch(text)
        if named is not None and named[2] in tuple(Purpose):
            return AccountKey(named[1], Purpose(named[2]), named[3]).id
    raise MalformedStatementRequest(
        "an account is 32 hexadecimal digits or owner/purpose/asset", field="account"
    )


def _limit(value: object) -> int:
    if value is None:
        return LIMIT_DEFAULT
    if type(value) is not int or not 1 <= value <= LIMIT_MAX:
        raise MalformedStatementRequest(f"a page has 1 to {LIMIT_MAX} lines", field="limit")
    return value


def _moment(value: object) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, str) and len(value) <= _AT_MAX:
        with suppress(ValueError, OverflowError):
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is not None:
                return moment.astimezone(UTC)
    raise MalformedStatementRequest("a moment is RFC 3339 with its offset", field="at")


def cursor_text(account_id: bytes, place: Place) -> str:
    """A place of one account as text."""
    micros = (place.posted_at - _EPOCH) // _MICROSECOND
    packed = _CURSOR.pack(
        _CURSOR_VERSION, account_id, micros, place.shard, place.number, place.position
    )
    return base64.urlsafe_b64encode(packed + _check(packed)).rstrip(b"=").decode()


def read_cursor(text: object, account_id: bytes) -> Place:
    """The place that a cursor names. Raises StatementCursorMalformed.

    Version, form and checksum are held to what would be written for the place. They find mistakes;
    a cursor opens nothing, so it needs no secret.
    """
    if not isinstance(text, str) or not _CURSOR_TEXT.fullmatch(text):
        raise StatementCursorMalformed("no page ended with this cursor")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        _, account, micros, shard, number, position = _CURSOR.unpack_from(raw)
        place = Place(_EPOCH + micros * _MICROSECOND, shard, number, position)
    except (binascii.Error, struct.error, OverflowError) as exc:
        raise StatementCursorMalformed("no page ended with this cursor") from exc
    if cursor_text(account, place) != text:
        raise StatementCursorMalformed("no page ended with this cursor")
    if account != account_id:
        raise StatementCursorMalformed("this cursor is of another account")
    return place


def _check(packed: bytes) -> bytes:
    return hashlib.sha256(b"orion-statement-cursor-1" + packed).digest()[:_CHECK_BYTES]


def answer(question: Question, page: Page) -> dict[str, object]:
    """The page as JSON: units as text, moments as RFC 3339."""
    shown = page.lines[: question.limit]
    more = len(page.lines) > question.limit
    return {
        "account": {
            "id": page.account.id.hex(),
            "owner": page.account.owner,
            "purpose": page.account.purpose.value,
        },
        "asset": page.account.asset,
        "complete_through": _text(page.complete_through),
        "order": question.order.value,
        "lines": [_line(line) for line in shown],
        "next_cursor": cursor_text(question.account_id, shown[-1].place) if more else None,
        "previous_cursor": cursor_text(question.account_id, shown[0].place) if shown else None,
        "balance": None
        if page.counters is None
        else {"at": _text(page.at)} | _counters(page.counters),
    }


def _line(line: Line) -> dict[str, object]:
    other = line.other_key
    return {
        "posted_at": rfc3339(line.place.posted_at),
        "shard": line.place.shard,
        "number": line.place.number,
        "position": line.place.position,
        "transfer_id": line.transfer_id.hex(),
        "side": line.side.value,
        "kind": line.kind,
        "code": line.code,
        "units": str(line.units),
        "other": {
            "id": line.other.hex(),
            "owner": None if other is None else other.owner,
            "purpose": None if other is None else other.purpose.value,
        },
        "cause": parse_object(line.cause),
        "trace_id": line.trace_id.hex(),
        "balance": _counters(line.counters),
    }


def _counters(counters: Counters) -> dict[str, str]:
    """All four, and what follows: `booked` is credits less debits, `movable` that less what is
    pending; a debit balance is below zero.
    """
    return {
        "debits_posted": str(counters.debits_posted),
        "debits_pending": str(counters.debits_pending),
        "credits_posted": str(counters.credits_posted),
        "credits_pending": str(counters.credits_pending),
        "booked": str(counters.credits_posted - counters.debits_posted),
        "movable": str(counters.movable),
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


@dataclass(frozen=True, slots=True)
class Followed:
    """How far one shard's log has been followed: the moment of its first record that is not
    entered (None where all are), and the latest that it ever posted (None where nothing).
    """

    first_missing: datetime | None
    last_posted: datetime | None


def complete_through(own: Followed, earlier: Sequence[Followed]) -> datetime | None:
    """Through which moment an account's lines are all there. `own` is the shard where it lives,
    `earlier` those from which its bucket has come and that are still to be followed.

    Worked: the own shard is followed to its end at 10:05; the shard where the account lived before
    has a record of 09:59 that is not entered. Complete through one microsecond before 09:59.
    """
    missing = [f.first_missing for f in (own, *earlier) if f.first_missing is not None]
    if missing:
        return min(missing) - _MICROSECOND
    return own.last_posted
