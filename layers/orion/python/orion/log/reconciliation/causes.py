"""Entries and the facts that must stand behind them, as the rules see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from orion.ids import fact_id
from orion.log.reconciliation.fees import FeeFacts, FeeKey
from orion.log.reconciliation.model import AccountName


@dataclass(frozen=True, slots=True)
class CausedEntry:
    """A posted entry with its accounts' names; a side is None where no account has its id."""

    shard: int
    number: int
    position: int
    id: bytes
    digest: bytes
    kind: str
    code: str
    linked: bool
    pending_id: bytes | None
    debit: AccountName | None
    credit: AccountName | None
    counterpart: AccountName | None
    units: int
    cause: bytes
    posted_at: datetime


@dataclass(frozen=True, slots=True)
class DepositFact:
    """moneyin's deposit. `epoch` is the one in force, or the next one of a reversed deposit;
    `assigned_to` the merchant to whom the wallet of its address belongs.
    """

    id: bytes
    chain: str
    asset: str
    units: int
    txid: str
    tx_position: str
    merchant_id: bytes | None
    assigned_to: bytes | None
    state: str
    confirmations_final: int
    epoch: int
    history: tuple["DepositState", ...]

    def ever(self, state: str, epoch: int) -> "DepositState | None":
        """The newest time that it was in `state` under `epoch`."""
        matching = [past for past in self.history if past.state == state and past.epoch == epoch]
        return matching[-1] if matching else None


@dataclass(frozen=True, slots=True)
class DepositState:
    """A row of `deposit_history`, by rising version."""

    state: str
    epoch: int
    units: int


@dataclass(frozen=True, slots=True)
class LegCause:
    """The entries that a leg sums: those of `shard` from place `first` to place `last`, both
    included, that name `account` as meant on `side`.
    """

    shard: int
    leg: int
    first: tuple[int, int]
    last: tuple[int, int]
    account: bytes
    side: str


@dataclass(frozen=True, slots=True)
class PlacedAccount:
    """An account as the entry of this time and place left it."""

    account: bytes
    posted_at: datetime
    shard: int
    number: int
    position: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the rules of some entries have to look up."""

    deposits: frozenset[bytes] = frozenset()
    transfers: frozenset[bytes] = frozenset()
    legs: frozenset[LegCause] = frozenset()
    debts: frozenset[PlacedAccount] = frozenset()
    fees: frozenset[FeeKey] = frozenset()

    def __or__(self, other: "Wanted") -> "Wanted":
        return Wanted(
            self.deposits | other.deposits,
            self.transfers | other.transfers,
            self.legs | other.legs,
            self.debts | other.debts,
            self.fees | other.fees,
        )


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found of `Wanted`; what is absent does not exist. `legs` are sums of units, `debts`
    what was still owed; one that is absent is not known yet.
    """

    now: datetime
    deposits: Mapping[bytes, DepositFact] = field(default_factory=dict)
    transfers: Mapping[bytes, CausedEntry] = field(default_factory=dict)
    legs: Mapping[LegCause, int] = field(default_factory=dict)
    debts: Mapping[PlacedAccount, int] = field(default_factory=dict)
    fees: Mapping[FeeKey, FeeFacts] = field(default_factory=dict)


def shortfall_id(reversal: bytes) -> bytes:
    """docs/ledger.md, "Reversals are never refused"."""
    return fact_id("shortfall", reversal)


def repayment_id(before: bytes) -> bytes:
    """docs/ledger.md, "A debt is paid back by what becomes available"."""
    return fact_id("repaid", before)
