"""The rule of fees: every fee, share and return recomputed, and none forgotten (docs/books.md)."""

from datetime import timedelta

from orion.ids import fact_id
from orion.ledger.codes import Code
from orion.log.reconciliation.causes import CausedEntry, DepositFact, Facts, Wanted, shortfall_id
from orion.log.reconciliation.evidence import (
    MERCHANT,
    Cause,
    deposit_cause,
    differs,
    must,
    not_found,
)
from orion.log.reconciliation.fees import (
    AgreedFact,
    AssessedFact,
    Due,
    FeeFacts,
    check_agreed,
    due,
)
from orion.log.reconciliation.sides import must_be_asked

CODES_OF_FEES = frozenset(
    {Code.FEE, Code.FEE_RETURNED, Code.REFERRAL_SHARE, Code.REFERRAL_RETURNED}
)
_RETURNS = frozenset({Code.FEE_RETURNED, Code.REFERRAL_RETURNED})
_SHARES = frozenset({Code.REFERRAL_SHARE, Code.REFERRAL_RETURNED})
# How long a fee may be on its way: an outage of what takes it.
_LATE = timedelta(days=1)
_NOTHING = FeeFacts()


def fee_wants(entry: CausedEntry, cause: Cause) -> Wanted:
    deposit, epoch = deposit_cause(cause)
    return Wanted(
        deposits=frozenset({deposit}),
        transfers=frozenset({shortfall_id(entry.id)}),
        fees=frozenset({(deposit, epoch)}),
    )


def check_fee(entry: CausedEntry, cause: Cause, facts: Facts) -> None:
    identity, epoch = deposit_cause(cause)
    deposit = facts.deposits.get(identity)
    if deposit is None:
        raise not_found(f"deposit {identity.hex()}")
    code = Code(entry.code)
    must("transfer id", entry.id, fact_id(code.value, identity, epoch))
    known = facts.fees.get((identity, epoch), _NOTHING)
    if known.agreed is None or known.assessed is None:
        raise not_found(f"assessment of the deposit under epoch {epoch}")
    agreed, assessed = known.agreed, known.assessed
    _check_final(deposit, epoch, assessed)
    must("merchant of the invoice", agreed.merchant_id, deposit.assigned_to)
    check_agreed(agreed)
    expected = _due(agreed, deposit, assessed)
    owner = agreed.referrer_id if code in _SHARES else agreed.merchant_id
    if owner is None:
        raise differs("a share", "none: nobody referred the merchant")
    moved = must_be_asked(entry, MERCHANT + owner.hex(), deposit.asset, facts)
    must("units", moved, expected.share if code in _SHARES else expected.fee)
    if code in _RETURNS:
        must("returned", assessed.returned, expected=True)
        if deposit.ever("reversed", epoch + 1) is None:
            raise not_found(f"reversal of the deposit's epoch {epoch}")


def _due(agreed: AgreedFact, deposit: DepositFact, assessed: AssessedFact) -> Due:
    """Computed by the rate of the house, by which the stored rate and value must be too."""
    expected = due(agreed, deposit.asset, assessed.units, assessed.taken_before)
    must("rate assessed", assessed.rate_units, expected.rate)
    must("value assessed", assessed.value_units, expected.value)
    return expected


def _check_final(deposit: DepositFact, epoch: int, assessed: AssessedFact) -> None:
    final = deposit.ever("final", epoch)
    if final is None:
        raise not_found(f"finality of the deposit under epoch {epoch}")
    must("units assessed", assessed.units, final.units)
    must("asset assessed", assessed.asset, deposit.asset)


# A final deposit whose fee nobody took


def taken_with(identity: bytes, epoch: int) -> Wanted:
    """What `check_taken` looks at."""
    ids = (fact_id(code.value, identity, epoch) for code in (Code.FEE, Code.REFERRAL_SHARE))
    return Wanted(transfers=frozenset(ids), fees=frozenset({(identity, epoch)}))


def check_taken(entry: CausedEntry, deposit: DepositFact, epoch: int, facts: Facts) -> None:
    """Whether the fee that was agreed for a final deposit has been posted, or may be on its way.
    One that was reversed needs none: what was taken is given back.
    """
    known = facts.fees.get((deposit.id, epoch), _NOTHING)
    if known.agreed is None or facts.now - entry.posted_at <= _LATE:
        return
    if deposit.ever("reversed", epoch + 1) is not None:
        return
    if known.assessed is None:
        raise not_found(f"assessment of the deposit under epoch {epoch}")
    for code, units in _parts(known.agreed, deposit, known.assessed):
        identity = fact_id(code.value, deposit.id, epoch)
        if units and identity not in facts.transfers:
            raise not_found(f"{code.value} {identity.hex()} of {units} units")


def _parts(
    agreed: AgreedFact, deposit: DepositFact, assessed: AssessedFact
) -> tuple[tuple[Code, int], ...]:
    expected = _due(agreed, deposit, assessed)
    return (Code.FEE, expected.fee), (Code.REFERRAL_SHARE, expected.share)
