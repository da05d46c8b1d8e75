"""One entry as one line: the bytes to which all three books reduce it. docs/books.md.

The line is canonical JSON whose parts can all be written by SQL's CONCAT from columns, so that each
database makes it, and its hash, on its own side. Accounts stand as their ids; a directory of
accounts beside the lines says who they are, and proves itself because an id follows from the names.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import cast

from orion.errors import OrionError
from orion.ledger.model import AccountKey, Code, Entry, Kind, Purpose, account_key
from orion.ledger.transfer_record import rfc3339
from orion.money import MAX_UNITS
from orion.records import MalformedJson, canonical_json, parse_object

FIRST_NUMBER = 1
MAX_LINE_BYTES = 2_048  # A cause has at most 512 bytes and all other parts together under 800.
_KNOWN_MOMENTS = 64
_PURPOSES = {purpose.value: purpose for purpose in Purpose}
_ID = rb"[0-9a-f]{32}"
# Behind the cause nothing is free text, so what stands there is found from its last occurrence.
_FIXED_FROM = b'},"code":'
_FIXED = (
    rb'\},"code":"(?P<code>[a-z_]{1,32})","counterpart":(?:null|"(?P<counterpart>' + _ID
    + rb')"),"credit":"(?P<credit>' + _ID + rb')","debit":"(?P<debit>' + _ID
    + rb')","digest":"(?P<digest>' + _ID + rb')","id":"(?P<id>' + _ID
    + rb')","kind":"(?P<kind>[a-z_]{1,16})","linked":(?P<linked>true|false)'
    rb',"number":(?P<number>0|[1-9][0-9]{0,18}),"pending_id":(?:null|"(?P<pending_id>' + _ID
    + rb')"),"position":(?P<position>0|[1-9][0-9]{0,4}),"posted_at":"(?P<posted_at>'
    rb'[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)"'
    rb',"shard":(?P<shard>0|[1-9][0-9]{0,4}),"trace_id":"(?P<trace_id>' + _ID
    + rb')","units":"(?P<units>[1-9][0-9]{0,38})","v":1\}'
)  # fmt: skip
_AFTER_CAUSE = re.compile(_FIXED)
_SKIMMED = b"counterpart|credit|debit|number|position|posted_at|shard"
_WHOLE = re.compile(
    rb'^\{"cause":\{.*' + re.sub(rb"\?P<(?!(?:" + _SKIMMED + rb")>)[a-z_]+>", b"?:", _FIXED) + b"$",
    re.MULTILINE,
)
_CAUSE_FROM = b'{"cause":'


class MalformedEntryLine(OrionError):
    """Bytes that `entry_line` never writes; `field` names the part where one can be named."""

    code = "malformed_entry_line"


# Of a line: counterpart (empty for none), credit, debit, number, position, posted_at and shard,
# each as its bytes of the line, ids in hexadecimal.
Skimmed = tuple[bytes, bytes, bytes, bytes, bytes, bytes, bytes]


@dataclass(frozen=True, slots=True)
class BookLine:
    """An entry as a book keeps it: accounts as ids of 16 bytes, `cause` as canonical JSON."""

    shard: int
    number: int
    position: int
    id: bytes
    digest: bytes
    kind: Kind
    code: Code
    linked: bool
    pending_id: bytes | None
    debit: bytes
    credit: bytes
    counterpart: bytes | None
    units: int
    cause: bytes
    trace_id: bytes
    posted_at: datetime

    def accounts(self) -> frozenset[bytes]:
        """The ids that a directory of accounts must explain."""
        named = {self.debit, self.credit}
        return frozenset(named if self.counterpart is None else named | {self.counterpart})


def entry_line(shard: int, number: int, position: int, entry: Entry, posted_at: datetime) -> bytes:
    """The canonical line of the entry at (`shard`, `number`, `position`), without a line end.

    Equal to `canonical_json` of its parts (a test says so); written by hand because a book writes
    a million of them.
    """
    transfer, digest = entry.transfer, entry.digest.hex()
    counterpart = f'"{entry.counterpart.id.hex()}"' if entry.counterpart else "null"
    pending_id = "null" if transfer.pending_id is None else f'"{transfer.pending_id.hex()}"'
    return (
        f'{{"cause":{transfer.cause.decode()},"code":"{transfer.code.value}"'
        f',"counterpart":{counterpart},"credit":"{transfer.credit.id.hex()}"'
        f',"debit":"{transfer.debit.id.hex()}","digest":"{digest}","id":"{transfer.id.hex()}"'
        f',"kind":"{transfer.kind.value}","linked":{"true" if transfer.linked else "false"}'
        f',"number":{number},"pending_id":{pending_id},"position":{position}'
        f',"posted_at":"{posted_at_text(posted_at)}","shard":{shard}'
        f',"trace_id":"{transfer.trace_id.hex()}","units":"{transfer.units}","v":1}}'
    ).encode()


def accounts_of(entry: Entry) -> tuple[AccountKey, ...]:
    """The accounts that an entry's line names: what moved, and what was meant."""
    moved = (entry.transfer.debit, entry.transfer.credit)
    return moved if entry.counterpart is None else (*moved, entry.counterpart)


