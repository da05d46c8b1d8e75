"""The header of a segment of the log book: the one line that a root's signature covers.

docs/books.md, "The log book". Segments and proofs both carry it, so it stands beside the ledger.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from orion.errors import OrionError
from orion.ledger.book import (
    MalformedEntryLine,
    directory_row,
    posted_at_text,
    read_directory_row,
)
from orion.ledger.merkle import HASH_BYTES
from orion.ledger.model import AccountKey
from orion.records import MalformedJson, canonical_json, parse_object

VERSION = 1
MAX_ENTRIES = 10_000  # A segment; also the most whose tree one reader holds in memory.
FIRST_PREVIOUS = bytes(HASH_BYTES)
_FIELDS = frozenset(
    {"accounts", "entries", "first_number", "from", "last_number", "previous", "root", "shard",
     "stage", "to", "v"}
)  # fmt: skip
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_STAGE = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
_MAX_NUMBER = 2**63 - 1
_MAX_SHARD = 99_999


class MalformedSegmentHeader(OrionError):
    """Bytes that are no header of a segment; `field` names the part."""

    code = "malformed_segment_header"


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """What a segment holds: `entries` of the records `first_number` to `last_number` of `shard`,
    posted from `posted_from` to `posted_to`, under `root`. `accounts` by id, rising.
    """

    stage: str
    shard: int
    first_number: int
    last_number: int
    entries: int
    posted_from: datetime
    posted_to: datetime
    previous: bytes
    root: bytes
    accounts: Mapping[bytes, AccountKey]

    def line(self) -> bytes:
        """Canonical JSON, without a line end."""
        return canonical_json(
            {
                "accounts": [directory_row(account) for account in self.accounts.values()],
                "entries": self.entries,
                "first_number": self.first_number,
                "from": posted_at_text(self.posted_from),
                "last_number": self.last_number,
                "previous": self.previous.hex(),
                "root": self.root.hex(),
                "shard": self.shard,
                "stage": self.stage,
                "to": posted_at_text(self.posted_to),
                "v": VERSION,
            }
        )


def header_digest(line: bytes) -> bytes:
    """SHA-256 of a header line: what is signed, and the next segment's `previous`."""
    return hashlib.sha256(line).digest()


def read_header(line: bytes) -> SegmentHeader:
    """The header that is written as `line` and in no other way. Raises MalformedSegmentHeader."""
    try:
        body = parse_object(line)
    except MalformedJson as exc:
        raise MalformedSegmentHeader("the header is not JSON", field="header") from exc
    if body.keys() != _FIELDS or body["v"] != VERSION:
        raise MalformedSegmentHeader("a header has other fields", field="header")
    header = SegmentHeader(
        stage=_text(body, "stage", _STAGE),
        shard=_number(body, "shard", 0, _MAX_SHARD),
        first_number=_number(body, "first_number", 0, _MAX_NUMBER),
        last_number=_number(body, "last_number", 0, _MAX_NUMBER),
        entries=_number(body, "entries", 1, MAX_ENTRIES),
        posted_from=_moment(body, "from"),
        posted_to=_moment(body, "to"),
        previous=bytes.fromhex(_text(body, "previous", _HASH)),
        root=bytes.fromhex(_text(body, "root", _HASH)),
        accounts=_directory(body["accounts"]),
    )
    if header.line() != line:
        raise MalformedSegmentHeader("the header is not canonical JSON", field="header")
    return header


def _directory(value: object) -> Mapping[bytes, AccountKey]:
    if not isinstance(value, list) or not 1 <= len(value) <= 3 * MAX_ENTRIES:
        raise MalformedSegmentHeader("the directory is a list of accounts", field="accounts")
    try:
        rows = [read_directory_row(row) for row in value]
    except MalformedEntryLine as exc:
        raise MalformedSegmentHeader(exc.detail, field="accounts") from exc
    ids = [identity for identity, _ in rows]
    if ids != sorted(set(ids)):
        raise MalformedSegmentHeader("the directory is not sorted by id", field="accounts")
    return dict(rows)


def _number(body: Mapping[str, object], field: str, least: int, most: int) -> int:
    value = body[field]
    if type(value) is not int or not least <= value <= most:
        raise MalformedSegmentHeader(f"{field} is not a number of its range", field=field)
    return value


def _text(body: Mapping[str, object], field: str, form: re.Pattern[str]) -> str:
    value = body[field]
    if not isinstance(value, str) or not form.fullmatch(value):
        raise MalformedSegmentHeader(f"{field} is not of its form", field=field)
    return value


def _moment(body: Mapping[str, object], field: str) -> datetime:
    try:
        moment = datetime.fromisoformat(cast(str, body[field]))
    except (TypeError, ValueError) as exc:
        raise MalformedSegmentHeader(f"{field} is not a moment", field=field) from exc
    if moment.tzinfo is None:
        raise MalformedSegmentHeader(f"{field} names no offset from UTC", field=field)
    return moment
