"""Writes what a shard posted into segments, each number once and none left out.

Why a number lies in one segment only, however batches are repeated, cut or run beside each other: a
segment always begins at the number after the newest one, so two writers that saw the same book meet
in one key, where the store lets one win; the loser looks again. What a writer remembers of the
book's end may therefore be old, and costs it a lost race or a second look, never a second segment.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from orion.errors import OrionError
from orion.ledger.book import FIRST_NUMBER
from orion.ledger.segment_header import FIRST_PREVIOUS, header_digest, read_header
from orion.ledger.signature import fingerprint
from orion.ledger.transfer_record import PostedRecord, read_posted
from orion.log.errors import ForeignShard, SegmentContended
from orion.log.ledger_book.checking import Place, faults
from orion.log.ledger_book.model import Tail, cut, drafted, following, opened, sealed, segment_key
from orion.log.ledger_book.ports import RootSigner, SegmentStore
from orion.records import Record

MAX_ATTEMPTS = 8


class NewestSegmentFaulty(OrionError):
    """The segment that is to be continued is not as it was signed; `fault` says how. Its shard's
    book stops: nothing is built on it before a person has looked.
    """

    code = "newest_segment_faulty"


@dataclass(frozen=True, slots=True)
class Written:
    """What one batch of a shard came to: numbers received, those that were new, and in how many
    entries and segments.
    """

    shard: int
    first_number: int
    last_number: int
    received: int
    new: int
    entries: int
    segments: int


@dataclass(slots=True)
class LedgerBook:
    """The book of one stage, for writing. Remembers where each shard's book ended last."""

    stage: str
    store: SegmentStore
    signer: RootSigner
    tails: dict[int, Tail] = field(default_factory=dict)

    def record(self, records: Sequence[Record]) -> Sequence[Written]:
        """Keep the posted records of a batch, all of one partition, which is one shard's.

        Raises MalformedRecord, MalformedTransfer, ForeignShard, GapInBook, NewestSegmentFaulty,
        SegmentUnreadable or LogSignerRefused: a person must look. SegmentStoreUnavailable,
        SegmentContended, LogSignerUnavailable: repeat the batch. What comes before the failure is
        kept.
        """
        posted, fault = _readable(records)
        written = [self.write(records[0].partition, posted)] if posted else []
        if fault is not None:
            raise fault
        return written

    def write(self, shard: int, records: Sequence[PostedRecord]) -> Written:
        """Keep the records of one shard, at least one. Raises as `record`."""
        numbers = sorted(record.number for record in records)
        new = entries = segments = 0
        for _ in range(MAX_ATTEMPTS):
            remembered = shard in self.tails
            fresh, gap = following(records, self._tail(shard, numbers[0]).last_number)
            if remembered and gap is not None and not fresh:
                # Another writer may have filled the gap since: only the store knows.
                del self.tails[shard]
                continue
            won = True
            for run in cut(fresh):
                won = self._put(shard, run)
                if not won:
                    break
                new += len(run)
                entries += sum(len(record.entries) for record in run)
                segments += 1
            if won and gap is not None:
                raise gap
            if won:
                return Written(shard, numbers[0], numbers[-1], len(records), new, entries, segments)
        raise SegmentContended("other writers kept winning", shard=shard)

    def _put(self, shard: int, run: Sequence[PostedRecord]) -> bool:
        draft = drafted(self.stage, self.tails[shard].digest, run)
        # The key first: what a changed alias signs must not carry the name of the key before it.
        public_key = self.signer.public_key()
        body = sealed(draft, public_key, self.signer.sign(draft.digest))
        header = draft.header
        if not self.store.put_new(shard, header.first_number, header.last_number, body):
            del self.tails[shard]
            return False
        self.tails[shard] = draft.tail
        return True

    def _tail(self, shard: int, near: int) -> Tail:
        known = self.tails.get(shard)
        if known is None:
            known = self.tails[shard] = self._stored_tail(shard, near)
        return known

    def _stored_tail(self, shard: int, near: int) -> Tail:
        first = self.store.newest(shard, near)
        if first is None:
            return Tail(FIRST_NUMBER - 1, FIRST_PREVIOUS)
        segment = opened(self.store.get(shard, first).body)
        found = faults(segment, Place(self.stage, shard, first), self._known_key)
        if found:
            raise NewestSegmentFaulty(
                found[0].detail, fault=found[0].kind.value, segment=segment_key(shard, first)
            )
        return Tail(
            read_header(segment.header_line).last_number, header_digest(segment.header_line)
        )

    def _known_key(self, key: str) -> bytes | None:
        public_key = self.signer.public_key()
        return public_key if fingerprint(public_key) == key else None


def _readable(records: Sequence[Record]) -> tuple[list[PostedRecord], OrionError | None]:
    """What stands before the first record that is no posted one of its partition's shard."""
    found: list[PostedRecord] = []
    for record in records:
        try:
            posted = read_posted(record.value)
            if posted.shard != record.partition:
                raise ForeignShard("a record of another shard than its partition's",
                                   shard=posted.shard)  # fmt: skip
        except OrionError as exc:
            exc.fields["topic"] = record.topic
            exc.fields["partition"] = record.partition
            exc.fields["offset"] = record.offset
            return found, exc
        found.append(posted)
    return found, None