def read_line(line: bytes) -> BookLine:
    """The parts of a line. Reads exactly what `entry_line` writes; raises MalformedEntryLine."""
    cause_to = line.rfind(_FIXED_FROM) + 1
    found = None
    if len(line) <= MAX_LINE_BYTES and line.startswith(_CAUSE_FROM):
        found = _AFTER_CAUSE.fullmatch(line, max(0, cause_to - 1))
    if found is None:
        raise MalformedEntryLine("not a line of an entry", field="line")
    if int(found["units"]) > MAX_UNITS:
        raise MalformedEntryLine("more units than a transfer can have", field="units")
    try:
        return BookLine(
            shard=int(found["shard"]),
            number=int(found["number"]),
            position=int(found["position"]),
            id=_bytes(found["id"]),
            digest=_bytes(found["digest"]),
            kind=Kind(found["kind"].decode()),
            code=Code(found["code"].decode()),
            linked=found["linked"] == b"true",
            pending_id=_bytes(found["pending_id"]) if found["pending_id"] else None,
            debit=_bytes(found["debit"]),
            credit=_bytes(found["credit"]),
            counterpart=_bytes(found["counterpart"]) if found["counterpart"] else None,
            units=int(found["units"]),
            cause=_canonical(line[len(_CAUSE_FROM) : cause_to]),
            trace_id=_bytes(found["trace_id"]),
            posted_at=datetime.fromisoformat(found["posted_at"].decode()),
        )
    except ValueError as exc:
        raise MalformedEntryLine("a word or a moment that no entry has", field="line") from exc


def skim(lines: Sequence[bytes]) -> list[Skimmed] | None:
    """As `read_line` for all lines at once, but only what books are walked by; None where one of
    them is no line.

    The form of everything behind the cause is checked, the cause's is not.
    """
    if max(map(len, lines), default=0) > MAX_LINE_BYTES:
        return None
    text = b"\n".join(lines)
    found: list[Skimmed] = _WHOLE.findall(text)
    are_lines = len(found) == len(lines) and text.count(b"\n") == max(0, len(lines) - 1)
    return found if are_lines else None


def directory_row(account: AccountKey) -> list[str]:
    """`[id, owner, purpose, asset]`, as segments and proofs name an account."""
    return [account.id.hex(), account.owner, account.purpose.value, account.asset]


def read_directory_row(row: object) -> tuple[bytes, AccountKey]:
    """An account's id and name, the one following from the other. Raises MalformedEntryLine."""
    if not isinstance(row, list) or len(row) != 4:
        raise MalformedEntryLine("not a row of a directory of accounts", field="accounts")
    identity, owner, word, asset = cast(list[object], row)
    purpose = _PURPOSES.get(word) if isinstance(word, str) else None
    if purpose is None or not isinstance(owner, str) or not isinstance(asset, str):
        raise MalformedEntryLine("not a row of a directory of accounts", field="accounts")
    account = account_key(owner, purpose, asset)
    if account.id.hex() != identity:
        raise MalformedEntryLine("an account's id does not follow from its name", field="accounts")
    return account.id, account


@lru_cache(maxsize=_KNOWN_MOMENTS)
def posted_at_text(posted_at: datetime) -> str:
    """`2026-11-23T10:00:00.000000Z`; remembered, because all entries of a record share it."""
    return rfc3339(posted_at)


def hour_of(posted_at: datetime) -> datetime:
    """The hour (UTC) to which an entry belongs when books are compared."""
    return posted_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _bytes(digits: bytes) -> bytes:
    return bytes.fromhex(digits.decode())


def _canonical(cause: bytes) -> bytes:
    try:
        body = parse_object(cause)
    except MalformedJson as exc:
        raise MalformedEntryLine("a cause that is no JSON object", field="cause") from exc
    if canonical_json(body) != cause:
        raise MalformedEntryLine("a cause that is not canonical JSON", field="cause")
    return cause
