"""Assets whose payouts are refused, and how that is lifted. docs/ledger.md, "Frozen assets"."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol

from orion.errors import OrionError
from orion.money import asset

MAX_LISTED = 1_000
_MAX_BY_LETTERS = 64
_MAX_REASON_LETTERS = 440


class MalformedLifting(OrionError):
    """A lifting without asset, incident, person or reason; `field` names what is wrong."""

    code: ClassVar[str] = "malformed_lifting"


class UnknownFreeze(OrionError):
    """No open freeze of this asset was opened by this incident."""

    code: ClassVar[str] = "unknown_freeze"


@dataclass(frozen=True, slots=True)
class Freeze:
    """An open freeze: payouts of `asset` are refused until every one of its freezes is lifted."""

    asset: str
    incident: bytes
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Lifting:
    """Who lifts which freeze, and why."""

    asset: str
    incident: bytes
    by: str
    reason: str

    @property
    def written(self) -> str:
        """The reason as it is stored, with the person's name."""
        return f"{self.by}: {self.reason}"


class FreezeStore(Protocol):
    """The freezes of the ledger."""

    def open(self) -> list[Freeze]:
        """All open ones, at most MAX_LISTED."""
        ...

    def lift(self, lifting: Lifting, trace_id: str, now: datetime) -> None:
        """Lift it and owe its audit event, in one transaction; the next batch of the writer sees
        it. Repeating the same lifting changes nothing. Raises UnknownFreeze where there is none, or
        somebody else has lifted it.
        """
        ...


def lifting(body: Mapping[str, object]) -> Lifting:
    """`{"asset": "BTC.bitcoin", "incident_id": "32 hex", "by": "…", "reason": "…"}`.

    Raises MalformedLifting, UnknownAsset.
    """
    identity = body.get("incident_id")
    try:
        incident = bytes.fromhex(identity) if isinstance(identity, str) else b""
    except ValueError:
        incident = b""
    if len(incident) != 16:
        raise MalformedLifting(
            "an incident has an id of 32 hexadecimal digits", field="incident_id"
        )
    return Lifting(
        asset(_text(body, "asset", 40)).code,
        incident,
        _text(body, "by", _MAX_BY_LETTERS),
        _text(body, "reason", _MAX_REASON_LETTERS),
    )


def _text(body: Mapping[str, object], name: str, limit: int) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > limit:
        raise MalformedLifting(f"{name} is text of 1 to {limit} letters", field=name)
    return value


def freeze_lifted(lifting: Lifting, trace_id: str, now: datetime) -> Mapping[str, object]:
    """The audit event of a freeze that a person lifted."""
    return {
        "v": 1,
        "trace_id": trace_id,
        "module": "billing",
        "action": "asset_freeze.lifted",
        "at": now.isoformat(),
        "actor": lifting.by,
        "subject": lifting.asset,
        "details": {"incident": lifting.incident.hex(), "reason": lifting.reason},
    }
