"""What a pending transfer lets the second phase do to it.

docs/ledger.md, "Transfers". The time-out that loses against a first signature is decided here.
"""

from orion.ledger.codes import Kind
from orion.ledger.model import Pending, PendingState, Reason, Transfer
from orion.records import parse_object

CHAIN_FINAL = "chain_final"
_ENDED = {
    PendingState.POSTED: Reason.PENDING_ALREADY_POSTED,
    PendingState.VOIDED: Reason.PENDING_ALREADY_VOIDED,
}


def refuses(pending: Pending, transfer: Transfer) -> Reason | None:
    """Why `pending` lets nothing of the second phase act on it, or not this."""
    asked = (transfer.code, transfer.debit, transfer.credit)
    posts = transfer.kind is Kind.POST
    if (pending.code, pending.debit, pending.credit) != asked or (
        not posts and transfer.units != pending.units
    ):
        return Reason.PENDING_DIFFERS
    if pending.state is not PendingState.OPEN:
        return _ENDED[pending.state]
    if pending.signed and (
        transfer.kind is Kind.TIMEOUT
        or (transfer.kind is Kind.VOID and parse_object(transfer.cause).get("type") != CHAIN_FINAL)
    ):
        return Reason.PENDING_SIGNED
    if posts and transfer.units > pending.units:
        return Reason.PENDING_EXCEEDED
    return None
