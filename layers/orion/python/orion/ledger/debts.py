"""What a merchant owes, and the second entries by which the ledger itself writes it down.

docs/ledger.md, "Reversals are never refused" and "A debt is paid back by what becomes available".
"""

from orion.ids import fact_id
from orion.ledger.codes import Code, Kind, Purpose
from orion.ledger.model import AccountKey, Transfer, account_key
from orion.records import canonical_json


def debtor(transfer: Transfer) -> AccountKey:
    """The merchant's side of a transfer that looks at what he owes."""
    return transfer.debit if transfer.debit.is_merchant else transfer.credit


def receivable_of(account: AccountKey) -> AccountKey:
    """Where this merchant's debt of this asset stands."""
    return account_key(account.owner, Purpose.REVERSAL_RECEIVABLE, account.asset)


def shortfall_id(asked: Transfer) -> bytes:
    return fact_id("shortfall", asked.id)


def shortfall(asked: Transfer, code: Code, lacking: int) -> Transfer:
    """What a transfer that is never refused did not find in its account, as a debt."""
    return asked._replace(
        id=shortfall_id(asked),
        code=code,
        units=lacking,
        debit=receivable_of(asked.debit),
        cause=canonical_json({"type": "shortfall", "transfer_id": asked.id.hex()}),
    )


def repayment_id(before: Transfer) -> bytes:
    return fact_id("repaid", before.id)


def repayment(before: Transfer, units: int) -> Transfer:
    """What the merchant pays back of what `before` credited to him, or did not pay out after all.

    A payout may end once only, so the ending transfer's id says as much as the pending one's.
    """
    credited = before.credit.purpose is Purpose.AVAILABLE
    available = before.credit if credited else before.debit
    return before._replace(
        id=repayment_id(before),
        kind=Kind.DIRECT,
        code=Code.REVERSAL_REPAID,
        units=units,
        debit=available,
        credit=receivable_of(available),
        cause=canonical_json({"type": "repayment", "transfer_id": before.id.hex()}),
        pending_id=None,
    )
