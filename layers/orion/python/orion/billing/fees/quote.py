"""What a new invoice agrees on: plan, tier and referrer are locked with it (docs/fees.md)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

from orion.billing.fees.model import Plan, Terms, volume_window
from orion.billing.fees.plan import read_plan
from orion.billing.fees.ports import AgreedFee, Assignment, FeeTransaction
from orion.billing.rates.source import HouseWanted
from orion.money import Amount, Asset
from orion.records import parse_object

_PLANS_KEPT = 1_024


@dataclass(frozen=True, slots=True)
class FeeQuote:
    """What is asked of the customer, and what was agreed; `agreed` None is no fee, ever."""

    asked: Amount
    agreed: AgreedFee | None

    def house(self, assets: Sequence[Asset]) -> HouseWanted | None:
        """The rates of the house that the invoice locks, of all `assets` that can be paid: a fixed
        part needs those of the assets offered. None where no fee was agreed.
        """
        if self.agreed is None:
            return None
        return HouseWanted(assets, required=self.agreed.terms.fixed_units > 0)


@dataclass(frozen=True, slots=True)
class InForce:
    """The plan in force for a merchant at a moment. `volume_units` is None where the plan has one
    tier, `unvalued` how many payments it leaves out; `first` and `last` are the days of the volume.
    """

    assignment: Assignment
    plan: Plan
    volume_units: int | None
    unvalued: int
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
    if not plan.needs_volume and not with_volume:
        return InForce(assignment, plan, None, 0, first, last)
    counted = tx.volumes(merchant_id, first, last)
    return InForce(assignment, plan, plan.volume(counted.units), counted.unvalued, first, last)


def needs_house_rate(tx: FeeTransaction, merchant_id: bytes, lane: str, currency: str) -> bool:
    """Whether an invoice of this merchant in this currency agrees on a fixed part."""
    assignment = tx.plan_in_force(merchant_id, lane)
    return assignment is not None and currency in _plan(assignment.body).fixed


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
