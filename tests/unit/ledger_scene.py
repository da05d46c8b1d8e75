"""One shard's books for examples: transfers in a line each, and what became of them."""

from collections.abc import Callable, Sequence

from orion.ids import fact_id
from orion.ledger.codes import OF_THE_CHAIN
from orion.ledger.model import (
    SIDES,
    AccountKey,
    Code,
    Counters,
    Kind,
    Outcome,
    Pending,
    Purpose,
    Reason,
    State,
    Transfer,
)
from orion.ledger.posting import ids, pending_ids, post_batch, touched

BTC = "BTC.bitcoin"
MERCHANT = "merchant:" + "0a" * 16
OTHER = "merchant:" + "0b" * 16
TEST_CAUSE = b'{"type":"test"}'


def key(purpose: Purpose, merchant: str = MERCHANT, asset: str = BTC) -> AccountKey:
    """The account of this purpose: the merchant's, or the chain's."""
    system = purpose in OF_THE_CHAIN
    return AccountKey("system:" + asset.split(".")[1] if system else merchant, purpose, asset)


CUSTODY = key(Purpose.CUSTODY)
SETTLING = key(Purpose.SETTLING)
AVAILABLE = key(Purpose.AVAILABLE)
RECEIVABLE = key(Purpose.REVERSAL_RECEIVABLE)
FEE_INCOME = key(Purpose.FEE_INCOME)


def move(
    code: Code,
    units: int,
    *,
    fact: object = 0,
    merchant: str = MERCHANT,
    asset: str = BTC,
    linked: bool = False,
) -> Transfer:
    """A transfer of the first phase; its id follows from code, fact and merchant."""
    debit, credit = SIDES[code]
    return Transfer(
        id=fact_id("test", code.value, repr(fact), merchant, asset),
        kind=Kind.PENDING if code is Code.PAYOUT else Kind.DIRECT,
        code=code,
        units=units,
        debit=key(debit, merchant, asset),
        credit=key(credit, merchant, asset),
        cause=TEST_CAUSE,
        trace_id=bytes(16),
        linked=linked,
    )


def then(
    kind: Kind,
    opened: Transfer,
    units: int | None = None,
    *,
    fact: object = 0,
    cause: bytes = TEST_CAUSE,
    linked: bool = False,
) -> Transfer:
    """A transfer of the second phase of `opened`."""
    return opened._replace(
        id=fact_id("test", kind.value, repr(fact), opened.id),
        kind=kind,
        units=opened.units if units is None else units,
        cause=cause,
        linked=linked,
        pending_id=opened.id,
    )


class Books:
    """What a store keeps for one shard. `local` says whose accounts live in it."""

    def __init__(self, shard: int = 0, local: Callable[[str], bool] = lambda owner: True) -> None:
        self.shard = shard
        self.local = local
        self.counters: dict[AccountKey, Counters] = {}
        self.known: dict[bytes, frozenset[bytes]] = {}
        self.pendings: dict[bytes, Pending] = {}
        self.frozen: frozenset[str] = frozenset()
        self.next_posted = self.next_leg = 1

    def post(self, *transfers: Transfer) -> Outcome:
        """One record."""
        return self.post_records([transfers])

    def post_records(self, records: Sequence[Sequence[Transfer]]) -> Outcome:
        """One batch: read what is asked about, decide, keep."""
        outcome = post_batch(records, self.state(records))
        self.counters.update(outcome.counters)
        self.pendings.update(outcome.pendings)
        decided = [(e.transfer.id, e.digest) for e in outcome.accepted]
        decided += [(r.transfer.id, r.digest) for r in outcome.refused]
        for identity, digest in decided:
            self.known[identity] = self.known.get(identity, frozenset()) | {digest}
        self.next_posted += -(-len(outcome.accepted) // 700)
        self.next_leg += len(outcome.legs)
        return outcome

    def state(self, records: Sequence[Sequence[Transfer]]) -> State:
        """Only what the core says that it needs."""
        accounts = touched(records, self.shard, self.local)
        identities, named = ids(records), pending_ids(records)
        return State(
            shard=self.shard,
            local=self.local,
            counters={k: v for k, v in self.counters.items() if k in accounts},
            known={k: v for k, v in self.known.items() if k in identities},
            pendings={k: v for k, v in self.pendings.items() if k in named},
            frozen=self.frozen,
            next_posted=self.next_posted,
            next_leg=self.next_leg,
        )

    def available(self, units: int, *, merchant: str = MERCHANT) -> None:
        """The merchant got a deposit of `units`, and it is final."""
        outcome = self.post(
            move(Code.DEPOSIT_CREDIT, units, fact="before", merchant=merchant),
            move(Code.DEPOSIT_FINAL, units, fact="before", merchant=merchant),
        )
        assert not outcome.refused


def reasons(outcome: Outcome) -> list[Reason]:
    return [refusal.reason for refusal in outcome.refused]
