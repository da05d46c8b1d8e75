"""Reading and writing a fee plan: a canonical JSON object whose bytes make its id."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from orion.billing.fees.errors import MalformedFeePlan
from orion.billing.fees.model import Payer, Plan, Tier
from orion.billing.quote import Rate
from orion.errors import OrionError
from orion.ids import fact_id
from orion.money import ASSETS, Amount, Asset
from orion.records import canonical_json

MAX_TIERS = 16
MAX_CURRENCIES = 32
MAX_BPS = 5_000
_VERSION = 1
_NAMES = frozenset(
    {"v", "name", "currency", "tiers", "fixed", "payer", "referral_bps", "reporting"}
)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}\Z", re.ASCII)


def read_plan(value: object) -> Plan:
    """The plan that a JSON object describes. Raises MalformedFeePlan, whose `field` names the
    part.
    """
    body = _object(value, "plan")
    if body.keys() != _NAMES:
        wrong = min(body.keys() ^ _NAMES)
        raise MalformedFeePlan("a name is missing or unknown", field=wrong[:40])
    if type(body["v"]) is not int or body["v"] != _VERSION:
        raise MalformedFeePlan("plans have version 1", field="v")
    name = body["name"]
    if not isinstance(name, str) or not _NAME.match(name):
        raise MalformedFeePlan("1 to 32 of a-z, 0-9 and hyphens", field="name")
    try:
        payer = Payer(str(body["payer"]))
    except ValueError as exc:
        raise MalformedFeePlan("merchant or customer", field="payer") from exc
    money = _fiat(body["currency"], "currency")
    reporting = _reporting(body["reporting"], money)
    return Plan(
        name=name,
        currency=money.code,
        tiers=_tiers(body["tiers"], money),
        fixed=MappingProxyType(_fixed(body["fixed"])),
        payer=payer,
        referral_bps=_bps(body["referral_bps"], 10_000, "referral_bps"),
        reporting=MappingProxyType(reporting),
    )


def plan_bytes(plan: Plan) -> bytes:
    """The plan in the one form that is stored; `read_plan` reads it back."""
    return canonical_json(plan_body(plan))


def plan_id(plan: Plan) -> bytes:
    """Made of what it says: one id, one content."""
    return fact_id("fee_plan", plan_bytes(plan))


def plan_body(plan: Plan) -> dict[str, object]:
    """The plan as people see it."""
    money = ASSETS[plan.currency]
    return {
        "v": _VERSION,
        "name": plan.name,
        "currency": plan.currency,
        "tiers": [
            {"from": Amount(tier.from_units, money).text(), "bps": tier.bps} for tier in plan.tiers
        ],
        "fixed": {code: Amount(units, ASSETS[code]).text() for code, units in plan.fixed.items()},
        "payer": plan.payer.value,
        "referral_bps": plan.referral_bps,
        "reporting": {code: rate.text() for code, rate in plan.reporting.items()},
    }


def merchant_subject(merchant_id: bytes) -> str:
    """Under which a merchant's own plans are assigned."""
    return f"merchant:{merchant_id.hex()}"


def lane_subject(lane: str) -> str:
    """Under which the plans of a lane are assigned."""
    return f"lane:{lane}"


def _object(value: object, field: str) -> Mapping[str, object]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise MalformedFeePlan("not a JSON object", field=field)
    return value


def _fiat(value: object, field: str) -> Asset:
    found = ASSETS.get(value) if isinstance(value, str) else None
    if found is None or found.chain is not None:
        raise MalformedFeePlan("no such currency", field=field)
    return found


def _bps(value: object, most: int, field: str) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise MalformedFeePlan(f"a whole number from 0 to {most}", field=field)
    return value


def _units(value: object, money: Asset, field: str) -> int:
    try:
        units = Amount.parse(value if isinstance(value, str) else "", money).units
    except OrionError as exc:
        raise MalformedFeePlan("not an amount of this currency", field=field) from exc
    if units < 0:
        raise MalformedFeePlan("not less than zero", field=field)
    return units


def _tiers(value: object, money: Asset) -> tuple[Tier, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_TIERS:
        raise MalformedFeePlan(f"1 to {MAX_TIERS} tiers", field="tiers")
    tiers = []
    for row in value:
        body = _object(row, "tiers")
        if body.keys() != {"from", "bps"}:
            raise MalformedFeePlan("a tier has from and bps", field="tiers")
        units = _units(body["from"], money, "tiers.from")
        tiers.append(Tier(units, _bps(body["bps"], MAX_BPS, "tiers.bps")))
    begins = [tier.from_units for tier in tiers]
    if begins[0] != 0 or sorted(set(begins)) != begins:
        raise MalformedFeePlan("tiers begin at zero and rise", field="tiers.from")
    return tuple(tiers)


def _fixed(value: object) -> dict[str, int]:
    body = _object(value, "fixed")
    if len(body) > MAX_CURRENCIES:
        raise MalformedFeePlan(f"at most {MAX_CURRENCIES} currencies", field="fixed")
    found = {}
    for code, amount in sorted(body.items()):
        found[code] = _units(amount, _fiat(code, "fixed"), "fixed")
        if not found[code]:
            raise MalformedFeePlan("a fixed part is more than zero", field="fixed")
    return found


def _reporting(value: object, money: Asset) -> dict[str, Rate]:
    body = _object(value, "reporting")
    if len(body) > MAX_CURRENCIES or money.code in body:
        raise MalformedFeePlan(f"at most {MAX_CURRENCIES} other currencies", field="reporting")
    found = {}
    for code, text in sorted(body.items()):
        _fiat(code, "reporting")
        try:
            found[code] = Rate.parse(text if isinstance(text, str) else "")
        except OrionError as exc:
            raise MalformedFeePlan("not a rate", field="reporting") from exc
    return found
