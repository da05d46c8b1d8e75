"""Segments of the log book: how they are made, and the parts that a stored one falls into. Pure."""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from orion.errors import OrionError
from orion.ledger.book import MAX_LINE_BYTES, accounts_of, entry_line
from orion.ledger.merkle import leaf, root
from orion.ledger.model import AccountKey
from orion.ledger.segment_header import MAX_ENTRIES, SegmentHeader, header_digest
from orion.ledger.signature import MAX_SIGNATURE_BYTES, fingerprint
from orion.ledger.transfer_record import PostedRecord
from orion.log.errors import GapInBook, SegmentUnreadable
from orion.log.gzip_lines import packed, unpacked
from orion.log.segment_names import segment_name
from orion.records import MalformedJson, canonical_json, parse_object

# Three accounts an entry at most, each under 200 bytes of the directory.
MAX_HEADER_BYTES = 3 * MAX_ENTRIES * 200 + 4_096
MAX_SEGMENT_BYTES = MAX_HEADER_BYTES + MAX_ENTRIES * (MAX_LINE_BYTES + 1) + 4_096
ROOM = "segments/"
_TRAILER = frozenset({"key", "signature"})
_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Tail:
    """Where a shard's book ends: the newest segment's last number, and its header's digest."""

    last_number: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """One record of `ledger.posted` as its entries' lines, and the accounts that they name."""

    number: int
    posted_at: datetime
    lines: tuple[bytes, ...]
    accounts: frozenset[AccountKey]


@dataclass(frozen=True, slots=True)
class Draft:
    """A segment that lacks only its signature, which is to cover `digest`."""

    header: SegmentHeader
    header_line: bytes
    lines: Sequence[bytes]

    @property
    def digest(self) -> bytes:
        return header_digest(self.header_line)

    @property
    def tail(self) -> Tail:
        return Tail(self.header.last_number, self.digest)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stored segment taken apart, nothing of it checked: header and trailer as they stand, and
    each line's leaf of 32 bytes in one run.
    """

    header_line: bytes
    lines: Sequence[bytes]
    leaves: bytes
    trailer_line: bytes


@dataclass(frozen=True, slots=True)
class Trailer:
    """Who signed (SHA-256 of the public key, 64 hexadecimal digits), and the signature in DER."""

    key: str
    signature: bytes


class MalformedTrailer(OrionError):
    """A last line that is no trailer."""

    code = "malformed_trailer"


def shard_prefix(shard: int) -> str:
    """What the names of all segments of a shard begin with."""
    return f"{ROOM}{shard:05d}/"


def segment_key(shard: int, first_number: int) -> str:
    """The object's name: deterministic, so that writers of one place meet in it."""
    return segment_name(shard_prefix(shard), first_number)


def kept(record: PostedRecord) -> KeptRecord:
    """The lines of a record."""
    shard, number, posted_at = record.shard, record.number, record.posted_at
    return KeptRecord(
        number,
        posted_at,
        tuple(
            entry_line(shard, number, position, entry, posted_at)
            for position, entry in enumerate(record.entries)
        ),
        frozenset(account for entry in record.entries for account in accounts_of(entry)),
    )


def following(
    records: Sequence[PostedRecord], last_number: int
) -> tuple[Sequence[PostedRecord], GapInBook | None]:
    """The records that continue a book after `last_number`, each once and by rising number; and the
    gap that ends them, if one does.

    What stands in the book already is dropped, and so is what comes twice. A record that came
    late within the batch takes its place: the numbers say the order, not the offsets.
    """
    fresh: dict[int, PostedRecord] = {}
    for record in sorted(records, key=lambda posted: posted.number):
        expected = last_number + len(fresh) + 1
        if record.number < expected:
            continue
        if record.number > expected:
            gap = GapInBook(
                "a number is missing", shard=record.shard, number=expected, came=record.number
            )
            return list(fresh.values()), gap
        fresh[record.number] = record
    return list(fresh.values()), None


def cut(records: Sequence[PostedRecord]) -> Iterator[Sequence[PostedRecord]]:
    """The records in runs of at most MAX_ENTRIES entries each: one run is one segment."""
    run: list[PostedRecord] = []
    entries = 0
    for record in records:
        if run and entries + len(record.entries) > MAX_ENTRIES:
            yield run
            run, entries = [], 0
        run.append(record)
        entries += len(record.entries)
    if run:
        yield run


def drafted(stage: str, previous: bytes, run: Sequence[PostedRecord]) -> Draft:
    """The segment of a run of one shard's records without a gap, after the header `previous`."""
    records = [kept(record) for record in run]
    lines = [line for record in records for line in record.lines]
    accounts = frozenset().union(*(record.accounts for record in records))
    header = SegmentHeader(
        stage=stage,
        shard=run[0].shard,
        first_number=records[0].number,
        last_number=records[-1].number,
        entries=len(lines),
        posted_from=records[0].posted_at,
        posted_to=records[-1].posted_at,
        previous=previous,
        root=root(b"".join(map(leaf, lines))),
        accounts={account.id: account for account in sorted(accounts, key=lambda a: a.id)},
    )
    return Draft(header, header.line(), lines)


def sealed(draft: Draft, public_key: bytes, signature: bytes) -> bytes:
    """The object's bytes."""
    trailer = Trailer(fingerprint(public_key), signature)
    return packed([draft.header_line, *draft.lines, trailer_line(trailer)])


def opened(body: bytes) -> Segment:
    """The parts of a stored segment. Raises SegmentUnreadable where it has not even lines."""
    lines = unpacked(body, limit_bytes=MAX_SEGMENT_BYTES)
    if len(lines) < 2:
        raise SegmentUnreadable("a segment has a header and a trailer", part="lines")
    return Segment(lines[0], lines[1:-1], b"".join(map(leaf, lines[1:-1])), lines[-1])


def trailer_line(trailer: Trailer) -> bytes:
    """Canonical JSON, without a line end."""
    signature = base64.b64encode(trailer.signature).decode()
    return canonical_json({"key": trailer.key, "signature": signature})


def read_trailer(line: bytes) -> Trailer:
    """The trailer that is written as `line` and in no other way. Raises MalformedTrailer."""
    try:
        body: Mapping[str, object] = parse_object(line)
    except MalformedJson as exc:
        raise MalformedTrailer("the trailer is not JSON") from exc
    key, signature = body.get("key"), body.get("signature")
    if body.keys() != _TRAILER or not isinstance(key, str) or not isinstance(signature, str):
        raise MalformedTrailer("the trailer has a key and a signature")
    try:
        trailer = Trailer(key, base64.b64decode(signature, validate=True))
    except ValueError as exc:
        raise MalformedTrailer("the signature is not base64") from exc
    is_ours = _KEY.fullmatch(key) and len(trailer.signature) <= MAX_SIGNATURE_BYTES
    if not is_ours or trailer_line(trailer) != line:
        raise MalformedTrailer("the trailer is not of its form")
    return trailer
