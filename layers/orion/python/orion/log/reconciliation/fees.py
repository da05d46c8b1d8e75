"""What a fee must be, from what billing stored: docs/fees.md once more, sharing no code with those
who take it. Integers only.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from orion.errors import OrionError
from orion.ids import fact_id
from orion.log.reconciliation.evidence import MERCHANT, differs, must
from orion.money import Amount, asset
from orion.records import parse_object

FeeKey = tuple[bytes, int]
"""A deposit and one of its credit epochs."""

_RATE_PLACES = 12
_BASIS = 10_000
_LANES = ("lane:standard", "lane:vip")


@dataclass(frozen=True, slots=True)
class AgreedFact:
    """What an invoice agreed on, with what it must follow from: the plan's bytes, which plan the
    assignment named has, who referred the merchant, and what its options took of the market.
    `house_rates` is the JSON that it keeps, the only rates that a fee follows from.
    """

    merchant_id: bytes
    currency: str
    price_units: int
    plan_id: bytes
    plan: bytes
    subject: str
    assigned_plan: bytes | None
    bps: int
    fixed_units: int
    payer: str
    referral_bps: int
    referrer_id: bytes | None
    volume_units: int | None
    asked_units: int
    referred_by: bytes | None
    house_rates: str
    options: Mapping[str, "MarketOption"]


@dataclass(frozen=True, slots=True)
class MarketOption:
    """An option with the market's rate, in units: that of the house less the spread."""

    rate_units: int
    spread_bps: int


@dataclass(frozen=True, slots=True)
class AssessedFact:
    """A stored assessment. `taken_before` is what of the fixed part stood before its number;
    `rate_units` and `value_units` are None where there was no rate of the house.
    """

    invoice_id: bytes
    units: int
    asset: str
    rate_units: int | None
    value_units: int | None
    taken_before: int
    returned: bool


@dataclass(frozen=True, slots=True)
class FeeFacts:
    """Of one final credit: what its invoice agreed on (None where that agreed on no fee), and its
    assessment, if it was assessed.
    """

    agreed: AgreedFact | None = None
    assessed: AssessedFact | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """Units of the coin: the fee, and what of it goes to who referred the merchant. The value in
    the currency's units, by the rate of the house; None where there was none.
    """

    fee: int
    share: int
    rate: int | None
    value: int | None


def due(agreed: AgreedFact, coin: str, units: int, taken_before: int) -> Due:
    """What a final credit of `units` costs, and what it counts. 41,667 satoshi at 60000.00 EUR/BTC
    with 100 bp, 0.10 EUR and 2,000 bp for the referrer: 416 + 166 = 582, and 116 of it; 25.00 EUR.
    Raises Untrue.
    """
    percent = units * agreed.bps // _BASIS
    fixed, value = 0, None
    rate = _house(agreed).get(coin)
    if rate is not None:
        # One smallest unit of the currency is step / rate smallest units of the coin.
        step = 10 ** (_RATE_PLACES + asset(coin).decimals)
        price = rate * 10 ** asset(agreed.currency).decimals
        value = units * price // step
        whole = (units - percent) * price // step
        fixed = min(agreed.fixed_units - taken_before, whole) * step // price
    fee = percent + fixed
    share = fee * agreed.referral_bps // _BASIS if agreed.referrer_id is not None else 0
    return Due(fee, share, rate, value)


def _house(agreed: AgreedFact) -> Mapping[str, int]:
    try:
        rows = parse_object(agreed.house_rates.encode())
        found = {code: int(row["units"]) for code, row in rows.items() if isinstance(row, dict)}
    except (OrionError, ValueError, KeyError, TypeError):
        raise differs("rates of the house of another form", "rates of the house") from None
    if len(found) != len(rows) or any(rate <= 0 for rate in found.values()):
        raise differs("rates of the house of another form", "rates of the house")
    return found


def _check_house(agreed: AgreedFact) -> None:
    """Where an option took the market's rate, that of the house is known: it less the spread. What
    was agreed before the rates of the house were kept names no path and took the option's.
    """
    rates, rows = _house(agreed), parse_object(agreed.house_rates.encode())
    for code, option in agreed.options.items():
        row = rows.get(code)
        spread = option.spread_bps if isinstance(row, dict) and "path" in row else 0
        expected = rates.get(code, 0) * (_BASIS - spread) // _BASIS
        must(f"market's rate of {code}", option.rate_units, expected)


def check_agreed(agreed: AgreedFact) -> None:
    """Whether the terms follow from the plan, the plan from its assignment, the referrer from the
    referral, and the market's options from the rates of the house. Raises Untrue.
    """
    must("plan", agreed.plan_id, fact_id("fee_plan", agreed.plan))
    must("plan of the assignment", agreed.assigned_plan, agreed.plan_id)
    own = MERCHANT + agreed.merchant_id.hex()
    must("subject of the plan", agreed.subject in (own, *_LANES), expected=True)
    try:
        terms = _terms(agreed)
    except (OrionError, ValueError, KeyError, TypeError, IndexError):
        raise differs("a plan of another form", "a plan") from None
    must("terms", (agreed.bps, agreed.fixed_units, agreed.payer, agreed.referral_bps), terms)
    asked = agreed.price_units
    if agreed.payer == "customer":
        asked = -(-(asked + agreed.fixed_units) * _BASIS // (_BASIS - agreed.bps))
    must("price asked", agreed.asked_units, asked)
    if agreed.referrer_id is not None:
        must("referrer", agreed.referrer_id, agreed.referred_by)
    _check_house(agreed)


def _terms(agreed: AgreedFact) -> tuple[int, int, str, int]:
    plan = parse_object(agreed.plan)
    money, tiers, fixed = asset(str(plan["currency"])), plan["tiers"], plan["fixed"]
    if not isinstance(tiers, list) or not isinstance(fixed, dict):
        raise TypeError("not a plan")
    volume = agreed.volume_units
    if volume is None and len(tiers) > 1:
        raise ValueError("no volume for several tiers")
    reached = [tier for tier in tiers if Amount.parse(tier["from"], money).units <= (volume or 0)]
    part = fixed.get(agreed.currency)
    fixed_units = 0 if part is None else Amount.parse(part, asset(agreed.currency)).units
    share = plan["referral_bps"]
    if type(share) is not int or type(reached[-1]["bps"]) is not int:
        raise TypeError("not a plan")
    return reached[-1]["bps"], fixed_units, str(plan["payer"]), share
