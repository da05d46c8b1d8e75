"""What a merchant owes, and the second entries by which the ledger itself writes it down.

docs/ledger.md, "Reversals are never refused" and "A debt is paid back by the next deposit".
"""

from orion.ids import fact_id
from orion.ledger.codes import Code, Purpose
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


def repayment_id(credit: Transfer) -> bytes:
    return fact_id("repaid", credit.id)


def repayment(credit: Transfer, units: int) -> Transfer:
    """What the merchant pays back of what `credit` made his to spend."""
    return credit._replace(
        id=repayment_id(credit),
        code=Code.REVERSAL_REPAID,
        units=units,
        debit=credit.credit,
        credit=receivable_of(credit.credit),
        cause=canonical_json({"type": "repayment", "transfer_id": credit.id.hex()}),
    )
