"""Incidents: what is audited of them, and how a person closes one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from orion.log.reconciliation.errors import MalformedCall
from orion.log.reconciliation.model import Incident, Run

MAX_LISTED = 100
MAX_REASON_LETTERS = 512
MAX_NAME_LETTERS = 128


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An incident that nobody has closed, with the report that tells why."""

    incident: Incident
    opened_at: datetime
    report: str | None


@dataclass(frozen=True, slots=True)
class Closing:
    """Who closes an incident and why. It does not lift the freeze: that is the ledger's."""

    incident: bytes
    by: str
    reason: str


class IncidentStore(Protocol):
    """The incidents of all runs."""

    def open(self) -> list[OpenIncident]:
        """The newest open ones, at most MAX_LISTED."""
        ...

    def close(self, closing: Closing, trace_id: str, now: datetime) -> Incident:
        """Close it and owe its audit event, in one transaction. Repeating the same closing changes
        nothing. Raises UnknownIncident where it does not exist or somebody else has closed it.
        """
        ...


def closing(body: Mapping[str, object]) -> Closing:
    """`{"incident_id": "32 hex", "by": "…", "reason": "…"}`. Raises MalformedCall."""
    identity = body.get("incident_id")
    try:
        incident = bytes.fromhex(identity) if isinstance(identity, str) else b""
    except ValueError:
        incident = b""
    if len(incident) != 16:
        raise MalformedCall("an incident has an id of 32 hexadecimal digits", field="incident_id")
    return Closing(
        incident, _text(body, "by", MAX_NAME_LETTERS), _text(body, "reason", MAX_REASON_LETTERS)
    )


def _text(body: Mapping[str, object], name: str, limit: int) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= len(value) <= limit:
        raise MalformedCall(f"{name} is text of 1 to {limit} letters", field=name)
    return value


def incident_opened(incident: Incident, run: Run, now: datetime) -> Mapping[str, object]:
    """The audit event of an incident that a run opened."""
    return _of_run("incident.opened", incident, run, now)


def incident_raised(incident: Incident, run: Run, now: datetime) -> Mapping[str, object]:
    """The audit event of an incident that froze nothing and does now."""
    return _of_run("incident.raised", incident, run, now)


def _of_run(action: str, incident: Incident, run: Run, now: datetime) -> Mapping[str, object]:
    return {
        "v": 1,
        "trace_id": run.trace_id.hex(),
        "module": "log",
        "action": action,
        "at": now.isoformat(),
        "actor": "reconciliation",
        "subject": incident.id.hex(),
        "details": {
            "asset": incident.asset,
            "run": run.name,
            "differences": incident.differences,
            "freezes": incident.freezes,
        },
    }


def incident_closed(
    incident: Incident, closing: Closing, trace_id: str, now: datetime
) -> Mapping[str, object]:
    """The audit event of an incident that a person closed."""
    return {
        "v": 1,
        "trace_id": trace_id,
        "module": "log",
        "action": "incident.closed",
        "at": now.isoformat(),
        "actor": closing.by,
        "subject": incident.id.hex(),
        "details": {"asset": incident.asset, "reason": closing.reason},
    }
