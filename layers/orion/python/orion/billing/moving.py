"""The one place where an invoice's status changes: computed from its facts, stored, announced."""

from collections.abc import Mapping
from dataclasses import replace

from orion.billing.invoice import Cause, Change, Invoice, merchant_view
from orion.billing.model import (
    PAID,
    REFUNDS,
    CauseType,
    check_transition,
    next_moment,
    next_status,
)
from orion.billing.payment_links.model import place_of
from orion.billing.ports import Transaction
from orion.billing.webhooks import announce


def follow_facts(
    tx: Transaction,
    invoice: Invoice,
    cause: Cause,
    checkout_urls: Mapping[str, str],
    *,
    report: bool = False,
) -> Invoice:
    """The locked `invoice`, whose facts are new, with the status that they imply at `cause.at`.

    A change is stored and announced; with `report` also one that leaves the status as it was.
    Raises IllegalTransition.
    """
    # Whoever waited for the lock, or has a clock that is behind, must not undo an expiry.
    cause = replace(cause, at=max(cause.at, invoice.cause.at))
    facts = invoice.facts()
    new, wakes_at = next_status(facts, cause.at), next_moment(facts, cause.at)
    if new is not invoice.status or cause.type is CauseType.EXPIRY:
        _follow_place(tx, replace(invoice, status=new), cause)
    if new is invoice.status and not report:
        return _wake(tx, replace(invoice, wakes_at=wakes_at), invoice)
    if new is not invoice.status:
        check_transition(invoice.status, new)
    if invoice.status in PAID and new not in PAID | REFUNDS:
        cause = replace(cause, type=CauseType.REORG)
    change = Change(invoice.changes + 1, invoice.status, new, cause)
    moved = replace(invoice, status=new, changes=change.number, cause=cause, wakes_at=wakes_at)
    tx.put_change(moved, change)
    announce(tx, moved, change, merchant_view(moved, checkout_urls[moved.lane]))
    return moved


def _follow_place(tx: Transaction, invoice: Invoice, cause: Cause) -> None:
    """What holds a place of a link, and what waits, follows from the status and the time."""
    link_id = invoice.made.payment_link_id
    if link_id is not None:
        place = place_of(invoice.status, invoice.expires_at, cause.at)
        tx.follow_place(link_id, invoice.invoice_id, place)


def _wake(tx: Transaction, after: Invoice, before: Invoice) -> Invoice:
    if after.wakes_at != before.wakes_at:
        # Also what keeps the expiry from asking for the same invoice again and again.
        tx.put_waking(after)
    return after
