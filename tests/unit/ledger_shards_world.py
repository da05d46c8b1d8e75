"""All shards of a ledger in memory, moved by the product's own pure functions and nothing else.

Outboxes, partitions and tables are lists and dictionaries here; what becomes of a record is decided
by `orion.ledger` and `orion.runtime.relay_routes` alone. A relay reads a batch under its lock,
sends it, and marks it; a batch whose relay lost the lock is sent late and marks nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from orion.ids import fact_id
from orion.ledger.buckets import BUCKETS, spread
from orion.ledger.codes import Code, Kind, Purpose
from orion.ledger.model import (
    AccountKey,
    Counters,
    Handover,
    Leg,
    Pending,
    Side,
    Takeover,
    Transfer,
    account_key,
    bucket,
)
from orion.ledger.posting import State, decider, post_batch
from orion.ledger.sharding import Home, ShardView, lets_go, sort_records, takes
from orion.records import canonical_json
from orion.runtime.relay_routes import partition_of

ASSET = "BTC.bitcoin"
TRACE = b"t" * 16
THEN = datetime(2026, 1, 2, tzinfo=UTC)
CUSTODY = account_key("system:bitcoin", Purpose.CUSTODY, ASSET)

Item = tuple[Transfer, ...] | Handover | Takeover


def account(merchant: int, purpose: Purpose) -> AccountKey:
    return account_key(f"merchant:{merchant:032x}", purpose, ASSET)


def step(
    merchant: int,
    number: int,
    code: Code,
    units: int,
    kind: Kind = Kind.DIRECT,
    of: int | None = None,
) -> Transfer:
    """The transfer `number` of a merchant; `of` is the number of the pending one it acts on."""
    settling, available = (account(merchant, p) for p in (Purpose.SETTLING, Purpose.AVAILABLE))
    debit, credit = {
        Code.DEPOSIT_CREDIT: (CUSTODY, settling),
        Code.DEPOSIT_FINAL: (settling, available),
        Code.DEPOSIT_REVERSAL: (settling, CUSTODY),
        Code.DEPOSIT_REVERSAL_FINAL: (available, CUSTODY),
        Code.PAYOUT: (available, CUSTODY),
    }[code]
    return Transfer(
        id=fact_id("step", merchant, number),
        kind=kind,
        code=code,
        units=units,
        debit=debit,
        credit=credit,
        cause=canonical_json({"type": "deposit", "number": number}),
        trace_id=TRACE,
        pending_id=None if of is None else fact_id("step", merchant, of),
    )


def life(merchant: int) -> list[Transfer]:
    """A merchant's transfers: what becomes of each depends on those before it."""
    return [
        step(merchant, 0, Code.DEPOSIT_CREDIT, 100),
        step(merchant, 1, Code.DEPOSIT_FINAL, 100),
        step(merchant, 2, Code.PAYOUT, 60, Kind.PENDING),
        step(merchant, 3, Code.PAYOUT, 41, Kind.PENDING),
        step(merchant, 4, Code.PAYOUT, 60, Kind.SIGNED, of=2),
        step(merchant, 5, Code.PAYOUT, 60, Kind.TIMEOUT, of=2),
        step(merchant, 6, Code.PAYOUT, 55, Kind.POST, of=2),
        step(merchant, 7, Code.DEPOSIT_REVERSAL_FINAL, 100),
        step(merchant, 8, Code.DEPOSIT_CREDIT, 100),
        step(merchant, 9, Code.DEPOSIT_REVERSAL, 100),
        step(merchant, 10, Code.DEPOSIT_CREDIT, 50),
        step(merchant, 11, Code.DEPOSIT_FINAL, 50),
        step(merchant, 12, Code.DEPOSIT_CREDIT, 35),
        step(merchant, 13, Code.DEPOSIT_FINAL, 35),
        step(merchant, 14, Code.PAYOUT, 20, Kind.PENDING),
        step(merchant, 15, Code.DEPOSIT_REVERSAL_FINAL, 35),
        step(merchant, 16, Code.PAYOUT, 20, Kind.VOID, of=14),
    ]


@dataclass
class Batch:
    """What a relay read under its lock: rows with the partition that the map of then gave them."""

    rows: list[tuple[int, int]]


@dataclass
class Outbox:
    """Rows in order, and what the one relay that holds the lock is about."""

    rows: list[tuple[str, Item]] = field(default_factory=list)
    marked: set[int] = field(default_factory=set)
    held: Batch | None = None
    late: list[Batch] = field(default_factory=list)


