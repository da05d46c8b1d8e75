"""What one transfer does to the accounts of a shard, or why it is refused. Pure.

Thousands of transfers a batch pass here one by one, so the way of a direct one is kept short: an
account's counters are four integers of one mutable object for the length of a batch, and what
follows from a code alone is worked out once.
"""

from collections.abc import Callable, Collection
from functools import partial
from typing import ClassVar

from orion.errors import OrionError
from orion.ledger.codes import Code, Kind
from orion.ledger.debts import receivable_of, repayment, repayment_id, shortfall, shortfall_id
from orion.ledger.limits import broken_rule, overflows
from orion.ledger.model import (
    MAX_COUNTER,
    AccountKey,
    Entry,
    Pending,
    PendingState,
    Reason,
    State,
    Transfer,
)
from orion.ledger.phases import refuses
from orion.ledger.shapes import SHAPES, Shape
from orion.ledger.working import Accounts, Held

# Two of these do not overflow.
_HALF = MAX_COUNTER // 2


class LegNotApplied(OrionError):
    """A leg that this shard cannot apply. Its other half is posted: the partition stops."""

    code: ClassVar[str] = "leg_not_applied"


class Judge:
    """The accounts, pending transfers and identities of a shard while a batch is decided."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.accounts = Accounts(state.shard, state.local, state.counters)
        self.accepted: list[Entry] = []
        self.pendings: dict[bytes, Pending] = {}
        self._seen: dict[bytes, Collection[bytes]] = {}
        # Whose receivable did not exist before. One that was made since has its place.
        self._debtless: set[Held] = set()
        # Of the chain that is being decided: who decides it, and what takes it back.
        self._chain_owner: str | None = None
        self._undo: list[Callable[[], object]] = []
        self._accepted_before = 0

    def earlier(self, identity: bytes) -> Collection[bytes]:
        """The digests posted or refused under this id."""
        return self._seen.get(identity) or self._state.known.get(identity, ())

    def learn(self, identity: bytes, digest: bytes) -> None:
        """The id has been decided with this content."""
        self._seen[identity] = (*self.earlier(identity), digest)

    def begin_chain(self, owner: str) -> None:
        """What follows stands or falls together, and is decided by `owner`."""
        self._chain_owner = owner
        self._undo = []
        self._accepted_before = len(self.accepted)
        self.accounts.begin()

    def end_chain(self, *, keep: bool) -> None:
        """Let what came since `begin_chain` stand, or take it back."""
        self._chain_owner = None
        self.accounts.end(keep=keep)
        if not keep:
            del self.accepted[self._accepted_before :]
            for step in reversed(self._undo):
                step()

    def decide(self, transfer: Transfer, digest: bytes) -> Reason | None:
        """Carry `transfer` out, or say why not. All checks come before the first move."""
        _, kind, code, units, debit, credit, _, _, _, _ = transfer
        shape = SHAPES[code]
        reason = self._unfit(shape, kind, debit, credit)
        if reason is not None:
            return reason
        places = self.accounts.places
        debited, debit_meant = places.get(debit.id) or self.accounts.place(debit)
        credited, credit_meant = places.get(credit.id) or self.accounts.place(credit)
        if shape.debit_decides:
            meant, foreign = credit_meant, debit_meant
        else:
            meant, foreign = debit_meant, credit_meant
        if foreign is not None or (shape.leg and meant is not None):
            raise ValueError("another shard decides this transfer")
        if kind is not Kind.DIRECT:
            if kind is Kind.PENDING:
                return self._open(transfer, digest, debited, credited, meant)
            return self._end(transfer, digest, debited, credited, meant)
        if shape.shortfall is not None:
            return self._take(transfer, shape.shortfall, digest, debited, credited, meant)
        reason = broken_rule(shape.debit_rule, shape.credit_rule, debited, credited, units)
        if reason is not None:
            return reason
        debits, credits_ = debited.debits_posted + units, credited.credits_posted + units
        if (
            debits > _HALF or debited.debits_pending > _HALF
            or credits_ > _HALF or credited.credits_pending > _HALF
        ) and (
            overflows(debits, debited.debits_pending)
            or overflows(credits_, credited.credits_pending)
        ):  # fmt: skip
            return Reason.OVERFLOW
        if self._chain_owner is not None:
            self.accounts.changes(debited)
            self.accounts.changes(credited)
        debited.moved = credited.moved = True
        debited.debits_posted = debits
        credited.credits_posted = credits_
        self._accept(transfer, digest, debited, credited, meant)
        if shape.repays:
            self._repay(transfer, credited)
        return None

    def _unfit(
        self, shape: Shape, kind: Kind, debit: AccountKey, credit: AccountKey
    ) -> Reason | None:
        """What is wrong whatever the accounts hold."""
        if debit.id == credit.id:
            return Reason.SAME_ACCOUNT
        if (
            (debit.purpose, credit.purpose) not in shape.joins
            or kind not in shape.kinds
            or not (debit.fits and credit.fits)
            or debit.asset != credit.asset
            or (debit.is_merchant and credit.is_merchant and debit.owner != credit.owner)
        ):
            return Reason.CODE_MISMATCH
        if self._chain_owner is not None:
            if shape.leg:
                return Reason.CODE_MISMATCH
            if self._chain_owner != (debit.owner if shape.debit_decides else credit.owner):
                return Reason.TWO_LIMITS
        return None

    def _accept(
        self,
        transfer: Transfer,
        digest: bytes,
        debited: Held,
        credited: Held,
        meant: AccountKey | None,
    ) -> None:
        if meant is not None or transfer.code is Code.LEG:
            # Half the cost of `_replace`, once for each transfer between shards.
            identity, kind, code, units, _, _, cause, trace_id, linked, pending_id = transfer
            debit, credit = debited.key, credited.key
            transfer = Transfer(
                identity, kind, code, units, debit, credit, cause, trace_id, linked, pending_id
            )
        self.accepted.append(Entry(transfer, digest, meant))
        self._seen[transfer.id] = (digest,)
        if self._chain_owner is not None:
            self._undo.append(partial(self._seen.pop, transfer.id))

    def _repay(self, before: Transfer, available: Held) -> None:
        """Pay back what the merchant owes, as far as what he has after `before` goes. No counter
        overflows: debits stay within the credits that they use, and credits within the debits they
        undo.
        """
        place = self.accounts.places.get(available.key.debt)
        if place is None:
            if available in self._debtless:
                return
            key = receivable_of(available.key)
            if self._state.counters.get(key) is None:
                self._debtless.add(available)
                return
            place = self.accounts.place(key)
        receivable, _ = place
        units = min(
            receivable.debits_posted - receivable.credits_posted,
            available.credits_posted - available.debits_posted - available.debits_pending,
        )
        # Where the id stands for something else, the next credit or end pays back.
        if units <= 0 or self.earlier(repayment_id(before)):
            return
        self.accounts.changes(available)
        self.accounts.changes(receivable)
        available.debits_posted += units
        receivable.credits_posted += units
        repaid = repayment(before, units)
        self._accept(repaid, repaid.digest, available, receivable, None)

    def _owes(self, debit: AccountKey) -> bool:
        receivable, _ = self.accounts.place(receivable_of(debit))
        return receivable.debits_posted > receivable.credits_posted

    def _take(
        self,
        transfer: Transfer,
        short: Code,
        digest: bytes,
        debited: Held,
        credited: Held,
        meant: AccountKey | None,
    ) -> Reason | None:
        """Take what is left from the account and the rest from the receivable.

        A reversal of 41,234 with 11,234 left takes 11,234 from the account and 30,000 from the
        receivable; all from the receivable where the second entry's id stands for something else.
        """
        units = transfer.units
        movable = debited.credits_posted - debited.debits_posted - debited.debits_pending
        covered = min(units, max(0, movable))
        if covered < units and self.earlier(shortfall_id(transfer)):
            covered = 0
        lacking = units - covered
        receivable, _ = self.accounts.place(receivable_of(transfer.debit))
        if (
            overflows(debited.debits_posted + covered, debited.debits_pending)
            or overflows(receivable.debits_posted + lacking, receivable.debits_pending)
            or overflows(credited.credits_posted + units, credited.credits_pending)
        ):
            return Reason.OVERFLOW
        self.accounts.changes(credited)
        credited.credits_posted += units
        if covered:
            self.accounts.changes(debited)
            debited.debits_posted += covered
            part = transfer._replace(units=covered)
            self._accept(part, digest, debited, credited, meant)
        if lacking:
            self.accounts.changes(receivable)
            receivable.debits_posted += lacking
            rest = transfer._replace(debit=receivable.key)
            if covered:
                rest = shortfall(transfer, short, lacking)
                digest = rest.digest
            self._accept(rest, digest, receivable, credited, meant)
        return None

    def _open(
        self,
        transfer: Transfer,
        digest: bytes,
        debited: Held,
        credited: Held,
        meant: AccountKey | None,
    ) -> Reason | None:
        """Reserve the units on both sides until a transfer of the second phase ends it."""
        _, _, code, units, debit, credit, _, _, _, _ = transfer
        shape = SHAPES[code]
        if shape.pays_out and debit.asset in self._state.frozen:
            return Reason.ASSET_FROZEN
        if shape.pays_out and self._owes(debit):
            return Reason.RECEIVABLE_OPEN
        reason = broken_rule(shape.debit_rule, shape.credit_rule, debited, credited, units)
        if reason is not None:
            return reason
        if overflows(debited.debits_posted, debited.debits_pending + units) or overflows(
            credited.credits_posted, credited.credits_pending + units
        ):
            return Reason.OVERFLOW
        self.accounts.changes(debited)
        self.accounts.changes(credited)
        debited.debits_pending += units
        credited.credits_pending += units
        self._change(
            Pending(transfer.id, code, debit, credit, units, PendingState.OPEN, signed=False)
        )
        self._accept(transfer, digest, debited, credited, meant)
        return None

    def _change(self, pending: Pending) -> None:
        if self._chain_owner is not None:
            earlier = self.pendings.get(pending.id)
            self._undo.append(
                partial(self.pendings.pop, pending.id)
                if earlier is None
                else partial(self.pendings.__setitem__, pending.id, earlier)
            )
        self.pendings[pending.id] = pending

    def _end(
        self,
        transfer: Transfer,
        digest: bytes,
        debited: Held,
        credited: Held,
        meant: AccountKey | None,
    ) -> Reason | None:
        """Act on the pending transfer named: `signed` marks it, the other kinds end it."""
        named = transfer.pending_id or b""
        pending = self.pendings.get(named) or self._state.pendings.get(named)
        if pending is None:
            return Reason.PENDING_NOT_FOUND
        reason = refuses(pending, transfer)
        if reason is not None:
            return reason
        if transfer.kind is Kind.SIGNED:
            self._change(pending._replace(signed=True))
            self._accept(transfer, digest, debited, credited, meant)
            return None
        posted = transfer.units if transfer.kind is Kind.POST else 0
        # What another shard reserved before a bucket moved is reserved there, not here.
        if overflows(
            debited.debits_posted + posted, debited.debits_pending - pending.units
        ) or overflows(credited.credits_posted + posted, credited.credits_pending - pending.units):
            return Reason.OVERFLOW
        self.accounts.changes(debited)
        self.accounts.changes(credited)
        debited.debits_pending -= pending.units
        credited.credits_pending -= pending.units
        debited.debits_posted += posted
        credited.credits_posted += posted
        state = PendingState.POSTED if transfer.kind is Kind.POST else PendingState.VOIDED
        self._change(pending._replace(state=state))
        self._accept(transfer, digest, debited, credited, meant)
        if SHAPES[transfer.code].pays_out:
            # What it did not pay is the merchant's to spend again.
            self._repay(transfer, debited)
        return None
