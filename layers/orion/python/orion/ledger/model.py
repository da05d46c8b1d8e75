"""Accounts, transfers and what is decided about them. docs/ledger.md is the specification."""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from orion.ids import fact_id
from orion.ledger.codes import (
    CODES,
    OF_THE_CHAIN,
    OWNERS,
    RULES,
    Code,
    CodeRule,
    Kind,
    Purpose,
    Rule,
)
from orion.money import ASSETS, MAX_UNITS
from orion.records import canonical_json

__all__ = [
    "CODES",
    "DIGEST_BYTES",
    "MAX_COUNTER",
    "REVERSALS",
    "RULES",
    "SHORTFALLS",
    "SIDES",
    "AccountKey",
    "Code",
    "CodeRule",
    "Counters",
    "Entry",
    "Handover",
    "Kind",
    "Leg",
    "Outcome",
    "Pending",
    "PendingState",
    "Purpose",
    "Reason",
    "Refusal",
    "Rule",
    "Side",
    "State",
    "Takeover",
    "Transfer",
    "bucket",
    "clearing",
]

MAX_COUNTER = MAX_UNITS
DIGEST_BYTES = 16
# Accounts and owners that a process remembers: a hundred bytes or two each.
_REMEMBERED = 65_536

SIDES: Mapping[Code, tuple[Purpose, Purpose]] = MappingProxyType(
    {code: (rule.debit, rule.credit) for code, rule in CODES.items() if not rule.by_ledger}
)
_SYSTEMS: Mapping[str, str] = MappingProxyType(
    {
        code: OWNERS[Purpose.CUSTODY] + row.chain
        for code, row in ASSETS.items()
        if row.chain is not None
    }
)
# What their accounts lack is owed, under the code named.
SHORTFALLS: Mapping[Code, Code] = MappingProxyType(
    {code: rule.shortfall for code, rule in CODES.items() if rule.shortfall is not None}
)
REVERSALS = frozenset(
    code for code, short in SHORTFALLS.items() if short is Code.REVERSAL_SHORTFALL
)


class Reason(StrEnum):
    """Why a transfer was refused; in the order in which the reasons are tried."""

    ID_CONFLICT = "id_conflict"
    LINKED_OPEN = "linked_open"
    SAME_ACCOUNT = "same_account"
    CODE_MISMATCH = "code_mismatch"
    TWO_LIMITS = "two_limits"
    PENDING_NOT_FOUND = "pending_not_found"
    PENDING_DIFFERS = "pending_differs"
    PENDING_ALREADY_POSTED = "pending_already_posted"
    PENDING_ALREADY_VOIDED = "pending_already_voided"
    PENDING_SIGNED = "pending_signed"
    PENDING_EXCEEDED = "pending_exceeded"
    ASSET_FROZEN = "asset_frozen"
    RECEIVABLE_OPEN = "receivable_open"
    EXCEEDS_CREDITS = "exceeds_credits"
    EXCEEDS_DEBITS = "exceeds_debits"
    OVERFLOW = "overflow"
    LINKED_FAILED = "linked_failed"


@dataclass(frozen=True, slots=True)
class AccountKey:
    """Who, what for and in which asset. `owner` is `merchant:<32 hex>`, `system:<chain>` or, for
    clearing, `shard:<number>`.

    What follows from the three is worked out once: a batch asks for it thousands of times.
    """

    owner: str
    purpose: Purpose
    asset: str
    id: bytes = field(init=False, repr=False, compare=False)
    is_merchant: bool = field(init=False, repr=False, compare=False)
    rule: Rule = field(init=False, repr=False, compare=False)
    # Whether this owner may have an account of this purpose: the system's are of the asset's chain.
    fits: bool = field(init=False, repr=False, compare=False)
    # Owner and purpose as a digest has them.
    words: str = field(init=False, repr=False, compare=False)
    # The id of the account of what this owner owes of this asset.
    debt: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        owner, purpose = self.owner, self.purpose
        derive = object.__setattr__
        derive(self, "id", fact_id("account", owner, purpose.value, self.asset))
        derive(self, "is_merchant", owner.startswith("merchant:"))
        derive(self, "rule", RULES[purpose])
        of_chain = purpose in OF_THE_CHAIN
        fits = owner == _SYSTEMS.get(self.asset) if of_chain else owner.startswith(OWNERS[purpose])
        derive(self, "fits", fits)
        derive(self, "words", f"{owner}\0{purpose.value}")
        owed = Purpose.REVERSAL_RECEIVABLE.value
        derive(self, "debt", fact_id("account", owner, owed, self.asset))

    def __hash__(self) -> int:
        return hash(self.id)


@lru_cache(maxsize=_REMEMBERED)
def account_key(owner: str, purpose: Purpose, asset: str) -> AccountKey:
    """The account of this name, made once as long as it is remembered."""
    return AccountKey(owner, purpose, asset)


def clearing(shard: int, asset: str) -> AccountKey:
    """The account that stands in `shard` for all accounts of other shards."""
    return account_key(f"shard:{shard}", Purpose.CLEARING, asset)


class Counters(NamedTuple):
    """Sums of smallest units over everything that an account has seen.

    The pending ones of an account without a rule may fall below zero once a bucket has moved: a
    shard that ends what another one began takes back what stands in the other's clearing account.
    """

    debits_posted: int = 0
    debits_pending: int = 0
    credits_posted: int = 0
    credits_pending: int = 0

    @property
    def movable(self) -> int:
        """What a rule of `credits_cover_debits` still lets go; negative only without that rule."""
        return self.credits_posted - self.debits_posted - self.debits_pending


