"""The parts of an entry's line as far as they can be read, also where somebody has changed it.

`orion.ledger.book.read_line` is the strict reader; this one must say something of every line, so
that a difference can name what it is about.
"""

import json
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from orion.log.reconciliation.causes import CausedEntry
from orion.log.reconciliation.model import AccountName

AccountNames = Mapping[bytes, AccountName]

_ID = re.compile(r"[0-9a-f]{32}")
_AFTER_CAUSE = b',"code":"'
_MAX_LINE = 65_536
_UNREADABLE = datetime(1970, 1, 1, tzinfo=UTC)
_SIDES = ("credit", "debit", "counterpart")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a line is about; None where it cannot be read."""

    transfer_id: bytes | None
    account: str | None
    asset: str | None


def parts(line: bytes) -> Mapping[str, str]:
    """The line's parts by name, each as text; the cause as it stands. A line that cannot be taken
    apart is one part, `line`.
    """
    text = line[:_MAX_LINE].decode("utf-8", "backslashreplace")
    head = '{"cause":'
    # The cause may have been changed into anything; what follows it has no such words.
    at = text.rfind(_AFTER_CAUSE.decode())
    if not text.startswith(head) or at < 0:
        return {"line": text}
    try:
        rest = json.loads("{" + text[at + 1 :])
    except (ValueError, RecursionError):
        return {"line": text}
    found = {"cause": text[len(head) : at]}
    found |= {name: _text(value) for name, value in rest.items()}
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def differing(line: bytes, agreed: bytes) -> tuple[str, str, AbstractSet[str]]:
    """The differing parts of two lines as text, `units 41235` and `units 41234`, and their
    names.
    """
    left, right = parts(line), parts(agreed)
    names = sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))
    if not names:
        # Equal parts in other bytes: spaces, order, escapes.
        return f"line {line!r}", f"line {agreed!r}", {"line"}
    return _told(left, names), _told(right, names), set(names)


def _told(held: Mapping[str, str], names: list[str]) -> str:
    return ", ".join(f"{name} {held.get(name, 'absent')}" for name in names)


def subject(line: bytes, names: AccountNames, prefer: AbstractSet[str] = frozenset()) -> Subject:
    """The transfer, the account and the asset of a line.

    Of its accounts the one in `prefer`, else the merchant's, else the first that is named; by name
    if `names` has it, else by id.
    """
    held = parts(line)
    transfer = held.get("id", "")
    sides = {
        side: bytes.fromhex(held[side])
        for side in _SIDES
        if _ID.fullmatch(held.get(side, "")) is not None
    }
    known = {side: names[account] for side, account in sides.items() if account in names}
    order = sorted(
        sides,
        key=lambda side: (
            side not in prefer,
            not (side in known and known[side].owner.startswith("merchant:")),
            _SIDES.index(side),
        ),
    )
    account = None
    if order:
        first = order[0]
        account = known[first].text if first in known else sides[first].hex()
    return Subject(
        transfer_id=bytes.fromhex(transfer) if _ID.fullmatch(transfer) else None,
        account=account,
        asset=next((known[side].asset for side in order if side in known), None),
    )


def moment(line: bytes) -> datetime:
    """When the line says that it was posted; the beginning of time where it does not say."""
    return moment_of(parts(line).get("posted_at", ""))


@lru_cache(maxsize=1_024)
def moment_of(text: str) -> datetime:
    """A moment as text (RFC 3339); the beginning of time where it is none, as a database can hold
    (MySQL's 0000-00-00, PostgreSQL's infinity).
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return _UNREADABLE
    return found if found.tzinfo is not None else _UNREADABLE


_FORM = re.compile(
    rb',"code":"([^"]*)","counterpart":(?:null|"([0-9a-f]{32})"),"credit":"([0-9a-f]{32})"'
    rb',"debit":"([0-9a-f]{32})","digest":"([0-9a-f]{32})","id":"([0-9a-f]{32})"'
    rb',"kind":"([^"]*)","linked":(true|false|[0-9]+),"number":([0-9]+)'
    rb',"pending_id":(?:null|"([0-9a-f]{32})"),"position":([0-9]+),"posted_at":"([^"]*)"'
    rb',"shard":([0-9]+),"trace_id":"[0-9a-f]{32}","units":"(-?[0-9]+)","v":1\}'
)


def _split(line: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """The cause and the groups of `_FORM`. Lines of a database's own columns have this form,
    whatever stands in the columns. Raises ValueError otherwise.
    """
    at = line.rfind(_AFTER_CAUSE)
    found = _FORM.fullmatch(line, max(0, at))
    if found is None:
        raise ValueError("a line that no database's columns give")
    return line[len(b'{"cause":') : at], found.groups()


def line_accounts(line: bytes) -> tuple[bytes, ...]:
    """The ids of the accounts that a line of MySQL names. Raises ValueError."""
    _, (_, counterpart, credit, debit, *_) = _split(line)
    moved = (bytes.fromhex(debit.decode()), bytes.fromhex(credit.decode()))
    return (*moved, bytes.fromhex(counterpart.decode())) if counterpart else moved


def unreadable_entry(shard: int, number: int, position: int) -> CausedEntry:
    """An entry of which no more than its place can be read: no rule accepts it."""
    return CausedEntry(
        shard, number, position, bytes(16), bytes(16), "", "", False, None, None, None, None, 0,
        b"", _UNREADABLE,
    )  # fmt: skip


def caused_entry(line: bytes, names: AccountNames) -> CausedEntry:
    """The entry of a line of MySQL, as the rules of causes see it. Raises ValueError."""
    cause, (code, counterpart, credit, debit, digest, identity, kind, linked, number, pending,
            position, posted_at, shard, units) = _split(line)  # fmt: skip
    return CausedEntry(
        shard=int(shard),
        number=int(number),
        position=int(position),
        id=bytes.fromhex(identity.decode()),
        digest=bytes.fromhex(digest.decode()),
        kind=kind.decode("utf-8", "backslashreplace"),
        code=code.decode("utf-8", "backslashreplace"),
        linked=linked != b"false",
        pending_id=bytes.fromhex(pending.decode()) if pending else None,
        debit=names.get(bytes.fromhex(debit.decode())),
        credit=names.get(bytes.fromhex(credit.decode())),
        counterpart=names.get(bytes.fromhex(counterpart.decode())) if counterpart else None,
        units=int(units),
        cause=cause,
        posted_at=moment_of(posted_at.decode("utf-8", "replace")),
    )