class World:
    """Every shard and every sender; one map version a step at most."""

    def __init__(self) -> None:
        self.maps: list[tuple[int, ...]] = [(0,) * BUCKETS]
        self.homes = [Home(0, 1, taken=True)] * BUCKETS
        self.partitions: defaultdict[int, list[Item]] = defaultdict(list)
        self.done: Counter[int] = Counter()
        self.moneyin, self.ledger = Outbox(), Outbox()
        self.owed: set[Handover] = set()
        self.held: defaultdict[tuple[int, int], list[tuple[Transfer, ...]]] = defaultdict(list)
        self.counters: dict[AccountKey, Counters] = {}
        self.known: dict[bytes, frozenset[bytes]] = {}
        self.pendings: dict[bytes, Pending] = {}
        self.in_flight: dict[bytes, Leg] = {}
        self.posted: list[bytes] = []
        self.refused: dict[bytes, str] = {}
        self.next_leg: Counter[int] = Counter()

    @property
    def outboxes(self) -> tuple[Outbox, Outbox]:
        return self.moneyin, self.ledger

    def ask(self, *transfers: Transfer) -> None:
        """What moneyin stores: one record, under its bucket."""
        self.moneyin.rows.append((f"bucket:{bucket(decider(transfers[0]))}", transfers))

    def read(self, outbox: Outbox, limit: int) -> None:
        """A relay takes the lock and reads a batch, unless another holds it."""
        if outbox.held is not None:
            return
        unsent = [n for n in range(len(outbox.rows)) if n not in outbox.marked][:limit]
        rows = []
        for number in unsent:
            partition = partition_of(
                "ledger.transfers", outbox.rows[number][0].encode(), self.maps[-1]
            )
            assert partition is not None
            rows.append((number, partition))
        outbox.held = Batch(rows)

    def lose(self, outbox: Outbox) -> None:
        """The relay's session ends while it sends; it does not know."""
        if outbox.held is not None:
            outbox.late.append(outbox.held)
            outbox.held = None

    def finish(self, outbox: Outbox) -> None:
        """The relay sends what it read, marks it and gives the lock back."""
        if outbox.held is not None:
            self._send(outbox, outbox.held)
            outbox.marked |= {number for number, _ in outbox.held.rows}
            outbox.held = None

    def finish_late(self, outbox: Outbox, *, marks: bool = False) -> None:
        """A relay without the lock sends what it read; `marks` is the hazard."""
        if outbox.late:
            batch = outbox.late.pop(0)
            self._send(outbox, batch)
            if marks:
                outbox.marked |= {number for number, _ in batch.rows}

    def _send(self, outbox: Outbox, batch: Batch) -> None:
        for number, partition in batch.rows:
            self.partitions[partition].append(outbox.rows[number][1])

    def settled(self) -> bool:
        """Whether the newest map is carried out."""
        return all(
            home.taken and home.shard == shall
            for home, shall in zip(self.homes, self.maps[-1], strict=True)
        )

    def draw_map(self, shards: int) -> bool:
        """An operator's new map, where the last one is carried out."""
        if not self.settled() or shards <= max(self.maps[-1]) + 1:
            return False
        self.maps.append(spread(self.maps[-1], shards))
        return True

    def owe_handovers(self, *, barrier: bool = True) -> bool:
        """What an operator's call does next; it waits while a relay holds its lock."""
        if barrier and any(outbox.held is not None for outbox in self.outboxes):
            return False
        version = len(self.maps)
        for number, home in enumerate(self.homes):
            if home.shard != self.maps[-1][number]:
                order = Handover(number, version, TRACE)
                if order not in self.owed:
                    self.owed.add(order)
                    self.ledger.rows.append((f"shard:{home.shard}", order))
        return True

    def work(self, shard: int, limit: int) -> None:
        """The shard's writer decides its next records."""
        partition = self.partitions[shard]
        for item in partition[self.done[shard] : self.done[shard] + limit]:
            match item:
                case Handover():
                    self._hand_over(shard, item)
                case Takeover():
                    self._take_over(shard, item)
                case _:
                    self._decide(shard, [item], self._view(shard))
            self.done[shard] += 1

    def _view(self, shard: int) -> ShardView:
        return ShardView(
            shard,
            lives=[home.shard for home in self.homes],
            taken=[home.taken for home in self.homes],
            newest=self.maps[-1],
        )

    def _hand_over(self, shard: int, order: Handover) -> None:
        shall = self.maps[order.map_version - 1][order.bucket]
        if lets_go(self.homes[order.bucket], order, shard, shall):
            self.homes[order.bucket] = Home(shall, order.map_version, taken=False)
            takeover = Takeover(order.bucket, order.map_version, THEN, TRACE)
            self.ledger.rows.append((f"shard:{shall}", takeover))

    def _take_over(self, shard: int, order: Takeover) -> None:
        if takes(self.homes[order.bucket], order, shard):
            held = self.held.pop((shard, order.bucket), [])
            if held:
                self._decide(shard, held, self._view(shard).taking(order.bucket))
            self.homes[order.bucket] = Home(shard, order.map_version, taken=True)

    def _decide(self, shard: int, records: Sequence[tuple[Transfer, ...]], view: ShardView) -> None:
        parted = sort_records(records, view)
        for number, transfers in parted.hold:
            self.held[(shard, number)].append(transfers)
        for number, transfers in parted.forward:
            self.ledger.rows.append((f"bucket:{number}", transfers))
        outcome = post_batch(
            parted.decide,
            State(
                shard=shard,
                local=view.local,
                counters=self.counters,
                known=self.known,
                pendings=self.pendings,
                frozen=frozenset(),
                next_posted=len(self.posted),
                next_leg=self.next_leg[shard],
            ),
        )
        self.counters.update(outcome.counters)
        self.pendings.update(outcome.pendings)
        for entry in outcome.accepted:
            self._know(entry.transfer.id, entry.digest)
            self.posted.append(entry.transfer.id)
            if entry.transfer.code is Code.LEG:
                del self.in_flight[entry.transfer.id]
        for refusal in outcome.refused:
            self._know(refusal.transfer.id, refusal.digest)
            self.refused[refusal.transfer.id] = str(refusal.reason)
        for leg in outcome.legs:
            self.next_leg[shard] = leg.number + 1
            self.in_flight[leg.id] = leg
            self.ledger.rows.append((f"bucket:{bucket(leg.account.owner)}", (leg.as_transfer(),)))

    def _know(self, identity: bytes, digest: bytes) -> None:
        self.known[identity] = self.known.get(identity, frozenset()) | {digest}

    def drain(self) -> None:
        """Everything arrives in the end; what was lost on the way shows."""
        for _ in range(10_000):
            moved = [len(o.rows) - len(o.marked) + len(o.late) for o in self.outboxes]
            waiting = [len(p) - self.done[s] for s, p in self.partitions.items()]
            if not any(moved) and not any(waiting) and self.settled():
                return
            for outbox in self.outboxes:
                self.finish(outbox)
                self.finish_late(outbox)
                self.read(outbox, 500)
                self.finish(outbox)
            if not self.settled():
                self.owe_handovers()
            for shard in list(self.partitions):
                self.work(shard, 1_000)
        raise AssertionError("the shards never came to rest")

    def out_of_balance(self) -> int:
        """Clearing less what is in flight: zero at every commit."""
        cleared = sum(
            held.debits_posted - held.credits_posted
            for key, held in self.counters.items()
            if key.purpose is Purpose.CLEARING
        )
        flying = sum(
            leg.units if leg.side is Side.DEBIT else -leg.units for leg in self.in_flight.values()
        )
        return cleared - flying

    def outcome(self) -> tuple[list[bytes], dict[bytes, str], dict[AccountKey, Counters]]:
        """What merchants and chains can see of it, however many shards there were: what was posted
        (legs aside), what was refused and why, and all balances (pending parts of accounts without
        a rule and clearing aside).
        """
        legs = {fact_id("leg", shard, n) for shard, n in self._leg_numbers()}
        seen = {
            key: held
            if key.is_merchant
            else Counters(held.debits_posted, 0, held.credits_posted, 0)
            for key, held in self.counters.items()
            if key.purpose is not Purpose.CLEARING
        }
        return sorted(i for i in self.posted if i not in legs), self.refused, seen

    def _leg_numbers(self) -> Iterator[tuple[int, int]]:
        for shard, upto in self.next_leg.items():
            yield from ((shard, number) for number in range(upto))


def alone(records: Sequence[tuple[Transfer, ...]]) -> World:
    """The same records in the same order, decided by one shard."""
    world = World()
    for record in records:
        world.ask(*record)
    world.drain()
    return world
