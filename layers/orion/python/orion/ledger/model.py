"""Accounts, transfers and what is decided about them. docs/ledger.md is the specification."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from orion.ids import fact_id
from orion.money import MAX_UNITS

MAX_COUNTER = MAX_UNITS
DIGEST_BYTES = 16


class Rule(StrEnum):
    """What an account may not become."""

    NONE = "none"
    CREDITS_COVER_DEBITS = "credits_cover_debits"
    DEBITS_COVER_CREDITS = "debits_cover_credits"


class Purpose(StrEnum):
    """What an account is for; its rule and the kind of its owner follow."""

    CUSTODY = "custody"
    SETTLING = "settling"
    AVAILABLE = "available"
    REVERSAL_RECEIVABLE = "reversal_receivable"


RULES: Mapping[Purpose, Rule] = {
    Purpose.CUSTODY: Rule.NONE,
    Purpose.SETTLING: Rule.CREDITS_COVER_DEBITS,
    Purpose.AVAILABLE: Rule.CREDITS_COVER_DEBITS,
    Purpose.REVERSAL_RECEIVABLE: Rule.NONE,
}


class Kind(StrEnum):
    """How a transfer acts. The two-phase kinds have their place in the specification."""

    DIRECT = "direct"


class Code(StrEnum):
    """Why money moves."""

    DEPOSIT_CREDIT = "deposit_credit"
    DEPOSIT_FINAL = "deposit_final"
    DEPOSIT_REVERSAL = "deposit_reversal"
    DEPOSIT_REVERSAL_FINAL = "deposit_reversal_final"
    REVERSAL_SHORTFALL = "reversal_shortfall"


SIDES: Mapping[Code, tuple[Purpose, Purpose]] = {
    Code.DEPOSIT_CREDIT: (Purpose.CUSTODY, Purpose.SETTLING),
    Code.DEPOSIT_FINAL: (Purpose.SETTLING, Purpose.AVAILABLE),
    Code.DEPOSIT_REVERSAL: (Purpose.SETTLING, Purpose.CUSTODY),
    Code.DEPOSIT_REVERSAL_FINAL: (Purpose.AVAILABLE, Purpose.CUSTODY),
}
REVERSALS = frozenset({Code.DEPOSIT_REVERSAL, Code.DEPOSIT_REVERSAL_FINAL})


class Reason(StrEnum):
    """Why a transfer was refused; in the order in which the reasons are tried."""

    ID_CONFLICT = "id_conflict"
    SAME_ACCOUNT = "same_account"
    CODE_MISMATCH = "code_mismatch"
    TWO_LIMITS = "two_limits"
    EXCEEDS_CREDITS = "exceeds_credits"
    EXCEEDS_DEBITS = "exceeds_debits"
    OVERFLOW = "overflow"


@dataclass(frozen=True, slots=True)
class AccountKey:
    """Who, what for and in which asset. `owner` is `merchant:<32 hex>` or `system:<chain>`."""

    owner: str
    purpose: Purpose
    asset: str

    @property
    def id(self) -> bytes:
        return fact_id("account", self.owner, str(self.purpose), self.asset)

    @property
    def is_merchant(self) -> bool:
        return self.owner.startswith("merchant:")

    @property
    def rule(self) -> Rule:
        return RULES[self.purpose]


@dataclass(frozen=True, slots=True)
class Counters:
    """Sums of smallest units over everything that an account has seen."""

    debits_posted: int = 0
    debits_pending: int = 0
    credits_posted: int = 0
    credits_pending: int = 0

    @property
    def movable(self) -> int:
        """What a rule of `credits_cover_debits` still lets go; negative only without that rule."""
        return self.credits_posted - self.debits_posted - self.debits_pending


@dataclass(frozen=True, slots=True)
class Transfer:
    """One movement as it was asked for. `cause` is canonical JSON, `trace_id` 16 bytes."""

    id: bytes
    kind: Kind
    code: Code
    units: int
    debit: AccountKey
    credit: AccountKey
    cause: bytes
    trace_id: bytes
    linked: bool = False

    @property
    def digest(self) -> bytes:
        """What the id stands for: everything but the trace id, which differs between deliveries.

        No part holds a zero byte (checked owners, words, digits, canonical JSON): it parts them.
        """
        debit, credit = self.debit, self.credit
        head = (
            f"orion-transfer-1\0{self.kind}\0{self.code}\0{debit.asset}\0{credit.asset}\0{self.units}"
            f"\0{debit.owner}\0{debit.purpose}\0{credit.owner}\0{credit.purpose}"
            f"\0{int(self.linked)}\0"
        )
        return hashlib.sha256(head.encode() + self.cause).digest()[:DIGEST_BYTES]

    def content(self) -> dict[str, object]:
        """The transfer in the form of its record, the cause as text."""
        return {
            "id": self.id.hex(),
            "kind": str(self.kind),
            "code": str(self.code),
            "asset": self.debit.asset,
            "units": str(self.units),
            "debit": {"owner": self.debit.owner, "purpose": str(self.debit.purpose)},
            "credit": {"owner": self.credit.owner, "purpose": str(self.credit.purpose)},
            "cause": self.cause.decode(),
            "linked": self.linked,
        }


@dataclass(frozen=True, slots=True)
class Entry:
    """A transfer as it was posted, with the digest of what was asked for under its id."""

    transfer: Transfer
    digest: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """A transfer that moved nothing, and why."""

    transfer: Transfer
    digest: bytes
    reason: Reason


def bucket(owner: str) -> int:
    """0 to 255: the same for all accounts of an owner, so that they share a shard."""
    return hashlib.sha256(owner.encode()).digest()[0]
