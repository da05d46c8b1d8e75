"""What a merchant owes, and the second entries by which the ledger itself writes it down.

docs/ledger.md, "Reversals are never refused" and "A debt is paid back by the next deposit".
"""

from orion.ids import fact_id
from orion.ledger.codes import Code, Purpose
from orion.ledger.model import AccountKey, Transfer, account_key
from orion.records import canonical_json


def receivable_of(account: AccountKey) -> AccountKey:
    """Where this merchant's debt of this asset stands."""
    return account_key(account.owner, Purpose.REVERSAL_RECEIVABLE, account.asset)


def shortfall_id(reversal: Transfer) -> bytes:
    return fact_id("shortfall", reversal.id)


def shortfall(reversal: Transfer, lacking: int) -> Transfer:
    """What `reversal` did not find in its account, as a debt."""
    return reversal._replace(
        id=shortfall_id(reversal),
        code=Code.REVERSAL_SHORTFALL,
        units=lacking,
        debit=receivable_of(reversal.debit),
        cause=canonical_json({"type": "shortfall", "transfer_id": reversal.id.hex()}),
    )


def repayment_id(final: Transfer) -> bytes:
    return fact_id("repaid", final.id)


def repayment(final: Transfer, units: int) -> Transfer:
    """What the merchant pays back of what `final` made his to spend."""
    return final._replace(
        id=repayment_id(final),
        code=Code.REVERSAL_REPAID,
        units=units,
        debit=final.credit,
        credit=receivable_of(final.credit),
        cause=canonical_json({"type": "repayment", "transfer_id": final.id.hex()}),
    )
