"""Plans and referrals: what operators set, and what merchants see. Each method is one
transaction.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from orion.billing.fees.calls import Assigning, Referring
from orion.billing.fees.errors import (
    ReferralCycle,
    ReferralExists,
    ReferralTooDeep,
    UnknownMerchant,
)
from orion.billing.fees.plan import plan_body, plan_bytes, plan_id
from orion.billing.fees.ports import Written
from orion.billing.fees.quote import in_force
from orion.billing.invoice import moment
from orion.billing.ports import BillingStore, Message, Transaction
from orion.ids import fact_id, public_id
from orion.money import Amount, asset

MAX_DEPTH = 32
Answer = Mapping[str, object]


class FeeDesk:
    """`clock` gives the present moment, aware UTC."""

    def __init__(self, store: BillingStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def shown(self, merchant_id: bytes, lane: str) -> Answer:
        """The plan in force for a merchant on a lane, the volume in its tier, who referred him."""
        return self._store.transact(lambda tx: _shown(tx, merchant_id, lane, self._clock()))

    def assign(self, call: Assigning, trace_id: str) -> Answer:
        """Make a plan the one in force from now on; the same again is no new row.

        Raises UnknownMerchant.
        """
        entry = Written(call.by, call.reason, trace_id, self._clock())
        return self._store.transact(lambda tx: _assign(tx, call, entry))

    def refer(self, call: Referring, trace_id: str) -> Answer:
        """Store who referred a merchant; the same again is no change.

        Raises ReferralExists, ReferralCycle, ReferralTooDeep, UnknownMerchant.
        """
        entry = Written(call.by, call.reason, trace_id, self._clock())
        return self._store.transact(lambda tx: _refer(tx, call, entry))


def _assign(tx: Transaction, call: Assigning, entry: Written) -> Answer:
    if call.merchant_id is not None and call.plan is not None:
        _check_known(tx, merchant=call.merchant_id)
    tx.lock_fees()
    number, present = tx.newest_assignment(call.subject)
    wanted = None if call.plan is None else plan_id(call.plan)
    if wanted != present:
        if call.plan is not None and wanted is not None:
            tx.put_plan(wanted, call.plan.name, plan_bytes(call.plan), entry.at)
        number += 1
        tx.add_assignment(call.subject, number, wanted, entry)
        details = {
            "number": number,
            "plan_id": None if wanted is None else wanted.hex(),
            "name": None if call.plan is None else call.plan.name,
            "reason": entry.reason,
        }
        event = fact_id("fee_plan.assigned", call.subject, number)
        tx.tell([_audit("fee_plan.assigned", call.shown, details, entry, event)], entry.at)
    shown = None if wanted is None else wanted.hex()
    return {"outcome": "assigned", "subject": call.subject, "number": number, "plan_id": shown}


def _refer(tx: Transaction, call: Referring, entry: Written) -> Answer:
    _check_known(tx, merchant=call.merchant_id, referrer=call.referrer_id)
    # Without the lock, two that refer each other at once would both find no circle.
    tx.lock_fees()
    known = tx.referrer(call.merchant_id)
    if known is not None and known != call.referrer_id:
        raise ReferralExists("somebody else has referred this merchant")
    merchant, referrer = public_id("mer", call.merchant_id), public_id("mer", call.referrer_id)
    if known is None:
        _check_no_circle(tx, call)
        tx.add_referral(call.merchant_id, call.referrer_id, entry)
        details = {"referrer": referrer, "reason": entry.reason}
        event = fact_id("referral.stored", call.merchant_id)
        tx.tell([_audit("referral.stored", merchant, details, entry, event)], entry.at)
    return {"outcome": "stored", "merchant": merchant, "referrer": referrer}


def _check_known(tx: Transaction, **merchants: bytes) -> None:
    known = tx.known_merchants(list(merchants.values()))
    for name, merchant_id in merchants.items():
        if merchant_id not in known:
            raise UnknownMerchant("no merchant has this id", field=name)


def _check_no_circle(tx: Transaction, call: Referring) -> None:
    above: bytes | None = call.referrer_id
    for _ in range(MAX_DEPTH):
        if above is None:
            return
        if above == call.merchant_id:
            raise ReferralCycle("this merchant has referred his referrer")
        above = tx.referrer(above)
    if above is not None:
        raise ReferralTooDeep("too many referrals stand above this one", depth=MAX_DEPTH)


def _shown(tx: Transaction, merchant_id: bytes, lane: str, at: datetime) -> Answer:
    found = in_force(tx, merchant_id, lane, at, with_volume=True)
    referrer = tx.referrer(merchant_id)
    referred_by = None if referrer is None else public_id("mer", referrer)
    if found is None:
        names = ("plan", "subject", "bps", "volume", "unvalued", "currency", "from", "to")
        return {**dict.fromkeys(names), "referred_by": referred_by}
    money = asset(found.plan.currency)
    own = not found.assignment.subject.startswith("lane:")
    return {
        "plan": plan_body(found.plan),
        "subject": public_id("mer", merchant_id) if own else found.assignment.subject,
        "bps": found.bps,
        "volume": Amount(found.volume_units or 0, money).text(),
        # Of what these days gave back, something may have been paid before them.
        "unvalued": max(0, found.unvalued),
        "currency": money.code,
        "from": found.first.isoformat(),
        "to": found.last.isoformat(),
        "referred_by": referred_by,
    }


def _audit(
    action: str, subject: str, details: Mapping[str, object], entry: Written, event: bytes
) -> Message:
    body = {
        "v": 1,
        "trace_id": entry.trace_id,
        "module": "billing",
        "action": action,
        "at": moment(entry.at),
        "actor": entry.by,
        "subject": subject,
        "details": details,
    }
    return Message("kafka:audit.events", "billing", body, event)
