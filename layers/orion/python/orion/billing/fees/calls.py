"""What operators ask about fees, read strictly (docs/fees.md, "Asked by merchants and
operators").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from orion.billing.fees.errors import MalformedFeeCall, MalformedFeePlan, SelfReferral
from orion.billing.fees.model import Plan
from orion.billing.fees.plan import lane_subject, merchant_subject, read_plan
from orion.billing.rates.markets import path
from orion.ids import MalformedId, parse_public_id, public_id
from orion.money import ASSETS

BY_LETTERS_MAX = 64
REASON_LETTERS_MAX = 255


class Lane(StrEnum):
    """The two doors of the API."""

    STANDARD = "standard"
    VIP = "vip"


@dataclass(frozen=True, slots=True)
class Assigning:
    """A plan (None: none of its own) for a merchant, or for a lane where `merchant_id` is None.
    `shown` names it for people.
    """

    merchant_id: bytes | None
    subject: str
    shown: str
    plan: Plan | None
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Referring:
    """Who referred a merchant."""

    merchant_id: bytes
    referrer_id: bytes
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Showing:
    """A merchant's plan as it is on a lane."""

    merchant_id: bytes
    lane: Lane


Call = Assigning | Referring | Showing
_NAMES: Mapping[str, frozenset[str]] = {
    "assign": frozenset({"action", "merchant", "lane", "plan", "by", "reason"}),
    "refer": frozenset({"action", "merchant", "referrer", "by", "reason"}),
    "show": frozenset({"action", "merchant", "lane"}),
}


def read_call(body: Mapping[str, object]) -> Call:
    """Raises MalformedFeeCall, MalformedFeePlan, SelfReferral."""
    action = body.get("action")
    names = _NAMES.get(action) if isinstance(action, str) else None
    if names is None:
        raise MalformedFeeCall("an action is assign, refer or show", field="action")
    for name in body:
        if name not in names:
            raise MalformedFeeCall("this call has no such field", field=name[:40])
    if action == "assign":
        return _assigning(body)
    if action == "refer":
        merchant, referrer = _merchant(body, "merchant"), _merchant(body, "referrer")
        if merchant == referrer:
            raise SelfReferral("a merchant cannot refer himself")
        return Referring(merchant, referrer, *_who(body))
    return Showing(_merchant(body, "merchant"), _lane(body))


def _assigning(body: Mapping[str, object]) -> Assigning:
    if ("merchant" in body) == ("lane" in body):
        raise MalformedFeeCall("either a merchant or a lane", field="merchant")
    if "plan" not in body:
        raise MalformedFeeCall("a plan, or null for none", field="plan")
    plan = None if body["plan"] is None else _chargeable(read_plan(body["plan"]))
    if "lane" in body:
        lane = _lane(body)
        return Assigning(None, lane_subject(lane), lane_subject(lane), plan, *_who(body))
    merchant = _merchant(body, "merchant")
    subject, shown = merchant_subject(merchant), public_id("mer", merchant)
    return Assigning(merchant, subject, shown, plan, *_who(body))


def _chargeable(plan: Plan) -> Plan:
    """Only what is assigned anew is asked: a plan that is in force stays readable, whatever markets
    end.
    """
    symbols = {coin.symbol for coin in ASSETS.values() if coin.chain is not None}
    for currency in plan.fixed:
        if all(path(symbol, currency) is None for symbol in symbols):
            raise MalformedFeePlan("no market has a rate for this currency", field="fixed")
    return plan


def _merchant(body: Mapping[str, object], name: str) -> bytes:
    value = body.get(name)
    try:
        return parse_public_id("mer", value if isinstance(value, str) else "")
    except MalformedId as exc:
        raise MalformedFeeCall("a merchant's id begins with mer_", field=name) from exc


def _lane(body: Mapping[str, object]) -> Lane:
    try:
        return Lane(str(body.get("lane")))
    except ValueError as exc:
        raise MalformedFeeCall("a lane is standard or vip", field="lane") from exc


def _who(body: Mapping[str, object]) -> tuple[str, str]:
    return _text(body, "by", BY_LETTERS_MAX), _text(body, "reason", REASON_LETTERS_MAX)


def _text(body: Mapping[str, object], name: str, limit: int) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > limit:
        raise MalformedFeeCall(f"{name} is text of 1 to {limit} letters", field=name)
    return value
