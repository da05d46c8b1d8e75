"""The parts of an entry's line as far as they can be read, also where somebody has changed it.

`orion.ledger.book.read_line` is the strict reader; this one must say something of every line, so
that a difference can name what it is about.
"""

import json
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from orion.log.reconciliation.model import AccountName

AccountNames = Mapping[bytes, AccountName]

_ID = re.compile(r"[0-9a-f]{32}")
_AFTER_CAUSE = b',"code":"'
_MAX_LINE = 65_536
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
