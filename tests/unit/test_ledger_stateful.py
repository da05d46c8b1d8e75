"""Shards that send each other legs, and lose, repeat and delay nothing that is not made good.

Every step is compared with `ledger_reference`, and the rules of docs/ledger.md are looked at after
each: sums, limits, what is in flight, what is pending.
"""

import json
from collections import Counter, defaultdict, deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orion.ids import fact_id
from orion.ledger.codes import ENDS as ENDING_KINDS
from orion.ledger.model import (
    MAX_COUNTER,
    AccountKey,
    Code,
    Counters,
    Kind,
    Leg,
    Outcome,
    Pending,
    PendingState,
    Purpose,
    Rule,
    Side,
    State,
    Transfer,
    clearing,
)
from orion.ledger.posting import LegNotApplied, decider, ids, pending_ids, post_batch, touched
from tests.unit.ledger_asked import (
    CHAINS,
    ENDS,
    MERCHANTS,
    OWNERS,
    SHARDS,
    SYSTEMS,
    asked,
    chains_of,
    ended,
    owed_and_given_back,
    owed_and_paid_back,
)
from tests.unit.ledger_reference import COUNTERS, Name, Posted, Reference, name_of


class Shards(RuleBasedStateMachine):
    """What a store keeps, shard by shard, beside the reference."""

    def __init__(self) -> None:
        super().__init__()
        self.homes: dict[str, int] = {}
        self.reference = Reference(lambda owner: self.homes[owner])
        self.counters: dict[AccountKey, Counters] = {}
        self.known: dict[bytes, frozenset[bytes]] = {}
        self.pendings: dict[bytes, Pending] = {}
        self.frozen: set[str] = set()
        self.next_posted = [1] * SHARDS
        self.next_leg = [1] * SHARDS
        # Legs wait in the order in which their shard sent them; the shards' lines are apart.
        self.flying: dict[int, deque[Leg]] = defaultdict(deque)
        self.landed: list[Leg] = []
        self.records: list[tuple[Transfer, ...]] = []
        self.opened: list[Transfer] = []
        self.balance: dict[tuple[int, str], int] = defaultdict(int)

    @initialize(homes=st.tuples(*[st.integers(0, SHARDS - 1) for _ in OWNERS]))
    def settle_owners(self, homes: tuple[int, ...]) -> None:
        self.homes = dict(zip(OWNERS, homes, strict=True))

    @rule(chains=st.lists(CHAINS, min_size=1, max_size=4))
    def deliver(self, chains: list[list[tuple[Code, int, int, str, str, bool]]]) -> None:
        self.post([tuple(asked(*row) for row in chain) for chain in chains])

    @rule(
        units=st.integers(1, 60),
        kept=st.integers(-1, 9),
        merchant=st.sampled_from(MERCHANTS),
        asset=st.sampled_from(sorted(SYSTEMS)),
        fact=st.integers(10, 19),
    )
    def pay_in_and_out(self, units: int, kept: int, merchant: str, asset: str, fact: int) -> None:
        """A deposit that becomes available, and a payout that it covers, or nearly."""
        for code in (Code.DEPOSIT_CREDIT, Code.DEPOSIT_FINAL, Code.PAYOUT):
            taken = max(1, units - kept) if code is Code.PAYOUT else units
            self.post([(asked(code, taken, fact, merchant, asset, linked=False),)])

    @rule(
        missing=st.integers(1, 9),
        merchant=st.sampled_from(MERCHANTS),
        asset=st.sampled_from(sorted(SYSTEMS)),
        facts=st.tuples(*[st.integers(20, 23)] * 2),
        squat=st.sampled_from([None, None, "shortfall", "repaid"]),
        chain=st.booleans(),
    )
    def owe_and_pay_back(self, *, chain: bool, **story: Any) -> None:
        for record in owed_and_paid_back(**story, chain=chain):
            self.post([record])

    @rule(
        units=st.integers(1, 30),
        missing=st.integers(1, 40),
        merchant=st.sampled_from(MERCHANTS),
        asset=st.sampled_from(sorted(SYSTEMS)),
        fact=st.integers(40, 49),
        end=st.sampled_from(sorted(ENDING_KINDS)),
        squat=st.sampled_from([False, False, True]),
        chain=st.booleans(),
        moved=st.sampled_from([None, None, *range(SHARDS)]),
    )
    def owe_and_be_given_back(self, *, moved: int | None, **story: Any) -> None:
        *before, end = owed_and_given_back(**story)
        for record in before:
            self.post([record])
        if moved is not None:
            self.move(story["merchant"], moved)
        self.post([end])

    @rule(asset=st.sampled_from(sorted(SYSTEMS)), merchant=st.sampled_from(MERCHANTS))
    def ask_for_what_nobody_may(self, asset: str, merchant: str) -> None:
        """Custody of another chain, and what only the ledger itself makes."""
        credit = asked(Code.DEPOSIT_CREDIT, 5, 30, merchant, asset, linked=False)
        final = asked(Code.DEPOSIT_FINAL, 5, 30, merchant, asset, linked=False)
        owing = replace(final.credit, purpose=Purpose.REVERSAL_RECEIVABLE)
        [other] = set(SYSTEMS.values()) - {SYSTEMS[asset]}
        repaid = final._replace(code=Code.REVERSAL_REPAID, debit=final.credit, credit=owing)
        self.post([(credit._replace(debit=replace(credit.debit, owner=other)),), (repaid,)])

    @precondition(lambda self: self.opened)
    @rule(ends=st.lists(ENDS, min_size=1, max_size=3))
    def go_on(self, ends: list[tuple[Kind, int, int, int, bytes, bool]]) -> None:
        record = []
        for kind, which, more, fact, cause, linked in ends:
            opened = self.opened[which % len(self.opened)]
            units = min(MAX_COUNTER, max(1, opened.units + more))
            record.append(ended(opened, kind, units, fact, cause)._replace(linked=linked))
        self.post([tuple(record)])

    @precondition(lambda self: self.records)
    @rule(places=st.lists(st.integers(0, 200), min_size=1, max_size=5))
    def deliver_again(self, places: list[int]) -> None:
        again = [self.records[place % len(self.records)] for place in places]
        assert self.post(again, remember=False) == 0, "a replay did something"

    @precondition(lambda self: any(self.flying.values()))
    @rule(line=st.integers(0, SHARDS - 1))
    def land(self, line: int) -> None:
        shard = next(n % SHARDS for n in range(line, line + SHARDS) if self.flying[n % SHARDS])
        leg = self.flying[shard][0]
        try:
            assert self.post([(leg.as_transfer(),)], remember=False) == 1
        except LegNotApplied:
            # The other half is posted: it stays in flight and its partition stands still.
            assert self.too_much(leg)
            return
        self.landed.append(self.flying[shard].popleft())

    def too_much(self, leg: Leg) -> bool:
        """Whether one of the two counters that the leg moves is too full for it."""
        cleared = clearing(self.homes[leg.account.owner], leg.account.asset)
        own, other = ("debits", "credits") if leg.side is Side.DEBIT else ("credits", "debits")
        for key, side in ((leg.account, own), (cleared, other)):
            posted, pending = (
                self.reference.counter(name_of(key), f"{side} {phase}")
                for phase in ("posted", "pending")
            )
            if posted + max(0, pending) + leg.units > MAX_COUNTER:
                return True
        return False

    @precondition(lambda self: self.landed)
    @rule(place=st.integers(0, 200))
    def land_again(self, place: int) -> None:
        leg = self.landed[place % len(self.landed)]
        assert self.post([(leg.as_transfer(),)], remember=False) == 0

    @rule(owner=st.sampled_from(OWNERS), shard=st.integers(0, SHARDS - 1))
    def move(self, owner: str, shard: int) -> None:
        """A bucket was handed over."""
        self.homes[owner] = shard

    @rule(frozen=st.sampled_from([*sorted(SYSTEMS), None, None]))
    def freeze_or_lift(self, frozen: str | None) -> None:
        self.frozen = {frozen} if frozen else set()
        self.reference.frozen = set(self.frozen)

    def post(self, records: Sequence[tuple[Transfer, ...]], *, remember: bool = True) -> int:
        """Each record to the shard of its decider, one batch a shard; how much was decided."""
        decided = 0
        batches: dict[int, list[tuple[Transfer, ...]]] = defaultdict(list)
        for record in records:
            for chain in chains_of(record):
                batches[self.homes[decider(chain[0])]].append(chain)
        for shard, batch in sorted(batches.items()):
            decided += self.commit(shard, batch)
        if remember:
            self.records += records
        return decided

    def commit(self, shard: int, batch: list[tuple[Transfer, ...]]) -> int:
        def local(owner: str) -> bool:
            return self.homes.get(owner) == shard

        accounts = touched(batch, shard, local)
        identities, named = ids(batch), pending_ids(batch)
        story = self.reference.story
        posted, refused = len(story.posted), len(story.refused)
        outcome = post_batch(
            batch,
            State(
                shard=shard,
                local=local,
                counters={k: v for k, v in self.counters.items() if k in accounts},
                known={k: v for k, v in self.known.items() if k in identities},
                pendings={k: v for k, v in self.pendings.items() if k in named},
                frozen=frozenset(self.frozen),
                next_posted=self.next_posted[shard],
                next_leg=self.next_leg[shard],
            ),
        )
        for record in batch:
            self.reference.tell(shard, record)
        story = self.reference.story
        self.agrees(outcome, story.posted[posted:], story.refused[refused:])
        self.legs_agree(shard, outcome)
        self.chains_agree(batch, outcome)
        self.store(shard, outcome)
        return len(outcome.accepted) + len(outcome.refused)

    def agrees(
        self, outcome: Outcome, posted: list[Posted], refused: list[tuple[bytes, str]]
    ) -> None:
        assert [
            Posted(
                t.id, str(t.kind), str(t.code), t.units, name_of(t.debit), name_of(t.credit),
                None if meant is None else name_of(meant),
            )
            for t, _, meant in outcome.accepted
        ] == posted  # fmt: skip
        assert [(r.transfer.id, str(r.reason)) for r in outcome.refused] == refused

    def legs_agree(self, shard: int, outcome: Outcome) -> None:
        """Each leg is what the entries that it names come to, and no entry is left over."""
        covered = 0
        for number, leg in enumerate(outcome.legs, self.next_leg[shard]):
            assert (leg.number, leg.from_shard) == (number, shard)
            assert leg.id == fact_id("leg", shard, number)
            places = [
                place
                for place, entry in enumerate(outcome.accepted)
                if entry.counterpart == leg.account
                and entry.transfer.kind in (Kind.DIRECT, Kind.POST)
                and (entry.transfer.credit.purpose is Purpose.CLEARING) == (leg.side is Side.CREDIT)
            ]
            low, high = _range(leg, self.next_posted[shard])
            named = [place for place in places if low <= place <= high]
            assert (named[0], named[-1]) == (low, high)
            assert sum(outcome.accepted[place].transfer.units for place in named) == leg.units
            assert leg.units <= MAX_COUNTER
            covered += len(named)
        assert covered == sum(
            entry.counterpart is not None and entry.transfer.kind in (Kind.DIRECT, Kind.POST)
            for entry in outcome.accepted
        )

    def chains_agree(self, batch: Sequence[tuple[Transfer, ...]], outcome: Outcome) -> None:
        """All of a chain or nothing, where each of its ids came for the first time and once."""
        accepted = {entry.transfer.id for entry in outcome.accepted}
        times = Counter(transfer.id for chain in batch for transfer in chain)
        for chain in batch:
            new = {transfer.id for transfer in chain}
            if all(times[identity] == 1 and identity not in self.known for identity in new):
                assert new <= accepted or not new & accepted

    def store(self, shard: int, outcome: Outcome) -> None:
        self.counters.update(outcome.counters)
        for entry in outcome.accepted:
            self.know(entry.transfer.id, entry.digest)
            if entry.transfer.kind is Kind.PENDING:
                pending = outcome.pendings[entry.transfer.id]
                self.opened.append(
                    entry.transfer._replace(debit=pending.debit, credit=pending.credit)
                )
        for refusal in outcome.refused:
            self.know(refusal.transfer.id, refusal.digest)
        for identity, pending in outcome.pendings.items():
            before = self.pendings.get(identity)
            assert before is None or before.state is PendingState.OPEN, "it had ended"
            assert before is None or not before.signed or pending.signed
            self.pendings[identity] = pending
        self.next_posted[shard] += -(-len(outcome.accepted) // 700)
        self.next_leg[shard] += len(outcome.legs)
        self.flying[shard].extend(outcome.legs)

    def know(self, identity: bytes, digest: bytes) -> None:
        assert digest not in self.known.get(identity, frozenset()), "decided twice"
        self.known[identity] = self.known.get(identity, frozenset()) | {digest}

    @invariant()
    def counters_are_those_of_the_reference(self) -> None:
        expected = self.reference.counters()
        assert {
            name_of(key): dict(zip(COUNTERS, held, strict=True))
            for key, held in self.counters.items()
        } == expected

    @invariant()
    def debits_are_credits_in_every_shard_and_asset(self) -> None:
        sums: dict[tuple[int, str, str], int] = defaultdict(int)
        for move in self.reference.story.moves:
            side, phase = move.counter.split()
            sums[move.shard, move.account[2], phase] += move.units * (1 if side == "debits" else -1)
        assert not any(sums.values())

    @invariant()
    def no_account_breaks_its_rule_and_no_counter_its_limit(self) -> None:
        for key, held in self.counters.items():
            if key.rule is Rule.CREDITS_COVER_DEBITS:
                assert held.movable >= 0
                assert min(held) >= 0
            assert held.debits_posted + max(0, held.debits_pending) <= MAX_COUNTER
            assert held.credits_posted + max(0, held.credits_pending) <= MAX_COUNTER

    @invariant()
    def clearing_and_what_is_in_flight_come_to_zero(self) -> None:
        for asset in SYSTEMS:
            cleared = sum(
                held.debits_posted - held.credits_posted
                for key, held in self.counters.items()
                if key.purpose is Purpose.CLEARING and key.asset == asset
            )
            for legs in self.flying.values():
                for leg in legs:
                    if leg.account.asset == asset:
                        cleared -= leg.units if leg.side is Side.DEBIT else -leg.units
            assert cleared == 0

    @invariant()
    def what_is_pending_is_what_is_open(self) -> None:
        reserved: dict[Name, int] = defaultdict(int)
        taken_up: dict[str, int] = defaultdict(int)
        for pending in self.pendings.values():
            if pending.state is PendingState.OPEN:
                reserved[name_of(pending.debit)] += pending.units
                taken_up[pending.debit.asset] += pending.units
        for key, held in self.counters.items():
            if key.purpose is Purpose.AVAILABLE:
                assert held.debits_pending == reserved[name_of(key)]
        for asset in SYSTEMS:
            assert taken_up[asset] == sum(
                held.credits_pending for key, held in self.counters.items() if key.asset == asset
            )


def _range(leg: Leg, next_posted: int) -> tuple[int, int]:
    """The places in their commit of the first and the last entry that a leg names."""
    cause = json.loads(leg.cause)
    assert (cause["type"], cause["shard"], cause["leg"]) == ("leg", leg.from_shard, leg.number)
    first, last = (
        (number - next_posted) * 700 + place for number, place in (cause["first"], cause["last"])
    )
    return first, last


Shards.TestCase.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, phases=[Phase.generate]
)
TestShards = Shards.TestCase
