"""What happens to a batch: the one place where money is decided. Pure and total.

This file knows identities and chains; what a single transfer does is `orion.ledger.judge`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from orion.ledger.codes import CODES, Code, Kind, Purpose, debit_decides
from orion.ledger.debts import debtor, receivable_of, repayment_id, shortfall_id
from orion.ledger.judge import Judge, LegNotApplied
from orion.ledger.legs import MAX_ANSWERED, sum_legs
from orion.ledger.model import (
    AccountKey,
    Entry,
    Leg,
    Outcome,
    Pending,
    Reason,
    Refusal,
    State,
    Transfer,
    clearing,
)
from orion.ledger.working import Held

__all__ = [
    "MAX_ANSWERED",
    "Batch",
    "Entry",
    "LegNotApplied",
    "Outcome",
    "State",
    "decider",
    "ids",
    "pending_ids",
    "post_batch",
    "touched",
]

_OWING = frozenset(code for code, rule in CODES.items() if rule.owing)
# What may make a second entry, and the id that it would have.
_BESIDE: Mapping[tuple[Code, Kind], Callable[[Transfer], bytes]] = {
    (code, kind): repayment_id if rule.pays_back(kind) else shortfall_id
    for code, rule in CODES.items()
    for kind in rule.kinds
    if rule.pays_back(kind) or rule.shortfall is not None
}
_DEBIT_DECIDES = {
    (debit, credit): debit_decides(debit, credit) for debit in Purpose for credit in Purpose
}


def decider(transfer: Transfer) -> str:
    """The owner whose shard decides: of the account with a rule, else the merchant's side, else
    the debited one. A clearing account decides nothing: a leg belongs where its account lives.
    """
    debit, credit = transfer.debit, transfer.credit
    return debit.owner if _DEBIT_DECIDES[debit.purpose, credit.purpose] else credit.owner


def touched(
    records: Iterable[Sequence[Transfer]], shard: int, local: Callable[[str], bool]
) -> frozenset[AccountKey]:
    """Every account of `shard` that posting `records` may read or move."""
    asked: dict[bytes, AccountKey] = {}
    for record in records:
        for transfer in record:
            debit, credit = transfer.debit, transfer.credit
            asked[debit.id] = debit
            asked[credit.id] = credit
            if transfer.code in _OWING:
                receivable = receivable_of(debtor(transfer))
                asked[receivable.id] = receivable
    return frozenset(
        key
        if key.purpose is not Purpose.CLEARING and local(key.owner)
        else clearing(shard, key.asset)
        for key in asked.values()
    )


def ids(records: Iterable[Sequence[Transfer]]) -> frozenset[bytes]:
    """Every id whose earlier meaning decides about `records`, those of second entries included."""
    found = set()
    for record in records:
        for transfer in record:
            found.add(transfer.id)
            beside = _BESIDE.get((transfer.code, transfer.kind))
            if beside is not None:
                found.add(beside(transfer))
    return frozenset(found)


def pending_ids(records: Iterable[Sequence[Transfer]]) -> frozenset[bytes]:
    """Every pending transfer that `records` name."""
    return frozenset(
        transfer.pending_id
        for record in records
        for transfer in record
        if transfer.pending_id is not None
    )


def post_batch(records: Iterable[Sequence[Transfer]], state: State) -> Outcome:
    """Decide `records` in order; the chains of a record end with it.

    Entry i has number `next_posted + i // MAX_ANSWERED` and place `i % MAX_ANSWERED`. Raises
    LegNotApplied, and ValueError for a transfer that another shard decides.
    """
    batch = Batch(state)
    batch.post(records)
    return batch.outcome()


class Batch:
    """`post_batch` in parts: what is known already, what replays, what stands or falls together.

    The mappings of `state` may grow between two parts, by what the next part touches.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._judge = Judge(state)
        self.accepted = self._judge.accepted
        self.refused: list[Refusal] = []

    def post(self, records: Iterable[Sequence[Transfer]]) -> None:
        """Decide `records` after those before."""
        for record in records:
            chain: list[Transfer] = []
            for transfer in record:
                if not transfer.linked and not chain:
                    self._decide(transfer)
                    continue
                chain.append(transfer)
                if not transfer.linked:
                    self._decide_chain(chain)
                    chain = []
            if chain:
                self._refuse_chain(chain, Reason.LINKED_OPEN)

    @property
    def pendings(self) -> Mapping[bytes, Pending]:
        """The pending transfers that changed."""
        return self._judge.pendings

    def moved(self) -> Iterator[Held]:
        """The accounts that moved. They move on with the next part."""
        return self._judge.accounts.moved()

    def legs(self) -> tuple[Leg, ...]:
        """What other shards are owed."""
        state = self._state
        return sum_legs(self.accepted, state.shard, state.next_posted, state.next_leg)

    def outcome(self) -> Outcome:
        """What all parts came to."""
        judge = self._judge
        return Outcome(
            tuple(self.accepted),
            tuple(self.refused),
            {held.key: held.counters() for held in judge.accounts.moved()},
            judge.pendings,
            self.legs(),
        )

    def _decide(self, transfer: Transfer) -> None:
        """A transfer of its own."""
        digest = transfer.digest
        earlier = self._judge.earlier(transfer.id)
        if not earlier:
            reason = self._judge.decide(transfer, digest)
            if reason is not None:
                self._refuse(transfer, digest, reason)
        elif digest not in earlier:
            self._refuse(transfer, digest, Reason.ID_CONFLICT)

    def _decide_chain(self, chain: Sequence[Transfer]) -> None:
        """All of `chain`, or nothing of it."""
        judge = self._judge
        if any(judge.earlier(transfer.id) for transfer in chain):
            self._refuse_chain(chain, Reason.LINKED_FAILED)
            return
        judge.begin_chain(decider(chain[0]))
        failed: tuple[int, Reason] | None = None
        for place, transfer in enumerate(chain):
            digest = transfer.digest
            earlier = judge.earlier(transfer.id)
            if digest in earlier:
                continue
            reason = Reason.ID_CONFLICT if earlier else judge.decide(transfer, digest)
            if reason is not None:
                failed = (place, reason)
                break
        judge.end_chain(keep=failed is None)
        if failed is not None:
            self._refuse_chain(chain, Reason.LINKED_FAILED, failed)

    def _refuse_chain(
        self, chain: Sequence[Transfer], reason: Reason, first: tuple[int, Reason] | None = None
    ) -> None:
        """Refuse what of `chain` is not known yet; the member at `first` for a reason of its own.

        An id that stands for other content is refused for that, whatever else is wrong.
        """
        for place, transfer in enumerate(chain):
            digest = transfer.digest
            earlier = self._judge.earlier(transfer.id)
            if digest in earlier:
                continue
            why = Reason.ID_CONFLICT if earlier else reason
            if first is not None and place == first[0]:
                why = first[1]
            self._refuse(transfer, digest, why)

    def _refuse(self, transfer: Transfer, digest: bytes, reason: Reason) -> None:
        if transfer.code is Code.LEG:
            raise LegNotApplied(
                "a leg cannot be applied", leg=transfer.id.hex(), reason=str(reason)
            )
        self._judge.learn(transfer.id, digest)
        self.refused.append(Refusal(transfer, digest, reason))
