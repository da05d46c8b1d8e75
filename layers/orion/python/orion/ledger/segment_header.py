"""The header of a segment of the log book: the one line that a root's signature covers.

docs/books.md, "The log book". Segments and proofs both carry it, so it stands beside the ledger.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from orion.errors import OrionError
from orion.ledger.book import (
    MalformedEntryLine,
    directory_row,
    posted_at_text,
    read_directory_row,
)
from orion.ledger.merkle import HASH_BYTES
from orion.ledger.model import AccountKey
from orion.records import canonical_json

VERSION = 1
MAX_ENTRIES = 10_000  # A segment; also the most whose tree one reader holds in memory.
FIRST_PREVIOUS = bytes(HASH_BYTES)
_MAX_ACCOUNTS = 3 * MAX_ENTRIES  # An entry names three at most.
# A header is read by its own form and not as JSON in general: what matches is canonical, and a
# directory of ten thousand accounts takes a fifth of the time.
_ROW = (
    rb'\["([0-9a-f]{32})","([a-z]{1,16}:[0-9a-z-]{1,48})","([a-z_]{1,32})","([A-Za-z0-9.]{1,32})"\]'
)
_ROWS = re.compile(_ROW)
_ROW_ONLY = re.sub(rb"\((?!\?)", b"(?:", _ROW)
_NUMBER = rb"(0|[1-9][0-9]{0,18})"
_MOMENT = rb'"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)"'
_HASH = rb'"([0-9a-f]{64})"'
_HEADER = re.compile(
    rb'\{"accounts":\[(' + _ROW_ONLY + rb"(?:," + _ROW_ONLY + rb')*)\],"entries":' + _NUMBER
    + rb',"first_number":' + _NUMBER + rb',"from":' + _MOMENT + rb',"last_number":' + _NUMBER
    + rb',"previous":' + _HASH + rb',"root":' + _HASH + rb',"shard":(0|[1-9][0-9]{0,4})'
    rb',"stage":"([a-z][a-z0-9-]{0,31})","to":' + _MOMENT + rb',"v":1\}'
)  # fmt: skip


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
    found = _HEADER.fullmatch(line)
    if found is None:
        raise MalformedSegmentHeader("the header is not of its form", field="header")
    (rows, entries, first, posted_from, last, previous, root, shard, stage, posted_to
     ) = found.groups()  # fmt: skip
    if not 1 <= int(entries) <= MAX_ENTRIES:
        raise MalformedSegmentHeader(f"1 to {MAX_ENTRIES} entries a segment", field="entries")
    return SegmentHeader(
        stage=stage.decode(),
        shard=int(shard),
        first_number=int(first),
        last_number=int(last),
        entries=int(entries),
        posted_from=_moment(posted_from, "from"),
        posted_to=_moment(posted_to, "to"),
        previous=bytes.fromhex(previous.decode()),
        root=bytes.fromhex(root.decode()),
        accounts=_directory(_ROWS.findall(rows)),
    )


def _directory(rows: Sequence[Sequence[bytes]]) -> Mapping[bytes, AccountKey]:
    if len(rows) > _MAX_ACCOUNTS:
        raise MalformedSegmentHeader("more accounts than entries can name", field="accounts")
    try:
        found = dict(read_directory_row([part.decode() for part in row]) for row in rows)
    except MalformedEntryLine as exc:
        raise MalformedSegmentHeader(exc.detail, field="accounts") from exc
    ids = list(found)
    if len(ids) != len(rows) or ids != sorted(ids):
        raise MalformedSegmentHeader("the directory is not sorted by id", field="accounts")
    return found


def _moment(text: bytes, field: str) -> datetime:
    try:
        return datetime.fromisoformat(text.decode())
    except ValueError as exc:
        raise MalformedSegmentHeader(f"{field} is not a moment", field=field) from exc