class Transfer(NamedTuple):
    """One movement as it was asked for. `cause` is canonical JSON, ids are of 16 bytes.

    `pending_id` names the pending transfer on which a kind of the second phase acts.
    """

    id: bytes
    kind: Kind
    code: Code
    units: int
    debit: AccountKey
    credit: AccountKey
    cause: bytes
    trace_id: bytes
    linked: bool = False
    pending_id: bytes | None = None

    @property
    def digest(self) -> bytes:
        """What the id stands for: everything but the trace id, which differs between deliveries.

        No part holds a zero byte (checked owners, words, digits, canonical JSON): it parts them.
        """
        _, kind, code, units, debit, credit, cause, _, linked, pending_id = self
        parts = (
            "orion-transfer-1",
            kind,
            code,
            debit.asset,
            credit.asset,
            str(units),
            debit.words,
            credit.words,
            "1" if linked else "0",
            "" if pending_id is None else f"{pending_id.hex()}\0",
        )
        return hashlib.sha256("\0".join(parts).encode() + cause).digest()[:DIGEST_BYTES]

    def content(self) -> dict[str, object]:
        """The transfer in the form of its record, the cause as text."""
        content: dict[str, object] = {
            "id": self.id.hex(),
            "kind": self.kind.value,
            "code": self.code.value,
            "asset": self.debit.asset,
            "units": str(self.units),
            "debit": {"owner": self.debit.owner, "purpose": self.debit.purpose.value},
            "credit": {"owner": self.credit.owner, "purpose": self.credit.purpose.value},
            "cause": self.cause.decode(),
            "linked": self.linked,
        }
        if self.pending_id is not None:
            content["pending_id"] = self.pending_id.hex()
        return content


class Entry(NamedTuple):
    """A transfer as it was posted, with the digest of what was asked for under its id.

    The transfer's accounts are those that moved in this shard. `counterpart` is the account meant
    where this shard's clearing account stands for one of another shard.
    """

    transfer: Transfer
    digest: bytes
    counterpart: AccountKey | None = None


class Refusal(NamedTuple):
    """A transfer that moved nothing, and why."""

    transfer: Transfer
    digest: bytes
    reason: Reason


class PendingState(StrEnum):
    """What became of a pending transfer. It ends once."""

    OPEN = "open"
    POSTED = "posted"
    VOIDED = "voided"


class Pending(NamedTuple):
    """A pending transfer and what became of it; its accounts as they were asked for."""

    id: bytes
    code: Code
    debit: AccountKey
    credit: AccountKey
    units: int
    state: PendingState
    signed: bool


class Side(StrEnum):
    """Which side of a transfer an account stands on."""

    DEBIT = "debit"
    CREDIT = "credit"


@dataclass(frozen=True, slots=True)
class Leg:
    """What one commit of `from_shard` did for an account of another shard, summed.

    `account` is the account meant. `trace_id` is that of the first entry summed.
    """

    id: bytes
    number: int
    account: AccountKey
    side: Side
    units: int
    cause: bytes
    from_shard: int
    trace_id: bytes

    def as_transfer(self) -> Transfer:
        """What the applying shard is asked for.

        Its clearing side names the sender's: buckets move, so the sender cannot know who applies
        it. The applying shard puts its own clearing account there.
        """
        other = clearing(self.from_shard, self.account.asset)
        debits = self.side is Side.DEBIT
        return Transfer(
            id=self.id,
            kind=Kind.DIRECT,
            code=Code.LEG,
            units=self.units,
            debit=self.account if debits else other,
            credit=other if debits else self.account,
            cause=self.cause,
            trace_id=self.trace_id,
        )


def leg_id(shard: int, number: int) -> bytes:
    """The identity of the leg of this number of `shard`."""
    return fact_id("leg", shard, number)


def leg_cause(shard: int, number: int, first: tuple[int, int], last: tuple[int, int]) -> bytes:
    """What a leg sums: entries of `shard` from (record, place) `first` to `last`, both included."""
    return canonical_json(
        {
            "type": "leg",
            "shard": shard,
            "leg": number,
            "first": list(first),
            "last": list(last),
        }
    )


@dataclass(frozen=True, slots=True)
class Handover:
    """The control record that ends a shard's care for a bucket."""

    bucket: int
    map_version: int
    trace_id: bytes


@dataclass(frozen=True, slots=True)
class Takeover:
    """The control record that begins a shard's care for a bucket. The earlier shard posted nothing
    of it after `posted_at`.
    """

    bucket: int
    map_version: int
    posted_at: datetime
    trace_id: bytes


@lru_cache(maxsize=_REMEMBERED)
def bucket(owner: str) -> int:
    """0 to 255: the same for all accounts of an owner, so that they share a shard."""
    return hashlib.sha256(owner.encode()).digest()[0]


@dataclass(frozen=True, slots=True)
class State:
    """What a shard knows before a batch.

    `local` says whether an owner's accounts live in this shard. `counters` has those of `touched`
    as far as they exist, `known` the digests posted or refused under `ids`, `pendings` those of
    `pending_ids`. `frozen` are assets. The numbers are the next ones to be used.
    """

    shard: int
    local: Callable[[str], bool]
    counters: Mapping[AccountKey, Counters]
    known: Mapping[bytes, Collection[bytes]]
    pendings: Mapping[bytes, Pending]
    frozen: Collection[str]
    next_posted: int
    next_leg: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """`accepted` and `refused` in the order of decision, `legs` in the order of their numbers;
    `counters` of every account that moved, `pendings` of those that changed.
    """

    accepted: tuple[Entry, ...]
    refused: tuple[Refusal, ...]
    counters: Mapping[AccountKey, Counters]
    pendings: Mapping[bytes, Pending]
    legs: tuple[Leg, ...]
