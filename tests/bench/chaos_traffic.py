"""Seeded traffic of the ledger for the bench of kills, and what must become of it.

The replay decides every record in the order of its sending, in one shard and one process. Merchants
do not touch each other's accounts, so a ledger of many shards whose writers are killed and whose
records are delivered again must come to the same end.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from orion.ids import fact_id
from orion.ledger.codes import Code, Kind, Purpose
from orion.ledger.model import AccountKey, Counters, Pending, Transfer, bucket
from orion.ledger.posting import Outcome, State, ids, pending_ids, post_batch
from orion.records import canonical_json, parse_object

ASSETS = ("TRX.tron", "SOL.solana")
_STEPS_MAX = 6
_UNITS_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Sent:
    """One record of `ledger.transfers` as its module stores it. `key` is its bucket's."""

    event_id: bytes
    key: str
    body: bytes
    transfers: tuple[Transfer, ...]


class Replay:
    """The ledger without shards, deliveries and deaths."""

    def __init__(self) -> None:
        self.counters: dict[AccountKey, Counters] = {}
        self.accepted: dict[bytes, Code] = {}
        self.refused: set[tuple[bytes, bytes, str]] = set()
        self._known: dict[bytes, set[bytes]] = {}
        self._pendings: dict[bytes, Pending] = {}

    def post(self, transfers: Sequence[Transfer]) -> Outcome:
        """Decide one record."""
        records = [transfers]
        state = State(
            shard=0,
            local=lambda _: True,
            counters=self.counters,
            known={each: self._known[each] for each in ids(records) if each in self._known},
            pendings={
                each: self._pendings[each]
                for each in pending_ids(records)
                if each in self._pendings
            },
            frozen=frozenset(),
            next_posted=1,
            next_leg=1,
        )
        outcome = post_batch(records, state)
        self.counters.update(outcome.counters)
        self._pendings.update(outcome.pendings)
        for entry in outcome.accepted:
            self.accepted[entry.transfer.id] = entry.transfer.code
            self._known.setdefault(entry.transfer.id, set()).add(entry.digest)
        for refusal in outcome.refused:
            self.refused.add((refusal.transfer.id, refusal.digest, refusal.reason.value))
            self._known.setdefault(refusal.transfer.id, set()).add(refusal.digest)
        return outcome


@dataclass(slots=True)
class _Payout:
    pending: Transfer
    signed: bool = False


@dataclass(slots=True)
class _Account:
    """What a merchant has done in one asset so far; deposits are (number, units, epoch)."""

    owner: str
    asset: str
    settling: list[tuple[int, int, int]] = field(default_factory=list)
    final: list[tuple[int, int, int]] = field(default_factory=list)
    reversed: list[tuple[int, int, int]] = field(default_factory=list)
    payouts: list[_Payout] = field(default_factory=list)

    def key(self, purpose: Purpose) -> AccountKey:
        return AccountKey(self.owner, purpose, self.asset)

    @property
    def custody(self) -> AccountKey:
        return AccountKey(f"system:{self.asset.partition('.')[2]}", Purpose.CUSTODY, self.asset)


