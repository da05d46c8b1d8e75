"""What a new invoice agrees on: plan, tier and referrer are locked with it (docs/fees.md)."""

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

from orion.billing.fees.model import Plan, Terms, volume_window
from orion.billing.fees.plan import read_plan
from orion.billing.fees.ports import AgreedFee, Assignment, FeeTransaction
from orion.money import Amount
from orion.records import parse_object

_PLANS_KEPT = 1_024


@dataclass(frozen=True, slots=True)
class FeeQuote:
    """What is asked of the customer, and what was agreed; `agreed` None is no fee, ever."""

    asked: Amount
    agreed: AgreedFee | None


@dataclass(frozen=True, slots=True)
class InForce:
    """The plan in force for a merchant at a moment. `volume_units` is None where the plan has one
    tier; `first` and `last` are the days of the volume.
    """

    assignment: Assignment
    plan: Plan
    volume_units: int | None
    first: date
    last: date

    @property
    def bps(self) -> int:
        return self.plan.tier(self.volume_units or 0).bps


@lru_cache(maxsize=_PLANS_KEPT)
def _plan(body: bytes) -> Plan:
    return read_plan(parse_object(body))


def in_force(
    tx: FeeTransaction, merchant_id: bytes, lane: str, at: datetime, *, with_volume: bool = False
) -> InForce | None:
    """The merchant's plan and the volume that decides its tier; `with_volume` also where one tier
    leaves nothing to decide.
    """
    assignment = tx.plan_in_force(merchant_id, lane)
    if assignment is None:
        return None
    plan = _plan(assignment.body)
    first, last = volume_window(at)
    volume = None
    if plan.needs_volume or with_volume:
        volume = plan.volume(tx.volumes(merchant_id, first, last))
    return InForce(assignment, plan, volume, first, last)


def quote_fee(
    tx: FeeTransaction, merchant_id: bytes, lane: str, price: Amount, at: datetime
) -> FeeQuote:
    """What an invoice over `price` agrees on when it is created at `at`. Raises AmountTooLarge."""
    found = in_force(tx, merchant_id, lane, at)
    if found is None:
        return FeeQuote(price, None)
    plan = found.plan
    terms = Terms(found.bps, plan.fixed.get(price.asset.code, 0), plan.payer, plan.referral_bps)
    asked = terms.asked(price)
    agreed = AgreedFee(
        plan_id=found.assignment.plan_id,
        subject=found.assignment.subject,
        assignment=found.assignment.number,
        terms=terms,
        referrer_id=tx.referrer(merchant_id) if plan.referral_bps else None,
        volume_units=found.volume_units,
        asked_units=asked.units,
    )
    return FeeQuote(asked, agreed)
