"""One batch of one shard, inside its transaction: what it reads, decides and writes.

A batch is decided twice at most. First it takes for granted that none of its ids is known, because
nearly always none is: then nothing about them is read, the log's own unique key finds what was
posted before, and a look at the small table of refusals what was refused. Where one is known after
all, everything is rolled back and the batch is decided again with all that is known about its ids.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from orion.adapters.mysql.ledger_shards import (
    begin_takeover,
    drop_held,
    forward,
    hand_over,
    held_records,
    hold,
    load_view,
    take_over,
)
from orion.adapters.mysql.ledger_store_lane import Lane, exactly
from orion.adapters.mysql.ledger_store_legs import apply_legs
from orion.adapters.mysql.ledger_store_memory import KnownCounters, Memory
from orion.adapters.mysql.ledger_store_reading import (
    LIST_SIZE,
    ShardRow,
    chunks,
    known_digests,
    stored_counters,
    stored_pendings,
    surroundings,
)
from orion.adapters.mysql.ledger_store_refusals import Refusals, none_found
from orion.adapters.mysql.ledger_store_rows import (
    Names,
    Owed,
    PostedRecord,
    legs_statement,
    listed,
    log_statement,
    move_accounts_statement,
    open_accounts_statement,
    outbox_statement,
    pending_statement,
    posted_record,
    refusal_statement,
    refused_payload,
    sql_moment,
)
from orion.ids import fact_id
from orion.ledger.codes import MADE_BESIDE, debit_decides
from orion.ledger.legs import MAX_ANSWERED
from orion.ledger.model import (
    AccountKey,
    Code,
    Counters,
    Entry,
    Handover,
    Leg,
    Pending,
    Refusal,
    State,
    Takeover,
    Transfer,
    bucket,
)
from orion.ledger.posting import Batch, ids, pending_ids, touched
from orion.ledger.sharding import MisplacedControl, ShardView, Sorted, sort_records
from orion.ledger.transfer_record import transfers_body
from orion.records import canonical_json

TRANSFERS_TOPIC = "ledger.transfers"
POSTED_TOPIC = "ledger.posted"
REFUSED_TOPIC = "ledger.refused"
# Records of `ledger.posted` that one statement writes, after a first one alone: under 2 MB whatever
# they hold. More would leave the server idle longer at the beginning, and the writer at the end.
_RECORDS_A_STATEMENT = 2
_ACCOUNTS_A_STATEMENT = 2_500


class Posting:
    """Give it transfers in their order, then `finish` it before the commit."""

    def __init__(
        self,
        lane: Lane,
        shard: int,
        row: ShardRow,
        now: datetime,
        *,
        memory: Memory | None,
        refusals: Refusals,
        names: Names,
        careful: bool,
    ) -> None:
        self._lane = lane
        self._shard = shard
        self._row = row
        self._refusals = refusals
        self._names = names
        self._careful = careful
        self._now = now
        # Read when first asked for; a control record changes it.
        self._view: ShardView | None = None
        self._forwarded = 0
        self._marked = False
        # Above the last commit's, also where the clock was set back or stands: what was complete
        # through a moment stays so.
        self._at = max(now, row.last_posted_at + timedelta(microseconds=1))
        self._next_posted, self._next_refused = row.next_posted, row.next_refused
        self._next_leg = row.next_leg
        around = surroundings(lane)
        self._frozen, self._map_version = around.frozen, around.map_version
        if memory is not None and memory.map_version == around.map_version:
            self._view = memory.view
        if not careful:
            refusals.catch_up(lane, around.next_refused)
        known = Memory(row.version) if memory is None else memory
        self._counters = KnownCounters(known.counters, known.absent)
        # Accounts of this shard that were looked for and did not exist before this batch.
        self.absent: Collection[bytes] = self._counters.absent
        self._known: dict[bytes, Collection[bytes]] = {}
        self._pendings: dict[bytes, Pending] = {}
        self._changed: dict[bytes, Pending] = {}
        self._applied: list[Entry] = []
        self._rows: Sequence[tuple[bytes, AccountKey, Counters]] = ()
        # Of the part that is being decided: up to a control record, numbers and legs are its own.
        self._batch: Batch | None = None
        self._written = 0
        self.posted = self.refused = self.decided = 0
        # Transfers that were held or forwarded, and those that were held before and are not now.
        self.aside = self.taken = 0
        self.misplaced: list[MisplacedControl] = []
        # Whether nothing of this batch and before it is worth remembering.
        self.forgets = False

    @property
    def moved(self) -> Mapping[bytes, Counters]:
        """Counters that differ from what they were, by account id; after `finish`."""
        return {identity: held for identity, _, held in self._rows}

    @property
    def changed(self) -> bool:
        """Whether anything of the shard moved, after `finish`."""
        row = self._row
        numbers = (self._next_posted, self._next_refused, self._next_leg)
        return self._marked or numbers != (row.next_posted, row.next_refused, row.next_leg)

    def post(self, records: Sequence[Sequence[Transfer]]) -> None:
        """Decide the transfers of some records, in order, as far as they are this shard's."""
        if records:
            parted = sort_records(records, self._where())
            self._set_aside(parted)
            self._decide(parted.decide)

    def _decide(self, records: Sequence[Sequence[Transfer]]) -> None:
        if not records:
            return
        self._learn(records)
        if self._batch is None:
            self._batch = Batch(
                State(
                    shard=self._shard,
                    local=self._where().local,
                    counters=self._counters,
                    known=self._known,
                    pendings=self._pendings,
                    frozen=self._frozen,
                    next_posted=self._next_posted,
                    next_leg=self._next_leg,
                )
            )
        self._batch.post(records)
        if not self._careful:
            self._refusals.hold_none(self._lane, records)
        whole = (len(self._batch.accepted) - self._written) // MAX_ANSWERED
        if whole >= (_RECORDS_A_STATEMENT if self._written else 1):
            self._log(self._written + whole * MAX_ANSWERED)

    def control(self, order: Handover | Takeover, limit: int) -> bool:
        """End or begin this shard's care for a bucket, after everything before it. False where
        more than `limit` transfers are held for it: the same order again goes on with the rest.

        One that nobody ordered moves nothing: whoever can write the topic can send it.
        """
        self.settle()
        try:
            if isinstance(order, Takeover):
                return self._take_over(order, limit)
            if hand_over(self._lane.cursor(), self._shard, order, self._at, self._now):
                self._forget()
        except MisplacedControl as exc:
            self.misplaced.append(exc)
        return True

    def _forget(self) -> None:
        """Which accounts are this shard's has changed, and others have moved those that came."""
        self._view = None
        self._counters.forget()
        self.forgets = self._marked = True

    def _take_over(self, order: Takeover, limit: int) -> bool:
        cursor, number = self._lane.cursor(), order.bucket
        handed_at = begin_takeover(cursor, self._shard, order)
        if handed_at is None:
            return True
        self._forget()
        self._at = max(self._at, handed_at + timedelta(microseconds=1))
        self._view = self._where().taking(number)
        while (held := held_records(cursor, self._shard, number, limit)) is not None:
            if limit <= 0:
                self._view = None
                return False
            limit -= held.transfers
            self.taken += held.transfers
            self._decide(held.records)
            self.settle()
            cursor = self._lane.cursor()
            drop_held(cursor, self._shard, number, held.upto)
        take_over(cursor, number)
        self._view = None
        return True

    @property
    def seen(self) -> tuple[int, ShardView | None]:
        """The version of the map, and where buckets live under it as far as this batch knows."""
        return self._map_version, self._view

    def _where(self) -> ShardView:
        if self._view is None:
            self._view = load_view(self._lane.cursor(), self._shard)
        return self._view

    def _set_aside(self, parted: Sorted) -> None:
        pieces = parted.hold + parted.forward
        if not pieces:
            return
        cursor, place = self._lane.cursor(), (self._row.version + 1, self._forwarded)
        hold(cursor, self._shard, parted.hold, self._now)
        self._forwarded += forward(cursor, self._shard, place, parted.forward, self._now)
        self._marked = True
        self.aside += sum(len(transfers) for _, transfers in pieces)

    def local(self, owner: str) -> bool:
        """Whether this shard moves the accounts of `owner` itself."""
        return self._where().local(owner)

    def settle(self, *, last: bool = False) -> None:
        """End a part of the batch: what was decided is numbered, summed into legs and written."""
        batch, self._batch = self._batch, None
        if batch is None:
            return
        self._batch = batch
        self._log(len(batch.accepted))
        self._refuse(batch.refused)
        legs, accepted = batch.legs(), batch.accepted
        self._batch, self._written = None, 0
        self._next_posted += -(-len(accepted) // MAX_ANSWERED)
        self._next_leg += len(legs)
        self._send(legs)
        self._counters.move(batch.moved())
        self._pendings.update(batch.pendings)
        self._changed.update(batch.pendings)
        if not last:
            self._remember(batch)
        codes = Counter([transfer.code for transfer, _, _ in accepted])
        if codes[Code.LEG]:
            self._applied += [entry for entry in accepted if entry.transfer.code is Code.LEG]
        self.posted += len(accepted)
        self.refused += len(batch.refused)
        made = sum(codes[code] for code in MADE_BESIDE)
        self.decided += len(accepted) - made + len(batch.refused)

    def _remember(self, batch: Batch) -> None:
        """What this part decided is known to the next one, as if another batch had."""
        known = self._known
        for entry in batch.accepted:
            known[entry.transfer.id] = (*known.get(entry.transfer.id, ()), entry.digest)
        for refusal in batch.refused:
            known[refusal.transfer.id] = (*known.get(refusal.transfer.id, ()), refusal.digest)

    def finish(self) -> None:
        """Write what the whole batch left: counters, pending transfers, legs and the shard."""
        self.settle(last=True)
        self._store_counters()
        self._store_pendings()
        apply_legs(self._lane, self._applied, self._at)
        if self.changed:
            row = self._row
            self._lane.tell(
                f"UPDATE shard SET next_posted = {self._next_posted},"  # noqa: S608
                f" next_refused = {self._next_refused}, next_leg = {self._next_leg},"
                f" version = {row.version + 1}, last_posted_at = '{sql_moment(self._at)}'"
                f" WHERE shard_no = {self._shard} AND version = {row.version}",
                exactly(1, "the shard's row"),
            )
        self._lane.drain()

    def _learn(self, records: Sequence[Sequence[Transfer]]) -> None:
        """Read what decides about `records` and is not known yet."""
        unknown = self._counters.unknown(records)
        if unknown:
            self._read(unknown)
        wanted = pending_ids(records) - self._pendings.keys()
        if wanted:
            self._pendings |= stored_pendings(self._lane, wanted)
        if self._careful:
            self._known |= known_digests(self._lane, ids(records) - self._known.keys())

    def _read(self, transfers: Sequence[Transfer]) -> None:
        """Read the counters that `transfers` may move and that nobody has told yet."""
        counters = self._counters
        keys = touched((transfers,), self._shard, self.local)
        missing = [key for key in keys if not counters.knows(key.id)]
        counters.learn(missing, stored_counters(self._lane, missing))
        counters.looked.update(key.id for key in keys)
        for transfer in transfers:
            counters.looked.add(transfer.debit.id)
            counters.looked.add(transfer.credit.id)

    def _log(self, upto: int) -> None:
        """Write the entries of this part from where the last statement ended."""
        batch = self._batch
        if batch is None:
            return
        starts = range(self._written, upto, MAX_ANSWERED)
        for some in chunks(starts, _RECORDS_A_STATEMENT):
            records = []
            for start in some:
                number = self._next_posted + start // MAX_ANSWERED
                entries = batch.accepted[start : min(start + MAX_ANSWERED, upto)]
                records.append(posted_record(self._shard, number, entries, self._at, self._names))
            for plain in (True, False):
                alike = [record for record in records if record.plain is plain]
                if alike:
                    self._lane.tell(log_statement(alike))
            self._lane.tell(outbox_statement([self._posted(r) for r in records], self._at))
        self._written = upto

    def _posted(self, record: PostedRecord) -> Owed:
        event_id = fact_id(POSTED_TOPIC, self._shard, record.number)
        return Owed(event_id, POSTED_TOPIC, str(self._shard), record.payload)

    def _refuse(self, refusals: Sequence[Refusal]) -> None:
        if not refusals:
            return
        if not self._careful:
            for few in chunks([refusal.transfer.id for refusal in refusals], LIST_SIZE):
                self._lane.tell(
                    f"SELECT 1 FROM transfer WHERE id IN ({listed(few)}) LIMIT 1",  # noqa: S608
                    none_found,
                )
        for some in chunks(refusals, MAX_ANSWERED):
            number = self._next_refused
            self._next_refused += 1
            self._lane.tell(refusal_statement(self._shard, number, some, self._at))
            payload = refused_payload(self._shard, number, some)
            event_id = fact_id(REFUSED_TOPIC, self._shard, number)
            owed = Owed(event_id, REFUSED_TOPIC, str(self._shard), payload)
            self._lane.tell(outbox_statement([owed], self._at))

    def _send(self, legs: Sequence[Leg]) -> None:
        """Put legs in flight: as rows that are watched, and as transfers owed to their shards."""
        for some in chunks(legs, LIST_SIZE):
            self._lane.tell(legs_statement(some, self._at))
            owed = [
                Owed(
                    fact_id(TRANSFERS_TOPIC, leg.id),
                    TRANSFERS_TOPIC,
                    f"bucket:{bucket(leg.account.owner)}",
                    canonical_json(transfers_body((leg.as_transfer(),), leg.trace_id)).decode(),
                )
                for leg in some
            ]
            self._lane.tell(outbox_statement(owed, self._at))

    def _store_counters(self) -> None:
        """Make the accounts that are new, move those that exist."""
        made, moved = self._counters.changed()
        self._rows = made + moved
        for some in chunks(made, _ACCOUNTS_A_STATEMENT):
            self._lane.tell(open_accounts_statement(some, self._at))
        for some in chunks(moved, _ACCOUNTS_A_STATEMENT):
            self._lane.tell(
                move_accounts_statement(some, self._at),
                exactly(2 * len(some), "counters of accounts that exist"),
            )

    def _store_pendings(self) -> None:
        rows = [(row, _decider(row)) for row in self._changed.values()]
        for some in chunks(rows, LIST_SIZE):
            self._lane.tell(pending_statement(self._shard, some, self._at))


def _decider(row: Pending) -> str:
    debits = debit_decides(row.debit.purpose, row.credit.purpose)
    return row.debit.owner if debits else row.credit.owner
