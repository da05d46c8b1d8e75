"""What no account may become: its rule, and the size of a counter."""

from orion.ledger.codes import Rule
from orion.ledger.model import MAX_COUNTER, Reason
from orion.ledger.working import Held


def overflows(posted: int, pending: int) -> bool:
    """Whether a counter cannot become this. A pending part below zero makes no room for others."""
    return posted > MAX_COUNTER or posted + pending > MAX_COUNTER


def broken_rule(
    debit: Rule, credit: Rule, debited: Held, credited: Held, units: int
) -> Reason | None:
    """The rule that moving `units` would break. Pending credits never count as cover."""
    if debit is Rule.CREDITS_COVER_DEBITS and (
        debited.credits_posted - debited.debits_posted - debited.debits_pending < units
    ):
        return Reason.EXCEEDS_CREDITS
    if credit is Rule.DEBITS_COVER_CREDITS and (
        credited.debits_posted - credited.credits_posted - credited.credits_pending < units
    ):
        return Reason.EXCEEDS_DEBITS
    return None
