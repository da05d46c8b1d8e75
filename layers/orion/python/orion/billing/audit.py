"""Who asked for something, and what the audit log is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from orion.billing.invoice import moment
from orion.billing.ports import Message
from orion.ids import public_id, random_id


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asked, by which lane, under which trace, when. The lane is empty where it has no say."""

    merchant_id: bytes
    lane: str
    trace_id: str
    at: datetime


def audit(action: str, origin: Origin, subject: str, details: Mapping[str, object]) -> Message:
    """One deed for the audit log."""
    body = {
        "v": 1,
        "trace_id": origin.trace_id,
        "module": "billing",
        "action": action,
        "at": moment(origin.at),
        "actor": public_id("mer", origin.merchant_id),
        "subject": subject,
        "details": details,
    }
    # Not made from the trace: a client may send that, and a repeated one would hide a second deed.
    return Message("kafka:audit.events", "billing", body, random_id())