class Traffic:
    """Records without end, the same for the same `seed`; `salt` makes their ids new."""

    def __init__(self, seed: int, salt: str, merchants: int) -> None:
        self.replay = Replay()
        self.sent: list[Sent] = []
        self._salt = salt
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._number = 0
        owners = [
            f"merchant:{fact_id('chaos_merchant', salt, number).hex()}"
            for number in range(merchants)
        ]
        self._accounts = [_Account(owner, asset) for owner in owners for asset in ASSETS]
        self._steps: Sequence[tuple[int, Callable[[_Account], list[Transfer]]]] = (
            (8, self._credit),
            (6, self._final),
            (2, self._reversal),
            (2, self._reversal_final),
            (2, self._credit_again),
            (5, self._pending),
            (3, self._signed),
            (3, self._post),
            (2, self._void),
            (2, self._timeout),
            (2, self._chain),
            (1, self._repetition),
            (1, self._conflict),
        )

    @property
    def transfers(self) -> int:
        """How many were sent, repetitions included."""
        return sum(len(each.transfers) for each in self.sent)

    def next(self) -> Sent:
        """One more record, already replayed."""
        account = self._random.choice(self._accounts)
        chosen: list[Transfer] = []
        for _ in range(self._random.randint(1, _STEPS_MAX)):
            weights = [weight for weight, _ in self._steps]
            [(_, step)] = self._random.choices(self._steps, weights)
            made = step(account)
            if made:
                chosen += made
        if not chosen:
            chosen = self._credit(account)
        self.replay.post(chosen)
        trace_id = chosen[0].trace_id
        body = {
            "v": 1,
            "trace_id": trace_id.hex(),
            "transfers": [each.content() | {"cause": parse_object(each.cause)} for each in chosen],
        }
        sent = Sent(
            event_id=fact_id("chaos_record", self._salt, len(self.sent)),
            key=f"bucket:{bucket(account.owner)}",
            body=canonical_json(body),
            transfers=tuple(chosen),
        )
        self.sent.append(sent)
        return sent

    def _made(
        self,
        account: _Account,
        code: Code,
        units: int,
        fact: tuple[str | int, ...],
        cause: Mapping[str, object],
        *,
        kind: Kind = Kind.DIRECT,
        linked: bool = False,
        pending_id: bytes | None = None,
    ) -> Transfer:
        settling, available = account.key(Purpose.SETTLING), account.key(Purpose.AVAILABLE)
        sides = {
            Code.DEPOSIT_CREDIT: (account.custody, settling),
            Code.DEPOSIT_FINAL: (settling, available),
            Code.DEPOSIT_REVERSAL: (settling, account.custody),
            Code.DEPOSIT_REVERSAL_FINAL: (available, account.custody),
            Code.PAYOUT: (available, account.custody),
        }
        debit, credit = sides[code]
        return Transfer(
            id=fact_id("chaos", self._salt, code.value, *fact),
            kind=kind,
            code=code,
            units=units,
            debit=debit,
            credit=credit,
            cause=canonical_json(cause),
            trace_id=fact_id("chaos_trace", self._salt, len(self.sent)),
            linked=linked,
            pending_id=pending_id,
        )

    def _deposit(
        self, account: _Account, code: Code, deposit: tuple[int, int, int], *, linked: bool = False
    ) -> Transfer:
        number, units, epoch = deposit
        cause = {
            "type": "deposit",
            "deposit_id": fact_id("chaos_deposit", self._salt, number).hex(),
            "credit_epoch": epoch,
        }
        return self._made(account, code, units, (number, epoch), cause, linked=linked)

    def _fresh(self) -> int:
        self._number += 1
        return self._number

    def _taken(self, rows: list[tuple[int, int, int]]) -> tuple[int, int, int] | None:
        return rows.pop(self._random.randrange(len(rows))) if rows else None

    def _credit(self, account: _Account) -> list[Transfer]:
        deposit = (self._fresh(), self._random.randint(1, _UNITS_MAX), 0)
        account.settling.append(deposit)
        return [self._deposit(account, Code.DEPOSIT_CREDIT, deposit)]

    def _credit_again(self, account: _Account) -> list[Transfer]:
        """A payment that was mined again: the next epoch of its deposit."""
        deposit = self._taken(account.reversed)
        if deposit is None:
            return []
        account.settling.append(deposit)
        return [self._deposit(account, Code.DEPOSIT_CREDIT, deposit)]

    def _final(self, account: _Account) -> list[Transfer]:
        deposit = self._taken(account.settling)
        if deposit is None:
            return []
        account.final.append(deposit)
        return [self._deposit(account, Code.DEPOSIT_FINAL, deposit)]

    def _reversal(self, account: _Account) -> list[Transfer]:
        deposit = self._taken(account.settling)
        if deposit is None:
            return []
        number, units, epoch = deposit
        account.reversed.append((number, units, epoch + 1))
        return [self._deposit(account, Code.DEPOSIT_REVERSAL, deposit)]

    def _reversal_final(self, account: _Account) -> list[Transfer]:
        """May meet money that was paid out: then a part is a shortfall."""
        deposit = self._taken(account.final)
        if deposit is None:
            return []
        number, units, epoch = deposit
        account.reversed.append((number, units, epoch + 1))
        return [self._deposit(account, Code.DEPOSIT_REVERSAL_FINAL, deposit)]

    def _pending(self, account: _Account) -> list[Transfer]:
        """At times more than there is."""
        held = self.replay.counters.get(account.key(Purpose.AVAILABLE), Counters()).movable
        most = max(1, held * 3 // 4) if self._random.random() < 0.8 else held * 2 + 10
        units, number = self._random.randint(1, most), self._fresh()
        cause = {"type": "payout", "payout_id": fact_id("chaos_payout", self._salt, number).hex()}
        pending = self._made(account, Code.PAYOUT, units, (number,), cause, kind=Kind.PENDING)
        account.payouts.append(_Payout(pending))
        return [pending]

    def _second(
        self, account: _Account, payout: _Payout, kind: Kind, units: int, cause: str
    ) -> Transfer:
        fact = (payout.pending.id.hex(), kind.value, self._fresh())
        because = {"type": cause, "payout_id": payout.pending.id.hex()}
        pending_id = payout.pending.id
        return self._made(
            account, Code.PAYOUT, units, fact, because, kind=kind, pending_id=pending_id
        )

    def _signed(self, account: _Account) -> list[Transfer]:
        if not account.payouts:
            return []
        payout = self._random.choice(account.payouts)
        payout.signed = True
        return [self._second(account, payout, Kind.SIGNED, payout.pending.units, "payout")]

    def _post(self, account: _Account) -> list[Transfer]:
        payout = self._ended(account)
        if payout is None:
            return []
        units = self._random.randint(1, payout.pending.units)
        return [self._second(account, payout, Kind.POST, units, "payout")]

    def _void(self, account: _Account) -> list[Transfer]:
        payout = self._ended(account)
        if payout is None:
            return []
        cause = "chain_final" if payout.signed else "payout"
        return [self._second(account, payout, Kind.VOID, payout.pending.units, cause)]

    def _timeout(self, account: _Account) -> list[Transfer]:
        """Refused where the payout was signed, which then stays open."""
        payout = self._ended(account)
        if payout is None:
            return []
        if payout.signed:
            account.payouts.append(payout)
        return [self._second(account, payout, Kind.TIMEOUT, payout.pending.units, "payout")]

    def _ended(self, account: _Account) -> _Payout | None:
        """One of the open payouts, mostly forgotten by this: at times it is ended again."""
        if not account.payouts:
            return None
        place = self._random.randrange(len(account.payouts))
        if self._random.random() < 0.1:
            return account.payouts[place]
        return account.payouts.pop(place)

    def _chain(self, account: _Account) -> list[Transfer]:
        """A credit that is final at once, or takes its whole chain down with a payout too large."""
        deposit = (self._fresh(), self._random.randint(1, _UNITS_MAX), 0)
        credit = self._deposit(account, Code.DEPOSIT_CREDIT, deposit, linked=True)
        if self._random.random() < 0.5:
            account.final.append(deposit)
            return [credit, self._deposit(account, Code.DEPOSIT_FINAL, deposit)]
        number = self._fresh()
        cause = {"type": "payout", "payout_id": fact_id("chaos_payout", self._salt, number).hex()}
        far_too_much = 10**30
        return [
            credit,
            self._made(account, Code.PAYOUT, far_too_much, (number,), cause, kind=Kind.PENDING),
        ]

    def _repetition(self, account: _Account) -> list[Transfer]:
        """What was sent before, again: a replay, which changes nothing."""
        earlier = [each for each in self.sent[-200:] if _is_of(each, account)]
        return list(self._random.choice(earlier).transfers) if earlier else []

    def _conflict(self, account: _Account) -> list[Transfer]:
        """Other content under an id that stands for something."""
        earlier = [each for each in self.sent[-200:] if _is_of(each, account)]
        if not earlier:
            return []
        meant = earlier[-1].transfers[0]
        return [meant._replace(units=meant.units + 1, linked=False)]


def _is_of(sent: Sent, account: _Account) -> bool:
    first = sent.transfers[0]
    owners = (first.debit.owner, first.credit.owner)
    return account.owner in owners and first.debit.asset == account.asset
