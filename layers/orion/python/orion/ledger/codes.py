"""The closed sets of the ledger: purposes, rules, kinds, and the table of codes.

A new code is a row of CODES. The specification is docs/ledger.md, "Accounts" and "Transfers".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


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
    FEE_INCOME = "fee_income"
    CLEARING = "clearing"

    # Enum hashes in Python; as text, a word is hashed once and in C.
    __hash__ = str.__hash__


RULES: Mapping[Purpose, Rule] = MappingProxyType(
    {
        Purpose.CUSTODY: Rule.NONE,
        Purpose.SETTLING: Rule.CREDITS_COVER_DEBITS,
        Purpose.AVAILABLE: Rule.CREDITS_COVER_DEBITS,
        Purpose.REVERSAL_RECEIVABLE: Rule.NONE,
        Purpose.FEE_INCOME: Rule.NONE,
        Purpose.CLEARING: Rule.NONE,
    }
)
# How the owner of an account of this purpose begins.
OWNERS: Mapping[Purpose, str] = MappingProxyType(
    {
        Purpose.CUSTODY: "system:",
        Purpose.SETTLING: "merchant:",
        Purpose.AVAILABLE: "merchant:",
        Purpose.REVERSAL_RECEIVABLE: "merchant:",
        Purpose.FEE_INCOME: "system:",
        Purpose.CLEARING: "shard:",
    }
)
# Of the chain that has the asset: what legs are sent for.
OF_THE_CHAIN = frozenset(purpose for purpose, owner in OWNERS.items() if owner == "system:")


class Kind(StrEnum):
    """How a transfer acts on the counters of its two accounts."""

    DIRECT = "direct"
    PENDING = "pending"
    SIGNED = "signed"
    POST = "post"
    VOID = "void"
    TIMEOUT = "timeout"

    __hash__ = str.__hash__


# The kinds that end an earlier pending transfer, and all that act on one, and name it.
ENDS = frozenset({Kind.POST, Kind.VOID, Kind.TIMEOUT})
SECOND_PHASE = ENDS | {Kind.SIGNED}


class Code(StrEnum):
    """Why money moves."""

    DEPOSIT_CREDIT = "deposit_credit"
    DEPOSIT_FINAL = "deposit_final"
    DEPOSIT_REVERSAL = "deposit_reversal"
    DEPOSIT_REVERSAL_FINAL = "deposit_reversal_final"
    REVERSAL_SHORTFALL = "reversal_shortfall"
    REVERSAL_REPAID = "reversal_repaid"
    PAYOUT = "payout"
    FEE = "fee"
    FEE_RETURNED = "fee_returned"
    REFERRAL_SHARE = "referral_share"
    REFERRAL_RETURNED = "referral_returned"
    FEE_SHORTFALL = "fee_shortfall"
    LEG = "leg"

    __hash__ = str.__hash__


@dataclass(frozen=True, slots=True)
class CodeRule:
    """What a code joins, and how. `leg` joins clearing with every account of a chain, either way
    round.

    `shortfall`: never refused, what its account lacks is taken from the receivable under this code.
    `pays_out`: not while its asset is frozen or its merchant owes, and what its end gives back pays
    the receivable back. `repays`: what it credits does. `by_ledger`: made by the ledger itself.
    """

    debit: Purpose
    credit: Purpose
    kinds: frozenset[Kind]
    shortfall: Code | None = None
    pays_out: bool = False
    repays: bool = False
    by_ledger: bool = False

    @property
    def owing(self) -> bool:
        """Whether what the merchant owes has a say: a third account is looked at."""
        return self.shortfall is not None or self.pays_out or self.repays

    def pays_back(self, kind: str) -> bool:
        """Whether a transfer of this kind pays the receivable back."""
        return self.repays or (self.pays_out and kind in ENDS)


_DIRECT = frozenset({Kind.DIRECT})
_TWO_PHASES = SECOND_PHASE | {Kind.PENDING}

CODES: Mapping[Code, CodeRule] = MappingProxyType(
    {
        Code.DEPOSIT_CREDIT: CodeRule(Purpose.CUSTODY, Purpose.SETTLING, _DIRECT),
        Code.DEPOSIT_FINAL: CodeRule(Purpose.SETTLING, Purpose.AVAILABLE, _DIRECT, repays=True),
        Code.DEPOSIT_REVERSAL: CodeRule(
            Purpose.SETTLING, Purpose.CUSTODY, _DIRECT, shortfall=Code.REVERSAL_SHORTFALL
        ),
        Code.DEPOSIT_REVERSAL_FINAL: CodeRule(
            Purpose.AVAILABLE, Purpose.CUSTODY, _DIRECT, shortfall=Code.REVERSAL_SHORTFALL
        ),
        Code.REVERSAL_SHORTFALL: CodeRule(
            Purpose.REVERSAL_RECEIVABLE, Purpose.CUSTODY, _DIRECT, by_ledger=True
        ),
        Code.REVERSAL_REPAID: CodeRule(
            Purpose.AVAILABLE, Purpose.REVERSAL_RECEIVABLE, _DIRECT, by_ledger=True
        ),
        Code.PAYOUT: CodeRule(Purpose.AVAILABLE, Purpose.CUSTODY, _TWO_PHASES, pays_out=True),
        Code.FEE: CodeRule(
            Purpose.AVAILABLE, Purpose.FEE_INCOME, _DIRECT, shortfall=Code.FEE_SHORTFALL
        ),
        Code.FEE_RETURNED: CodeRule(Purpose.FEE_INCOME, Purpose.AVAILABLE, _DIRECT, repays=True),
        Code.REFERRAL_SHARE: CodeRule(Purpose.FEE_INCOME, Purpose.AVAILABLE, _DIRECT, repays=True),
        Code.REFERRAL_RETURNED: CodeRule(
            Purpose.AVAILABLE, Purpose.FEE_INCOME, _DIRECT, shortfall=Code.FEE_SHORTFALL
        ),
        Code.FEE_SHORTFALL: CodeRule(
            Purpose.REVERSAL_RECEIVABLE, Purpose.FEE_INCOME, _DIRECT, by_ledger=True
        ),
        Code.LEG: CodeRule(Purpose.CUSTODY, Purpose.CLEARING, _DIRECT, by_ledger=True),
    }
)
# Made beside another transfer by the shard that decides it. Legs are the ledger's too, but travel.
MADE_BESIDE = frozenset(
    code for code, rule in CODES.items() if rule.by_ledger and code is not Code.LEG
)


def debit_decides(debit: Purpose, credit: Purpose) -> bool:
    """Whether the debited account's owner decides a transfer between accounts of these purposes:
    the one with a rule, else the merchant's, else the debited one, but never clearing.
    """
    for purpose, answer in ((debit, True), (credit, False)):
        if RULES[purpose] is not Rule.NONE:
            return answer
    if Purpose.REVERSAL_RECEIVABLE in (debit, credit):
        return debit is Purpose.REVERSAL_RECEIVABLE
    return debit is not Purpose.CLEARING
